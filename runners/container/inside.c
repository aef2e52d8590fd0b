/*
 * What is mounted below a container's new root: see container.h. The child's side, before pivot_root, as
 * uid 0 of the namespace. The order is a protection:
 *
 *	1  /proc, /sys, /dev, then the sysctls, masks and read-only places in them: no link of the image is
 *	   followed, and nothing of the job's is there yet that could hide them
 *	2  files that the image lacks, the resolver: on the image's own root
 *	3  the job's mounts, secrets, a read-only root. A target is resolved inside the root and must not end
 *	   in /proc, /sys or /dev unless it is named so: a link of the image cannot move it there
 *
 * Every mount is by descriptor. After pivot_root the first are read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"
#include "runners/container/container.h"

#define NULL_DEVICE makedev(1, 3)
#define SYSCTL_BYTES_MAX 256

struct fd_path {
	char text[40];
};

/* A name for an open file that mount(2) takes. */
static struct fd_path name_of(int fd)
{
	struct fd_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

/* ---- targets --------------------------------------------------------------------------------- */

static bool is_ours(const char *target)
{
	return path_is_below(target, "/proc") || path_is_below(target, "/sys") ||
	       path_is_below(target, "/dev");
}

/* Where an open file is below the root; false: nowhere that can be told. */
static bool find_inside(int root, int fd, char *ret, size_t room)
{
	char base[64];
	ssize_t base_length = readlink(name_of(root).text, base, sizeof(base) - 1);
	ssize_t length = readlink(name_of(fd).text, ret, room - 1);

	if (base_length <= 0 || length <= 0 || (size_t)length == room - 1)
		return false;
	base[base_length] = '\0';
	ret[length] = '\0';
	if (!path_is_below(ret, base))
		return false;
	memmove(ret, ret + base_length, (size_t)(length - base_length) + 1);
	return true;
}

int container_open_inside(int root, const char *path, int flags, struct err *err)
{
	_cleanup_close_ int fd = -1;
	char found[PATH_LENGTH_MAX + 1];

	if (is_ours(path))
		return fs_open_no_links(root, path, flags, 0);
	fd = fs_open_in_root(root, path, flags, 0);
	if (fd < 0)
		return -1;
	if (find_inside(root, fd, found, sizeof(found)) && !is_ours(found))
		return TAKE_FD(fd);
	err_set(err, ERR_CONTAINER, "mount on %s: a link of the image leads into /proc, /sys or /dev",
		path);
	return err_mend(err, "mount it elsewhere, or use an image without that link");
}

/* Opens a mount's target below root, made when it is missing (a folder, or an empty file). */
static int open_target(int root, const char *target, bool folder, struct err *err)
{
	_cleanup_free_ char *parent_path = NULL;
	_cleanup_close_ int parent = -1;
	const char *slash = strrchr(target, '/');
	int fd = container_open_inside(root, target, O_PATH | (folder ? O_DIRECTORY : 0), err);

	if (fd >= 0 || err->code)
		return fd;
	if (errno == ELOOP) {
		err_set(err, ERR_CONTAINER, "mount on %s: the image has a symbolic link there", target);
		return err_mend(err, "a container needs real folders for /proc, /sys and /dev");
	}
	if (errno != ENOENT)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount on %s", target);
	parent_path = xstrndup(target, slash == target ? 1 : (size_t)(slash - target));
	parent = slash == target ? fcntl(root, F_DUPFD_CLOEXEC, 3)
				 : open_target(root, parent_path, true, err);
	if (parent < 0)
		return -1;
	if (container_make_target(parent, slash + 1, folder) < 0 && errno != EEXIST)
		return err_sys_as(err, ERR_CONTAINER, errno, "make %s", target);
	fd = openat(parent, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open %s", target);
	return fd;
}

static int mount_fs(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int target = open_target(root, op->target, true, err);

	if (target < 0)
		return -1;
	if (mount(op->source, name_of(target).text, op->source, op->flags, op->options) == 0)
		return 0;
	err_sys_as(err, ERR_HOST, errno, "mount %s on %s", op->source, op->target);
	if (!strcmp(op->source, "proc") || !strcmp(op->source, "sysfs"))
		err_mend(err, "duet runs where parts of %s are masked (inside another container?); "
			 "run that one with its masks off", op->target);
	return -1;
}

/* The host's own node, checked to be the character device it is called. */
static int mount_device(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int target = open_target(root, op->target, false, err);
	_cleanup_close_ int source = target < 0 ? -1 : mount_clone(op->source, 0);
	struct stat st;

	if (target < 0)
		return -1;
	if (source < 0 || fstat(source, &st) < 0)
		return err_sys_as(err, ERR_HOST, errno, "open %s", op->source);
	if (!S_ISCHR(st.st_mode) || (major(st.st_rdev) != 1 && major(st.st_rdev) != 5))
		return err_set(err, ERR_HOST, "open %s: not the device of that name", op->source);
	if (mount_attach(source, target) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount on %s", op->target);
	return 0;
}

static int make_link(int root, const struct mount_op *op, struct err *err)
{
	/* only below /dev, our own tmpfs */
	_cleanup_close_ int dev = open_target(root, "/dev", true, err);

	if (dev < 0)
		return -1;
	if (symlinkat(op->source, dev, strrchr(op->target, '/') + 1) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make %s", op->target);
	return 0;
}

static int mount_bind(const struct container *container, int root, const struct mount_op *op,
		      struct err *err)
{
	int source = container->binds[op->bind];
	_cleanup_close_ int target = -1;
	struct fd_path path;
	struct stat st;

	if (fstat(source, &st) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "look at %s", op->source);
	target = open_target(root, op->target, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return -1;
	if (mount_attach(source, target) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount %s on %s", op->source,
				  op->target);
	/* `source` is the mounted tree now; flags that the host locked on it must stay */
	path = name_of(source);
	if (mount(NULL, path.text, NULL, MS_REMOUNT | MS_BIND | op->flags, NULL) == 0)
		return 0;
	if (errno == EPERM && mount(NULL, path.text, NULL, MS_REMOUNT | MS_BIND | op->flags |
				    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return 0;
	return err_sys_as(err, ERR_CONTAINER, errno, "set the flags of %s", op->target);
}

static int make_file(const struct container *container, int root, const struct mount_op *op,
		     struct err *err)
{
	_cleanup_close_ int there = container_open_inside(root, op->target, O_PATH | O_NOFOLLOW, err);
	_cleanup_close_ int file = -1;
	struct stat st;

	if (there < 0 && err->code)
		return -1;
	/* one that is empty says as little as none */
	if (there >= 0 && (fstat(there, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0))
		return 0;
	/* what a step writes is kept: this is not to be in it */
	if (container->job->step)
		return container_bind_text(container, root, op->target, op->source, err);
	file = fs_open_in_root(root, op->target, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644);
	if (file < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			? 0 /* no /etc: an image without one needs no hosts file */
			: err_sys_as(err, ERR_CONTAINER, errno, "make %s", op->target);
	if (fs_write_all(file, op->source, strlen(op->source)) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "write %s", op->target);
	return 0;
}

/* ---- sysctls, masks, read-only places -------------------------------------------------------- */

static int write_sysctl(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(root, op->target, O_WRONLY, 0);

	if (fd < 0 && errno == ENOENT)
		return 0; /* this kernel has none */
	if (fd < 0 || write(fd, op->source, strlen(op->source)) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "write %s", op->target);
	return 0;
}

/* What files are hidden behind: our own /dev/null, looked at before it is used. */
static int open_null(int root, struct err *err)
{
	_cleanup_close_ int null = fs_open_no_links(root, "/dev/null", O_PATH, 0);
	struct stat st;

	if (null < 0 || fstat(null, &st) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != NULL_DEVICE)
		return err_set(err, ERR_CONTAINER, "open /dev/null: not the null device");
	return TAKE_FD(null);
}

static int mask(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int target = fs_open_no_links(root, op->target, O_PATH, 0), null = -1;
	struct stat st;
	int result;

	if (target < 0 && errno == ENOENT)
		return 0; /* this kernel has none */
	if (target < 0 || fstat(target, &st) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "look at %s", op->target);
	if (S_ISDIR(st.st_mode)) {
		result = mount("tmpfs", name_of(target).text, "tmpfs",
			       MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,mode=0555");
	} else {
		null = open_null(root, err);
		if (null < 0)
			return -1;
		result = mount(name_of(null).text, name_of(target).text, NULL, MS_BIND, NULL);
	}
	return result == 0 ? 0 : err_sys_as(err, ERR_CONTAINER, errno, "mask %s", op->target);
}

static int make_read_only(int root, const struct mount_op *op, struct err *err)
{
	bool whole = !strcmp(op->target, "/");
	_cleanup_close_ int target = fs_open_no_links(root, op->target, O_PATH, 0);

	if (target < 0 && errno == ENOENT)
		return 0; /* this kernel has none */
	if (target >= 0 && !whole) {
		struct fd_path path = name_of(target);

		if (mount(path.text, path.text, NULL, MS_BIND | MS_REC, NULL) < 0)
			return err_sys_as(err, ERR_CONTAINER, errno, "bind %s", op->target);
		close(target);
		target = fs_open_no_links(root, op->target, O_PATH, 0);
	}
	if (target < 0 || mount(NULL, name_of(target).text, NULL,
				MS_REMOUNT | MS_BIND | MS_RDONLY | op->flags, NULL) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make %s read-only", op->target);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* What a run writes is thrown away, so a link that leads nowhere gives way; a step has its stub. */
static int put_resolver(const struct container *container, int root, struct err *err)
{
	_cleanup_close_ int there = -1, etc = -1, made = -1;

	if (!container->resolver)
		return 0;
	there = container_open_inside(root, RESOLVER_FILE, O_PATH, err);
	if (there < 0 && err->code)
		return -1;
	if (there < 0 && !container->job->step) {
		etc = open_target(root, "/etc", true, err);
		if (etc < 0)
			return -1;
		(void)unlinkat(etc, strrchr(RESOLVER_FILE, '/') + 1, 0);
		made = open_target(root, RESOLVER_FILE, false, err);
		if (made < 0)
			return -1;
	}
	return container_bind_text(container, root, RESOLVER_FILE, container->resolver, err);
}

static int make_op(const struct container *container, int root, const struct mount_op *op,
		   struct err *err)
{
	switch (op->kind) {
	case MOUNT_OP_FS:
		return mount_fs(root, op, err);
	case MOUNT_OP_DEVICE:
		return mount_device(root, op, err);
	case MOUNT_OP_LINK:
		return make_link(root, op, err);
	case MOUNT_OP_BIND:
		return mount_bind(container, root, op, err);
	case MOUNT_OP_FILE:
		return make_file(container, root, op, err);
	case MOUNT_OP_SYSCTL:
		return write_sysctl(root, op, err);
	case MOUNT_OP_MASK:
		return mask(root, op, err);
	case MOUNT_OP_READ_ONLY:
		return make_read_only(root, op, err);
	}
	return err_set(err, ERR_CONTAINER, "mount on %s: unknown operation", op->target);
}

int container_mount_below(const struct container *container, int root, struct err *err)
{
	const struct mount_list *list = &container->mounts;
	size_t i = 0;

	for (; i < list->count && (list->ops[i].fixed || list->ops[i].kind == MOUNT_OP_FILE); i++)
		if (make_op(container, root, &list->ops[i], err) < 0)
			return -1;
	/* before the job's mounts: a folder of the host that covers /etc is not written to */
	if (put_resolver(container, root, err) < 0)
		return -1;
	for (; i < list->count; i++)
		if (make_op(container, root, &list->ops[i], err) < 0)
			return -1;
	return container_put_secrets(container, root, err);
}

/* ---- read back ------------------------------------------------------------------------------- */

static bool is_written(int fd, const char *text)
{
	char got[SYSCTL_BYTES_MAX];
	ssize_t length = read(fd, got, sizeof(got) - 1);

	if (length < 0)
		return false;
	got[length] = '\0';
	got[strcspn(got, "\n")] = '\0';
	return !strcmp(got, text);
}

static bool is_masked(const struct stat *st, const struct statfs *fs)
{
	return S_ISDIR(st->st_mode) ? fs->f_type == TMPFS_MAGIC && fs->f_flags & ST_RDONLY
				    : S_ISCHR(st->st_mode) && st->st_rdev == NULL_DEVICE;
}

static int check_op(int root, const struct mount_op *op, struct err *err)
{
	bool sysctl = op->kind == MOUNT_OP_SYSCTL;
	_cleanup_close_ int fd = fs_open_no_links(root, op->target, sysctl ? O_RDONLY : O_PATH, 0);
	struct statfs fs;
	struct stat st;
	bool good;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "look at %s again", op->target);
	if (sysctl)
		good = is_written(fd, op->source);
	else if (op->kind == MOUNT_OP_MASK)
		good = is_masked(&st, &fs);
	else
		good = fs.f_flags & ST_RDONLY;
	return good ? 0 : err_set(err, ERR_CONTAINER, "protect %s: it is not as it was made",
				  op->target);
}

int container_check_inside(const struct container *container, struct err *err)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open /");
	for (size_t i = 0; i < container->mounts.count; i++) {
		const struct mount_op *op = &container->mounts.ops[i];

		if ((op->kind == MOUNT_OP_SYSCTL || op->kind == MOUNT_OP_MASK ||
		     op->kind == MOUNT_OP_READ_ONLY) &&
		    check_op(root, op, err) < 0)
			return -1;
	}
	return 0;
}
