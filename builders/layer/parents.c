/*
 * Where an entry belongs: see tree.h. A parent that the layer leaves out is looked up in the merged
 * view of the trees below and this one, as an unpacker would find it that works on the whole root:
 * a folder there gives the new folder its owner, mode, attributes and time; a symbolic link is
 * followed, inside the view; where there is nothing, a folder is made up (0755, 0:0, LAYER_TIME).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "builders/layer/layer.h"
#include "builders/layer/tree.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/rootfs.h"

#define LINKS_MAX 40	/* as the kernel's MAXSYMLINKS */

static void xattrs_done(struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		free(entry->xattrs[i].name);
		free(entry->xattrs[i].value);
	}
	entry->xattr_count = 0;
}

/* The attributes that a layer may set, of a folder below. */
static int take_xattrs(int fd, struct tar_entry *entry)
{
	char names[LAYER_XATTRS_MAX], value[LAYER_XATTRS_MAX];
	ssize_t length = flistxattr(fd, names, sizeof(names));

	if (length < 0 && errno == ENOTSUP)
		return 0;
	for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		ssize_t size;

		if (!tar_keeps_xattr(name) || entry->xattr_count == TAR_XATTRS_MAX)
			continue;
		size = fgetxattr(fd, name, value, sizeof(value));
		if (size < 0)
			return -1;
		entry->xattrs[entry->xattr_count++] = (struct tar_xattr){
			.name = xstrdup(name),
			.value = xmemdup(value, (size_t)size),
			.size = (size_t)size,
		};
	}
	return length < 0 ? -1 : 0;
}

/* The folder `base` in `parent` as it is in a tree below. */
static int copy_folder(struct tree *tree, int parent, const char *base, const char *path,
		       const struct rootfs_entry *below, struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(tree->trees[below->layer], below->path,
						  O_RDONLY | O_DIRECTORY, 0);
	_cleanup_(xattrs_done) struct tar_entry entry = { .type = TAR_FOLDER };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || take_xattrs(fd, &entry) < 0)
		return err_sys(err, errno, "look at %s in the layers below", path);
	entry.mode = st.st_mode & 07777;
	entry.uid = st.st_uid;
	entry.gid = st.st_gid;
	entry.mtime_s = st.st_mtim.tv_sec;
	entry.mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	return tree_make_folder(tree, parent, base, path, &entry, err);
}

static int make_up(struct tree *tree, int parent, const char *base, const char *path,
		   struct err *err)
{
	const struct tar_entry entry = {
		.type = TAR_FOLDER, .mode = 0755, .mtime_s = LAYER_TIME
	};

	return tree_make_folder(tree, parent, base, path, &entry, err);
}

/* A walk down the way to a parent. */
struct way {
	char at[PATH_LENGTH_MAX + 1];	/* a folder of the tree, without links */
	char *rest;			/* owned; what is still to go */
	unsigned int links;
};

static void way_done(struct way *way)
{
	free(way->rest);
}

static int follow(struct way *way, int link, struct err *err)
{
	char target[PATH_LENGTH_MAX + 1];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
	char *joined;

	if (length < 0)
		return err_sys(err, errno, "read a link in the way");
	target[length] = '\0';
	joined = xasprintf("%s/%s", target, way->rest);
	free(way->rest);
	way->rest = joined;
	if (++way->links > LINKS_MAX || strlen(joined) > PATH_LENGTH_MAX)
		return err_set(err, ERR_LAYER, "too many links in the way");
	if (target[0] == '/')
		way->at[0] = '\0';
	return 0;
}

/* One component down: to a folder that is in the tree after it, or along a link. */
static int step(struct tree *tree, struct way *way, const char *name, struct err *err)
{
	char path[PATH_LENGTH_MAX + PATH_NAME_MAX + 2];
	struct rootfs_entry below = { .fd = -1 };
	_cleanup_close_ int parent = -1, fd = -1;
	size_t top = tree->tree_count - 1;
	struct stat st = { 0 };
	int found, made;

	stpcpy(stpcpy(stpcpy(path, way->at), *way->at ? "/" : ""), name);
	if (strlen(path) > PATH_LENGTH_MAX)
		return err_set(err, ERR_LAYER, "its path is too long behind a link");
	found = rootfs_find(tree->trees, tree->tree_count, path, false, &below, err);
	if (found < 0)
		return -1;
	fd = below.fd;
	if (found && fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at a folder in the way");
	if (!found || below.layer != top)
		tree->needs_lower = true;
	if (found && S_ISLNK(st.st_mode))
		return follow(way, fd, err);
	if (!found || below.layer != top) {
		parent = fs_open_no_links(tree->root, way->at, O_PATH | O_DIRECTORY, 0);
		if (parent < 0)
			return err_sys(err, errno, "open a folder in the way");
		made = found && S_ISDIR(st.st_mode) ?
			       copy_folder(tree, parent, name, path, &below, err) :
			       make_up(tree, parent, name, path, err);
		if (made < 0)
			return -1;
	} else if (!S_ISDIR(st.st_mode)) {
		return err_set(err, ERR_LAYER, "what holds it is not a folder");
	}
	strcpy(way->at, path);
	return 0;
}

/* Goes the whole way to `asked`; way->at is the folder then. */
static int go(struct tree *tree, struct way *way, const char *asked, struct err *err)
{
	char name[PATH_NAME_MAX + 1];

	way->rest = xstrdup(asked);
	for (;;) {
		size_t skip = strspn(way->rest, "/");
		size_t length = strcspn(way->rest + skip, "/");
		char *slash = strrchr(way->at, '/');

		if (length == 0)
			return 0;
		if (length > PATH_NAME_MAX)
			return err_set(err, ERR_LAYER, "a link in the way has too long a name");
		memcpy(name, way->rest + skip, length);
		name[length] = '\0';
		memmove(way->rest, way->rest + skip + length,
			strlen(way->rest + skip + length) + 1);
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, ".."))
			*(slash ? slash : way->at) = '\0';
		else if (step(tree, way, name, err) < 0)
			return -1;
	}
}

static int resolve(struct tree *tree, const char *asked, struct err *err)
{
	_cleanup_(way_done) struct way way = { 0 };
	struct tree_parent *parent = &tree->parent;

	parent->fd = fs_open_no_links(tree->root, asked, O_PATH | O_DIRECTORY, 0);
	strcpy(parent->path, asked);
	if (parent->fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			return err_sys(err, errno, "open its folder");
		if (go(tree, &way, asked, err) < 0)
			return -1;
		strcpy(parent->path, way.at);
		parent->fd = fs_open_no_links(tree->root, way.at, O_PATH | O_DIRECTORY, 0);
		if (parent->fd < 0)
			return err_sys(err, errno, "open its folder");
	}
	strcpy(parent->asked, asked);
	tree->stale = false;
	return 0;
}

int tree_find_parent(struct tree *tree, const char *path, const char **ret_base,
		     struct err *err)
{
	const char *base = path_base(path);
	size_t length = base == path ? 0 : (size_t)(base - path) - 1;
	char asked[PATH_LENGTH_MAX + 1];

	*ret_base = base;
	if (tree->parent.fd >= 0 && !tree->stale &&
	    !strncmp(tree->parent.asked, path, length) && tree->parent.asked[length] == '\0')
		return 0;
	memcpy(asked, path, length);
	asked[length] = '\0';
	if (tree->parent.fd >= 0)
		close(tree->parent.fd);
	tree->parent.fd = -1;
	return resolve(tree, asked, err);
}
