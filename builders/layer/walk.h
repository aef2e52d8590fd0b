/*
 * Walks a file or folder of the host in a fixed order (names by their bytes, a folder before what is
 * in it). No link is followed: every step goes one name down from an open folder.
 */
#ifndef DUET_BUILDERS_LAYER_WALK_H
#define DUET_BUILDERS_LAYER_WALK_H

#include <stdbool.h>

#include "builders/layer/tar.h"

/*
 * Called for each entry: `path` in it is relative to the source, "" for the source itself; owner,
 * mode and time as they are on the host. `fd` is open for reading for TAR_FILE, else -1.
 */
typedef int walk_visit(void *data, const struct tar_entry *entry, int fd, struct err *err);

struct walk_args {
	int source;		/* borrowed; O_PATH or open for reading */
	const char *name;	/* of the source, for messages */
	/*
	 * An overlay's upper, with keep: whiteouts are visited as TAR_CHAR, of folders VIEW_OPAQUE_XATTR
	 * comes along, and what is of another file system or has a name outside is an error.
	 */
	bool upper;
	bool keep;		/* hard links and attributes too; devices and sockets are left out */
	walk_visit *visit;
	void *data;
};

/* `ret_left_out` counts devices and sockets. Without `keep` they, and fifos, are an error. */
int walk_source(const struct walk_args *args, uint64_t *ret_left_out, struct err *err);

#endif
