/* Images that others of the spec take from, built side by side. */
#ifndef DUET_BUILDERS_STAGES_H
#define DUET_BUILDERS_STAGES_H

#include "builders/builder.h"

/*
 * Builds what the spec's image is going to ask for, `first` at least, each image in a process of its own, as
 * many at a time as there are processors, none before those that it takes from. `make` builds one. When
 * one fails no other is started, those under way end, and its error is given.
 */
int stages_build(struct build *build, size_t first,
		 int (*make)(struct build *build, size_t number, struct err *err), struct err *err);

#endif
