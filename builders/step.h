/* One step of an image that is being built: its layer, found in the store or made. */
#ifndef DUET_BUILDERS_STEP_H
#define DUET_BUILDERS_STEP_H

#include "builders/explain.h"
#include "builders/stack.h"

/* One image that is being built. */
struct making {
	struct build *build;
	const struct plan *plan;
	char *name;		/* owned; of its reference */
	struct stack *stack;
	struct explain explain;
	char *rules;		/* owned; of run steps */
};

/*
 * Puts the layer of step `number` of the plan onto the stack, in the forms that this wants. Errors have the
 * step's place.
 */
int step_build(struct making *making, size_t number, struct err *err);
/* For stack->reopen; `data` is the struct making. */
int step_reopen(void *data, size_t number, struct build_blob *ret, struct err *err);

#endif
