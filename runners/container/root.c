/*
 * The root of a container, in its new mount namespace: an overlay of the layers' trees, and a
 * writable layer in the store or on a tmpfs. Second stage of enter.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "runners/container/container.h"

#define BASE "/tmp"		/* covered in the new mount namespace; every host has it */
#define OVERLAY_OPTIONS_MAX 4000	/* mount(2) takes one page */

/*
 * An image may have one layer twice, an overlay may not (ELOOP). The upper of two equal ones shows
 * and hides all that the lower one would.
 */
static bool stands_again_above(const struct container *container, size_t layer)
{
	const struct rootfs *rootfs = container->rootfs;
	struct stat this, other;

	if (fstat(container->layers[layer], &this) < 0)
		return false;
	for (size_t i = layer + 1; i < rootfs->layer_count; i++)
		if (fstat(container->layers[i], &other) == 0 && this.st_dev == other.st_dev &&
		    this.st_ino == other.st_ino)
			return true;
	return false;
}

/* "lowerdir=/proc/self/fd/9:...": topmost first. */
static int overlay_options(const struct container *container, int upper, int work, char *ret,
			   size_t room, struct err *err)
{
	/* volatile: what a job writes goes with it, nothing is to be synced at its end */
	size_t used = (size_t)snprintf(ret, room, "userxattr,volatile,upperdir=/proc/self/fd/%d,"
				       "workdir=/proc/self/fd/%d,lowerdir=", upper, work);
	const char *colon = "";

	for (size_t i = container->rootfs->layer_count; i-- > 0;) {
		if (stands_again_above(container, i))
			continue;
		used += (size_t)snprintf(ret + used, room - used, "%s/proc/self/fd/%d", colon,
					 container->layers[i]);
		colon = ":";
		if (used >= room)
			return err_set(err, ERR_CONTAINER, "mount overlay: too many layers (%zu)",
				       container->rootfs->layer_count);
	}
	return 0;
}

int container_mount_root(struct container *container, int *ret_root, struct err *err)
{
	_cleanup_close_ int base = -1;
	int upper = container->upper, work = container->work;
	char options[OVERLAY_OPTIONS_MAX];

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make mounts private");
	if (mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount tmpfs on " BASE);
	base = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open " BASE);
	if (container->rootfs->layer_count == 0) {
		*ret_root = TAKE_FD(base); /* from scratch: an empty root */
		return 0;
	}
	if (upper < 0) {
		upper = fs_open_dir_made(base, "upper", 0755, err);
		work = upper < 0 ? -1 : fs_open_dir_made(base, "work", 0755, err);
	}
	if (work < 0)
		return -1;
	if (overlay_options(container, upper, work, options, sizeof(options), err) < 0)
		return -1;
	if (mount("overlay", BASE, "overlay", 0, options) < 0) {
		err_sys_as(err, ERR_HOST, errno, "mount overlay");
		return err_mend(err, "overlay in a user namespace needs Linux 5.11; see `duet doctor`");
	}
	*ret_root = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_root < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open the new root");
	return 0;
}
