/*
 * newc archives (Documentation/driver-api/early-userspace/buffer-format.rst). Pure. The same files
 * give the same bytes: owner 0:0, time 0, inodes counted from 1.
 */
#ifndef DUET_BUILDERS_KERNEL_NEWC_H
#define DUET_BUILDERS_KERNEL_NEWC_H

#include <stdint.h>

#include "core/str.h"

struct newc {
	struct str out;
	uint32_t inode;
};

/* `mode` with the file type (S_IFDIR | 0755, S_IFREG | 0644). `size` under 4 GiB. */
void newc_add(struct newc *newc, const char *path, uint32_t mode, const void *data, size_t size);
/* The trailer; `out` is whole then. */
void newc_end(struct newc *newc);
void newc_done(struct newc *newc);

#endif
