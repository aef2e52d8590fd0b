/*
 * A Dockerfile into a spec. Pure. What the language of specs cannot say is not guessed: it is named,
 * with its line, and stands as a comment at its place in the spec.
 *
 * Each stage becomes an image. Its config has what ENV, USER and the like leave at its end; a run step
 * names what was different when it ran, and where a variable or the first WORKDIR came later than a
 * RUN, the stage is cut in two there, for what is not set yet cannot be taken away from a step.
 */
#ifndef DUET_CORE_DOCKERFILE_H
#define DUET_CORE_DOCKERFILE_H

#include <stddef.h>

#include "core/err.h"

#define DOCKERFILE_BYTES_MAX (1u << 20)
#define DOCKERFILE_LINES_MAX 10000	/* instructions */

struct dockerfile_loss {
	unsigned int line;	/* of the Dockerfile, from 1 */
	char *text;		/* owned, escaped */
};

struct dockerfile {
	char *spec;		/* owned; the text of a duet.yaml */
	struct dockerfile_loss *losses;	/* owned; what it could not say, in order */
	size_t loss_count;
};

/*
 * `name`: of the spec; `file`: for messages. ERR_SPEC_SYNTAX with the place for what is no Dockerfile,
 * ERR_SPEC_LIMIT beyond the bounds.
 */
int dockerfile_convert(struct dockerfile *ret, const char *name, const char *file,
		       const char *text, size_t size, struct err *err);
void dockerfile_done(struct dockerfile *dockerfile);

#endif
