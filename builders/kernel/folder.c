/* Modules in a folder of the host: see files.h. Only what lies beneath it is ever opened. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "builders/kernel/files.h"
#include "builders/kernel/take.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

struct walk {
	int (*take)(void *to, const char *path, struct err *err);
	void *to;
	size_t count;
	struct err *err;
};

static int walk_folder(struct walk *walk, int dir, const char *path, unsigned int depth);

static int walk_entry(struct walk *walk, int dir, const char *path, const struct dirent *entry,
		      unsigned int depth)
{
	_cleanup_free_ char *name = xasprintf("%s%s%s", path, *path ? "/" : "", entry->d_name);
	int sub;

	if (++walk->count > KERNEL_FILES_MAX)
		return err_set(walk->err, ERR_KERNEL, "more than %d files", KERNEL_FILES_MAX);
	if (entry->d_type == DT_REG)
		return walk->take(walk->to, name, walk->err);
	if (entry->d_type != DT_DIR)
		return 0; /* "build" and "source" are links out of here */
	sub = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return err_sys(walk->err, errno, "open the folder %s", name);
	return walk_folder(walk, sub, name, depth + 1);
}

/* Takes `dir` over. */
static int walk_folder(struct walk *walk, int dir, const char *path, unsigned int depth)
{
	_cleanup_free_ char *safe = str_escape(path, KERNEL_PATH_SHOWN);
	struct dirent *entry;
	int result = 0;
	DIR *stream;

	if (depth > KERNEL_DEPTH_MAX) {
		close(dir);
		return err_set(walk->err, ERR_KERNEL, "%s: more than %d folders deep", safe,
			       KERNEL_DEPTH_MAX);
	}
	stream = fdopendir(dir);
	if (!stream) {
		err_sys(walk->err, errno, "read the folder %s", safe);
		close(dir);
		return -1;
	}
	while (result == 0 && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = walk_entry(walk, dirfd(stream), path, entry, depth);
	closedir(stream);
	return result;
}

static int each(void *data, int (*take)(void *to, const char *path, struct err *err), void *to,
		struct err *err)
{
	const struct folder_files *files = data;
	struct walk walk = { .take = take, .to = to, .err = err };
	int dir = openat(files->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(err, errno, "open the modules' folder");
	return walk_folder(&walk, dir, "", 0);
}

static int read_file(void *data, const char *path, size_t max, struct bytes *ret, struct err *err)
{
	const struct folder_files *files = data;
	_cleanup_free_ char *safe = str_escape(path, KERNEL_PATH_SHOWN);
	_cleanup_close_ int fd = fs_open_no_links(files->dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : err_sys(err, errno, "open %s", safe);
	return bytes_map(fd, max, ret, err) < 0 ? err_wrap(err, "%s", safe) : 1;
}

const struct kernel_files_ops folder_files_ops = { each, read_file };
