/*
 * A layer as a tree in a private folder: an output (output.h). Nothing follows a link; a name that
 * exists is never opened for writing; metadata goes through the descriptor of what was just made.
 */
#ifndef DUET_BUILDERS_LAYER_TREE_H
#define DUET_BUILDERS_LAYER_TREE_H

#include <stdbool.h>

#include "builders/layer/folders.h"
#include "builders/layer/output.h"

struct tree {
	int root;			/* borrowed */
	int at;				/* owned; O_PATH; the current folder; -1: none */
	char path[PATH_LENGTH_MAX + 1];	/* of it */
	bool single_uid;
	bool chown_always;		/* what we make is not 0:0 by itself */
	struct folders folders;
	uint64_t bytes;			/* of content written */
	uint64_t owners_lost;
};

int tree_init(struct tree *tree, int root, bool single_uid, struct err *err);
void tree_done(struct tree *tree);
/* `lower`: the trees below, lowest first. */
void tree_output(struct tree *tree, const int *lower, size_t lower_count, struct output *ret);

#endif
