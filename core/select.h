/*
 * What a copy takes, and where each thing lands: sources and patterns over folders of the host or an
 * image, without what a .duetignore names. Walks in a fixed order (names by their bytes, a folder
 * before what is in it) and reads no content: duet and the worker select the same with it.
 *
 * A file or link lands at `to`, or in it under its own name; of a folder what is in it lands below
 * `to`. Where two land in one place the later one is taken, folders become one.
 */
#ifndef DUET_CORE_SELECT_H
#define DUET_CORE_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/err.h"
#include "core/glob.h"
#include "core/mem.h"
#include "core/str.h"

#define SELECT_DEPTH_MAX 256		/* folders in each other */
#define SELECT_SOURCES_MAX 128		/* of one copy */
#define SELECT_TEXT_MAX (2 * 1024 * 1024)	/* bytes of select_write */

/* One thing that is copied, or a pattern of such. */
struct select_source {
	/* owned; the folder that a pattern begins at, or what is copied itself; -1: in an image */
	int fd;
	char *name;		/* owned; for messages; a file lands under its last component */
	char *path;		/* owned; in an image: as `fd`, absolute; else NULL */
	char *pattern;		/* owned; below that; NULL: it is no pattern */
	char *below;		/* owned; where fd lies below the folder of `rules`; NULL: elsewhere */
};

struct selection {
	struct select_source *sources;	/* owned */
	size_t count;
	bool into;		/* files land under their names */
	bool ignores;		/* a .duetignore in a copied folder counts */
	struct ignore rules;	/* owned; of the spec's folder */
	char *rules_text;	/* owned; what they were read from; NULL: none */
	const int *trees;	/* borrowed; the image's, lowest first; NULL: the host */
	size_t tree_count;
};

struct select_entry {
	const char *path;	/* where it lands, relative to `to`; "": `to` itself */
	const char *from;	/* where it was found; for messages */
	const struct stat *st;
	/* its folder and its name there, for openat and readlinkat; "": `dir` is the thing itself */
	int dir;
	const char *name;
};

typedef int select_visit(void *data, const struct select_entry *entry, struct err *err);

/*
 * Visits all that is selected. A folder that is a source is visited as "". ERR_SPEC_MISSING when a
 * source is not there, or a pattern matches nothing that is not ignored.
 */
int select_walk(const struct selection *selection, select_visit *visit, void *data,
		struct err *err);
/*
 * The sources and rules as text, for another process that gets the descriptors: each source's in order, or
 * the image's trees. select_read borrows `fds`.
 */
void select_write(const struct selection *selection, struct str *ret);
int select_read(struct selection *ret, const char *text, size_t size, const int *fds, size_t count,
		bool is_image, struct err *err);
/* Reads the .duetignore in `dir` where there is one; a link in its place is refused. Owned texts. */
int select_read_rules(int dir, const char *name, struct ignore *ret, char **ret_text,
		      struct err *err);
void select_done(struct selection *selection);

#endif
