/* Between plan.c and plan_keys.c: what each key is of. */
#ifndef DUET_CORE_PLAN_KEYS_H
#define DUET_CORE_PLAN_KEYS_H

#include "core/plan.h"

/* Own keys: of a base's layer, of an archive or copy step, of a run step. */
void key_of_layer(const struct plan_layer *layer, struct digest *ret);
void key_of_own_step(const struct plan_step *step, struct digest *ret);
/* `stages`: the keys of the spec's stages, by their index. */
void key_of_run(const struct plan_step *step, const char *rules, const struct digest *stages,
		struct digest *ret);
/* Of a step with all below it. `below`: the key of the step below; NULL: it is the first. */
void key_of_step(const struct digest *below, const struct digest *own, struct digest *ret);
/* Sets plan->key. */
void key_of_image(struct plan *plan);

#endif
