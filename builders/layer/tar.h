/*
 * Reads tar (ustar, pax, GNU) entry by entry; by libarchive, which only reads. Names are bytes:
 * nothing is translated, whatever the locale. Every string is the archive's own, and hostile.
 */
#ifndef DUET_BUILDERS_LAYER_TAR_H
#define DUET_BUILDERS_LAYER_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/err.h"

enum tar_type {
	TAR_FILE,
	TAR_FOLDER,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_FIFO,
	TAR_CHAR,
	TAR_BLOCK
};

struct tar_xattr {
	char *name;	/* owned */
	void *value;	/* owned */
	size_t size;
};

/*
 * Bytes of an entry's headers, and of its map of holes: one of 100,000 holes in a large file fits. The
 * longest list that libarchive makes of so much has a million entries (two bytes each): 50 MiB.
 */
#define TAR_HEADERS_MAX (2 * 1024 * 1024)
#define TAR_XATTRS_MAX 128	/* of one entry; those that are kept */
#define ATTRIBUTE_SHOWN 40	/* bytes of an attribute's name in a message */

struct tar_entry {
	const char *path;	/* borrowed until the next entry, as it stands in the archive */
	const char *target;	/* of links; borrowed likewise */
	enum tar_type type;
	uint32_t mode;		/* permission bits with setuid, setgid, sticky */
	uint32_t uid, gid;
	uint64_t size;		/* bytes of content */
	int64_t mtime_s;	/* since 1970 */
	uint32_t mtime_ns;
	uint32_t dev_major, dev_minor;
	/* only those that a layer may set; ACLs as the kernel's system.posix_acl_* */
	struct tar_xattr xattrs[TAR_XATTRS_MAX];	/* owned by the tar, until the next entry */
	size_t xattr_count;
};

/* Releases an entry's attributes; there are none then. */
static inline void tar_drop_xattrs(struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		free(entry->xattrs[i].name);
		free(entry->xattrs[i].value);
	}
	entry->xattr_count = 0;
}

/* Where plain bytes come from: 1 and a piece (valid until the next call), 0 at the end, -1. */
struct tar_source {
	int (*read)(void *data, const void **ret, size_t *ret_size, struct err *err);
	void *data;	/* borrowed */
	bool may_be_empty;	/* no byte at all is an archive without entries */
};

struct tar;

struct tar *tar_new(const struct tar_source *source);
/* 1 and the entry (borrowed until the next call), 0 at the end of the archive, -1. */
int tar_next(struct tar *tar, const struct tar_entry **ret, struct err *err);
/* The next bytes of the entry's content and their offset (holes are left out): 1, 0 at the end, -1. */
int tar_data(struct tar *tar, const void **ret, size_t *ret_size, uint64_t *ret_offset,
	     struct err *err);
/* After tar_next gave 1: where the entry's content begins, in the source's bytes. */
uint64_t tar_at(const struct tar *tar);
/* After tar_next gave 0: where the archive ended, in the source's bytes. */
uint64_t tar_end(const struct tar *tar);
void tar_free(struct tar *tar);

/* May a layer set this extended attribute? */
int tar_keeps_xattr(const char *name);

#endif
