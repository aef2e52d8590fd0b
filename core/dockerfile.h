/*
 * A Dockerfile into a spec. Pure but for what it is told of files. What the language of specs cannot say
 * is not guessed: it is named, with its line, and stands as a comment at its place in the spec.
 *
 * Each stage becomes an image. Its config has what ENV, USER and the like leave at its end; a run step
 * names what was different when it ran, and where a variable or the first WORKDIR came later than a
 * RUN, the stage is cut in two there, for what is not set yet cannot be taken away from a step.
 */
#ifndef DUET_CORE_DOCKERFILE_H
#define DUET_CORE_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/err.h"
#include "core/mem.h"

#define DOCKERFILE_BYTES_MAX (1u << 20)
#define DOCKERFILE_LINES_MAX 10000	/* instructions */

struct dockerfile_loss {
	unsigned int line;	/* of the Dockerfile, from 1 */
	char *text;		/* owned, escaped */
	bool is_note;		/* it may be nothing: that depends on an image, which is not looked at */
};

/* The folder of the build: what a pattern or a target means depends on what lies there. */
struct dockerfile_files {
	void *data;
	/* Adds what a pattern of glob(3) matches, sorted; "." and ".." are nothing. */
	void (*match)(void *data, const char *pattern, struct strv *ret);
	/* st_mode, of a link its own; 0: there is nothing. */
	mode_t (*mode)(void *data, const char *path);
};

struct dockerfile {
	char *spec;		/* owned; the text of a duet.yaml */
	struct dockerfile_loss *losses;	/* owned; what it could not say, in order */
	size_t loss_count;
};

/*
 * `files`: NULL: nothing is known of them. `name`: of the spec; `file`: for messages. ERR_SPEC_SYNTAX with
 * the place for what is no Dockerfile, ERR_SPEC_LIMIT beyond the bounds.
 */
int dockerfile_convert(struct dockerfile *ret, const struct dockerfile_files *files,
		       const char *name, const char *file, const char *text, size_t size,
		       struct err *err);
void dockerfile_done(struct dockerfile *dockerfile);

#endif
