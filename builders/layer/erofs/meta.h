/*
 * What an entry's mode, owner and attributes come to: for a tree the kernel works that out when they
 * are set one after the other (an ACL changes the mode and a mode the ACL, some values are refused);
 * here it is done in memory, so that both forms of a layer are alike.
 */
#ifndef DUET_BUILDERS_LAYER_EROFS_META_H
#define DUET_BUILDERS_LAYER_EROFS_META_H

#include "builders/layer/tar.h"
#include "core/str.h"

struct meta {
	uint32_t mode;		/* with the type */
	uint32_t uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	struct tar_xattr *xattrs;	/* owned */
	size_t xattr_count;
};

/* Sets what the entry says; attributes that are there and are not in the entry stay (of folders). */
int meta_set(struct meta *meta, const struct tar_entry *entry, struct err *err);
/* Replaces or adds one attribute, whatever it means. */
int meta_set_xattr(struct meta *meta, const char *name, const void *value, size_t size,
		   struct err *err);
/*
 * The bytes that follow an inode, with their header; nothing when there are no attributes. A name
 * that EROFS has no prefix for is ERR_LAYER.
 */
int meta_xattr_bytes(const struct meta *meta, struct str *out, struct err *err);
/* One attribute as it stands there, or among the shared ones. */
int meta_one_xattr(const struct tar_xattr *xattr, struct str *out, struct err *err);
void meta_done(struct meta *meta);

#endif
