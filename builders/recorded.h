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

/* A step's layer, as far as it is known. */
struct recorded {
	struct digest *stages;	/* owned; one for each of the spec's stages, for `made` */
	struct plan_made made;
	struct digest key;
	struct store_layer layer;	/* when there is a record that counts */
};

void recorded_init(struct recorded *ret, const struct build *build);
void recorded_done(struct recorded *recorded);
/*
 * Looks for the record of the layer of `step` of `plan`; `rules` is borrowed: 1; 0 when there is none, when it does not count (recorded_is_void), or
 * when the step takes from an image of which the layers are not known yet; -1.
 */
int recorded_look(struct build *build, const struct plan *plan, const struct plan_step *step,
		  const char *rules, const struct recorded_below *below, struct recorded *ret,
		  struct err *err);
/* Must its layer be made anew, whatever is recorded? */
bool recorded_is_void(const struct build *build, const struct plan_step *step);
/* Was the stage built from the same plan, and does that count? 1, its chain-id; 0; -1. */
int recorded_image(const struct build *build, size_t number, struct digest *ret, struct err *err);
/* Which steps of the spec's image have a layer in the store's records: ret[] has an item for each. */
int recorded_steps(struct build *build, bool *ret, struct err *err);

#endif
