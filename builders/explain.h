/*
 * Why a step is made again: what of its inputs differs from the image's last build. The inputs are kept
 * as lines "STEP NAME HEX" in a blob, pinned under the image's name; hashes only, so nothing of a secret
 * or an environment can be read there.
 */
#ifndef DUET_BUILDERS_EXPLAIN_H
#define DUET_BUILDERS_EXPLAIN_H

#include "builders/builder.h"

struct explain {
	struct strv before;	/* lines of the last build; empty: there was none */
	struct strv now;	/* lines so far */
};

/* Reads what the last build of `image` was made from; what cannot be read counts as none. */
void explain_read(struct explain *explain, struct store *store, const char *image);
/* Adds what a step's layer is made from. */
void explain_add(struct explain *explain, size_t number, const struct plan_made *made);
/* "the environment and the layers below differ", "nothing differs", or that it is new. Owned. */
char *explain_step(const struct explain *explain, size_t number);
/* Keeps what this build was made from. */
int explain_keep(const struct explain *explain, struct store *store, const char *image,
		 struct err *err);
void explain_done(struct explain *explain);

#endif
