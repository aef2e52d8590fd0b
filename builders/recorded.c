/*
 * What is recorded of layers: see recorded.h. An image's layers are known when it is open, when its
 * reference was written for the same plan, or when each of its steps has a record: the key of a layer
 * needs no more than the diff-ids below it.
 */
#include "builders/recorded.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/str.h"

static int stage_chain(struct build *build, size_t number, struct digest *ret, struct err *err);

/* The chain-ids of the images that a step takes from: 1, 0 when one is not known, -1. */
static int chains_of(struct build *build, const struct step *step, struct digest *ret,
		     struct err *err)
{
	int found = 1;

	for (size_t i = 0; found == 1 && step && i < build->plans->stage_count; i++)
		if (step_takes_from(step, i))
			found = stage_chain(build, i, &ret[i], err);
	return found;
}

/* An image that begins with another has its steps, too: they are that one's. */
static bool is_made(const struct build *build, const struct plan_step *step)
{
	for (size_t i = 0; i < build->plans->stage_count; i++)
		if (step->image == &build->spec->stages[i])
			return build->stages[i].is_made;
	return false;
}

bool recorded_is_void(const struct build *build, const struct plan_step *step)
{
	if (is_made(build, step))
		return false;
	if (build->refresh && builder_of(step->source, step->step) == &debian_builder)
		return true;
	/* what is copied out of another image comes out of its run steps */
	return build->no_cache && step->step &&
	       (step->step->kind == STEP_RUN || step->step->from_image);
}

void recorded_init(struct recorded *ret, const struct build *build)
{
	*ret = (struct recorded){
		.stages = xcalloc(build->plans->stage_count, sizeof(*ret->stages)),
	};
}

void recorded_done(struct recorded *recorded)
{
	free(recorded->stages);
}

/*
 * What a command finds in its caches and secrets is in no key, and may be in its layer. So the layer is
 * recorded for who has the same caches, and with secrets for the same project, alone: another project
 * does not get what this one's caches made of the same step.
 */
static bool record_key(const struct build *build, const struct step *step, const struct digest *key,
		       struct digest *ret)
{
	struct sha256 hash;

	*ret = *key;
	if (!step || step->cache_count + step->secrets.count == 0)
		return false;
	sha256_init(&hash);
	sha256_add_text(&hash, "layer of caches and secrets");
	sha256_add_field(&hash, key->bytes, sizeof(key->bytes));
	sha256_add_text(&hash, step->secrets.count ? build->spec->dir : NULL);
	for (size_t i = 0; i < step->cache_count; i++) {
		const struct store_cache cache = { build->spec->dir, step->caches[i].share,
						   step->caches[i].path };
		struct digest id;

		store_cache_id(&cache, &id);
		sha256_add_field(&hash, id.bytes, sizeof(id.bytes));
	}
	sha256_end(&hash, ret);
	return true;
}

int recorded_look(struct build *build, const struct plan *plan, const struct plan_step *step,
		  const char *rules, const struct recorded_below *below, struct recorded *ret,
		  struct err *err)
{
	int found = chains_of(build, step->step, ret->stages, err);
	struct digest key;
	bool is_own;

	ret->made = (struct plan_made){
		.step = step, .rules = rules, .chain = below->chain, .stages = ret->stages,
		.time_s = builder_run_time(plan, below->layers, below->count),
	};
	if (found != 1)
		return found;
	plan_layer_key(&ret->made, &key);
	is_own = record_key(build, step->step, &key, &ret->key);
	if (recorded_is_void(build, step))
		return 0;
	found = store_step_get(build->store, &ret->key, &ret->layer, err);
	if (found || !is_own)
		return found;
	/* under the plain key there are records of an older duet only: what it built is not built again */
	return store_step_get(build->store, &key, &ret->layer, err);
}

/* ---- from the first step of a plan to the last ------------------------------------------------- */

struct walk {
	struct build *build;
	const struct plan *plan;
	char *rules;		/* owned */
	struct recorded step;	/* owned; the one that was looked at last */
	bool is_whole;		/* all steps so far have a record */
	struct store_layer *layers;	/* owned; of them */
	struct digest chain;	/* of them */
};

static void walk_init(struct walk *walk, struct build *build, const struct plan *plan)
{
	*walk = (struct walk){
		.build = build, .plan = plan, .is_whole = true,
		.rules = builder_run_rules(build->store),
		.layers = xcalloc(plan->step_count, sizeof(*walk->layers)),
	};
	recorded_init(&walk->step, build);
}

static void walk_done(struct walk *walk)
{
	free(walk->rules);
	recorded_done(&walk->step);
	free(walk->layers);
}

/* 1 when the next step has a record, 0, -1. */
static int walk_on(struct walk *walk, size_t number, struct err *err)
{
	const struct plan_step *step = &walk->plan->steps[number];
	const struct recorded_below below = { walk->layers, number, number ? &walk->chain : NULL };
	int found = 0;

	/* what a command gives depends on what lies below */
	if (walk->is_whole || !step->step || step->step->kind != STEP_RUN)
		found = recorded_look(walk->build, walk->plan, step, walk->rules, &below, &walk->step, err);
	walk->is_whole = walk->is_whole && found == 1;
	if (walk->is_whole) {
		walk->layers[number] = walk->step.layer;
		digest_chain(below.chain, &walk->step.layer.diff_id, &walk->chain);
	}
	return found;
}

int recorded_steps(struct build *build, bool *ret, struct err *err)
{
	const struct plan *plan = &build->plans->image;
	_cleanup_(walk_done) struct walk walk;

	walk_init(&walk, build, plan);
	for (size_t i = 0; i < plan->step_count; i++) {
		int found = walk_on(&walk, i, err);

		if (found < 0)
			return -1;
		ret[i] = found == 1;
	}
	return 0;
}

/* ---- images ----------------------------------------------------------------------------------- */

static int walk_stage(struct build *build, const struct plan *plan, struct digest *ret,
		      struct err *err)
{
	_cleanup_(walk_done) struct walk walk;

	walk_init(&walk, build, plan);
	for (size_t i = 0; i < plan->step_count; i++) {
		int found = walk_on(&walk, i, err);

		if (found != 1)
			return found;
	}
	*ret = walk.chain;
	return 1;
}

int recorded_image(const struct build *build, size_t number, struct digest *ret, struct err *err)
{
	const struct plan *plan = &build->plans->stages[number];
	_cleanup_free_ char *name = builder_stage_name(build, number);
	_cleanup_free_ char *spec_file = spec_path(build->spec);
	struct store_image image;
	int found = 0;

	if (!build->no_cache || build->stages[number].is_made)
		found = store_image_get(build->store, name, &image, err);
	if (found != 1)
		return found;
	/* another spec's stage may have the same plan, and come of other caches */
	found = digest_equal(&image.plan_key, &plan->key) && !strcmp(image.spec_file, spec_file);
	store_chain(image.layers, image.layer_count, ret);
	store_image_done(&image);
	return found;
}

static int stage_chain(struct build *build, size_t number, struct digest *ret, struct err *err)
{
	struct stage *stage = &build->stages[number];
	int found = 1;

	if (!stage->has_chain) {
		found = recorded_image(build, number, &stage->chain, err);
		if (found == 0)
			found = walk_stage(build, &build->plans->stages[number], &stage->chain, err);
		stage->has_chain = found == 1;
	}
	*ret = stage->chain;
	return found;
}
