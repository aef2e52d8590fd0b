/* A rootfs, and finding files in it: see rootfs.h. */
#include "core/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/erofs.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/view.h"

#define COPY_CHUNK (256 * 1024)

void rootfs_init(struct rootfs *rootfs)
{
	memset(rootfs, 0, sizeof(*rootfs));
	for (size_t i = 0; i < ROOTFS_LAYERS_MAX; i++) {
		rootfs->layers[i].tree = -1;
		rootfs->layers[i].use = -1;
	}
	for (size_t i = 0; i < ROOTFS_DISKS_MAX; i++) {
		rootfs->disks[i].image = -1;
		rootfs->disks[i].use = -1;
	}
	rootfs->kernel.vmlinux = rootfs->kernel.modules = rootfs->kernel.use = -1;
}

void rootfs_kernel_done(struct rootfs_kernel *kernel)
{
	mem_closep(&kernel->vmlinux);
	mem_closep(&kernel->modules);
	mem_closep(&kernel->use);
	free(kernel->release);
	*kernel = (struct rootfs_kernel){ .vmlinux = -1, .modules = -1, .use = -1 };
}

void rootfs_done(struct rootfs *rootfs)
{
	for (size_t i = 0; i < rootfs->layer_count; i++) {
		mem_closep(&rootfs->layers[i].tree);
		mem_closep(&rootfs->layers[i].use);
	}
	for (size_t i = 0; i < rootfs->disk_count; i++) {
		mem_closep(&rootfs->disks[i].image);
		mem_closep(&rootfs->disks[i].use);
	}
	rootfs_kernel_done(&rootfs->kernel);
	process_done(&rootfs->process);
	rootfs_init(rootfs);
}

int rootfs_find(const int *trees, size_t count, const char *path, bool follow_last,
		struct rootfs_entry *ret, struct err *err)
{
	_cleanup_free_ struct view_layer *layers = xcalloc(count + 1, sizeof(*layers));
	struct view_entry entry;
	int found;

	for (size_t i = 0; i < count; i++)
		layers[i] = view_of_tree(trees[i]);
	found = view_find(layers, count, path, follow_last, &entry, err);
	if (found != 1)
		return found;
	ret->fd = entry.node.fd;
	ret->layer = entry.layer;
	strcpy(ret->path, entry.path);
	return 1;
}

static int open_in_trees(const struct rootfs *rootfs, const char *path, struct err *err)
{
	_cleanup_close_ int looked = -1, fd = -1;
	int trees[ROOTFS_LAYERS_MAX], found;
	struct rootfs_entry entry;
	struct stat a, b;

	for (size_t i = 0; i < rootfs->layer_count; i++)
		trees[i] = rootfs->layers[i].tree;
	found = rootfs_find(trees, rootfs->layer_count, path, true, &entry, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return err_sys(err, ENOENT, "open %s in the image", path);
	looked = entry.fd;
	/* looked at before it is opened: to open a fifo or a device can do things */
	if (fstat(looked, &a) < 0)
		return err_sys(err, errno, "look at %s in the image", path);
	if (!S_ISREG(a.st_mode))
		return err_set(err, -EINVAL, "open %s in the image: not a regular file", path);
	fd = fs_open_no_links(trees[entry.layer], entry.path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &b) < 0)
		return err_sys(err, errno, "open %s in the image", path);
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return err_set(err, -EAGAIN, "open %s in the image: it was replaced", path);
	return TAKE_FD(fd);
}

/* A file of an EROFS image as a file in memory, at offset 0. */
static int copy_out(struct erofs *erofs, const struct erofs_inode *inode, const char *path,
		    struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *chunk = NULL;
	uint64_t at = 0;
	ssize_t got;

	if (!S_ISREG(inode->mode))
		return err_set(err, -EINVAL, "open %s in the image: not a regular file", path);
	if (inode->size > ROOTFS_COPY_MAX)
		return err_set(err, -EFBIG, "open %s in the image: more than %u bytes", path,
			       ROOTFS_COPY_MAX);
	fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s in the image", path);
	chunk = xmalloc(COPY_CHUNK);
	while ((got = erofs_read(erofs, inode, chunk, COPY_CHUNK, at, err)) > 0) {
		if (fs_write_all(fd, chunk, (size_t)got) < 0)
			return err_sys(err, errno, "copy %s out of the image", path);
		at += (uint64_t)got;
	}
	if (got < 0)
		return err_wrap(err, "open %s in the image", path);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "copy %s out of the image", path);
	return TAKE_FD(fd);
}

static int open_in_disks(const struct rootfs *rootfs, const char *path, struct err *err)
{
	struct view_layer layers[ROOTFS_DISKS_MAX];
	struct erofs *images[ROOTFS_DISKS_MAX];
	struct view_entry entry;
	size_t count = 0;
	int found = 0, fd = -1;

	while (count < rootfs->disk_count && found == 0) {
		found = erofs_new(rootfs->disks[count].image, &images[count], err);
		if (found == 0) {
			layers[count] = view_of_erofs(images[count]);
			count++;
		}
	}
	if (found == 0)
		found = view_find(layers, count, path, true, &entry, err);
	if (found == 1)
		fd = copy_out(images[entry.layer], &entry.node.inode, path, err);
	else if (found == 0)
		err_sys(err, ENOENT, "open %s in the image", path);
	while (count > 0)
		erofs_free(images[--count]);
	return fd;
}

int rootfs_open(const struct rootfs *rootfs, const char *path, struct err *err)
{
	bool trees = rootfs->layer_count > 0 && rootfs->layers[0].tree >= 0;

	if (!trees && rootfs->disk_count > 0)
		return open_in_disks(rootfs, path, err);
	return open_in_trees(rootfs, path, err);
}
