/*
 * Writes the entries of one layer into its private folder. Every path is resolved beneath the folder
 * without following any link; links in the way are resolved by hand, in the merged view of the trees
 * below and this one (parents.c). A name that exists is unlinked, never opened; metadata goes through
 * the descriptor of what was just made.
 */
#ifndef DUET_BUILDERS_LAYER_TREE_H
#define DUET_BUILDERS_LAYER_TREE_H

#include <stdbool.h>

#include "builders/layer/folders.h"
#include "builders/layer/tar.h"
#include "core/path.h"

/* A parent folder that was resolved: most entries lie beside the one before. */
struct tree_parent {
	int fd;				/* owned; O_PATH; -1: none */
	char asked[PATH_LENGTH_MAX + 1];	/* as the archive names it, clean */
	char path[PATH_LENGTH_MAX + 1];	/* where it lies in the tree, without links */
};

struct tree {
	int root;			/* borrowed */
	int *trees;			/* owned array of borrowed ones: those below, then root */
	size_t tree_count;
	bool single_uid;
	bool chown_always;		/* what we make is not 0:0 by itself */
	bool stale;			/* a name was replaced: parent is to be resolved anew */
	struct tree_parent parent;
	struct folders folders;
	bool needs_lower;
	uint64_t bytes;			/* of content written */
	uint64_t owners_lost;
};

int tree_init(struct tree *tree, int root, const int *lower, size_t lower_count, bool single_uid,
	      struct err *err);
void tree_done(struct tree *tree);

/*
 * `path` is clean and relative; not "" but for folders. Messages do not name the entry, but for the
 * part that was the cause where it is another one.
 */
int tree_file(struct tree *tree, const char *path, const struct tar_entry *entry, struct tar *tar,
	      struct err *err);
int tree_folder(struct tree *tree, const char *path, const struct tar_entry *entry,
		struct err *err);
int tree_symlink(struct tree *tree, const char *path, const struct tar_entry *entry,
		 struct err *err);
int tree_fifo(struct tree *tree, const char *path, const struct tar_entry *entry, struct err *err);
/* The target is a clean path, too; it has to be an entry of this tree. */
int tree_hardlink(struct tree *tree, const char *path, const char *target, struct err *err);
/* Removes what this layer had under the name; for entries that are not made. */
int tree_nothing(struct tree *tree, const char *path, struct err *err);
/* Hides `name` of the trees below in the folder that holds `path`. */
int tree_whiteout(struct tree *tree, const char *path, const char *name, struct err *err);
/* Hides all that the trees below have in the folder that holds `path`. */
int tree_opaque(struct tree *tree, const char *path, struct err *err);
/* Sets what can only be set at the end. */
int tree_finish(struct tree *tree, struct err *err);

/*
 * Between tree.c and parents.c: the folder that holds `path`, made when it is missing, as
 * tree->parent; *ret_base is the last component.
 */
int tree_find_parent(struct tree *tree, const char *path, const char **ret_base,
		     struct err *err);
/* The folder `base` in `parent`, kept or made; `path` is where it lies, without links. */
int tree_make_folder(struct tree *tree, int parent, const char *base, const char *path,
		     const struct tar_entry *entry, struct err *err);

#endif
