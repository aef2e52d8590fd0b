/*
 * Reads EROFS images: see erofs.h. Nothing is mapped, so that a file that is cut short under our
 * hands gives an error and no signal; the blocks with inodes and names go through a small cache.
 * Whatever an image says is checked where it is read, and every loop is bounded by what was checked:
 * a count of blocks by the image's size, a count of names by a block's.
 */
#include "core/erofs.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/erofs_format.h"
#include "core/mem.h"
#include "core/path.h"

#define CACHE_BLOCKS 32

struct erofs {
	int fd;		/* borrowed */
	uint64_t size;	/* bytes; whole blocks */
	uint64_t root_nid;
	uint64_t xattr_offset;	/* of the first shared xattr */
	uint64_t cached[CACHE_BLOCKS];	/* block number + 1; 0: nothing */
	uint8_t (*cache)[EROFS_BLOCK];	/* owned */
};

const char *const erofs_prefixes[EROFS_PREFIX_END] = {
	[EROFS_PREFIX_USER] = "user.",
	[EROFS_PREFIX_ACL_ACCESS] = "system.posix_acl_access",
	[EROFS_PREFIX_ACL_DEFAULT] = "system.posix_acl_default",
	[EROFS_PREFIX_TRUSTED] = "trusted.",
	[EROFS_PREFIX_SECURITY] = "security.",
};

static int damaged(struct err *err, const char *what)
{
	return err_set(err, ERR_STORE, "read an EROFS image: %s", what);
}

uint32_t erofs_checksum(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
	}
	return crc;
}

/* Bytes that are known to lie in the image. */
static int read_at(struct erofs *erofs, void *buffer, size_t size, uint64_t offset,
		   struct err *err)
{
	uint8_t *at = buffer;

	while (size > 0) {
		ssize_t got = pread(erofs->fd, at, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys_as(err, ERR_STORE, errno, "read an EROFS image");
		if (got == 0)
			return damaged(err, "it was cut short");
		at += got;
		size -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

/* A block of inodes or names, borrowed until the next call; NULL. */
static const uint8_t *block_at(struct erofs *erofs, uint64_t block, struct err *err)
{
	size_t slot = block % CACHE_BLOCKS;

	if (erofs->cached[slot] != block + 1) {
		erofs->cached[slot] = 0;
		if (read_at(erofs, erofs->cache[slot], EROFS_BLOCK, block * EROFS_BLOCK, err) < 0)
			return NULL;
		erofs->cached[slot] = block + 1;
	}
	return erofs->cache[slot];
}

static bool inside(const struct erofs *erofs, uint64_t offset, uint64_t size)
{
	return offset <= erofs->size && size <= erofs->size - offset;
}

static int check_super(struct erofs *erofs, const uint8_t *block, struct err *err)
{
	struct erofs_super super;
	uint32_t checksum;

	memcpy(&super, block + EROFS_SUPER_OFFSET, sizeof(super));
	if (le32toh(super.magic) != EROFS_MAGIC)
		return damaged(err, "it is none");
	if (super.block_bits != EROFS_BLOCK_BITS || super.slots || super.incompat ||
	    super.meta_block || super.folder_bits || super.devices || super.prefixes ||
	    !(le32toh(super.compat) & EROFS_COMPAT_CHECKSUM))
		return damaged(err, "of a kind that duet does not write");
	checksum = le32toh(super.checksum);
	super.checksum = 0;
	if (erofs_checksum(erofs_checksum(UINT32_MAX, &super, sizeof(super)),
			   block + EROFS_SUPER_OFFSET + sizeof(super),
			   EROFS_BLOCK - EROFS_SUPER_OFFSET - sizeof(super)) != checksum)
		return damaged(err, "the checksum differs");
	if (le32toh(super.blocks) > erofs->size / EROFS_BLOCK)
		return damaged(err, "it was cut short");
	erofs->size = (uint64_t)le32toh(super.blocks) * EROFS_BLOCK;
	erofs->xattr_offset = (uint64_t)le32toh(super.xattr_block) * EROFS_BLOCK;
	erofs->root_nid = le16toh(super.root_nid);
	return 0;
}

int erofs_new(int fd, struct erofs **ret, struct err *err)
{
	struct erofs *erofs;
	struct stat st;
	const uint8_t *block;

	if (fstat(fd, &st) < 0)
		return err_sys_as(err, ERR_STORE, errno, "look at an EROFS image");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)EROFS_BLOCK)
		return damaged(err, "it is none");
	erofs = xcalloc(1, sizeof(*erofs));
	erofs->fd = fd;
	erofs->size = (uint64_t)st.st_size;
	erofs->cache = xcalloc(CACHE_BLOCKS, EROFS_BLOCK);
	block = block_at(erofs, 0, err);
	if (!block || check_super(erofs, block, err) < 0) {
		erofs_free(erofs);
		return -1;
	}
	*ret = erofs;
	return 0;
}

void erofs_free(struct erofs *erofs)
{
	if (!erofs)
		return;
	free(erofs->cache);
	free(erofs);
}

/* ---- inodes ---------------------------------------------------------------------------------- */

int erofs_root(struct erofs *erofs, struct erofs_inode *ret, struct err *err)
{
	if (erofs_inode(erofs, erofs->root_nid, ret, err) < 0)
		return -1;
	return S_ISDIR(ret->mode) ? 0 : damaged(err, "its root is no folder");
}

/* Where content lies; the sizes of folders and links are bounded, too. */
static int check_content(const struct erofs *erofs, const struct erofs_inode *inode,
			 struct err *err)
{
	uint64_t tail = inode->inline_tail ? inode->size % EROFS_BLOCK : 0;
	uint64_t blocks = (inode->size - tail + EROFS_BLOCK - 1) / EROFS_BLOCK;

	if (inode->size > erofs->size)
		return damaged(err, "a size out of range");
	if (blocks > 0 && !inside(erofs, (uint64_t)inode->block * EROFS_BLOCK,
				  blocks * EROFS_BLOCK))
		return damaged(err, "content out of range");
	if (tail > 0 && (!inside(erofs, inode->tail_offset, tail) ||
			 inode->tail_offset % EROFS_BLOCK + tail > EROFS_BLOCK))
		return damaged(err, "a tail out of range");
	if (S_ISLNK(inode->mode) && (inode->size == 0 || inode->size > PATH_LENGTH_MAX))
		return damaged(err, "a link of a wrong size");
	if (S_ISDIR(inode->mode) && inode->size == 0)
		return damaged(err, "a folder without entries");
	return 0;
}

static int check_type(struct erofs_inode *inode, uint32_t value, struct err *err)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		inode->block = value;
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = value;
		break;
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return damaged(err, "an entry of an unknown type");
	}
	return inode->size == 0 ? 0 : damaged(err, "a device with content");
}

int erofs_inode(struct erofs *erofs, uint64_t nid, struct erofs_inode *ret, struct err *err)
{
	struct erofs_inode inode = { .nid = nid };
	struct erofs_disk_inode disk;
	uint64_t offset = nid * EROFS_SLOT;
	const uint8_t *block;
	uint16_t format;

	if (nid > erofs->size / EROFS_SLOT ||
	    offset % EROFS_BLOCK > EROFS_BLOCK - sizeof(disk) ||
	    !inside(erofs, offset, sizeof(disk)))
		return damaged(err, "an inode out of range");
	block = block_at(erofs, offset / EROFS_BLOCK, err);
	if (!block)
		return -1;
	memcpy(&disk, block + offset % EROFS_BLOCK, sizeof(disk));
	format = le16toh(disk.format);
	if (format != (EROFS_FORMAT_EXTENDED | EROFS_LAYOUT_PLAIN << EROFS_LAYOUT_SHIFT) &&
	    format != (EROFS_FORMAT_EXTENDED | EROFS_LAYOUT_INLINE << EROFS_LAYOUT_SHIFT))
		return damaged(err, "an inode of a kind that duet does not write");
	inode.inline_tail = format >> EROFS_LAYOUT_SHIFT == EROFS_LAYOUT_INLINE;
	inode.mode = le16toh(disk.mode);
	inode.uid = le32toh(disk.uid);
	inode.gid = le32toh(disk.gid);
	inode.nlink = le32toh(disk.nlink);
	inode.size = le64toh(disk.size);
	inode.mtime_s = (int64_t)le64toh(disk.mtime_s);
	inode.mtime_ns = le32toh(disk.mtime_ns);
	inode.xattr_offset = offset + sizeof(disk);
	inode.xattr_bytes = (uint32_t)erofs_xattr_bytes(le16toh(disk.xattr_count));
	inode.tail_offset = inode.xattr_offset + inode.xattr_bytes;
	if (inode.mtime_ns > 999999999)
		return damaged(err, "a time that is none");
	if (!inside(erofs, inode.xattr_offset, inode.xattr_bytes))
		return damaged(err, "attributes out of range");
	if (check_type(&inode, le32toh(disk.block), err) < 0 ||
	    check_content(erofs, &inode, err) < 0)
		return -1;
	*ret = inode;
	return 0;
}

ssize_t erofs_read(struct erofs *erofs, const struct erofs_inode *inode, void *buffer, size_t size,
		   uint64_t offset, struct err *err)
{
	uint64_t blocks = inode->inline_tail ? inode->size - inode->size % EROFS_BLOCK :
					       inode->size;
	size_t first, rest;

	if (offset >= inode->size)
		return 0;
	if (size > inode->size - offset)
		size = (size_t)(inode->size - offset);
	first = offset >= blocks ? 0 : size < blocks - offset ? size : (size_t)(blocks - offset);
	rest = size - first;
	if (first > 0 && read_at(erofs, buffer, first,
				 (uint64_t)inode->block * EROFS_BLOCK + offset, err) < 0)
		return -1;
	if (rest > 0 && read_at(erofs, (uint8_t *)buffer + first, rest,
				inode->tail_offset + (offset + first - blocks), err) < 0)
		return -1;
	return (ssize_t)size;
}

/* ---- folders --------------------------------------------------------------------------------- */

/* A block of a folder: names with their nids, checked. */
struct names {
	const uint8_t *bytes;	/* borrowed until the next block is read */
	size_t size;		/* of what is used */
	size_t count;
};

static int names_at(struct erofs *erofs, const struct erofs_inode *folder, uint64_t index,
		    struct names *ret, struct err *err)
{
	uint64_t at = index * EROFS_BLOCK, block = folder->block + index;
	size_t size = folder->size - at < EROFS_BLOCK ? (size_t)(folder->size - at) : EROFS_BLOCK;
	size_t skip = 0;
	struct erofs_dirent first;

	if (folder->inline_tail && size < EROFS_BLOCK) {
		block = folder->tail_offset / EROFS_BLOCK;
		skip = folder->tail_offset % EROFS_BLOCK;
	}
	ret->bytes = block_at(erofs, block, err);
	if (!ret->bytes)
		return -1;
	ret->bytes += skip;
	ret->size = size;
	if (size < sizeof(first))
		return damaged(err, "a damaged folder");
	memcpy(&first, ret->bytes, sizeof(first));
	ret->count = le16toh(first.name_offset) / sizeof(first);
	if (ret->count == 0 || le16toh(first.name_offset) % sizeof(first) ||
	    le16toh(first.name_offset) >= size)
		return damaged(err, "a damaged folder");
	return 0;
}

/* The name of the entry `index`, ended by NUL in `ret`, and its nid. */
static int name_at(const struct names *names, size_t index, char ret[EROFS_NAME_MAX + 1],
		   uint64_t *ret_nid, struct err *err)
{
	struct erofs_dirent entry, next;
	size_t from, to = names->size;

	memcpy(&entry, names->bytes + index * sizeof(entry), sizeof(entry));
	from = le16toh(entry.name_offset);
	if (index + 1 < names->count) {
		memcpy(&next, names->bytes + (index + 1) * sizeof(next), sizeof(next));
		to = le16toh(next.name_offset);
	}
	if (from < names->count * sizeof(entry) || from >= to || to > names->size)
		return damaged(err, "a damaged folder");
	/* zero bytes fill up what the last name leaves */
	if (index + 1 == names->count)
		to = from + strnlen((const char *)names->bytes + from, to - from);
	if (to == from || to - from > EROFS_NAME_MAX ||
	    memchr(names->bytes + from, '\0', to - from) ||
	    memchr(names->bytes + from, '/', to - from))
		return damaged(err, "a name that is none");
	memcpy(ret, names->bytes + from, to - from);
	ret[to - from] = '\0';
	*ret_nid = le64toh(entry.nid);
	return 0;
}

static uint64_t folder_blocks(const struct erofs_inode *folder)
{
	return (folder->size + EROFS_BLOCK - 1) / EROFS_BLOCK;
}

/* The block whose first name is the last one that is not behind `name`. */
static int find_block(struct erofs *erofs, const struct erofs_inode *folder, const char *name,
		      uint64_t *ret, struct err *err)
{
	uint64_t low = 0, high = folder_blocks(folder), nid;
	char first[EROFS_NAME_MAX + 1];
	struct names names;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (names_at(erofs, folder, middle, &names, err) < 0 ||
		    name_at(&names, 0, first, &nid, err) < 0)
			return -1;
		if (strcmp(first, name) <= 0)
			low = middle;
		else
			high = middle;
	}
	*ret = low;
	return 0;
}

int erofs_lookup(struct erofs *erofs, const struct erofs_inode *folder, const char *name,
		 struct erofs_inode *ret, struct err *err)
{
	char found[EROFS_NAME_MAX + 1];
	size_t low = 0, high;
	struct names names;
	uint64_t block, nid;

	if (!S_ISDIR(folder->mode) || find_block(erofs, folder, name, &block, err) < 0 ||
	    names_at(erofs, folder, block, &names, err) < 0)
		return S_ISDIR(folder->mode) ? -1 : 0;
	for (high = names.count; low < high;) {
		size_t middle = low + (high - low) / 2;
		int order;

		if (name_at(&names, middle, found, &nid, err) < 0)
			return -1;
		order = strcmp(found, name);
		if (order == 0)
			return erofs_inode(erofs, nid, ret, err) < 0 ? -1 : 1;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

int erofs_each(struct erofs *erofs, const struct erofs_inode *folder,
	       int (*each)(void *data, const char *name, uint64_t nid, struct err *err), void *data,
	       struct err *err)
{
	char name[EROFS_NAME_MAX + 1], before[EROFS_NAME_MAX + 1] = "";
	int stopped = 0;

	if (!S_ISDIR(folder->mode))
		return damaged(err, "entries of what is no folder");
	for (uint64_t i = 0; i < folder_blocks(folder) && !stopped; i++) {
		struct names names;
		size_t count;

		/* `each` may read other blocks: this one is looked up anew for every name */
		if (names_at(erofs, folder, i, &names, err) < 0)
			return -1;
		count = names.count;
		for (size_t j = 0; j < count && !stopped; j++) {
			uint64_t nid;

			if (names_at(erofs, folder, i, &names, err) < 0 ||
			    j >= names.count || name_at(&names, j, name, &nid, err) < 0)
				return err->code ? -1 : damaged(err, "it changes");
			/* so that no name comes twice */
			if (strcmp(before, name) >= 0)
				return damaged(err, "a folder that is not sorted");
			strcpy(before, name);
			if (strcmp(name, ".") && strcmp(name, ".."))
				stopped = each(data, name, nid, err);
		}
	}
	return stopped;
}

/* ---- extended attributes --------------------------------------------------------------------- */

struct xattrs {
	struct erofs *erofs;
	int (*each)(void *data, const char *name, const void *value, size_t size, struct err *err);
	void *data;
};

/* The xattr at the start of `bytes`, of which there are `size`; *ret_size: what it takes. */
static int one_xattr(const struct xattrs *xattrs, const uint8_t *bytes, size_t size,
		     size_t *ret_size, struct err *err)
{
	char name[EROFS_NAME_MAX + 32];
	struct erofs_disk_xattr disk;
	const char *prefix;
	size_t value_size;

	if (size < sizeof(disk))
		return damaged(err, "a damaged attribute");
	memcpy(&disk, bytes, sizeof(disk));
	value_size = le16toh(disk.value_size);
	prefix = disk.prefix < EROFS_PREFIX_END ? erofs_prefixes[disk.prefix] : NULL;
	if (!prefix || size - sizeof(disk) < disk.name_size + value_size ||
	    memchr(bytes + sizeof(disk), '\0', disk.name_size))
		return damaged(err, "a damaged attribute");
	*ret_size = (sizeof(disk) + disk.name_size + value_size + 3) & ~(size_t)3;
	memcpy(stpcpy(name, prefix), bytes + sizeof(disk), disk.name_size);
	name[strlen(prefix) + disk.name_size] = '\0';
	return xattrs->each(xattrs->data, name, bytes + sizeof(disk) + disk.name_size, value_size,
			    err);
}

static int shared_xattr(const struct xattrs *xattrs, uint32_t number, struct err *err)
{
	uint64_t offset = xattrs->erofs->xattr_offset + (uint64_t)number * 4;
	size_t size = sizeof(struct erofs_disk_xattr) + EROFS_NAME_MAX + UINT16_MAX;
	_cleanup_free_ uint8_t *bytes = NULL;

	if (!inside(xattrs->erofs, offset, sizeof(struct erofs_disk_xattr)))
		return damaged(err, "an attribute out of range");
	if (size > xattrs->erofs->size - offset)
		size = (size_t)(xattrs->erofs->size - offset);
	bytes = xmalloc(size);
	if (read_at(xattrs->erofs, bytes, size, offset, err) < 0)
		return -1;
	return one_xattr(xattrs, bytes, size, &(size_t){ 0 }, err);
}

int erofs_each_xattr(struct erofs *erofs, const struct erofs_inode *inode,
		     int (*each)(void *data, const char *name, const void *value, size_t size,
				 struct err *err),
		     void *data, struct err *err)
{
	const struct xattrs xattrs = { erofs, each, data };
	struct erofs_disk_xattrs header;
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t at = sizeof(header), taken = 0;
	int stopped = 0;

	if (inode->xattr_bytes == 0)
		return 0;
	bytes = xmalloc(inode->xattr_bytes);
	if (read_at(erofs, bytes, inode->xattr_bytes, inode->xattr_offset, err) < 0)
		return -1;
	memcpy(&header, bytes, sizeof(header));
	if (header.shared_count > (inode->xattr_bytes - at) / 4)
		return damaged(err, "damaged attributes");
	for (unsigned int i = 0; i < header.shared_count && !stopped; i++, at += 4) {
		uint32_t number;

		memcpy(&number, bytes + at, sizeof(number));
		stopped = shared_xattr(&xattrs, le32toh(number), err);
	}
	for (; at < inode->xattr_bytes && !stopped; at += taken)
		stopped = one_xattr(&xattrs, bytes + at, inode->xattr_bytes - at, &taken, err);
	return stopped;
}
