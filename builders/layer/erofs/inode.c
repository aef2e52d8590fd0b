/* Content and inodes: see inode.h. */
#include "builders/layer/erofs/inode.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"

#define ZEROS_FROM 32768u	/* pieces from here on are looked at: are they zero bytes? */

void content_begin(struct content *content, struct blocks *blocks, uint64_t size, size_t before)
{
	size_t tail = size % EROFS_BLOCK;

	content->blocks = blocks;
	content->size = size;
	content->start = blocks_end(blocks);
	content->at = 0;
	/* a tail must not cross a block; attributes that take more than one have none behind them */
	content->tail_size =
		sizeof(struct erofs_disk_inode) + before + tail <= EROFS_BLOCK ? tail : 0;
	content->block_bytes = size - content->tail_size;
	memset(content->tail, 0, content->tail_size);
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && !memcmp(bytes, bytes + 1, size - 1);
}

static int add_to_blocks(struct content *content, const uint8_t *data, size_t size,
			 struct err *err)
{
	if (size >= ZEROS_FROM && all_zero(data, size))
		return blocks_zeros(content->blocks, size, err);
	return blocks_append(content->blocks, data, size, err);
}

/* Zero bytes up to `offset`; those of the tail are there. */
static int fill_to(struct content *content, uint64_t offset, struct err *err)
{
	uint64_t end = offset < content->block_bytes ? offset : content->block_bytes;

	if (end > content->at && blocks_zeros(content->blocks, end - content->at, err) < 0)
		return -1;
	content->at = offset;
	return 0;
}

int content_add(struct content *content, const void *data, size_t size, uint64_t offset,
		struct err *err)
{
	const uint8_t *at = data;
	size_t part = 0;

	if (fill_to(content, offset, err) < 0)
		return -1;
	if (content->at < content->block_bytes) {
		part = size < content->block_bytes - content->at ?
			       size : (size_t)(content->block_bytes - content->at);
		if (add_to_blocks(content, at, part, err) < 0)
			return -1;
	}
	if (size > part)
		memcpy(content->tail + (content->at + part - content->block_bytes), at + part,
		       size - part);
	content->at += size;
	return 0;
}

int content_end(struct content *content, struct err *err)
{
	if (fill_to(content, content->size, err) < 0)
		return -1;
	return blocks_fill(content->blocks, err);
}

size_t inode_bytes(const struct inode *inode)
{
	return sizeof(struct erofs_disk_inode) + inode->xattrs->length +
	       (inode->content ? inode->content->tail_size : 0);
}

int inode_write(struct blocks *blocks, const struct inode *inode, uint64_t offset,
		struct err *err)
{
	const struct meta *meta = inode->meta;
	const struct content *content = inode->content;
	size_t xattr_bytes = inode->xattrs->length;
	uint32_t layout = content && content->tail_size > 0 ? EROFS_LAYOUT_INLINE :
							      EROFS_LAYOUT_PLAIN;
	uint64_t block = content && content->block_bytes > 0 ? content->start / EROFS_BLOCK : 0;
	struct erofs_disk_inode disk = {
		.format = htole16((uint16_t)(EROFS_FORMAT_EXTENDED | layout << EROFS_LAYOUT_SHIFT)),
		.mode = htole16((uint16_t)meta->mode),
		.size = htole64(content ? content->size : 0),
		.block = htole32(content ? (uint32_t)block : inode->rdev),
		.ino = htole32(inode->ino),
		.uid = htole32(meta->uid),
		.gid = htole32(meta->gid),
		.mtime_s = htole64((uint64_t)meta->mtime_s),
		.mtime_ns = htole32(meta->mtime_ns),
		.nlink = htole32(inode->nlink),
	};

	if (xattr_bytes > 0)
		disk.xattr_count = htole16(
			(uint16_t)((xattr_bytes - sizeof(struct erofs_disk_xattrs)) / 4 + 1));
	if (blocks_patch(blocks, offset, &disk, sizeof(disk), err) < 0)
		return -1;
	offset += sizeof(disk);
	if (xattr_bytes > 0 &&
	    blocks_patch(blocks, offset, inode->xattrs->text, xattr_bytes, err) < 0)
		return -1;
	if (layout == EROFS_LAYOUT_PLAIN)
		return 0;
	return blocks_patch(blocks, offset + xattr_bytes, content->tail, content->tail_size, err);
}

int inode_set_nlink(struct blocks *blocks, uint64_t nid, uint32_t nlink, struct err *err)
{
	uint32_t value = htole32(nlink);

	return blocks_patch(blocks, nid * EROFS_SLOT + offsetof(struct erofs_disk_inode, nlink),
			    &value, sizeof(value), err);
}

ssize_t inode_read_link(struct blocks *blocks, uint64_t nid, char *ret, size_t room,
			struct err *err)
{
	uint64_t offset = nid * EROFS_SLOT;
	struct erofs_disk_inode disk;
	size_t size;

	if (blocks_read(blocks, offset, &disk, sizeof(disk), err) < 0)
		return -1;
	size = le64toh(disk.size) < room ? (size_t)le64toh(disk.size) : room;
	if (le16toh(disk.format) >> EROFS_LAYOUT_SHIFT == EROFS_LAYOUT_INLINE)
		offset += sizeof(disk) + erofs_xattr_bytes(le16toh(disk.xattr_count));
	else
		offset = (uint64_t)le32toh(disk.block) * EROFS_BLOCK;
	return blocks_read(blocks, offset, ret, size, err) < 0 ? -1 : (ssize_t)size;
}
