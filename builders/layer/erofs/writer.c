/* A layer as an EROFS file: see writer.h. */
#include "builders/layer/erofs/writer.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"

void writer_init(struct writer *writer, int out)
{
	*writer = (struct writer){ .at = NAMES_ROOT };
	blocks_init(&writer->blocks, out);
	names_init(&writer->names);
	writer->names.folders[NAMES_ROOT].meta.mode = S_IFDIR;
}

void writer_done(struct writer *writer)
{
	blocks_done(&writer->blocks);
	names_done(&writer->names);
}

enum erofs_type writer_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EROFS_FILE;
	case S_IFDIR:
		return EROFS_FOLDER;
	case S_IFCHR:
		return EROFS_CHAR;
	case S_IFBLK:
		return EROFS_BLOCK_DEVICE;
	case S_IFIFO:
		return EROFS_FIFO;
	case S_IFLNK:
		return EROFS_SYMLINK;
	}
	return EROFS_SOCKET;
}

int writer_inode(struct writer *writer, const struct meta *meta, const struct str *xattrs,
		 const struct content *content, uint32_t rdev, uint64_t *ret_nid, struct err *err)
{
	const struct inode inode = {
		.meta = meta,
		.xattrs = xattrs,
		.content = content,
		.ino = ++writer->inos,
		.nlink = 1,
		.rdev = rdev,
	};
	uint64_t offset;

	if (blocks_place(&writer->blocks, inode_bytes(&inode), &offset, err) < 0 ||
	    inode_write(&writer->blocks, &inode, offset, err) < 0)
		return -1;
	*ret_nid = offset / EROFS_SLOT;
	return 0;
}

/* ---- the output ------------------------------------------------------------------------------ */

static int enter(void *state, const char *path, struct err *err)
{
	struct writer *writer = state;
	uint32_t name, folder;

	(void)err;
	if (!names_walk(&writer->names, path, &name))
		return 0;
	folder = names_folder(&writer->names, name);
	if (folder == NAMES_NONE)
		return 0;
	writer->at = folder;
	return 1;
}

static int add_piece(void *data, const void *bytes, size_t size, uint64_t offset,
		     struct err *err)
{
	return content_add(data, bytes, size, offset, err);
}

static int put_content(struct writer *writer, const struct tar_entry *entry, struct tar *tar,
		       size_t before, struct content *content, struct err *err)
{
	switch (entry->type) {
	case TAR_FILE:
		content_begin(content, &writer->blocks, entry->size, before);
		if (output_content(entry, tar, add_piece, content, &writer->bytes, err) < 0)
			return -1;
		break;
	case TAR_SYMLINK:
		content_begin(content, &writer->blocks, strlen(entry->target), before);
		if (content->size > PATH_LENGTH_MAX)
			return err_sys(err, ENAMETOOLONG, "make it");
		if (content_add(content, entry->target, content->size, 0, err) < 0)
			return -1;
		break;
	default:
		content_begin(content, &writer->blocks, 0, before);
		break;
	}
	return content_end(content, err);
}

static int put_inode(struct writer *writer, const char *base, const struct tar_entry *entry,
		     struct tar *tar, struct err *err)
{
	_cleanup_(meta_done) struct meta meta = { 0 };
	_cleanup_(str_done) struct str xattrs = { 0 };
	struct content content;
	bool device = entry->type == TAR_CHAR;
	uint32_t index;
	uint64_t nid;

	if (meta_set(&meta, entry, err) < 0 || meta_xattr_bytes(&meta, &xattrs, err) < 0 ||
	    put_content(writer, entry, tar, xattrs.length, &content, err) < 0 ||
	    writer_inode(writer, &meta, &xattrs, device ? NULL : &content, 0, &nid, err) < 0)
		return -1;
	return names_add(&writer->names, writer->at, base, writer_type(meta.mode), nid, &index,
			 err) < 0 ? -1 : 1;
}

static int put_folder(struct writer *writer, const char *base, uint32_t name,
		      const struct tar_entry *entry, struct err *err)
{
	uint32_t folder = *base ? NAMES_NONE : writer->at;

	if (name != NAMES_NONE) {
		folder = names_folder(&writer->names, name);
		if (folder == NAMES_NONE)
			return 0;
	}
	if (folder == NAMES_NONE &&
	    names_add_folder(&writer->names, writer->at, base, &folder, err) < 0)
		return -1;
	if (meta_set(&writer->names.folders[folder].meta, entry, err) < 0 ||
	    names_weigh(&writer->names, folder, err) < 0)
		return -1;
	return 1;
}

static int put_link(struct writer *writer, const char *base, uint32_t name, const char *target,
		    struct err *err)
{
	struct names *names = &writer->names;
	uint32_t wanted;

	if (!names_walk(names, target, &wanted) ||
	    (wanted != NAMES_NONE && names->names[wanted].type == EROFS_CHAR))
		return err_set(err, ERR_LAYER, "a hard link to what is not in this layer");
	if (names_folder(names, wanted) != NAMES_NONE)
		return err_set(err, ERR_LAYER, "a hard link to a folder");
	/* onto itself: to remove it first would lose the file */
	if (name != NAMES_NONE)
		return names->names[name].type != EROFS_FOLDER &&
		       names->names[name].nid == names->names[wanted].nid;
	return names_add_link(names, writer->at, base, wanted, err) < 0 ? -1 : 1;
}

static int put(void *state, const char *base, const struct tar_entry *entry, struct tar *tar,
	       struct err *err)
{
	struct writer *writer = state;
	uint32_t name = names_find(&writer->names, writer->at, base, strlen(base));

	if (entry->type == TAR_FOLDER)
		return put_folder(writer, base, name, entry, err);
	if (entry->type == TAR_HARDLINK)
		return put_link(writer, base, name, entry->target, err);
	if (name != NAMES_NONE)
		return 0;
	return put_inode(writer, base, entry, tar, err);
}

static int remove_name(void *state, const char *base, struct err *err)
{
	struct writer *writer = state;
	uint32_t name = names_find(&writer->names, writer->at, base, strlen(base));

	(void)err;
	if (name != NAMES_NONE)
		names_remove(&writer->names, name);
	return 0;
}

static int hide(void *state, const char *base, struct err *err)
{
	struct writer *writer = state;
	struct names *names = &writer->names;
	uint32_t folder = writer->at;

	if (*base) {
		uint32_t name = names_find(names, writer->at, base, strlen(base));

		folder = name == NAMES_NONE ? NAMES_NONE : names_folder(names, name);
	}
	if (folder == NAMES_NONE)
		return 0;
	return meta_set_xattr(&names->folders[folder].meta, VIEW_OPAQUE_XATTR, "y", 1, err);
}

static int finish(void *state, struct layer_result *result, struct err *err)
{
	struct writer *writer = state;

	result->tree_bytes = writer->bytes;
	return writer_finish(writer, err);
}

static int seal(void *state, const struct layer_result *result, struct err *err)
{
	return writer_seal(state, result->diff_id.bytes, err);
}

static const struct output_ops writer_ops = { enter, put, remove_name, hide, finish, seal };

/* ---- what is written so far, as the topmost layer of a view ---------------------------------- */

static int look(const struct view_layer *layer, const char *path, struct view_node *ret,
		struct err *err)
{
	static const uint32_t types[] = {
		[EROFS_FILE] = S_IFREG,	 [EROFS_FOLDER] = S_IFDIR,
		[EROFS_CHAR] = S_IFCHR,	 [EROFS_BLOCK_DEVICE] = S_IFBLK,
		[EROFS_FIFO] = S_IFIFO,	 [EROFS_SOCKET] = S_IFSOCK,
		[EROFS_SYMLINK] = S_IFLNK,
	};
	const struct writer *writer = layer->data;
	uint32_t name;

	(void)err;
	if (!names_walk(&writer->names, path, &name))
		return 0;
	*ret = (struct view_node){ .mode = S_IFDIR, .fd = -1, .id = name };
	if (name != NAMES_NONE) {
		ret->mode = types[writer->names.names[name].type];
		ret->whiteout = S_ISCHR(ret->mode);
	}
	return 1;
}

static int opaque(const struct view_layer *layer, const char *path,
		  const struct view_node *node, struct err *err)
{
	const struct writer *writer = layer->data;
	uint32_t folder = names_folder(&writer->names, (uint32_t)node->id);
	const struct meta *meta = &writer->names.folders[folder].meta;

	(void)path;
	(void)err;
	for (size_t i = 0; i < meta->xattr_count; i++)
		if (!strcmp(meta->xattrs[i].name, VIEW_OPAQUE_XATTR))
			return 1;
	return 0;
}

static int target(const struct view_layer *layer, const struct view_node *link,
		  char ret[PATH_LENGTH_MAX + 1], struct err *err)
{
	struct writer *writer = layer->data;
	ssize_t length = inode_read_link(&writer->blocks, writer->names.names[link->id].nid, ret,
					 PATH_LENGTH_MAX, err);

	if (length < 0)
		return -1;
	ret[length] = '\0';
	return 0;
}

static const struct view_ops own_ops = { look, opaque, target, NULL };

void writer_output(struct writer *writer, const struct view_layer *lower, size_t lower_count,
		   struct output *ret)
{
	output_init(ret, &writer_ops, writer, lower, lower_count,
		    (struct view_layer){ .ops = &own_ops, .tree = -1, .data = writer });
}
