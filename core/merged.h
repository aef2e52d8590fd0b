/*
 * Open folders that can be listed: one of the host as it is, or one of an image as its layers show it
 * together, without mounting: whiteouts (character device 0:0) and opaque folders
 * (user.overlay.opaque=y) hide what is below. No link is ever followed: each step goes one name down.
 */
#ifndef DUET_CORE_MERGED_H
#define DUET_CORE_MERGED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/mem.h"

struct merged {
	int *fds;	/* owned, each; O_RDONLY: the folder in each layer that shows, topmost first */
	size_t count;
	bool layered;	/* of an image: whiteouts count */
};

/* All of them: 0 (or what is said), or -1 with errno. `fd` and `trees` may be O_PATH; borrowed. */
int merged_plain(struct merged *ret, int fd);
/* The root of these trees, lowest first. */
int merged_root(struct merged *ret, const int *trees, size_t count);
/* A folder in it; ENOENT when there is none. */
int merged_enter(const struct merged *folder, const char *name, struct merged *ret);
/* A path of several names, without links, "." and ".."; "" opens the same folder again. */
int merged_walk(const struct merged *folder, const char *path, struct merged *ret);
/* The names in it, sorted by their bytes. */
int merged_names(const struct merged *folder, struct strv *ret);
/* 1, and whose entry it is (borrowed: openat and readlinkat with `name` work on it); 0: no such name. */
int merged_look(const struct merged *folder, const char *name, int *ret_dir, struct stat *ret);
void merged_done(struct merged *folder);

#endif
