/* The layers that a view can be made of: trees on disk and EROFS images. See view.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/view.h"

#define XATTR_BYTES_MAX 65536	/* the kernel's, of a list and of a value */

/* ---- trees ----------------------------------------------------------------------------------- */

static int look_tree(const struct view_layer *layer, const char *path, struct view_node *ret,
		     struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(layer->tree, path, O_PATH | O_NOFOLLOW, 0);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at %s", *path ? path : "the root of a layer");
	*ret = (struct view_node){
		.mode = st.st_mode,
		.whiteout = S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0),
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime_s = st.st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
		.fd = TAKE_FD(fd),
	};
	return 1;
}

/* An xattr can not be read through O_PATH; the folder is opened again, beneath its own tree. */
static int opaque_tree(const struct view_layer *layer, const char *path,
		       const struct view_node *folder, struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(layer->tree, path, O_RDONLY | O_DIRECTORY, 0);
	char value;

	(void)folder;
	if (fd < 0)
		return err_sys(err, errno, "look at folder %s", path);
	return fgetxattr(fd, VIEW_OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

static int target_tree(const struct view_layer *layer, const struct view_node *link,
		       char ret[PATH_LENGTH_MAX + 1], struct err *err)
{
	ssize_t length = readlinkat(link->fd, "", ret, PATH_LENGTH_MAX);

	(void)layer;
	if (length < 0)
		return err_sys(err, errno, "read a link in the way");
	ret[length] = '\0';
	return 0;
}

static int xattrs_tree(const struct view_layer *layer, const char *path,
		       const struct view_node *folder,
		       int (*each)(void *data, const char *name, const void *value, size_t size,
				   struct err *err),
		       void *data, struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(layer->tree, path, O_RDONLY | O_DIRECTORY, 0);
	char names[XATTR_BYTES_MAX], value[XATTR_BYTES_MAX];
	ssize_t length;
	int stopped = 0;

	(void)folder;
	if (fd < 0)
		return err_sys(err, errno, "look at %s in the layers below", path);
	length = flistxattr(fd, names, sizeof(names));
	if (length < 0 && errno == ENOTSUP)
		return 0;
	if (length < 0)
		return err_sys(err, errno, "look at %s in the layers below", path);
	for (char *name = names; name < names + length && !stopped; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(fd, name, value, sizeof(value));

		if (size < 0)
			return err_sys(err, errno, "look at %s in the layers below", path);
		stopped = each(data, name, value, (size_t)size, err);
	}
	return stopped;
}

static const struct view_ops tree_ops = { look_tree, opaque_tree, target_tree, xattrs_tree };

struct view_layer view_of_tree(int tree)
{
	return (struct view_layer){ .ops = &tree_ops, .tree = tree };
}

/* ---- EROFS images ---------------------------------------------------------------------------- */

static int look_erofs(const struct view_layer *layer, const char *path, struct view_node *ret,
		      struct err *err)
{
	char name[PATH_NAME_MAX + 1];
	struct erofs_inode inode;
	int found = erofs_root(layer->data, &inode, err) < 0 ? -1 : 1;

	while (found == 1 && *path) {
		size_t length = strcspn(path, "/");
		struct erofs_inode folder = inode;

		memcpy(name, path, length);
		name[length] = '\0';
		path += length + (path[length] == '/');
		found = erofs_lookup(layer->data, &folder, name, &inode, err);
	}
	if (found != 1)
		return found;
	*ret = (struct view_node){
		.mode = inode.mode,
		.whiteout = S_ISCHR(inode.mode) && inode.rdev == 0,
		.uid = inode.uid,
		.gid = inode.gid,
		.mtime_s = inode.mtime_s,
		.mtime_ns = inode.mtime_ns,
		.fd = -1,
		.inode = inode,
	};
	return 1;
}

static int is_opaque(void *data, const char *name, const void *value, size_t size,
		     struct err *err)
{
	(void)err;
	if (strcmp(name, VIEW_OPAQUE_XATTR))
		return 0;
	*(bool *)data = size == 1 && *(const char *)value == 'y';
	return 1;
}

static int opaque_erofs(const struct view_layer *layer, const char *path,
			const struct view_node *folder, struct err *err)
{
	bool opaque = false;

	(void)path;
	if (erofs_each_xattr(layer->data, &folder->inode, is_opaque, &opaque, err) < 0)
		return -1;
	return opaque;
}

static int target_erofs(const struct view_layer *layer, const struct view_node *link,
			char ret[PATH_LENGTH_MAX + 1], struct err *err)
{
	ssize_t length = erofs_read(layer->data, &link->inode, ret, PATH_LENGTH_MAX, 0, err);

	if (length < 0)
		return -1;
	ret[length] = '\0';
	return 0;
}

static int xattrs_erofs(const struct view_layer *layer, const char *path,
			const struct view_node *folder,
			int (*each)(void *data, const char *name, const void *value, size_t size,
				    struct err *err),
			void *data, struct err *err)
{
	(void)path;
	return erofs_each_xattr(layer->data, &folder->inode, each, data, err);
}

static const struct view_ops erofs_ops = { look_erofs, opaque_erofs, target_erofs, xattrs_erofs };

struct view_layer view_of_erofs(struct erofs *erofs)
{
	return (struct view_layer){ .ops = &erofs_ops, .tree = -1, .data = erofs };
}
