/*
 * What a layer is written into, entry by entry: a tree (tree.c) or an EROFS file (erofs/output.c).
 * Where an entry belongs and what happens to what was there is decided here once, for both. Every
 * path is resolved without following any link; links in the way are resolved by hand, in the merged
 * view of the layers below and this one (parents.c). A name that exists is removed, never written
 * through.
 */
#ifndef DUET_BUILDERS_LAYER_OUTPUT_H
#define DUET_BUILDERS_LAYER_OUTPUT_H

#include <stdbool.h>

#include "builders/layer/layer.h"
#include "builders/layer/tar.h"
#include "core/path.h"
#include "core/view.h"

/* Work in a current folder. `base` is one component; "" the current folder itself. */
struct output_ops {
	/* `path` is clean: 1; 0 when this layer has no such folder, or a link is in the way; -1. */
	int (*enter)(void *state, const char *path, struct err *err);
	/*
	 * Makes an entry: 1; 0 when the name is taken; -1. A folder over a folder keeps it and sets what
	 * the entry says. A hard link's target is a clean path without links, of this layer; one onto
	 * itself is 1. A character device 0:0 is a whiteout; other devices do not come here. A file's
	 * content comes from the tar.
	 */
	int (*put)(void *state, const char *base, const struct tar_entry *entry, struct tar *tar,
		   struct err *err);
	/* Removes a name with all below it; 0 also when there is none. */
	int (*remove)(void *state, const char *base, struct err *err);
	/* Makes a folder opaque; 0 also when it is none. */
	int (*hide)(void *state, const char *base, struct err *err);
	/* After the last entry; sets tree_bytes and owners_lost. */
	int (*finish)(void *state, struct layer_result *result, struct err *err);
	/* After all of the blob was verified; may be NULL. */
	int (*seal)(void *state, const struct layer_result *result, struct err *err);
};

struct output {
	const struct output_ops *ops;
	void *state;			/* borrowed */
	struct view_layer *layers;	/* owned; those below, then the one that is written */
	size_t layer_count;
	bool needs_lower;
	bool alone;			/* needing them is an error */
	/* a parent that was resolved: most entries lie beside the one before */
	bool entered;
	bool stale;			/* a name was replaced: it is to be resolved anew */
	char asked[PATH_LENGTH_MAX + 1];	/* as the archive names it, clean */
	char at[PATH_LENGTH_MAX + 1];	/* where it lies in this layer, without links */
};

/* `lower`: the layers below, lowest first; they are copied. */
void output_init(struct output *output, const struct output_ops *ops, void *state,
		 const struct view_layer *lower, size_t lower_count, struct view_layer own);
void output_done(struct output *output);

/*
 * `path` is clean and relative; not "" but for folders. Messages do not name the entry, but for the
 * part that was the cause where it is another one.
 */
int output_put(struct output *output, const char *path, const struct tar_entry *entry,
	       struct tar *tar, struct err *err);
/* The target is a clean path, too; it has to be an entry of this layer. */
int output_link(struct output *output, const char *path, const char *target, struct err *err);
/* Removes what this layer had under the name; for entries that are not made. */
int output_nothing(struct output *output, const char *path, struct err *err);
/* Hides `name` of the layers below in the folder that holds `path`. */
int output_whiteout(struct output *output, const char *path, const char *name, struct err *err);
/* Hides all that the layers below have in the folder that holds `path`. */
int output_opaque(struct output *output, const char *path, struct err *err);

/*
 * Between output.c and parents.c: enters the folder that holds `path`, made when it is missing;
 * *ret_base is the last component. And puts a folder into the current one.
 */
int output_find_parent(struct output *output, const char *path, const char **ret_base,
		       struct err *err);
int output_folder(struct output *output, const char *base, const struct tar_entry *entry,
		  struct err *err);

/*
 * For the implementations: hands a file's content to `write`, piece by piece, at growing offsets
 * (holes are left out; the end may be one). *bytes is added to.
 */
int output_content(const struct tar_entry *entry, struct tar *tar,
		   int (*write)(void *data, const void *bytes, size_t size, uint64_t offset,
				struct err *err),
		   void *data, uint64_t *bytes, struct err *err);

#endif
