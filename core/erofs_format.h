/*
 * EROFS on disk, as far as duet reads and writes it (Linux, fs/erofs/erofs_fs.h; Linux 5.4 and
 * later understand all of it). Everything is little-endian: fields go through the le functions of
 * <endian.h>. Blocks are 4 KiB, the area of inodes begins at block 0, so that a nid is the offset of
 * an inode in the image by 32, wherever it lies.
 */
#ifndef DUET_CORE_EROFS_FORMAT_H
#define DUET_CORE_EROFS_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define EROFS_BLOCK_BITS 12
#define EROFS_BLOCK 4096u
#define EROFS_SUPER_OFFSET 1024u
#define EROFS_MAGIC 0xe0f5e1e2u
#define EROFS_COMPAT_CHECKSUM 1u
#define EROFS_COMPAT_MTIME 2u	/* inodes hold mtime, not ctime */

#define EROFS_SLOT 32u		/* bytes that one step of a nid stands for */
#define EROFS_ROOT_NID 36u	/* behind the superblock; the field for it has 16 bits */
#define EROFS_NAME_MAX 255u

struct erofs_super {
	uint32_t magic;
	uint32_t checksum;	/* CRC-32C of block 0 from here on, with 0 in this field */
	uint32_t compat;	/* EROFS_COMPAT_* */
	uint8_t block_bits;
	uint8_t slots;		/* of an extended superblock */
	uint16_t root_nid;
	uint64_t inodes;
	uint64_t time_s;
	uint32_t time_ns;
	uint32_t blocks;
	uint32_t meta_block;	/* where nid 0 is */
	uint32_t xattr_block;	/* where shared xattr 0 is */
	uint8_t uuid[16];
	uint8_t volume[16];
	uint32_t incompat;
	uint16_t algorithms;
	uint16_t devices;
	uint16_t device_slot;
	uint8_t folder_bits;
	uint8_t prefixes;
	uint32_t prefix_start;
	uint64_t packed_nid;
	uint8_t reserved[24];
};

/* i_format: bit 0 extended, bits 1 to 3 the layout */
#define EROFS_FORMAT_EXTENDED 1u
#define EROFS_LAYOUT_SHIFT 1
#define EROFS_LAYOUT_PLAIN 0u	/* content in blocks */
#define EROFS_LAYOUT_INLINE 2u	/* what does not fill a block follows the inode and its xattrs */
#define EROFS_NO_BLOCK UINT32_MAX

struct erofs_disk_inode {
	uint16_t format;
	uint16_t xattr_count;	/* 0, or 1 + (bytes of xattrs - the header's) / 4 */
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t block;		/* of content; of devices: the number */
	uint32_t ino;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t nlink;
	uint8_t reserved2[16];
};

/* Then shared_count numbers of shared xattrs (32 bits), then xattrs. */
struct erofs_disk_xattrs {
	uint32_t reserved;
	uint8_t shared_count;
	uint8_t reserved2[7];
};

/* Then the name without its prefix, the value, and zero bytes up to a multiple of 4. */
struct erofs_disk_xattr {
	uint8_t name_size;
	uint8_t prefix;		/* enum erofs_prefix */
	uint16_t value_size;
};

enum erofs_prefix {
	EROFS_PREFIX_USER = 1,
	EROFS_PREFIX_ACL_ACCESS,
	EROFS_PREFIX_ACL_DEFAULT,
	EROFS_PREFIX_TRUSTED,
	EROFS_PREFIX_SECURITY = 6,
	EROFS_PREFIX_END
};

/* Of enum erofs_prefix; NULL where there is none. */
extern const char *const erofs_prefixes[EROFS_PREFIX_END];

struct erofs_dirent {
	uint64_t nid;
	uint16_t name_offset;	/* in the block; the first one tells how many entries there are */
	uint8_t type;		/* enum erofs_type */
	uint8_t reserved;
} __attribute__((packed, aligned(4)));

enum erofs_type {
	EROFS_FILE = 1,
	EROFS_FOLDER,
	EROFS_CHAR,
	EROFS_BLOCK_DEVICE,
	EROFS_FIFO,
	EROFS_SOCKET,
	EROFS_SYMLINK
};

_Static_assert(sizeof(struct erofs_super) == 128, "superblock");
_Static_assert(sizeof(struct erofs_disk_inode) == 64, "inode");
_Static_assert(sizeof(struct erofs_disk_xattrs) == 12, "xattrs");
_Static_assert(sizeof(struct erofs_disk_xattr) == 4, "xattr");
_Static_assert(sizeof(struct erofs_dirent) == 12, "dirent");

/* The bytes an inode with these xattrs takes before its inline tail. */
static inline size_t erofs_xattr_bytes(uint16_t xattr_count)
{
	return xattr_count == 0 ? 0 : sizeof(struct erofs_disk_xattrs) + 4 * (xattr_count - 1u);
}

/* What goes into the superblock: CRC-32C (Castagnoli) from ~0, not inverted at the end. */
uint32_t erofs_checksum(uint32_t crc, const void *data, size_t size);

#endif
