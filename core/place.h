/* Places in a text file, and errors that say theirs. */
#ifndef DUET_CORE_PLACE_H
#define DUET_CORE_PLACE_H

#include "core/err.h"

struct place {
	unsigned int line;	/* from 1; 0: not from the file */
	unsigned int column;	/* from 1, in characters */
};

/* err_set, with "FILE:LINE:COLUMN" as the place (none when place.line is 0). Returns -1. */
int place_fail(struct err *err, const char *file, struct place place, int code, const char *fmt,
	       ...) __attribute__((format(printf, 5, 6)));

#endif
