/*
 * What the store's records tell of layers before anything is built: what other images of the spec hold,
 * which is what a step that takes from them is made from.
 */
#ifndef DUET_BUILDERS_RECORDED_H
#define DUET_BUILDERS_RECORDED_H

#include "builders/builder.h"

/* What a step goes on top of. Borrowed. */
struct recorded_below {
	const struct store_layer *layers;
	size_t count;
	const struct digest *chain;	/* of all of them; NULL: there are none */
};

/*
 * What `step` of `plan` is made from. ret->stages is `stages`, the caller's, one for each of the spec's
 * stages; `rules` is borrowed by *ret too. 1; 0 when it takes from an image of which the layers are not
 * known yet; -1.
 */
int recorded_inputs(struct build *build, const struct plan *plan, const struct plan_step *step,
		    const char *rules, const struct recorded_below *below, struct digest *stages,
		    struct plan_made *ret, struct err *err);
/* Must its layer be made anew, whatever is recorded? */
bool recorded_is_void(const struct build *build, const struct plan_step *step);
/* Which steps of the spec's image have a layer in the store's records: ret[] has an item for each. */
int recorded_steps(struct build *build, bool *ret, struct err *err);

#endif
