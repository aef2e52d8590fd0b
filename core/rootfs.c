/* The merged view of trees: see rootfs.h. What an overlay of them would show, without mounting. */
#include "core/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"

#define FIND_LINKS_MAX 40	/* as the kernel's MAXSYMLINKS */

/* Where a walk stands: a folder of the merged view, links resolved. */
struct walk {
	const int *trees;	/* borrowed; lowest first */
	size_t count;
	size_t lowest;		/* trees below this one are hidden here */
	char path[PATH_LENGTH_MAX + 1];
	struct err *err;
};

/* What stands under one name of the merged view. */
struct seen {
	int fd;			/* owned; O_PATH; -1 when nothing is there */
	size_t layer;
	size_t lowest;		/* for what is below it, when it is a folder */
	mode_t mode;
};

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
	mem_closep(&rootfs->kernel.vmlinux);
	mem_closep(&rootfs->kernel.modules);
	mem_closep(&rootfs->kernel.use);
	free(rootfs->kernel.release);
	process_done(&rootfs->process);
	rootfs_init(rootfs);
}

/* An xattr can not be read through O_PATH; the folder is opened again, beneath its own tree. */
static int is_opaque(int tree, const char *path, struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(tree, path, O_RDONLY | O_DIRECTORY, 0);
	char value;

	if (fd < 0)
		return err_sys(err, errno, "look at folder %s", path);
	return fgetxattr(fd, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* Looks from the topmost tree down at `path`, whose parent is a folder of the view. */
static int look(const struct walk *walk, const char *path, struct seen *ret)
{
	_cleanup_close_ int top = -1;
	struct seen seen = { .fd = -1, .lowest = walk->lowest };

	for (size_t i = walk->count; i-- > walk->lowest;) {
		_cleanup_close_ int fd = -1;
		struct stat st;
		int opaque;

		fd = fs_open_no_links(walk->trees[i], path, O_PATH | O_NOFOLLOW, 0);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_sys(walk->err, errno, "look at %s", path);
		if (!S_ISDIR(st.st_mode)) {
			bool whiteout = S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);

			seen.lowest = i + 1;
			if (top < 0 && !whiteout) {
				seen.layer = i;
				seen.mode = st.st_mode;
				top = TAKE_FD(fd);
			}
			break;
		}
		if (top < 0) {
			seen.layer = i;
			seen.mode = st.st_mode;
			top = TAKE_FD(fd);
		}
		opaque = i > walk->lowest ? is_opaque(walk->trees[i], path, walk->err) : 0;
		if (opaque < 0)
			return -1;
		if (opaque) {
			seen.lowest = i;
			break;
		}
	}
	seen.fd = TAKE_FD(top);
	*ret = seen;
	return 0;
}

/* Puts the walk at the clean, link-free folder walk->path again, whose `lowest` is not known. */
static int walk_again(struct walk *walk)
{
	char prefix[PATH_LENGTH_MAX + 1];
	size_t length = 0;

	walk->lowest = 0;
	while (walk->path[length]) {
		struct seen seen;

		length += walk->path[length] == '/';
		length += strcspn(walk->path + length, "/");
		memcpy(prefix, walk->path, length);
		prefix[length] = '\0';
		if (look(walk, prefix, &seen) < 0)
			return -1;
		mem_closep(&seen.fd);
		walk->lowest = seen.lowest;
	}
	return 0;
}

static int walk_up(struct walk *walk)
{
	char *slash = strrchr(walk->path, '/');

	*(slash ? slash : walk->path) = '\0';
	return walk_again(walk);
}

/* Replaces the rest of the way by the link's target and what was left; -1 with err. */
static int follow_link(struct walk *walk, int link, char **rest)
{
	char target[PATH_LENGTH_MAX + 1];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
	char *joined;

	if (length < 0)
		return err_sys(walk->err, errno, "read a link in %s", walk->path);
	target[length] = '\0';
	joined = xasprintf("%s/%s", target, *rest);
	free(*rest);
	*rest = joined;
	if (strlen(joined) > PATH_LENGTH_MAX)
		return err_sys(walk->err, ENAMETOOLONG, "follow links in %s", walk->path);
	if (target[0] == '/') {
		walk->path[0] = '\0';
		walk->lowest = 0;
	}
	return 0;
}

/* Takes the next component off *rest into `name`; false when nothing is left. */
static bool next_name(char *rest, char name[PATH_NAME_MAX + 2])
{
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/");
	size_t kept = length > PATH_NAME_MAX ? PATH_NAME_MAX + 1 : length;

	memcpy(name, rest + skip, kept);
	name[kept] = '\0';
	memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
	return length > 0;
}

static int found_root(const struct walk *walk, struct rootfs_entry *ret)
{
	int fd = fs_open_no_links(walk->trees[walk->count - 1], "", O_PATH | O_DIRECTORY, 0);

	if (fd < 0)
		return err_sys(walk->err, errno, "open the root of a layer");
	ret->fd = fd;
	ret->layer = walk->count - 1;
	ret->path[0] = '\0';
	return 1;
}

static int find(struct walk *walk, char **rest, bool follow_last, struct rootfs_entry *ret)
{
	char name[PATH_NAME_MAX + 2], path[PATH_LENGTH_MAX + PATH_NAME_MAX + 3];
	unsigned int links = 0;

	while (next_name(*rest, name)) {
		struct seen seen;
		bool last = (*rest)[strspn(*rest, "/")] == '\0';
		_cleanup_close_ int fd = -1;

		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			if (walk_up(walk) < 0)
				return -1;
			continue;
		}
		snprintf(path, sizeof(path), "%s%s%s", walk->path, *walk->path ? "/" : "", name);
		if (strlen(name) > PATH_NAME_MAX || strlen(path) > PATH_LENGTH_MAX)
			return 0;
		if (look(walk, path, &seen) < 0)
			return -1;
		fd = seen.fd;
		if (fd < 0)
			return 0;
		if (S_ISLNK(seen.mode) && (!last || follow_last)) {
			if (++links > FIND_LINKS_MAX)
				return err_sys(walk->err, ELOOP, "look up %s", path);
			if (follow_link(walk, fd, rest) < 0)
				return -1;
			continue;
		}
		if (last) {
			ret->fd = TAKE_FD(fd);
			ret->layer = seen.layer;
			strcpy(ret->path, path);
			return 1;
		}
		if (!S_ISDIR(seen.mode))
			return 0;
		strcpy(walk->path, path);
		walk->lowest = seen.lowest;
	}
	/* the way ended in "." or "..", or at the root */
	if (walk->path[0] == '\0')
		return found_root(walk, ret);
	free(*rest);
	*rest = xstrdup(path_base(walk->path));
	return walk_up(walk) < 0 ? -1 : find(walk, rest, follow_last, ret);
}

int rootfs_find(const int *trees, size_t count, const char *path, bool follow_last,
		struct rootfs_entry *ret, struct err *err)
{
	struct walk walk = { .trees = trees, .count = count, .err = err };
	_cleanup_free_ char *rest = NULL;

	if (count == 0)
		return 0;
	rest = xstrdup(path);
	return find(&walk, &rest, follow_last, ret);
}

int rootfs_open(const struct rootfs *rootfs, const char *path, struct err *err)
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
