/*
 * layer_merge: see layer.h. Folder by folder, from the root down: a folder of the result comes from
 * one folder of each layer that shows through, topmost first, and each of them adds the names that
 * none above it has. A whiteout takes its name until the folder is done, so that it hides what is
 * below, and is gone then; what stops the layers below a folder is an opaque mark, or something that
 * is no folder.
 */
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/erofs/writer.h"
#include "builders/layer/layer.h"
#include "core/erofs.h"
#include "core/mem.h"
#include "core/str.h"

#define CHUNK_BYTES (256 * 1024)
#define NAME_SHOWN 200

/* The folders of the layers that a folder of the result comes from. */
struct sources {
	struct source {
		uint32_t layer;
		uint64_t nid;
	} *list;	/* owned; topmost layer first */
	uint32_t count;
	bool closed;	/* nothing below the last one shows through */
};

/* An inode that was met: a folder, or a hard linked one that was copied. */
struct met {
	uint64_t key;	/* layer and nid; 0: unused */
	uint32_t name;	/* that it has in the result, if it is no folder */
};

struct merge {
	struct writer writer;
	struct erofs **images;	/* owned, each owned; lowest first */
	size_t image_count;
	struct sources *sources;	/* owned; by index of the writer's folders */
	uint32_t source_room;
	struct met *met;	/* owned; open addressing; a power of two of them */
	uint32_t met_count, met_room;
	uint64_t bytes_left;	/* that content may have: what all images have */
	uint8_t *chunk;		/* owned */
	uint64_t entries;
	/* the folder that is being filled */
	uint32_t folder;
	uint32_t layer;		/* the layer that adds to it */
};

static void merge_done(struct merge *merge)
{
	for (size_t i = 0; i < merge->image_count; i++)
		erofs_free(merge->images[i]);
	for (uint32_t i = 0; i < merge->source_room; i++)
		free(merge->sources[i].list);
	free(merge->images);
	free(merge->sources);
	free(merge->met);
	free(merge->chunk);
	writer_done(&merge->writer);
}

/* ---- what was met ---------------------------------------------------------------------------- */

static struct met *find_met(const struct merge *merge, struct met *list, uint32_t room,
			    uint64_t key)
{
	uint32_t at = (uint32_t)(names_mix(merge->writer.names.seed, key) >> 8) & (room - 1);

	while (list[at].key != 0 && list[at].key != key)
		at = (at + 1) & (room - 1);
	return &list[at];
}

/* The one for an inode of the layer that is being looked at; false when it was not met before. */
static bool was_met(struct merge *merge, uint64_t nid, struct met **ret)
{
	/* an image has no more than 2^44 bytes, and so fewer than 2^48 nids */
	uint64_t key = (uint64_t)(merge->layer + 1) << 48 | nid;
	struct met *met;

	if (merge->met_count >= merge->met_room / 2) {
		uint32_t room = merge->met_room ? merge->met_room * 2 : 64;
		struct met *more = xcalloc(room, sizeof(*more));

		for (uint32_t i = 0; i < merge->met_room; i++)
			if (merge->met[i].key != 0)
				*find_met(merge, more, room, merge->met[i].key) = merge->met[i];
		free(merge->met);
		merge->met = more;
		merge->met_room = room;
	}
	met = *ret = find_met(merge, merge->met, merge->met_room, key);
	if (met->key != 0)
		return true;
	met->key = key;
	merge->met_count++;
	return false;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static int take_xattr(void *data, const char *name, const void *value, size_t size,
		      struct err *err)
{
	/* the marks of layers have no meaning in what is merged */
	if (str_has_prefix(name, "user.overlay."))
		return 0;
	return meta_set_xattr(data, name, value, size, err);
}

static int meta_of(struct merge *merge, const struct erofs_inode *inode, struct meta *ret,
		   struct err *err)
{
	*ret = (struct meta){
		.mode = inode->mode,
		.uid = inode->uid,
		.gid = inode->gid,
		.mtime_s = inode->mtime_s,
		.mtime_ns = inode->mtime_ns,
	};
	return erofs_each_xattr(merge->images[merge->layer], inode, take_xattr, ret, err);
}

static int copy_content(struct merge *merge, const struct erofs_inode *inode,
			struct content *content, struct err *err)
{
	uint64_t at = 0;

	/* no two inodes of an image that we wrote share a block */
	if (inode->size > merge->bytes_left)
		return err_set(err, ERR_STORE, "read an EROFS image: more content than it has bytes");
	merge->bytes_left -= inode->size;
	while (at < inode->size) {
		ssize_t got = erofs_read(merge->images[merge->layer], inode, merge->chunk,
					 CHUNK_BYTES, at, err);

		if (got < 0 || content_add(content, merge->chunk, (size_t)got, at, err) < 0)
			return -1;
		at += (uint64_t)got;
	}
	if (S_ISREG(inode->mode))
		merge->writer.bytes += inode->size;
	return content_end(content, err);
}

static int copy_inode(struct merge *merge, const struct erofs_inode *inode, uint64_t *ret_nid,
		      struct err *err)
{
	_cleanup_(meta_done) struct meta meta = { 0 };
	_cleanup_(str_done) struct str xattrs = { 0 };
	struct content content;
	bool device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode);

	if (meta_of(merge, inode, &meta, err) < 0 || meta_xattr_bytes(&meta, &xattrs, err) < 0)
		return -1;
	content_begin(&content, &merge->writer.blocks, inode->size, xattrs.length);
	if (copy_content(merge, inode, &content, err) < 0)
		return -1;
	return writer_inode(&merge->writer, &meta, &xattrs, device ? NULL : &content, inode->rdev,
			    ret_nid, err);
}

static int add_file(struct merge *merge, const char *name, const struct erofs_inode *inode,
		    struct err *err)
{
	struct names *names = &merge->writer.names;
	struct met *met = NULL;
	uint64_t nid;
	uint32_t index;

	if (inode->nlink > 1 && was_met(merge, inode->nid, &met))
		return names_add_link(names, merge->folder, name, met->name, err);
	if (copy_inode(merge, inode, &nid, err) < 0 ||
	    names_add(names, merge->folder, name, writer_type(inode->mode), nid, &index, err) < 0)
		return -1;
	if (met)
		met->name = index;
	return 0;
}

static struct sources *sources_of(struct merge *merge, uint32_t folder)
{
	if (folder >= merge->source_room) {
		uint32_t room = folder + folder / 2 + 64;

		merge->sources = xreallocarray(merge->sources, room, sizeof(*merge->sources));
		memset(merge->sources + merge->source_room, 0,
		       (room - merge->source_room) * sizeof(*merge->sources));
		merge->source_room = room;
	}
	return &merge->sources[folder];
}

static int add_source(struct merge *merge, uint32_t folder, const struct erofs_inode *inode,
		      struct err *err)
{
	const struct view_layer view = view_of_erofs(merge->images[merge->layer]);
	const struct view_node node = { .inode = *inode };
	struct sources *sources = sources_of(merge, folder);
	int opaque = view.ops->opaque(&view, "", &node, err);
	struct met *met;

	/* else it might hold itself */
	if (was_met(merge, inode->nid, &met))
		return err_set(err, ERR_STORE, "read an EROFS image: a folder in two places");
	if (opaque < 0)
		return -1;
	sources->list = xreallocarray(sources->list, sources->count + 1, sizeof(*sources->list));
	sources->list[sources->count++] = (struct source){ merge->layer, inode->nid };
	sources->closed = opaque;
	return 0;
}

static int add_folder(struct merge *merge, const char *name, const struct erofs_inode *inode,
		      struct err *err)
{
	struct names *names = &merge->writer.names;
	uint32_t folder;

	if (names_add_folder(names, merge->folder, name, &folder, err) < 0 ||
	    meta_of(merge, inode, &names->folders[folder].meta, err) < 0 ||
	    names_weigh(names, folder, err) < 0)
		return -1;
	return add_source(merge, folder, inode, err);
}

/* Below something that has this name already: only folders go on. */
static int add_below(struct merge *merge, uint32_t name, const struct erofs_inode *inode,
		     struct err *err)
{
	uint32_t folder = names_folder(&merge->writer.names, name);

	if (folder == NAMES_NONE || sources_of(merge, folder)->closed)
		return 0;
	if (S_ISDIR(inode->mode))
		return add_source(merge, folder, inode, err);
	sources_of(merge, folder)->closed = true;
	return 0;
}

static int add_name(struct merge *merge, const char *name, const struct erofs_inode *inode,
		    struct err *err)
{
	struct names *names = &merge->writer.names;
	uint32_t index = names_find(names, merge->folder, name, strlen(name));

	if (index != NAMES_NONE)
		return add_below(merge, index, inode, err);
	/* no inode has nid 0 */
	if (S_ISCHR(inode->mode) && inode->rdev == 0)
		return names_add(names, merge->folder, name, EROFS_CHAR, 0, &index, err);
	if (++merge->entries > LAYER_ENTRIES_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "more than %u entries", LAYER_ENTRIES_MAX);
	if (S_ISDIR(inode->mode))
		return add_folder(merge, name, inode, err);
	return add_file(merge, name, inode, err);
}

static int add_entry(void *data, const char *name, uint64_t nid, struct err *err)
{
	struct merge *merge = data;
	struct erofs_inode inode;

	if (erofs_inode(merge->images[merge->layer], nid, &inode, err) < 0 ||
	    add_name(merge, name, &inode, err) < 0) {
		_cleanup_free_ char *safe = str_escape(name, NAME_SHOWN);

		return err_wrap(err, "merge %s of layer %u", safe, merge->layer + 1);
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fill_folder(struct merge *merge, uint32_t folder, struct err *err)
{
	struct names *names = &merge->writer.names;
	struct sources sources = *sources_of(merge, folder);

	merge->folder = folder;
	for (uint32_t i = 0; i < sources.count; i++) {
		struct erofs *image = merge->images[sources.list[i].layer];
		struct erofs_inode inode;

		merge->layer = sources.list[i].layer;
		if (erofs_inode(image, sources.list[i].nid, &inode, err) < 0 ||
		    erofs_each(image, &inode, add_entry, merge, err) < 0)
			return -1;
	}
	for (uint32_t i = names->folders[folder].first; i != NAMES_NONE; i = names->names[i].next)
		if (names->names[i].type == EROFS_CHAR && names->names[i].nid == 0)
			names_remove(names, i);
	free(sources.list);
	*sources_of(merge, folder) = (struct sources){ 0 };
	return 0;
}

/* The root is the topmost one's; an overlay does not look whether a layer's root is opaque. */
static int begin_root(struct merge *merge, struct err *err)
{
	struct meta *meta = &merge->writer.names.folders[NAMES_ROOT].meta;

	for (size_t i = merge->image_count; i-- > 0;) {
		struct erofs_inode inode;

		merge->layer = (uint32_t)i;
		if (erofs_root(merge->images[i], &inode, err) < 0 ||
		    (i == merge->image_count - 1 && meta_of(merge, &inode, meta, err) < 0) ||
		    add_source(merge, NAMES_ROOT, &inode, err) < 0)
			return err_wrap(err, "merge layer %zu", i + 1);
	}
	return 0;
}

int layer_merge(const int *lower, size_t count, int out, struct layer_result *ret,
		struct err *err)
{
	static const uint8_t no_uuid[16];
	_cleanup_(merge_done) struct merge merge = { 0 };

	writer_init(&merge.writer, out);
	merge.images = xcalloc(count + 1, sizeof(*merge.images));
	merge.chunk = xmalloc(CHUNK_BYTES);
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		if (fstat(lower[i], &st) == 0)
			merge.bytes_left += (uint64_t)st.st_size;
		if (erofs_new(lower[i], &merge.images[i], err) < 0)
			return err_wrap(err, "merge layer %zu", i + 1);
		merge.image_count++;
	}
	merge.writer.names.folders[NAMES_ROOT].meta = (struct meta){ .mode = S_IFDIR | 0755,
								     .mtime_s = LAYER_TIME };
	if (begin_root(&merge, err) < 0)
		return -1;
	for (uint32_t i = 0; i < merge.writer.names.folder_count; i++)
		if (fill_folder(&merge, i, err) < 0)
			return -1;
	if (writer_finish(&merge.writer, err) < 0 ||
	    writer_seal(&merge.writer, no_uuid, err) < 0)
		return -1;
	*ret = (struct layer_result){ .entries = merge.entries, .tree_bytes = merge.writer.bytes };
	return 0;
}
