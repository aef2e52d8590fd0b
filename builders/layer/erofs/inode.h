/* Content and inodes of an EROFS file, as they are appended. */
#ifndef DUET_BUILDERS_LAYER_EROFS_INODE_H
#define DUET_BUILDERS_LAYER_EROFS_INODE_H

#include <stdbool.h>
#include <sys/types.h>

#include "builders/layer/erofs/blocks.h"
#include "builders/layer/erofs/meta.h"

/* Content on its way: whole blocks are appended, what is left over goes behind the inode. */
struct content {
	struct blocks *blocks;	/* borrowed */
	uint64_t size;
	uint64_t block_bytes;	/* of it, what goes into blocks */
	uint64_t start;		/* where those begin */
	uint64_t at;		/* what has come so far */
	size_t tail_size;
	uint8_t tail[EROFS_BLOCK];
};

/* `before`: bytes of the inode's attributes. Until content_end nothing else may be appended. */
void content_begin(struct content *content, struct blocks *blocks, uint64_t size, size_t before);
/* A piece at `offset`, which is not before the end of the last one; between them is a hole. */
int content_add(struct content *content, const void *data, size_t size, uint64_t offset,
		struct err *err);
int content_end(struct content *content, struct err *err);

struct inode {
	const struct meta *meta;
	const struct str *xattrs;	/* meta_xattr_bytes of it */
	const struct content *content;	/* ended; NULL: none */
	uint32_t ino;
	uint32_t nlink;
	uint32_t rdev;
};

/* Bytes that it takes: the inode, its attributes, its tail. */
size_t inode_bytes(const struct inode *inode);
/* Writes it to where blocks_place put that many. */
int inode_write(struct blocks *blocks, const struct inode *inode, uint64_t offset,
		struct err *err);
/* Changes the number of names in an inode that was written. */
int inode_set_nlink(struct blocks *blocks, uint64_t nid, uint32_t nlink, struct err *err);
/* The text of a symbolic link that was written, of up to `room` bytes: its length, or -1. */
ssize_t inode_read_link(struct blocks *blocks, uint64_t nid, char *ret, size_t room,
			struct err *err);

#endif
