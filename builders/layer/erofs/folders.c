/*
 * The folders of an EROFS file, written when all names are known. Every folder needs the nids of
 * those below it and of the one above, so that first all get their places and then their bytes.
 */
#include <endian.h>
#include <string.h>

#include "builders/layer/erofs/writer.h"
#include "core/mem.h"

#define ROOT_OFFSET (EROFS_ROOT_NID * EROFS_SLOT)
#define ROOT_XATTRS_MAX (EROFS_BLOCK - ROOT_OFFSET - sizeof(struct erofs_disk_inode))
#define SHARED_MAX 255

struct item {
	const char *text;	/* borrowed; not ended by NUL */
	size_t length;
	uint8_t type;
	uint64_t nid;
};

/* A folder's entries, in the order of their bytes. */
struct items {
	struct item *list;	/* owned */
	size_t count, room;
	uint32_t folders;
};

static void add_item(struct items *items, const char *text, size_t length, uint8_t type,
		     uint64_t nid)
{
	if (items->count == items->room) {
		items->room = items->room * 2 + 64;
		items->list = xreallocarray(items->list, items->room, sizeof(*items->list));
	}
	items->list[items->count++] = (struct item){ text, length, type, nid };
}

static int compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);

	if (order != 0)
		return order;
	return x->length < y->length ? -1 : x->length > y->length;
}

static void collect(const struct names *names, uint32_t index, struct items *items)
{
	const struct names_folder *folder = &names->folders[index];

	items->count = 0;
	items->folders = 0;
	add_item(items, ".", 1, EROFS_FOLDER, folder->nid);
	add_item(items, "..", 2, EROFS_FOLDER, names->folders[folder->parent].nid);
	for (uint32_t i = folder->first; i != NAMES_NONE; i = names->names[i].next) {
		const struct name *name = &names->names[i];
		bool is_folder = name->type == EROFS_FOLDER;

		if (name->type == 0)
			continue;
		add_item(items, names->texts + name->text, name->length, name->type,
			 is_folder ? names->folders[name->nid].nid : name->nid);
		items->folders += is_folder;
	}
	qsort(items->list, items->count, sizeof(*items->list), compare);
}

/* How many of the items from `from` on fit one block; *ret_size: the bytes that they take. */
static size_t fit_block(const struct items *items, size_t from, size_t *ret_size)
{
	size_t size = 0, i = from;

	for (; i < items->count; i++) {
		size_t more = sizeof(struct erofs_dirent) + items->list[i].length;

		if (size + more > EROFS_BLOCK)
			break;
		size += more;
	}
	*ret_size = size;
	return i - from;
}

static uint64_t folder_size(const struct items *items)
{
	uint64_t size = 0;
	size_t used = 0;

	/* all blocks but the last count as whole */
	for (size_t i = 0; i < items->count;) {
		size = (size + EROFS_BLOCK - 1) / EROFS_BLOCK * EROFS_BLOCK;
		i += fit_block(items, i, &used);
		size += used;
	}
	return size;
}

static void render(const struct items *items, size_t from, size_t count, uint8_t *block)
{
	size_t name_at = count * sizeof(struct erofs_dirent);

	for (size_t i = 0; i < count; i++) {
		const struct item *item = &items->list[from + i];
		const struct erofs_dirent entry = {
			.nid = htole64(item->nid),
			.name_offset = htole16((uint16_t)name_at),
			.type = item->type,
		};

		memcpy(block + i * sizeof(entry), &entry, sizeof(entry));
		memcpy(block + name_at, item->text, item->length);
		name_at += item->length;
	}
}

static int write_entries(const struct items *items, struct content *content, struct err *err)
{
	uint8_t block[EROFS_BLOCK];
	size_t size;

	for (size_t i = 0; i < items->count;) {
		size_t count = fit_block(items, i, &size);

		memset(block, 0, sizeof(block));
		render(items, i, count, block);
		i += count;
		if (content_add(content, block, i < items->count ? sizeof(block) : size,
				content->at, err) < 0)
			return -1;
	}
	return content_end(content, err);
}

/* The root's attributes when they do not fit block 0: shared ones, which lie anywhere. */
static int share_xattrs(struct writer *writer, const struct meta *meta, struct str *area,
			struct err *err)
{
	struct erofs_disk_xattrs header = { .shared_count = (uint8_t)meta->xattr_count };
	_cleanup_(str_done) struct str bytes = { 0 };

	if (meta->xattr_count > SHARED_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "more than %d attributes of the root",
			       SHARED_MAX);
	writer->xattr_offset = blocks_end(&writer->blocks);
	area->length = 0;
	str_addn(area, (const char *)&header, sizeof(header));
	for (size_t i = 0; i < meta->xattr_count; i++) {
		uint32_t number = htole32((uint32_t)(bytes.length / 4));

		str_addn(area, (const char *)&number, sizeof(number));
		if (meta_one_xattr(&meta->xattrs[i], &bytes, err) < 0)
			return -1;
	}
	if (blocks_append(&writer->blocks, bytes.text, bytes.length, err) < 0)
		return -1;
	return blocks_fill(&writer->blocks, err);
}

static int write_folder(struct writer *writer, uint32_t index, bool place, struct items *items,
			struct err *err)
{
	struct names_folder *folder = &writer->names.folders[index];
	_cleanup_(str_done) struct str xattrs = { 0 };
	struct content content;
	struct inode inode = { .meta = &folder->meta, .xattrs = &xattrs, .content = &content };
	bool root = index == NAMES_ROOT;
	uint64_t offset;

	collect(&writer->names, index, items);
	if (meta_xattr_bytes(&folder->meta, &xattrs, err) < 0)
		return -1;
	if (!place && root && xattrs.length > ROOT_XATTRS_MAX &&
	    share_xattrs(writer, &folder->meta, &xattrs, err) < 0)
		return -1;
	content_begin(&content, &writer->blocks, folder_size(items),
		      xattrs.length + (root ? ROOT_OFFSET : 0));
	if (place) {
		if (root)
			offset = ROOT_OFFSET;
		else if (blocks_place(&writer->blocks, inode_bytes(&inode), &offset, err) < 0)
			return -1;
		folder->nid = offset / EROFS_SLOT;
		return 0;
	}
	inode.nlink = 2 + items->folders;
	inode.ino = ++writer->inos;
	writer->live++;
	if (write_entries(items, &content, err) < 0)
		return -1;
	return inode_write(&writer->blocks, &inode, folder->nid * EROFS_SLOT, err);
}

/* Inodes with several names, as many as are left. */
static int finish_links(struct writer *writer, struct err *err)
{
	for (uint32_t i = 0; i < writer->names.link_room; i++) {
		const struct names_link *link = &writer->names.links[i];

		if (link->nid == 0 || link->count == 0)
			continue;
		writer->live++;
		if (inode_set_nlink(&writer->blocks, link->nid, link->count, err) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < writer->names.count; i++) {
		const struct name *name = &writer->names.names[i];

		writer->live += name->type != 0 && name->type != EROFS_FOLDER && !name->linked;
	}
	return 0;
}

int writer_finish(struct writer *writer, struct err *err)
{
	struct names *names = &writer->names;
	struct items items = { 0 };
	int result = 0;

	for (int pass = 0; pass < 2 && result == 0; pass++)
		for (uint32_t i = 0; i < names->folder_count && result == 0; i++)
			if (!names->folders[i].gone)
				result = write_folder(writer, i, pass == 0, &items, err);
	free(items.list);
	if (result < 0 || finish_links(writer, err) < 0)
		return -1;
	return blocks_finish(&writer->blocks, err);
}

int writer_seal(struct writer *writer, const uint8_t *uuid, struct err *err)
{
	uint8_t *block = writer->blocks.first;
	struct erofs_super super = {
		.magic = htole32(EROFS_MAGIC),
		.compat = htole32(EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16(EROFS_ROOT_NID),
		.inodes = htole64(writer->live),
		.time_s = htole64(LAYER_TIME),
		.blocks = htole32((uint32_t)(blocks_end(&writer->blocks) / EROFS_BLOCK)),
		.xattr_block = htole32((uint32_t)(writer->xattr_offset / EROFS_BLOCK)),
	};

	memcpy(super.uuid, uuid, sizeof(super.uuid));
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	super.checksum = htole32(erofs_checksum(UINT32_MAX, block + EROFS_SUPER_OFFSET,
						EROFS_BLOCK - EROFS_SUPER_OFFSET));
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	return blocks_seal(&writer->blocks, err);
}
