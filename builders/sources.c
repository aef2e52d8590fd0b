/* Opens what a step copies: see sources.h. */
#include "builders/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/lock.h"
#include "core/path.h"

static int fail(const char *path, struct err *err)
{
	int errnum = errno;
	_cleanup_free_ char *safe = str_escape(path, 200);

	return err_sys(err, errnum, "open %s", safe);
}

static struct select_source *add(struct selection *selection)
{
	struct select_source *source;

	selection->sources = xreallocarray(selection->sources, selection->count + 1,
					   sizeof(*selection->sources));
	source = &selection->sources[selection->count++];
	*source = (struct select_source){ .fd = -1 };
	return source;
}

/* `fd` may be -1, with an error. A file comes readable: the worker has no /proc to open it again with the caller's rights. */
static int make_readable(int fd, const char *path, struct err *err)
{
	_cleanup_close_ int looked = fd;
	struct stat st;
	int readable;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return fail(path, err);
	if (!S_ISREG(st.st_mode))
		return TAKE_FD(looked);
	readable = fs_reopen(looked, O_RDONLY | O_NOCTTY);
	return readable < 0 ? fail(path, err) : readable;
}

/* Where `path` lies below the spec's folder, borrowed from it; NULL: it need not. */
static const char *below_spec(const struct spec *spec, const char *path)
{
	size_t length = strlen(spec->dir);

	if (!path_is_below(path, spec->dir) || strstr(path, "/../") || str_has_suffix(path, "/.."))
		return NULL;
	while (length > 0 && spec->dir[length - 1] == '/')
		length--;
	return path + length + (path[length] == '/');
}

static int add_of_host(struct selection *selection, const struct spec *spec, const char *text,
		       struct err *err)
{
	struct select_source *source = add(selection);
	bool in_dir = path_is_below(text, spec->dir);
	size_t from = in_dir ? strlen(spec->dir) : 0;
	_cleanup_free_ char *path = xstrdup(text);
	const char *below, *shown = in_dir ? text + from + (text[from] == '/') : text;
	int flags = O_PATH | O_NOFOLLOW;

	source->name = xstrdup(*shown ? shown : ".");
	source->pattern = glob_cut(path, from);
	below = below_spec(spec, path);
	if (below)
		source->below = xstrdup(below);
	if (source->pattern)
		flags |= O_DIRECTORY;
	source->fd = make_readable(host_path_open(spec->host, "copy", path, flags, err), text, err);
	return source->fd < 0 ? -1 : 0;
}

static int too_many(struct err *err)
{
	return err_set(err, ERR_SPEC_LIMIT, "copy: more than %d sources", SELECT_SOURCES_MAX);
}

/*
 * The spec's lock is written by a build and would be another one for the next: it is left out unless a rule
 * says otherwise, or the step names it.
 */
static int leave_out_lock(struct selection *selection, const struct spec *spec,
			  const struct step *step, struct err *err)
{
	_cleanup_free_ char *lock = lock_path(spec->file), *text = NULL;
	const char *name = path_base(lock), *rules = selection->rules_text ? selection->rules_text : "";

	for (size_t i = 0; i < step->patterns.count; i++)
		if (!strcmp(path_base(step->patterns.items[i]), name))
			return 0;
	if (glob_is_pattern(name))
		return 0;
	if (str_has_prefix(rules, "\xef\xbb\xbf"))
		rules += 3;
	text = xasprintf("%s\n%s", name, rules);
	ignore_done(&selection->rules);
	if (ignore_parse(&selection->rules, IGNORE_FILE, text, strlen(text), err) < 0)
		return -1;
	free(selection->rules_text);
	selection->rules_text = TAKE_PTR(text);
	return 0;
}

int sources_of_host(struct selection *ret, const struct spec *spec, const struct step *step,
		    struct err *err)
{
	_cleanup_(select_done) struct selection selection = { .ignores = true };
	_cleanup_close_ int dir = host_path_open(spec->host, "copy", spec->dir, O_PATH | O_DIRECTORY,
						 err);

	if (dir < 0)
		return -1;
	if (step->patterns.count > SELECT_SOURCES_MAX)
		return too_many(err);
	selection.into = str_has_suffix(step->to, "/");
	if (select_read_rules(dir, "", &selection.rules, &selection.rules_text, err) < 0 ||
	    leave_out_lock(&selection, spec, step, err) < 0)
		return -1;
	for (size_t i = 0; i < step->patterns.count; i++)
		if (add_of_host(&selection, spec, step->patterns.items[i], err) < 0)
			return -1;
	*ret = selection;
	selection = (struct selection){ 0 };
	return 0;
}

int sources_of_folder(struct selection *ret, const struct spec *spec, const char *path,
		      struct err *err)
{
	int fd = make_readable(host_path_open(spec->host, "directory", path, O_PATH | O_NOFOLLOW, err),
			       path, err);
	struct selection selection = { 0 };
	struct select_source *source;

	if (fd < 0)
		return -1;
	source = add(&selection);
	source->fd = fd;
	source->name = xstrdup(path_base(path));
	*ret = selection;
	return 0;
}

int sources_of_image(struct selection *ret, const struct step *step, const int *trees, size_t count,
		     struct err *err)
{
	struct selection selection = { .into = str_has_suffix(step->to, "/"), .trees = trees,
				       .tree_count = count };

	if (step->patterns.count > SELECT_SOURCES_MAX)
		return too_many(err);
	for (size_t i = 0; i < step->patterns.count; i++) {
		struct select_source *source = add(&selection);

		source->name = xstrdup(step->patterns.items[i]);
		source->path = xstrdup(step->patterns.items[i]);
		source->pattern = glob_cut(source->path, 1);
	}
	*ret = selection;
	return 0;
}

/* ---- whether anything has changed ------------------------------------------------------------ */

#define AT_REST_NS 2000000000ull
#define STATE_VERSION "duet state 1"

struct state {
	struct sha256 hash;
	uint64_t newest_ns;
};

static uint64_t to_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

static int add_state(void *data, const struct select_entry *entry, struct err *err)
{
	struct state *state = data;
	const struct stat *st = entry->st;
	const uint64_t fields[] = {
		st->st_dev, st->st_ino, st->st_mode, (uint64_t)st->st_size, to_ns(&st->st_mtim),
		to_ns(&st->st_ctim),
	};
	uint64_t times_ns[] = { fields[4], fields[5] };

	(void)err;
	sha256_add_text(&state->hash, entry->path);
	sha256_add_field(&state->hash, fields, sizeof(fields));
	for (size_t i = 0; i < ARRAY_SIZE(times_ns); i++)
		if (times_ns[i] > state->newest_ns)
			state->newest_ns = times_ns[i];
	return 0;
}

int sources_state(const struct selection *selection, struct digest *ret, bool *ret_at_rest,
		  struct err *err)
{
	struct state state = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	sha256_init(&state.hash);
	sha256_add_text(&state.hash, STATE_VERSION);
	if (select_walk(selection, add_state, &state, err) < 0)
		return -1;
	sha256_end(&state.hash, ret);
	*ret_at_rest = state.newest_ns + AT_REST_NS < to_ns(&now);
	return 0;
}

int sources_text(const struct selection *selection, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("sources", MFD_CLOEXEC);
	_cleanup_(str_done) struct str text = { 0 };

	select_write(selection, &text);
	if (text.length > SELECT_TEXT_MAX)
		return err_set(err, ERR_SPEC_LIMIT, "copy: more than %d bytes of names",
			       SELECT_TEXT_MAX);
	if (fd < 0 || fs_write_all(fd, text.text, text.length) < 0)
		return err_sys(err, errno, "write the names of what is copied");
	return TAKE_FD(fd);
}
