/*
 * Walks a selection of files as the entries of a tar. No link is followed: every step goes one name
 * down from an open folder.
 */
#ifndef DUET_BUILDERS_LAYER_WALK_H
#define DUET_BUILDERS_LAYER_WALK_H

#include <stdbool.h>

#include "builders/layer/tar.h"
#include "core/select.h"

/*
 * Called for each entry: `path` in it is relative to where the selection lands; owner, mode and time as
 * they are found. `fd` is open for reading for TAR_FILE, else -1.
 */
typedef int walk_visit(void *data, const struct tar_entry *entry, int fd, struct err *err);

struct walk_args {
	const struct selection *what;	/* borrowed */
	/*
	 * The selection is an overlay's upper, with keep: whiteouts are visited as TAR_CHAR, of folders
	 * VIEW_OPAQUE_XATTR comes along, and what is of another file system or has a name outside is an
	 * error.
	 */
	bool upper;
	bool keep;		/* hard links and attributes too; devices and sockets are left out */
	walk_visit *visit;
	void *data;
};

/* `ret_left_out` counts devices and sockets. Without `keep` they, and fifos, are an error. */
int walk_selection(const struct walk_args *args, uint64_t *ret_left_out, struct err *err);

#endif
