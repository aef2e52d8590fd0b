/*
 * Files of the store. A file is made without a name (O_TMPFILE), written, synced, and only then
 * linked where it belongs, so that no name ever stands for half a file and a killed process leaves
 * nothing. Where the file system has no O_TMPFILE (overlayfs before Linux 6.3, some FUSE ones) it
 * is tmp/ID.part with a lock on itself, which tmp.c removes once the lock is free.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/path.h"
#include "core/store/internal.h"

int store_fail(struct err *err, int errnum, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	err_sys_as(err, ERR_STORE, errnum, "%s", text);
	if (errnum == ENOSPC || errnum == EDQUOT)
		err_mend(err, "make room (`duet gc`), or name another store with --store DIR");
	else if (errnum == EROFS || errnum == EACCES || errnum == EPERM)
		err_mend(err, "name a store that you may write with --store DIR");
	errno = errnum;
	return -1;
}

bool store_is_damage(int errnum)
{
	static const int damages[] = { EIO, EUCLEAN, EBADMSG, EILSEQ, ENODATA, ENOENT, ELOOP,
				       ENOTDIR, ENXIO };

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++)
		if (errnum == damages[i])
			return true;
	return false;
}

int store_sync(int fd, const char *name, struct err *err)
{
	return fsync(fd) < 0 ? store_fail(err, errno, "sync %s", name) : 0;
}

/* Makes the last component of `path`, the folders above are there. 0 too when somebody else did. */
static int make_folder(struct store *store, const char *path, struct err *err)
{
	_cleanup_free_ char *above = xstrdup(path);
	_cleanup_close_ int parent = -1;
	char *slash = strrchr(above, '/');

	if (mkdirat(store->dir, path, 0700) < 0)
		return errno == EEXIST ? 0 : store_fail(err, errno, "make folder %s", path);
	/* an odd umask must not lock us out */
	if (fchmodat(store->dir, path, 0700, 0) < 0)
		return store_fail(err, errno, "set the mode of %s", path);
	if (slash)
		*slash = '\0';
	parent = openat(store->dir, slash ? above : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return store_fail(err, errno, "open folder %s", slash ? above : ".");
	return store_sync(parent, slash ? above : "v1", err);
}

int store_folder(struct store *store, const char *path, struct err *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_free_ char *part = NULL;
	int fd = openat(store->dir, path, flags);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return store_fail(err, errno, "open folder %s", path);
	part = xstrdup(path);
	for (char *at = part; ; at++) {
		char end = *at;

		if (end != '/' && end != '\0')
			continue;
		*at = '\0';
		if (make_folder(store, part, err) < 0)
			return -1;
		*at = end;
		if (end == '\0')
			break;
	}
	fd = openat(store->dir, path, flags);
	return fd >= 0 ? fd : store_fail(err, errno, "open folder %s", path);
}

/* tmp/ID.part, locked through its own descriptor for as long as anybody holds that. */
static int part_new(struct store *store, struct err *err)
{
	for (;;) {
		char id[40], path[STORE_PATH_SIZE];
		_cleanup_close_ int fd = -1;
		struct stat st;

		store_new_id(id);
		snprintf(path, sizeof(path), "tmp/%s.part", id);
		fd = openat(store->dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd < 0 || fchmod(fd, 0600) < 0)
			return store_fail(err, errno, "make a file in the store");
		if (flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return store_fail(err, errno, "lock %s", path);
		if (st.st_nlink > 0) /* else a cleaner was quicker than our lock */
			return TAKE_FD(fd);
	}
}

/* Takes the .part name from a file that has one. */
static void part_drop(struct store *store, int fd)
{
	char link[40], path[4096], name[STORE_PATH_SIZE];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length <= 0)
		return;
	path[length] = '\0';
	if (!str_has_suffix(path, ".part"))
		return;
	snprintf(name, sizeof(name), "tmp/%.100s", path_base(path));
	(void)unlinkat(store->dir, name, 0);
}

int store_blob_new(struct store *store, int *ret_fd, struct err *err)
{
	int fd = openat(store->dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = part_new(store, err);
	else if (fd < 0)
		return store_fail(err, errno, "make a file in the store");
	if (fd < 0)
		return -1;
	*ret_fd = fd;
	return 0;
}

static int link_at(int fd, int dir, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

/* A link cannot go over a name that is there; a rename can: by way of tmp/, locked on itself. */
static int link_over(struct store *store, int fd, int dir, const char *name, struct err *err)
{
	char id[40], path[STORE_PATH_SIZE];

	store_new_id(id);
	snprintf(path, sizeof(path), "tmp/%s.part", id);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return store_fail(err, errno, "lock a new file");
	if (link_at(fd, store->dir, path) < 0)
		return store_fail(err, errno, "link %s", path);
	if (renameat(store->dir, path, dir, name) < 0) {
		int failed = errno;

		(void)unlinkat(store->dir, path, 0);
		return store_fail(err, failed, "rename to %s", name);
	}
	return 0;
}

int store_file_link(struct store *store, int fd, int dir, const char *name, bool replace,
		    struct err *err)
{
	struct stat st;
	bool named;

	if (fstat(fd, &st) < 0)
		return store_fail(err, errno, "look at a new file");
	named = st.st_nlink > 0;
	if (link_at(fd, dir, name) < 0) {
		if (errno != EEXIST)
			return store_fail(err, errno, "link %s", name);
		if (!replace)
			return 1;
		if (link_over(store, fd, dir, name, err) < 0)
			return -1;
	}
	if (named)
		part_drop(store, fd);
	return 0;
}

int store_file_put(struct store *store, int dir, const char *name, const struct str *content,
		   enum store_put how, struct err *err)
{
	_cleanup_close_ int fd = -1;
	bool durable = how != STORE_PUT_CACHE;
	int taken;

	if (store_blob_new(store, &fd, err) < 0)
		return -1;
	if (fs_write_all(fd, content->text, content->length) < 0)
		return store_fail(err, errno, "write %s", name);
	if (fchmod(fd, 0444) < 0 || (durable && fsync(fd) < 0))
		return store_fail(err, errno, "sync %s", name);
	taken = store_file_link(store, fd, dir, name, how != STORE_PUT_KEEP, err);
	if (taken < 0)
		return -1;
	if (taken)
		part_drop(store, fd);
	return durable ? store_sync(dir, name, err) : 0;
}

int store_each(int dir, const char *path, int (*each)(void *data, int dir, const char *name),
	       void *data, struct err *err)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (!stream) {
		int failed = errno;

		if (fd >= 0)
			close(fd);
		if (failed == ENOENT || failed == ENOTDIR || failed == ELOOP)
			return 0;
		return store_fail(err, failed, "open folder %s", path);
	}
	for (errno = 0; result == 0 && (entry = readdir(stream)); errno = 0)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = each(data, fd, entry->d_name);
	if (result == 0 && errno)
		result = store_fail(err, errno, "read folder %s", path);
	closedir(stream);
	return result;
}
