/* Mounts by descriptor: see mount.h. */
#include "core/jail/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/mem.h"

/* <sys/mount.h> of glibc 2.36 and <linux/mount.h> cannot be included together */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount2(const char *target, int flags);
#define MNT_DETACH 2

#define EXIT_REPORTED 125

int mount_clone(const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, path,
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

int mount_clone_fd(int fd, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, fd, "",
			    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags);
}

int mount_find(int fd, const char *what, struct err *err)
{
	_cleanup_close_ int again = -1;
	char link[40], path[4096];
	struct stat want, got;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return err_sys(err, errno, "read %s", link);
	path[length] = '\0';
	again = open(path, O_PATH | O_CLOEXEC);
	if (again < 0)
		return err_sys(err, errno, "open %s %s", what, path);
	if (fstat(fd, &want) < 0 || fstat(again, &got) < 0 || want.st_dev != got.st_dev ||
	    want.st_ino != got.st_ino)
		return err_set(err, ERR_HOST, "open %s %s: it was replaced meanwhile", what, path);
	return TAKE_FD(again);
}

int mount_attach(int tree, int target)
{
	return (int)syscall(SYS_move_mount, tree, "", target, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mount_seal(int tree)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
	};

	return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			    sizeof(attr));
}

int mount_make_private(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

int mount_pivot(int root)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}

int jail_report(int fd, struct err *err)
{
	int code = err->code;

	(void)!write(fd, &code, sizeof(code));
	(void)!write(fd, err->msg, strlen(err->msg) + 1);
	if (err->mend)
		(void)!write(fd, err->mend, strlen(err->mend) + 1);
	err_done(err);
	return EXIT_REPORTED;
}

void jail_take_report(int fd, struct err *err)
{
	char text[4096];
	ssize_t got;
	size_t used = 0;
	int code;

	while (used < sizeof(text) - 1 &&
	       (got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	if (used <= sizeof(code))
		return;
	memcpy(&code, text, sizeof(code));
	err_set(err, code, "%s", text + sizeof(code));
	used -= sizeof(code) + strlen(text + sizeof(code)) + 1;
	if (used > 1 && used < sizeof(text))
		err_mend(err, "%s", text + sizeof(code) + strlen(text + sizeof(code)) + 1);
}
