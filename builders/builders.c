/*
 * From a plan to a rootfs: the layer of each step is found or made (step.c), then the image's reference
 * is written. The images that others take from are images like any other, built when one is asked for.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "builders/oci.h"
#include "builders/oci/image.h"
#include "builders/step.h"
#include "builders/stages.h"
#include "core/fs.h"
#include "core/image.h"
#include "core/mem.h"
#include "core/path.h"

static void making_done(struct making *making)
{
	explain_done(&making->explain);
	free(making->rules);
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

/* Owned; NULL: there is no file (`duet pull`). */
static char *path_of_spec(const struct spec *spec)
{
	_cleanup_free_ char *path = spec_path(spec);

	return access(path, F_OK) == 0 ? TAKE_PTR(path) : NULL;
}

static int write_image(struct making *making, struct digest *ret_id, struct err *err)
{
	const struct plan *plan = making->plan;
	struct stack *stack = making->stack;
	_cleanup_free_ char *spec_file = path_of_spec(making->build->spec);
	struct store_image image = {
		.name = making->name,
		.plan_key = plan->key,
		.layers = stack->layers,
		.layer_count = stack->count,
		.spec_file = spec_file,
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

/* Is each step to be looked at, although the image is there? */
static bool must_look(const struct making *making)
{
	const struct build *build = making->build;
	size_t number = (size_t)(making->plan - build->plans->stages);

	if (making->plan != &build->plans->image && build->stages[number].is_made)
		return false;
	return build->no_cache || build->explain_cache;
}

/* The image as it was built before: 1 when its plan is the same and all its forms are there. */
static int open_built(struct making *making, struct digest *ret_id, struct err *err)
{
	_cleanup_free_ char *spec_file = path_of_spec(making->build->spec);
	struct store_image image;
	int found = store_image_get(making->build->store, making->name, &image, err);

	if (found != 1)
		return found;
	/* the same image, but another spec's: the record is to say whose it is now */
	if (strcmp(image.spec_file, spec_file ? spec_file : ""))
		found = 0;
	if (!digest_equal(&image.plan_key, &making->plan->key) || must_look(making) ||
	    image.layer_count != making->plan->step_count)
		found = 0;
	for (size_t i = 0; found == 1 && i < image.layer_count; i++) {
		_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };

		if (stack_open(making->stack, &image.layers[i], &forms, err) < 0)
			found = -1;
		else if (!stack_is_whole(making->stack, &forms))
			found = 0;
		else if (making->build->wants_blobs)
			found = stack_has_blob(making->stack, &image.layers[i], err);
		if (found == 1)
			stack_push(making->stack, &image.layers[i], &forms);
	}
	*ret_id = image.id;
	store_image_done(&image);
	return found;
}

/*
 * With --no-cache an image that this one begins with is built first and for itself: its steps are in this
 * plan too, and would give something else than to those that take from it.
 */
static int build_first(struct build *build, const struct plan *plan, struct err *err)
{
	bool is_stage = plan != &build->plans->image;
	const struct spec *spec = build->spec;
	const struct image_spec *image =
		is_stage ? &spec->stages[plan - build->plans->stages] : &spec->image;
	struct rootfs *ignored;

	if (!build->no_cache || image->from.kind != SOURCE_IMAGE)
		return 0;
	return builders_stage(build, image->from.image, &ignored, err);
}

static int build_all(struct making *making, struct digest *ret_id, struct err *err)
{
	const struct plan *plan = making->plan;

	if (plan->step_count > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "build %s: more than %d layers", plan->name,
			       ROOTFS_LAYERS_MAX);
	if (build_first(making->build, plan, err) < 0)
		return -1;
	if (oci_fetch_base(making->build, plan, making->stack->wanted, err) < 0)
		return err_wrap(err, "build %s", plan->name);
	for (size_t i = 0; i < plan->step_count; i++)
		if (step_build(making, i, err) < 0)
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
	stack->reopen = step_reopen;
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
	_cleanup_free_ char *name = builder_stage_name(build, number);

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

/* *ret: the image as it is open now. */
static int open_stage(struct build *build, size_t number, struct rootfs **ret, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct stage *stage = &build->stages[number];

	if (build_stage(build, number, rootfs, err) < 0)
		return -1;
	stage->is_made = stage->has_chain = true;
	stage->chain = (struct digest){ 0 };
	for (size_t i = 0; i < rootfs->layer_count; i++)
		digest_chain(i ? &stage->chain : NULL, &rootfs->layers[i].diff_id, &stage->chain);
	*ret = stage->rootfs = TAKE_PTR(rootfs);
	return 0;
}

int builders_stage(struct build *build, size_t number, struct rootfs **ret, struct err *err)
{
	*ret = build->stages[number].rootfs;
	if (*ret)
		return 0;
	if (!build->is_started) {
		build->is_started = true;
		if (stages_build(build, number, make_stage, err) < 0)
			return -1;
	}
	return open_stage(build, number, ret, err);
}

char *builder_stage_name(const struct build *build, size_t number)
{
	return xasprintf("%s/%s", build->spec->name, build->plans->stages[number].name);
}

static void begin(struct build *build)
{
	build->stages = xcalloc(build->plans->stage_count, sizeof(*build->stages));
}

static void end(struct build *build)
{
	for (size_t i = 0; i < build->plans->stage_count; i++) {
		if (!build->stages[i].rootfs)
			continue;
		rootfs_done(build->stages[i].rootfs);
		free(build->stages[i].rootfs);
	}
	free(build->stages);
	build->stages = NULL;
}

int builders_build(struct build *build, struct rootfs *ret, struct err *err)
{
	_cleanup_free_ char *name = xstrdup(build->name ? build->name : build->spec->name);
	int result;

	begin(build);
	result = build_image(build, &build->plans->image, name, build->forms, ret, err);
	end(build);
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
	result = step_build(&making, number, err);
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
	int result = 0;

	begin(build);
	for (size_t i = 0; result == 0 && i < plans->stage_count; i++)
		result = lock_plan(build, &plans->stages[i], err);
	if (result == 0)
		result = lock_plan(build, &plans->image, err);
	end(build);
	return result;
}
