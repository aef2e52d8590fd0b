/*
 * What can only be set on a folder once it is full: its time, a mode that would hinder the writing
 * or be inherited (setgid), and a default ACL. Kept in one growing block, a few dozen bytes a folder.
 */
#ifndef DUET_BUILDERS_LAYER_FOLDERS_H
#define DUET_BUILDERS_LAYER_FOLDERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "builders/layer/tar.h"
#include "core/err.h"

#define FOLDERS_BYTES_MAX (96u << 20)	/* of the whole list: about a million folders */

struct folders {
	uint8_t *bytes;	/* owned; records one behind the other */
	size_t size;
	size_t room;
};

/* `path` is clean, relative and free of links; `inode` is what stands there now. */
int folders_add(struct folders *folders, const char *path, ino_t inode,
		const struct tar_entry *entry, struct err *err);
/* Sets it all, in the order of adding; a folder that was replaced since is left alone. */
int folders_apply(const struct folders *folders, int root, struct err *err);
void folders_done(struct folders *folders);

#endif
