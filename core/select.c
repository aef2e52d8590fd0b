/*
 * Selecting: see select.h. With more than one source or match it goes twice: first each place is claimed,
 * so that it is known who comes last there, then the entries are visited.
 */
#include "core/select.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/merged.h"
#include "core/path.h"
#include "core/rootfs.h"

/* A place where something lands, when several sources could. */
struct claim {
	char *path;	/* owned */
	bool folder;
	size_t first, last;	/* numbers of items */
};

struct walk {
	const struct selection *what;
	select_visit *visit;
	void *data;
	const struct select_source *source;
	const struct ignore *own;	/* of the copied folder; NULL: none */
	char *below;			/* owned; the copied folder below that of the rules; or NULL */
	const char *from;		/* the copied folder, for messages */
	void *claims;			/* a tsearch tree of struct claim, owned; NULL: not needed */
	bool claiming, twice;
	size_t item;			/* number of the source or match */
	size_t landed;
	struct err *err;
};

/* A folder on the way down; `due`: ignored, so it is there only if something in it is not. */
struct frame {
	struct frame *up;
	bool due;
	struct select_entry entry;
};

static int fail(struct walk *walk, const char *path, const char *what)
{
	int errnum = errno;
	_cleanup_free_ char *safe = str_escape(path, 200);

	return err_sys(walk->err, errnum, "%s %s", what, safe);
}

static int refuse(struct walk *walk, int code, const char *path, const char *why)
{
	_cleanup_free_ char *safe = str_escape(path, 200);

	return err_set(walk->err, code, "%s: %s", safe, why);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static int compare_claims(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->path, ((const struct claim *)b)->path);
}

static void free_claim(void *data)
{
	struct claim *claim = data;

	free(claim->path);
	free(claim);
}

static int stake(struct walk *walk, const struct select_entry *entry)
{
	bool folder = S_ISDIR(entry->st->st_mode);
	struct claim *claim = xmalloc(sizeof(*claim)), **known;

	*claim = (struct claim){ xstrdup(entry->path), folder, walk->item, walk->item };
	known = tsearch(claim, &walk->claims, compare_claims);
	if (!known)
		mem_out();
	if (*known == claim)
		return 0;
	free_claim(claim);
	(*known)->last = walk->item;
	return (*known)->folder == folder ? 0 : refuse(walk, ERR_LAYER, entry->from,
						       "it lands where another source puts a folder or file");
}

static int deliver(struct walk *walk, const struct select_entry *entry)
{
	struct claim wanted = { .path = (char *)entry->path }, **known;
	bool folder = S_ISDIR(entry->st->st_mode);

	if (walk->claiming)
		return stake(walk, entry);
	walk->landed++;
	if (walk->twice) {
		known = tfind(&wanted, &walk->claims, compare_claims);
		if (!known || (*known)->folder != folder)
			return refuse(walk, ERR_LAYER, entry->from, "it changed while it was read");
		if (walk->item != (folder ? (*known)->first : (*known)->last))
			return 0;
	}
	return walk->visit(walk->data, entry, walk->err);
}

static int emit(struct walk *walk, struct frame *up, const struct select_entry *entry)
{
	if (up && up->due) {
		up->due = false;
		if (emit(walk, up->up, &up->entry) < 0)
			return -1;
	}
	return deliver(walk, entry);
}

/* ---- what is ignored ------------------------------------------------------------------------- */

/* `path` is below the copied folder; "" is what is copied itself. */
static bool is_ignored(const struct walk *walk, const char *path, bool is_folder)
{
	bool ignored = false;

	if (walk->below) {
		_cleanup_free_ char *whole = path_join(walk->below, path);

		if (*whole)
			ignore_apply(&walk->what->rules, whole, is_folder, &ignored);
	}
	if (*path)
		ignore_apply(walk->own, path, is_folder, &ignored);
	return ignored;
}

/* Can something in an ignored folder be kept? */
static bool may_keep(const struct walk *walk)
{
	return (walk->below && walk->what->rules.has_keep) || (walk->own && walk->own->has_keep);
}

int select_read_rules(int dir, const char *name, struct ignore *ret, char **ret_text,
		      struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(dir, IGNORE_FILE,
						  O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	_cleanup_free_ char *safe = str_escape(name, 200), *text = NULL;
	_cleanup_free_ char *file = path_join(safe, IGNORE_FILE);
	size_t size;

	*ret = (struct ignore){ 0 };
	*ret_text = NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_SPEC_VALUE, "read %s: it is a symbolic link", file);
	if (fd < 0)
		return err_sys(err, errno, "open %s", file);
	if (fs_read_fd(fd, file, IGNORE_BYTES_MAX, &text, &size, err) < 0 ||
	    ignore_parse(ret, file, text, size, err) < 0)
		return -1;
	*ret_text = TAKE_PTR(text);
	return 0;
}

/* ---- down a folder --------------------------------------------------------------------------- */

static int walk_folder(struct walk *walk, const struct merged *folder, const char *path,
		       struct frame *up, unsigned int depth);

static int walk_name(struct walk *walk, const struct merged *folder, const char *path,
		     const char *name, struct frame *up, unsigned int depth)
{
	_cleanup_free_ char *from = path_join(walk->from, path);
	_cleanup_(merged_done) struct merged below = { 0 };
	struct frame frame = { .up = up };
	struct stat st;
	bool ignored;
	int dir, found = merged_look(folder, name, &dir, &st);

	if (found < 1) {
		errno = found < 0 ? errno : ENOENT;
		return fail(walk, from, "look at");
	}
	ignored = is_ignored(walk, path, S_ISDIR(st.st_mode));
	frame.entry = (struct select_entry){ path, from, &st, dir, name };
	if (ignored && (!S_ISDIR(st.st_mode) || !may_keep(walk)))
		return 0;
	if (!ignored && emit(walk, up, &frame.entry) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return 0;
	frame.due = ignored;
	if (merged_enter(folder, name, &below) < 0)
		return fail(walk, from, "open folder");
	return walk_folder(walk, &below, path, &frame, depth + 1);
}

static int walk_folder(struct walk *walk, const struct merged *folder, const char *path,
		       struct frame *up, unsigned int depth)
{
	_cleanup_(strv_done) struct strv names = { 0 };

	if (depth == SELECT_DEPTH_MAX)
		return err_set(walk->err, ERR_LAYER_LIMIT, "a path of more than %d components",
			       SELECT_DEPTH_MAX);
	if (merged_names(folder, &names) < 0)
		return fail(walk, *path ? path : walk->from, "read folder");
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_free_ char *below = path_join(path, names.items[i]);

		if (walk_name(walk, folder, below, names.items[i], up, depth) < 0)
			return -1;
	}
	return 0;
}

/* ---- one source or match --------------------------------------------------------------------- */

static int walk_top(struct walk *walk, const struct merged *folder,
		    const struct select_entry *self, bool ignored)
{
	struct frame frame = { .due = ignored, .entry = *self };

	if (!ignored && deliver(walk, self) < 0)
		return -1;
	return walk_folder(walk, folder, "", &frame, 0);
}

/* A folder: with its own rules, unless they are those of the spec's folder and count already. */
static int take_folder(struct walk *walk, const struct merged *folder, int dir, const char *name,
		       const struct stat *st)
{
	struct select_entry self = { "", walk->from, st, dir, name };
	_cleanup_(ignore_done) struct ignore own = { 0 };
	_cleanup_free_ char *text = NULL;
	bool ignored;
	int result;

	if (walk->what->ignores && !(walk->below && !*walk->below) &&
	    select_read_rules(folder->fds[0], walk->from, &own, &text, walk->err) < 0)
		return -1;
	walk->own = own.count ? &own : NULL;
	ignored = is_ignored(walk, "", true);
	result = ignored && !may_keep(walk) ? 0 : walk_top(walk, folder, &self, ignored);
	walk->own = NULL;
	return result;
}

static int take_other(struct walk *walk, int dir, const char *name, const char *own_name,
		      const struct stat *st)
{
	const struct select_entry self = { walk->what->into ? own_name : "", walk->from, st, dir,
					   name };

	return is_ignored(walk, "", false) ? 0 : deliver(walk, &self);
}

/* What stands under `path` below `base`, without links in the way. */
static int take_below(struct walk *walk, const struct merged *base, const char *path,
		      const char *own_name)
{
	const char *name = path_base(path);
	_cleanup_free_ char *above = xstrndup(path, name == path ? 0 : (size_t)(name - path) - 1);
	_cleanup_(merged_done) struct merged parent = { 0 }, folder = { 0 };
	struct stat st;
	int dir, found;

	if (merged_walk(base, above, &parent) < 0)
		return fail(walk, walk->from, "open");
	if (!*name) { /* the root of an image */
		if (fstat(parent.fds[0], &st) < 0)
			return fail(walk, walk->from, "look at");
		return take_folder(walk, &parent, parent.fds[0], "", &st);
	}
	found = merged_look(&parent, name, &dir, &st);
	if (found < 1) {
		errno = found < 0 ? errno : ENOENT;
		return fail(walk, walk->from, "look at");
	}
	if (!S_ISDIR(st.st_mode))
		return take_other(walk, dir, name, own_name, &st);
	if (merged_enter(&parent, name, &folder) < 0)
		return fail(walk, walk->from, "open folder");
	return take_folder(walk, &folder, dir, name, &st);
}

/* A source of the host that is no pattern. */
static int take_plain(struct walk *walk)
{
	const struct select_source *source = walk->source;
	_cleanup_(merged_done) struct merged folder = { 0 };
	struct stat st;

	if (fstat(source->fd, &st) < 0)
		return fail(walk, source->name, "look at");
	if (!S_ISDIR(st.st_mode))
		return take_other(walk, source->fd, "", path_base(source->name), &st);
	if (merged_plain(&folder, source->fd) < 0)
		return fail(walk, source->name, "open folder");
	return take_folder(walk, &folder, source->fd, "", &st);
}

/* ---- patterns -------------------------------------------------------------------------------- */

static int expand(struct walk *walk, const struct merged *at, const char *pattern,
		  const char *path, unsigned int depth, struct strv *ret);

/* The folder `name`, if it is one, with the rest of the pattern. */
static int expand_below(struct walk *walk, const struct merged *at, const char *name,
			const char *pattern, const char *path, unsigned int depth, struct strv *ret)
{
	_cleanup_(merged_done) struct merged below = { 0 };
	struct stat st;
	int dir, found = merged_look(at, name, &dir, &st);

	if (found == 1 && !S_ISDIR(st.st_mode))
		return 0;
	if (found == 1 && merged_enter(at, name, &below) == 0)
		return expand(walk, &below, pattern, path, depth + 1, ret);
	return found == 0 ? 0 : fail(walk, path, "open folder");
}

/* Matches names, one component or "**" at a time; a pattern goes through no link. */
static int expand(struct walk *walk, const struct merged *at, const char *pattern,
		  const char *path, unsigned int depth, struct strv *ret)
{
	size_t length = strcspn(pattern, "/");
	const char *rest = pattern + length + (pattern[length] == '/');
	bool any = length == 2 && !memcmp(pattern, "**", 2);
	_cleanup_(strv_done) struct strv names = { 0 };

	if (depth == SELECT_DEPTH_MAX)
		return err_set(walk->err, ERR_LAYER_LIMIT, "a path of more than %d components",
			       SELECT_DEPTH_MAX);
	if (any && *rest && expand(walk, at, rest, path, depth, ret) < 0)
		return -1;
	if (merged_names(at, &names) < 0)
		return fail(walk, *path ? path : walk->source->name, "read folder");
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		_cleanup_free_ char *below = path_join(path, name);

		if (!glob_match_name(pattern, length, name, false))
			continue;
		if (!*rest)
			strv_add(ret, below);
		if ((any || *rest) &&
		    expand_below(walk, at, name, any ? pattern : rest, below, depth, ret) < 0)
			return -1;
	}
	return 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_pattern(struct walk *walk, const struct merged *base)
{
	_cleanup_(strv_done) struct strv found = { 0 };

	if (expand(walk, base, walk->source->pattern, "", 0, &found) < 0)
		return -1;
	if (found.count > 1)
		qsort(found.items, found.count, sizeof(*found.items), compare_texts);
	for (size_t i = 0; i < found.count; i++) {
		const char *path = found.items[i];

		if (i > 0 && !strcmp(found.items[i - 1], path))
			continue;
		free(walk->below);
		walk->below = walk->source->below ? path_join(walk->source->below, path) : NULL;
		walk->from = path;
		walk->item++;
		if (take_below(walk, base, path, path_base(path)) < 0)
			return -1;
	}
	return 0;
}

/* In an image: links on the way to what is named are followed, inside it. */
static int take_from_image(struct walk *walk)
{
	const struct select_source *source = walk->source;
	const struct selection *what = walk->what;
	_cleanup_(merged_done) struct merged root = { 0 }, base = { 0 };
	struct rootfs_entry entry;
	int found = rootfs_find(what->trees, what->tree_count, source->path, true, &entry, walk->err);

	if (found < 0)
		return -1;
	if (found == 0)
		return refuse(walk, ERR_SPEC_MISSING, source->path, "it is not in the image");
	close(entry.fd);
	if (merged_root(&root, what->trees, what->tree_count) < 0)
		return fail(walk, source->path, "open");
	if (!source->pattern)
		return take_below(walk, &root, entry.path, path_base(source->path));
	if (merged_walk(&root, entry.path, &base) < 0)
		return fail(walk, source->path, "open folder");
	return take_pattern(walk, &base);
}

static int take_source(struct walk *walk)
{
	const struct select_source *source = walk->source;
	_cleanup_(merged_done) struct merged base = { 0 };

	free(walk->below);
	walk->below = source->below ? xstrdup(source->below) : NULL;
	walk->from = source->name;
	walk->item++;
	if (walk->what->trees)
		return take_from_image(walk);
	if (!source->pattern)
		return take_plain(walk);
	if (merged_plain(&base, source->fd) < 0)
		return fail(walk, source->name, "open the folder of");
	return take_pattern(walk, &base);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int walk_all(struct walk *walk)
{
	walk->item = 0;
	for (size_t i = 0; i < walk->what->count; i++) {
		size_t before = walk->landed;

		walk->source = &walk->what->sources[i];
		if (take_source(walk) < 0)
			return -1;
		if (walk->claiming || walk->landed > before)
			continue;
		if (walk->source->pattern)
			return refuse(walk, ERR_SPEC_MISSING, walk->source->name, "nothing matches");
		return refuse(walk, ERR_SPEC_MISSING, walk->source->name,
			      "a " IGNORE_FILE " leaves it out");
	}
	return 0;
}

int select_walk(const struct selection *selection, select_visit *visit, void *data,
		struct err *err)
{
	struct walk walk = { .what = selection, .visit = visit, .data = data, .err = err };
	int result = 0;

	walk.twice = selection->count > 1 || (selection->count == 1 && selection->sources[0].pattern);
	if (walk.twice) {
		walk.claiming = true;
		result = walk_all(&walk);
		walk.claiming = false;
	}
	if (result == 0)
		result = walk_all(&walk);
	tdestroy(walk.claims, free_claim);
	free(walk.below);
	return result;
}
