/* duet init: a first duet.yaml, or one from a Dockerfile. Nothing is overwritten. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "core/dockerfile.h"
#include "core/fs.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define DEFAULT_FILE "duet.yaml"

/* The language server of editors reads this line; `duet schema >duet.schema.json` makes the file. */
static const char modeline[] = "# yaml-language-server: $schema=duet.schema.json\n";

static const char first_spec[] =
	"duet: 1\n"
	"name: %s\n"
	"\n"
	"image:\n"
	"  from: {debian: bookworm}           # or a reference such as docker.io/library/alpine:3.20\n"
	"  # steps:\n"
	"  #   - copy: ./site                 # a file or folder beside this file\n"
	"  #     to: /srv/site\n"
	"  #   - run: nginx -t                # a command; `network: nat` lets it out\n"
	"  # config: {environment: {LANG: C.UTF-8}, workdir: /srv}\n"
	"\n"
	"on: [container, vm]                  # the first is what `duet run` takes\n"
	"\n"
	"target:\n"
	"  command: [cat, /etc/os-release]\n";

/* The name of the folder that we work in, where it can be one; owned. */
static char *name_of_folder(void)
{
	char path[PATH_MAX];
	const char *name = getcwd(path, sizeof(path)) ? path_base(path) : "";

	return xstrdup(parse_is_name(name) ? name : "image");
}

/* Makes the file, which must not be there. */
static int write_new(const char *path, const char *text, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0 && errno == EEXIST) {
		err_sys_as(err, ERR_USAGE, errno, "make %s", path);
		return err_mend(err, "take it away, or name another file with -f");
	}
	if (fd < 0)
		return err_sys(err, errno, "make %s", path);
	if (fs_write_all(fd, modeline, strlen(modeline)) < 0 ||
	    fs_write_all(fd, text, strlen(text)) < 0 || fsync(fd) < 0) {
		err_sys(err, errno, "write %s", path);
		(void)unlink(path);
		return -1;
	}
	return 0;
}

/* How many things are lost. */
static size_t tell_losses(const char *file, const struct dockerfile *dockerfile)
{
	_cleanup_free_ char *shown = str_escape(file, 200);
	size_t count = 0;

	for (size_t i = 0; i < dockerfile->loss_count; i++) {
		const struct dockerfile_loss *loss = &dockerfile->losses[i];

		if (loss->is_note)
			log_note("%s:%u: %s", shown, loss->line, loss->text);
		else
			log_warn("%s:%u: %s", shown, loss->line, loss->text);
		count += !loss->is_note;
	}
	return count;
}

/*
 * The rules of a .dockerignore are those of a .duetignore. What duet itself writes there is left out, too:
 * with the lock among the things that are copied the second build would not find what the first one made.
 */
static int write_ignored(const char *path, struct err *err)
{
	_cleanup_free_ char *text = NULL, *all = NULL, *lock = lock_path(path);
	_cleanup_close_ int fd = -1, dir = -1, in = -1;
	size_t size;

	if (strchr(path, '/') || access(".dockerignore", F_OK) < 0 || access(".duetignore", F_OK) == 0)
		return 0;
	/* nobody said its name: what a link out of the folder leads to is not for a file of the project */
	dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	in = fs_open_beneath(dir, ".dockerignore", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (in < 0 && errno == EXDEV)
		return err_set(err, ERR_ALLOW, "read .dockerignore: it is a symbolic link that leads out of "
					       "this folder");
	if (in < 0)
		return err_sys(err, errno, "open .dockerignore");
	if (fs_read_fd(in, ".dockerignore", DOCKERFILE_BYTES_MAX, &text, &size, err) < 0)
		return -1;
	all = xasprintf("%s%s# of duet\n/.duetignore\n/%s\n/%s\n", text,
			size > 0 && text[size - 1] != '\n' ? "\n" : "", path, lock);
	fd = open(".duetignore", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 || fs_write_all(fd, all, strlen(all)) < 0)
		return err_sys(err, errno, "write .duetignore");
	log_note("copy steps go by .duetignore, which was made from .dockerignore");
	return 0;
}

static void match(void *data, const char *pattern, struct strv *ret)
{
	glob_t found;

	(void)data;
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = path_base(found.gl_pathv[i]);

		if (strcmp(name, ".") && strcmp(name, ".."))
			strv_add(ret, found.gl_pathv[i]);
	}
	globfree(&found);
}

static mode_t mode_of(void *data, const char *path)
{
	struct stat st;

	(void)data;
	return lstat(path, &st) < 0 ? 0 : st.st_mode;
}

static int init_from(const struct cli *cli, const char *path, const char *name, int *ret_code,
		     struct err *err)
{
	static const struct dockerfile_files files = { .match = match, .mode = mode_of };
	_cleanup_(dockerfile_done) struct dockerfile dockerfile = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (fs_read_file(AT_FDCWD, cli->from, DOCKERFILE_BYTES_MAX, &text, &size, err) < 0 ||
	    dockerfile_convert(&dockerfile, &files, name, cli->from, text, size, err) < 0 ||
	    write_new(path, dockerfile.spec, err) < 0 || write_ignored(path, err) < 0)
		return -1;
	*ret_code = tell_losses(cli->from, &dockerfile) > 0;
	return 0;
}

int cmd_init(const struct cli *cli, int *ret_code, struct err *err)
{
	const char *path = cli->file ? cli->file : DEFAULT_FILE;
	_cleanup_free_ char *name = name_of_folder(), *text = NULL;

	if (cli->from)
		return init_from(cli, path, name, ret_code, err);
	text = xasprintf(first_spec, name);
	return write_new(path, text, err);
}
