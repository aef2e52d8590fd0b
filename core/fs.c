/* Files: see fs.h. */
#include "core/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/mem.h"

#define REMOVE_DEPTH_MAX 64	/* deeper folders are moved up first: no descriptor runs out */
#define OPENAT2_TRIES 32	/* EAGAIN: a rename raced with ".." somewhere in the system */

static int open_how(int root, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = resolve,
	};
	long fd = -1;

	if (!*path)
		path = ".";
	for (int i = 0; i < OPENAT2_TRIES; i++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

int fs_open_in_root(int root, const char *path, int flags, mode_t mode)
{
	return open_how(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int fs_open_no_links(int root, const char *path, int flags, mode_t mode)
{
	return open_how(root, path, flags, mode,
			RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS);
}

int fs_open_beneath(int root, const char *path, int flags)
{
	return open_how(root, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int fs_read_fd(int fd, const char *name, size_t max, char **ret_text, size_t *ret_size,
	       struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "read %s: not a regular file", name);
	if ((uint64_t)st.st_size > max)
		return err_set(err, -EFBIG, "read %s: more than %zu bytes", name, max);
	/* /proc and other files of size 0 may still hold something */
	room = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
	text = xmalloc(room + 1);
	for (;;) {
		ssize_t got = pread(fd, text + size, room - size, (off_t)size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "read %s", name);
		if (got == 0)
			break;
		size += (size_t)got;
		if (size > max)
			return err_set(err, -EFBIG, "read %s: more than %zu bytes", name, max);
		if (size == room) {
			room *= 2;
			text = xrealloc(text, room + 1);
		}
	}
	text[size] = '\0';
	*ret_text = TAKE_PTR(text);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int fs_read_file(int dir, const char *path, size_t max, char **ret_text, size_t *ret_size,
		 struct err *err)
{
	/* O_NONBLOCK: a fifo must not hold us up before fstat tells what it is */
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	return fs_read_fd(fd, path, max, ret_text, ret_size, err);
}

int fs_write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t put = write(fd, at, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		at += put;
		size -= (size_t)put;
	}
	return 0;
}

int fs_pwrite_all(int fd, const void *data, size_t size, uint64_t offset)
{
	const char *at = data;

	while (size > 0) {
		ssize_t put = pwrite(fd, at, size, (off_t)offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		at += put;
		offset += (uint64_t)put;
		size -= (size_t)put;
	}
	return 0;
}

ssize_t fs_pread_all(int fd, void *data, size_t size, uint64_t offset)
{
	char *to = data;
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, to + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int fs_make_dirs(const char *path, mode_t mode, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(path);

	for (char *at = copy + 1; ; at++) {
		char end = *at;

		if (end != '/' && end != '\0')
			continue;
		*at = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(err, errno, "make folder %s", copy);
		*at = end;
		if (end == '\0')
			return 0;
	}
}

int fs_open_dir_made(int dir, const char *name, mode_t mode, struct err *err)
{
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return err_sys(err, errno, "open folder %s", name);
	/* the mode that is asked for, whatever the caller's umask takes away */
	if (mkdirat(dir, name, mode) < 0) {
		if (errno != EEXIST)
			return err_sys(err, errno, "make folder %s", name);
	} else if (fchmodat(dir, name, mode, 0) < 0) {
		return err_sys(err, errno, "make folder %s", name);
	}
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open folder %s", name);
	return fd;
}

char *fs_path_of(int fd)
{
	char link[40], path[PATH_MAX + 1];
	struct stat st;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	/* of a folder that was removed the kernel gives its path with a word behind it */
	if (length <= 0 || path[0] != '/' || fstat(fd, &st) < 0 || st.st_nlink == 0)
		return NULL;
	path[length] = '\0';
	return xstrdup(path);
}

int fs_reopen(int fd, int flags)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

int fs_sync_dir(int dir, struct err *err)
{
	_cleanup_close_ int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "sync folder");
	return 0;
}

static int replace_file(int dir, const char *temporary, const char *name, const void *data,
			size_t size, mode_t mode, struct err *err)
{
	_cleanup_close_ int fd = openat(dir, temporary,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "make %s", temporary);
	if (fs_write_all(fd, data, size) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return err_sys(err, errno, "write %s", name);
	if (renameat(dir, temporary, dir, name) < 0)
		return err_sys(err, errno, "rename %s to %s", temporary, name);
	return fs_sync_dir(dir, err);
}

int fs_replace_file(int dir, const char *name, const void *data, size_t size, mode_t mode,
		    struct err *err)
{
	_cleanup_free_ char *temporary = xasprintf(".%s.%d~", name, (int)getpid());

	(void)unlinkat(dir, temporary, 0);
	if (replace_file(dir, temporary, name, data, size, mode, err) < 0) {
		(void)unlinkat(dir, temporary, 0);
		return -1;
	}
	return 0;
}

/* One removal: folders deeper than REMOVE_DEPTH_MAX are moved to `top` under a fresh name. */
struct removal {
	int top;
	dev_t device;
	unsigned long moved;
	struct err *err;
};

static int remove_children(struct removal *removal, int fd, unsigned int depth);

static int remove_folder(struct removal *removal, int dir, const char *name, unsigned int depth)
{
	char moved[40];
	struct stat st;
	int fd, result;

	if (depth > REMOVE_DEPTH_MAX) {
		do
			snprintf(moved, sizeof(moved), ".duet-deep-%lu", removal->moved++);
		while (renameat2(dir, name, removal->top, moved, RENAME_NOREPLACE) < 0 &&
		       errno == EEXIST);
		return 0; /* the top folder is read again until it is empty */
	}
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES) {
		if (fchmodat(dir, name, 0700, 0) == 0)
			fd = openat(dir, name,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else
			errno = EACCES;
	}
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(removal->err, errno, "open folder %s", name);
	if (fstat(fd, &st) < 0 || st.st_dev != removal->device) {
		close(fd);
		return err_set(removal->err, -EXDEV, "remove %s: another file system", name);
	}
	result = remove_children(removal, fd, depth);
	close(fd);
	if (result < 0)
		return -1;
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(removal->err, errno, "remove folder %s", name);
	return 0;
}

static int remove_entry(struct removal *removal, int fd, const struct dirent *entry,
			unsigned int depth)
{
	if (entry->d_type != DT_DIR) {
		if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno == EACCES && fchmod(fd, 0700) == 0 &&
		    unlinkat(fd, entry->d_name, 0) == 0)
			return 0;
		if (errno != EISDIR)
			return err_sys(removal->err, errno, "remove %s", entry->d_name);
	}
	return remove_folder(removal, fd, entry->d_name, depth + 1);
}

static int remove_children(struct removal *removal, int fd, unsigned int depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), result = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return err_sys(removal->err, errno, "read folder");
	}
	rewinddir(dir); /* the copy shares its place with fd, which may have been read before */
	while (result == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = remove_entry(removal, fd, entry, depth);
	closedir(dir);
	return result;
}

int fs_remove_tree(int dir, const char *name, struct err *err)
{
	struct removal removal = { .err = err };
	_cleanup_close_ int top = -1;
	unsigned long before;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at %s", name);
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
			return err_sys(err, errno, "remove %s", name);
		return 0;
	}
	if ((st.st_mode & 0700) != 0700 && fchmodat(dir, name, 0700, 0) < 0)
		return err_sys(err, errno, "open up folder %s", name);
	top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return err_sys(err, errno, "open folder %s", name);
	removal.top = top;
	removal.device = st.st_dev;
	do {
		before = removal.moved;
		if (remove_children(&removal, top, 0) < 0)
			return -1;
	} while (removal.moved != before);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove folder %s", name);
	return 0;
}
