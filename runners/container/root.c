/*
 * The root of a container, in its new mount namespace: an overlay of the layers' trees, and a
 * writable layer in the store or on a tmpfs. Second stage of enter.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "runners/container/container.h"

#define BASE "/tmp"		/* covered in the new mount namespace; every host has it */
#define FILE_BYTES 4096		/* of memory for each file that can be made: small files take a page each */

/*
 * An image may have one layer twice, an overlay may not (ELOOP). The upper of two equal ones shows
 * and hides all that the lower one would.
 */
static bool stands_again_above(const struct overlay_layers *layers, size_t layer)
{
	struct stat this, other;

	if (fstat(layers->trees[layer], &this) < 0)
		return false;
	for (size_t i = layer + 1; i < layers->count; i++)
		if (fstat(layers->trees[i], &other) == 0 && this.st_dev == other.st_dev &&
		    this.st_ino == other.st_ino)
			return true;
	return false;
}

/* "lowerdir=/proc/self/fd/9:...": topmost first. */
int container_lower_option(const struct overlay_layers *layers, char *options, struct err *err)
{
	const char *before = ",lowerdir=";
	size_t used = strlen(options);

	for (size_t i = layers->count + 2; i-- > 0;) {
		int fd = i == layers->count + 1 ? layers->top : i == 0 ? layers->bottom
								     : layers->trees[i - 1];

		if (fd < 0 || (i > 0 && i <= layers->count && stands_again_above(layers, i - 1)))
			continue;
		used += (size_t)snprintf(options + used, CONTAINER_OPTIONS_MAX - used,
					 "%s/proc/self/fd/%d", before, fd);
		before = ":";
		if (used >= CONTAINER_OPTIONS_MAX)
			return err_set(err, ERR_CONTAINER, "mount overlay: too many layers (%zu)",
				       layers->count);
	}
	return 0;
}

/* What a step's mounts need is made in a layer of its own. */
static int overlay_options(struct container *container, int upper, int work, char *options,
			   struct err *err)
{
	struct overlay_layers layers = { container->layers, container->rootfs->layer_count,
					 .bottom = -1, .top = -1 };
	bool stubs = false;

	if (container->stubs >= 0 && container_make_stubs(container, &stubs, err) < 0)
		return -1;
	if (stubs)
		layers.top = container->stubs;
	/* volatile: what a job writes goes with it, nothing is to be synced at its end */
	snprintf(options, CONTAINER_OPTIONS_MAX, "userxattr,volatile,upperdir=/proc/self/fd/%d,"
		 "workdir=/proc/self/fd/%d", upper, work);
	return container_lower_option(&layers, options, err);
}

int container_mount_root(struct container *container, int *ret_root, struct err *err)
{
	_cleanup_close_ int base = -1;
	int upper = container->upper, work = container->work;
	char options[CONTAINER_OPTIONS_MAX];
	int size;

	/* no folder or file that is made for a job has a mode by its caller's umask */
	umask(022);
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make mounts private");
	size = snprintf(options, sizeof(options), "mode=0755");
	if (container->memory_bytes)
		snprintf(options + size, sizeof(options) - (size_t)size, ",size=%llu,nr_inodes=%llu",
			 (unsigned long long)container->memory_bytes,
			 (unsigned long long)container->memory_bytes / FILE_BYTES);
	if (mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount tmpfs on " BASE);
	base = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open " BASE);
	container->texts = fcntl(base, F_DUPFD_CLOEXEC, 3);
	if (container->texts < 0)
		return err_sys(err, errno, "open " BASE);
	if (container_bind_images(container, err) < 0)
		return -1;
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
	if (overlay_options(container, upper, work, options, err) < 0)
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
