/*
 * Headers of a tar: ustar, with a pax header before it only where ustar cannot say a thing (POSIX
 * pax, "pax Interchange Format"; extended attributes as SCHILY.xattr.NAME). Numeric owners without
 * names, no atime and ctime: the same entry gives the same bytes. Pure.
 */
#ifndef DUET_BUILDERS_LAYER_TARWRITE_H
#define DUET_BUILDERS_LAYER_TARWRITE_H

#include "builders/layer/tar.h"
#include "core/str.h"

#define TARWRITE_BLOCK 512
#define TARWRITE_END 1024	/* zero bytes that close an archive */

/*
 * Adds the header blocks of an entry; its content follows, filled up with zero bytes to the next
 * TARWRITE_BLOCK. entry->path is clean and relative ("" is the root); folders get their "/" here.
 */
void tarwrite_header(struct str *out, const struct tar_entry *entry);

#endif
