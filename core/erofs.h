/*
 * Reads EROFS images of the kind that duet writes (builders/layer/erofs/): 4 KiB blocks, extended
 * inodes, no compression, data plain or with an inline tail, inline xattrs. The writer is ours, but
 * what it was fed is hostile: every offset, count and length is checked against the image's size.
 * Format: Linux, fs/erofs/erofs_fs.h; core/erofs_format.h has what reader and writer share.
 */
#ifndef DUET_CORE_EROFS_H
#define DUET_CORE_EROFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

struct erofs;	/* an open image */

struct erofs_inode {
	uint64_t nid;		/* in units of 32 bytes from the start of the image */
	uint32_t mode;		/* with the type, as st_mode */
	uint32_t uid, gid;
	uint32_t nlink;
	uint32_t rdev;		/* of devices: the kernel's new_encode_dev */
	uint64_t size;		/* bytes of content, of a link's target, of a folder's entries */
	int64_t mtime_s;
	uint32_t mtime_ns;
	/* where things lie; checked already */
	bool inline_tail;
	uint32_t block;		/* first block of the content */
	uint64_t xattr_offset;	/* in the image */
	uint32_t xattr_bytes;	/* 0: none */
	uint64_t tail_offset;	/* of the inline tail in the image */
};

/* Opens an image through a descriptor, which is borrowed until erofs_free. Errors: ERR_STORE. */
int erofs_new(int fd, struct erofs **ret, struct err *err);
void erofs_free(struct erofs *erofs);

int erofs_root(struct erofs *erofs, struct erofs_inode *ret, struct err *err);
int erofs_inode(struct erofs *erofs, uint64_t nid, struct erofs_inode *ret, struct err *err);
/* The entry `name` of a folder: 1, 0 when there is none, -1. */
int erofs_lookup(struct erofs *erofs, const struct erofs_inode *folder, const char *name,
		 struct erofs_inode *ret, struct err *err);
/* Calls `each` for every entry but "." and "..", in the order of the bytes; stops when it gives not 0. */
int erofs_each(struct erofs *erofs, const struct erofs_inode *folder,
	       int (*each)(void *data, const char *name, uint64_t nid, struct err *err), void *data,
	       struct err *err);
/* Content (of files and links): how many bytes were read, fewer only at its end; -1. */
ssize_t erofs_read(struct erofs *erofs, const struct erofs_inode *inode, void *buffer, size_t size,
		   uint64_t offset, struct err *err);
/* Calls `each` for every xattr with its full name ("user.overlay.opaque"). */
int erofs_each_xattr(struct erofs *erofs, const struct erofs_inode *inode,
		     int (*each)(void *data, const char *name, const void *value, size_t size,
				 struct err *err),
		     void *data, struct err *err);

#endif
