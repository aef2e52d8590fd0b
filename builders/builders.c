/*
 * From a plan to a rootfs. For each step: its layer is looked up by the step's own key; when it is
 * there in the forms that are wanted, that is all. Else the step's builder opens the blob, workers
 * unpack it into temporary folders of the store, and the forms are published; then the step's record;
 * last the image's.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "builders/explain.h"
#include "builders/oci.h"
#include "builders/oci/image.h"
#include "builders/stack.h"
#include "builders/stages.h"
#include "core/fs.h"
#include "core/image.h"
#include "core/log.h"
#include "core/mem.h"

/* One image that is being built. */
struct making {
	struct build *build;
	const struct plan *plan;
	char *name;		/* owned; of its reference */
	struct stack *stack;
	struct explain explain;
	char *rules;		/* owned; of run steps */
};

static void making_done(struct making *making)
{
	explain_done(&making->explain);
	free(making->rules);
}

/* The blob of a layer that was made before, in another form: 1, 0 when the store lacks it, -1. */
static int open_kept(struct store *store, const struct store_layer *layer, struct build_blob *ret,
		     struct err *err)
{
	int found = layer->has_blob
			    ? store_blob_open(store, &layer->blob, &ret->fd, &ret->bytes, err)
			    : 0;

	if (found != 1)
		return found;
	ret->in_store = ret->has_expected = ret->allow_xz = true;
	ret->expected = layer->blob;
	return 1;
}

/* The blob of a layer whose tree a run step needs (stack.h). */
static int reopen(void *data, size_t number, struct build_blob *ret, struct err *err)
{
	struct making *making = data;
	const struct plan_step *step = &making->plan->steps[number];
	int found = open_kept(making->build->store, &making->stack->layers[number], ret, err);

	if (found != 0)
		return found < 0 ? -1 : 0;
	return builder_of(step->source, step->step)->open(making->build, step, making->stack, ret,
							  err);
}

/* A step's layer: what the store has of it (`known`), and the rest made from its blob. */
static int build_step(struct making *making, const struct plan_step *step, const struct digest *key,
		      bool known, struct store_layer *layer, struct stack_forms *forms,
		      struct err *err)
{
	const struct builder *builder = builder_of(step->source, step->step);
	struct build *build = making->build;
	struct build_blob blob = { .fd = -1 };
	int result = known ? open_kept(build->store, layer, &blob, err) : 0;
	int64_t time_s = known ? layer->time_s : 0;

	if (result == 0) {
		if (builder->open(build, step, making->stack, &blob, err) < 0)
			return -1;
		time_s = blob.time_s;
	}
	result = stack_make(making->stack, &blob, step->summary, layer, forms, err);
	close(blob.fd);
	layer->time_s = time_s;
	if (result == 0 && step->layer && !digest_equal(&layer->diff_id, &step->layer->diff_id))
		return err_set(err, ERR_FETCH_DIGEST, "the layer is another one than the image's "
						      "config names: its diff-id differs");
	if (result < 0 || store_step_set(build->store, key, layer, err) < 0 ||
	    (blob.has_locked_key && store_step_set(build->store, &blob.locked_key, layer, err) < 0))
		return -1;
	log_progress_end(step->summary);
	return 0;
}

static bool is_run(const struct plan_step *step)
{
	return step->step && step->step->kind == STEP_RUN;
}

/* What a step is made from, on the layers so far. */
static struct plan_run inputs_of(const struct making *making, const struct plan_step *step)
{
	const struct stack *stack = making->stack;

	return (struct plan_run){
		.step = step, .stages = making->build->plans->stages, .rules = making->rules,
		.chain = stack->count ? &stack->chains[stack->count - 1] : NULL,
		.time_s = is_run(step) ? builder_run_time(making->build, step, stack) : 0,
	};
}

/* Under which key the store has a step's layer. */
static void layer_key(const struct plan_run *inputs, struct digest *ret)
{
	if (is_run(inputs->step))
		plan_run_key(inputs, ret);
	else
		*ret = inputs->step->own_key;
}

/* --explain-cache: what becomes of a step, and why. */
static void tell_why(const struct making *making, size_t number, bool known, bool whole)
{
	const struct plan_step *step = &making->plan->steps[number];
	_cleanup_free_ char *why = known ? NULL : explain_step(&making->explain, number);

	if (known)
		log_note("%s: %s", step->summary, whole ? "found" : "found in another form");
	else
		log_note("%s: made, because %s", step->summary, why);
}

static int find_or_build(struct making *making, size_t number, struct err *err)
{
	const struct plan_step *step = &making->plan->steps[number];
	const struct place *place = step->step ? &step->step->place : &step->source->place;
	const struct plan_run inputs = inputs_of(making, step);
	_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };
	struct store *store = making->build->store;
	struct store_layer layer;
	struct digest key;
	bool known;
	int found;

	layer_key(&inputs, &key);
	explain_add(&making->explain, number, &inputs);
	found = store_step_get(store, &key, &layer, err);
	/* what is copied out of another image comes out of its run steps */
	if (found == 1 && making->build->no_cache &&
	    (is_run(step) || (step->step && step->step->from_image)))
		found = 0;
	if (making->build->refresh && builder_of(step->source, step->step) == &debian_builder)
		found = 0;
	known = found == 1;
	if (known)
		found = stack_open(making->stack, &layer, &forms, err);
	if (making->build->explain_cache && found >= 0)
		tell_why(making, number, known, stack_is_whole(making->stack, &forms));
	if (found >= 0 && !stack_is_whole(making->stack, &forms))
		found = build_step(making, step, &key, known, &layer, &forms, err);
	if (found >= 0) {
		stack_push(making->stack, &layer, &forms);
		return 0;
	}
	if (err->place) /* of another image that this one takes from: it says which */
		return -1;
	err_wrap(err, "build %s: %s", making->plan->name, step->summary);
	return err_place(err, making->build->spec->file, place->line, place->column);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The config of an image that is its base and nothing more, as it came. Owned. */
static int read_same_config(struct making *making, char **ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	uint64_t bytes;
	int found = store_blob_open(making->build->store, &making->plan->same_config, &fd, &bytes,
				    err);

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_STORE, "open the image's config");
	return fs_read_fd(fd, "the image's config", OCI_CONFIG_MAX, ret, NULL, err);
}

/* The latest date of what went in; -1: nothing has one. */
static int64_t date_of(const struct making *making)
{
	int64_t date = making->plan->created_s > 0 ? making->plan->created_s : -1;

	for (size_t i = 0; i < making->stack->count; i++)
		if (making->stack->layers[i].time_s > date)
			date = making->stack->layers[i].time_s;
	return date > 0 ? date : -1;
}

static int write_image(struct making *making, struct digest *ret_id, struct err *err)
{
	const struct plan *plan = making->plan;
	struct stack *stack = making->stack;
	struct store_image image = {
		.name = making->name,
		.plan_key = plan->key,
		.layers = stack->layers,
		.layer_count = stack->count,
		.spec_file = making->build->spec->file,
		.built_ns = now_ns(),
	};
	int result;

	if (digest_is_zero(&plan->same_config))
		image.config = image_config(&plan->config, stack->layers, image.layer_count,
					    plan->platform, date_of(making));
	else if (read_same_config(making, &image.config, err) < 0)
		return -1;
	digest_of(image.config, strlen(image.config), &image.id);
	*ret_id = image.id;
	result = store_image_set(making->build->store, &image, err);
	free(image.config);
	return result < 0 ? -1 : explain_keep(&making->explain, making->build->store, making->name,
					      err);
}

/* The image as it was built before: 1 when its plan is the same and all its forms are there. */
static int open_built(struct making *making, struct digest *ret_id, struct err *err)
{
	struct store_image image;
	int found = store_image_get(making->build->store, making->name, &image, err);

	if (found != 1)
		return found;
	if (!digest_equal(&image.plan_key, &making->plan->key) || making->build->no_cache ||
	    making->build->explain_cache || image.layer_count != making->plan->step_count)
		found = 0;
	for (size_t i = 0; found == 1 && i < image.layer_count; i++) {
		_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };

		if (stack_open(making->stack, &image.layers[i], &forms, err) < 0)
			found = -1;
		else if (!stack_is_whole(making->stack, &forms))
			found = 0;
		else
			stack_push(making->stack, &image.layers[i], &forms);
	}
	*ret_id = image.id;
	store_image_done(&image);
	return found;
}

static int build_all(struct making *making, struct digest *ret_id, struct err *err)
{
	const struct plan *plan = making->plan;

	if (plan->step_count > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "build %s: more than %d layers", plan->name,
			       ROOTFS_LAYERS_MAX);
	if (oci_fetch_base(making->build, plan, making->stack->wanted, err) < 0)
		return err_wrap(err, "build %s", plan->name);
	for (size_t i = 0; i < plan->step_count; i++)
		if (find_or_build(making, i, err) < 0)
			return -1;
	return write_image(making, ret_id, err);
}

/* One image of the spec, in the forms asked for. */
static int build_image(struct build *build, const struct plan *plan, char *name,
		       unsigned int forms, struct rootfs *ret, struct err *err)
{
	_cleanup_free_ struct stack *stack = xcalloc(1, sizeof(*stack));
	_cleanup_(making_done) struct making making = {
		.build = build, .plan = plan, .name = name, .stack = stack
	};
	int result;

	rootfs_init(ret);
	stack_init(stack, build->store, forms);
	stack->reopen = reopen;
	stack->reopen_data = &making;
	result = open_built(&making, &ret->image_id, err);
	if (result == 0) {
		stack_done(stack);
		if (build->explain_cache)
			explain_read(&making.explain, build->store, name);
		making.rules = builder_run_rules(build->store);
		result = build_all(&making, &ret->image_id, err);
	}
	if (result >= 0)
		result = stack_finish(stack, ret, err);
	stack_done(stack);
	if (result >= 0) {
		process_copy(&ret->process, &plan->config);
		return 0;
	}
	rootfs_done(ret);
	return -1;
}

static int build_stage(struct build *build, size_t number, struct rootfs *ret, struct err *err)
{
	const struct plan *plan = &build->plans->stages[number];
	_cleanup_free_ char *name = xasprintf("%s/%s", build->spec->name, plan->name);

	return build_image(build, plan, name, ROOTFS_TREES, ret, err);
}

/* In a process of its own: what it makes is in the store afterwards. */
static int make_stage(struct build *build, size_t number, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));

	if (build_stage(build, number, rootfs, err) < 0)
		return -1;
	rootfs_done(rootfs);
	return 0;
}

int builders_stage(struct build *build, size_t number, struct rootfs **ret, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = NULL;

	if (!build->stages) {
		build->stages = xcalloc(build->plans->stage_count, sizeof(*build->stages));
		if (!build->is_part && stages_build(build, number, make_stage, err) < 0)
			return -1;
	}
	if (!build->stages[number]) {
		rootfs = xcalloc(1, sizeof(*rootfs));
		if (build_stage(build, number, rootfs, err) < 0)
			return -1;
		build->stages[number] = TAKE_PTR(rootfs);
	}
	*ret = build->stages[number];
	return 0;
}

void build_done(struct build *build)
{
	for (size_t i = 0; build->stages && i < build->plans->stage_count; i++) {
		if (!build->stages[i])
			continue;
		rootfs_done(build->stages[i]);
		free(build->stages[i]);
	}
	free(build->stages);
	build->stages = NULL;
}

int builders_build(struct build *build, struct rootfs *ret, struct err *err)
{
	_cleanup_free_ char *name = xstrdup(build->name ? build->name : build->spec->name);
	int result = build_image(build, &build->plans->image, name, build->forms, ret, err);

	build_done(build);
	if (result < 0 || !(build->forms & ROOTFS_DISKS) || build->no_kernel)
		return result;
	if (builder_kernel(build, ret, err) == 0)
		return 0;
	rootfs_done(ret);
	return -1;
}

/* ---- the lock -------------------------------------------------------------------------------- */

static int lock_step(struct build *build, const struct plan *plan, size_t number, struct err *err)
{
	const struct plan_step *step = &plan->steps[number];
	const struct builder *builder = builder_of(step->source, step->step);
	_cleanup_free_ struct stack *stack = NULL;
	_cleanup_(making_done) struct making making = { .build = build, .plan = plan };
	int result;

	if (step->layer || !builder->is_locked ||
	    builder->is_locked(build->lock, step->source, step->step))
		return 0;
	if (builder->fetch)
		return builder->fetch(build, step, err);
	making.stack = stack = xcalloc(1, sizeof(*stack));
	stack_init(stack, build->store, ROOTFS_TREES);
	result = find_or_build(&making, number, err);
	stack_done(stack);
	return result;
}

static int lock_plan(struct build *build, const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->step_count; i++)
		if (lock_step(build, plan, i, err) < 0)
			return -1;
	return 0;
}

int builders_lock(struct build *build, struct err *err)
{
	const struct plans *plans = build->plans;

	for (size_t i = 0; i < plans->stage_count; i++)
		if (lock_plan(build, &plans->stages[i], err) < 0)
			return -1;
	return lock_plan(build, &plans->image, err);
}
