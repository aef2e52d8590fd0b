/*
 * A plan: the ordered steps that make an image, each with a cache key. Pure: no file, clock or
 * network is touched; what must be looked up first (digests of local inputs) comes in as `inputs`.
 * The same spec and inputs give the same keys on every machine and for every user.
 */
#ifndef DUET_CORE_PLAN_H
#define DUET_CORE_PLAN_H

#include "core/digest.h"
#include "core/err.h"
#include "core/spec.h"

/* Goes into every key: raised when a step's result changes for the same inputs. */
#define PLAN_FORMAT "duet-plan-1"

/*
 * The digest of each input's content: [0] of image.from, [1 + i] of step i. Scratch has none. All
 * zero stands for "not looked up", which is enough where the spec gives the sha256 itself.
 */
struct plan_inputs {
	struct digest *digests;		/* borrowed, 1 + step_count */
	size_t count;
};

struct plan_step {
	struct digest key;		/* of this step and all below it */
	struct digest own_key;		/* of this step's own layer, whatever lies below */
	const struct source *source;	/* borrowed from the spec; NULL unless the first */
	const struct step *step;	/* borrowed from the spec; NULL for the first */
	struct digest input;
	char *summary;			/* owned; one line: "archive rootfs.tar.gz" */
};

struct plan {
	char *name;			/* owned */
	struct plan_step *steps;
	size_t step_count;		/* 0 for scratch without steps */
	struct digest key;		/* of the image: last step's key and the config */
	struct process config;		/* owned copy */
};

/*
 * Errors: ERR_SPEC_MISSING (an input that nobody looked up, or another number of them),
 * ERR_FETCH_DIGEST (an input is not what the spec's sha256 says), with the place of the step.
 */
int plan_make(struct plan *ret, const struct spec *spec, const struct plan_inputs *inputs,
	      struct err *err);
/* What `duet plan` prints. Owned texts. */
char *plan_text(const struct plan *plan, const struct spec *spec);
char *plan_json(const struct plan *plan, const struct spec *spec);
void plan_done(struct plan *plan);

#endif
