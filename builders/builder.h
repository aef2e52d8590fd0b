/*
 * Builders: each kind of source and step. A builder makes sure that a step's layer is in the store;
 * builders/builders.c walks a plan and gives the rootfs.
 */
#ifndef DUET_BUILDERS_BUILDER_H
#define DUET_BUILDERS_BUILDER_H

#include "core/err.h"
#include "core/plan.h"
#include "core/rootfs.h"
#include "core/store.h"

struct build {
	struct store *store;		/* borrowed */
	const struct spec *spec;	/* borrowed */
	const struct plan *plan;	/* borrowed */
};

struct builder {
	const char *name;	/* the key in the spec: "archive", "copy" */
	/* The digest of the step's input (a local file, a context): before the plan is made. */
	int (*resolve)(struct store *store, const struct source *source, const struct step *step,
		       struct digest *ret, struct err *err);
	/*
	 * Makes the step's blob available and its layer known: *ret is filled, an open blob (or -1 when
	 * the layer is in the store as a tree already) is given for unpacking.
	 */
	int (*open)(struct build *build, const struct plan_step *step, struct store_layer *ret,
		    int *ret_blob, struct err *err);
};

/* Looks up the inputs of a spec and makes the plan. */
int builders_plan(struct store *store, const struct spec *spec, struct plan *ret, struct err *err);
/* Builds what is missing; the rootfs has every layer open and in use. */
int builders_build(struct build *build, struct rootfs *ret, struct err *err);

#endif
