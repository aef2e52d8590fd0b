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

#include "builders/stack.h"
#include "core/image.h"
#include "core/log.h"
#include "core/mem.h"

static const struct builder *builder_of(const struct source *source, const struct step *step)
{
	static const struct builder *const sources[] = {
		[SOURCE_SCRATCH] = NULL,
		[SOURCE_ARCHIVE] = &archive_builder,
		[SOURCE_DIRECTORY] = &directory_builder,
		[SOURCE_DEBIAN] = &debian_builder,
	};
	static const struct builder *const steps[] = {
		[STEP_ARCHIVE] = &archive_builder,
		[STEP_COPY] = &copy_builder,
	};

	return step ? steps[step->kind] : sources[source->kind];
}

int builders_plan(struct store *store, const struct spec *spec, struct plan *ret, struct err *err)
{
	_cleanup_free_ struct digest *digests = xcalloc(1 + spec->step_count, sizeof(*digests));
	struct plan_inputs inputs = { digests, 1 + spec->step_count };

	for (size_t i = 0; i <= spec->step_count; i++) {
		const struct source *source = i == 0 ? &spec->from : NULL;
		const struct step *step = i == 0 ? NULL : &spec->steps[i - 1];
		const struct builder *builder = builder_of(source, step);
		const struct place *place = step ? &step->place : &source->place;

		if (builder && builder->resolve(store, source, step, &digests[i], err) < 0)
			return err->place ? -1 : err_place(err, spec->file, place->line,
							   place->column);
	}
	return plan_make(ret, spec, &inputs, err);
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

/* A step's layer: what the store has of it (`known`), and the rest made from its blob. */
static int build_step(struct build *build, struct stack *stack, const struct plan_step *step,
		      bool known, struct store_layer *layer, struct stack_forms *forms,
		      struct err *err)
{
	const struct builder *builder = builder_of(step->source, step->step);
	struct build_blob blob = { .fd = -1 };
	int result = known ? open_kept(build->store, layer, &blob, err) : 0;

	if (result < 0 || (result == 0 && builder->open(build, step, &blob, err) < 0))
		return -1;
	result = stack_make(stack, &blob, step->summary, layer, forms, err);
	close(blob.fd);
	if (result < 0 || store_step_set(build->store, &step->own_key, layer, err) < 0)
		return -1;
	log_progress_end(step->summary);
	return 0;
}

static int find_or_build(struct build *build, struct stack *stack, size_t number, struct err *err)
{
	const struct plan_step *step = &build->plan->steps[number];
	const struct place *place = step->step ? &step->step->place : &step->source->place;
	_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };
	struct store_layer layer;
	int found = store_step_get(build->store, &step->own_key, &layer, err);
	bool known = found == 1;

	if (known)
		found = stack_open(stack, &layer, &forms, err);
	if (found >= 0 && !stack_is_whole(stack, &forms))
		found = build_step(build, stack, step, known, &layer, &forms, err);
	if (found >= 0) {
		stack_push(stack, &layer, &forms);
		return 0;
	}
	err_wrap(err, "build %s: %s", build->plan->name, step->summary);
	return err->place ? -1 : err_place(err, build->spec->file, place->line, place->column);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int write_image(struct build *build, struct stack *stack, struct digest *ret_id,
		       struct err *err)
{
	struct store_image image = {
		.name = build->plan->name,
		.plan_key = build->plan->key,
		.layers = stack->layers,
		.layer_count = stack->count,
		.spec_file = build->spec->file,
		.built_ns = now_ns(),
	};
	int result;

	image.config = image_config(&build->plan->config, stack->layers, image.layer_count, NULL, -1);
	digest_of(image.config, strlen(image.config), &image.id);
	*ret_id = image.id;
	result = store_image_set(build->store, &image, err);
	free(image.config);
	return result;
}

/* The image as it was built before: 1 when its plan is the same and all its forms are there. */
static int open_built(struct build *build, struct stack *stack, struct digest *ret_id,
		      struct err *err)
{
	struct store_image image;
	int found = store_image_get(build->store, build->plan->name, &image, err);

	if (found != 1)
		return found;
	if (!digest_equal(&image.plan_key, &build->plan->key) ||
	    image.layer_count != build->plan->step_count)
		found = 0;
	for (size_t i = 0; found == 1 && i < image.layer_count; i++) {
		_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };

		if (stack_open(stack, &image.layers[i], &forms, err) < 0)
			found = -1;
		else if (!stack_is_whole(stack, &forms))
			found = 0;
		else
			stack_push(stack, &image.layers[i], &forms);
	}
	*ret_id = image.id;
	store_image_done(&image);
	return found;
}

static int build_all(struct build *build, struct stack *stack, struct digest *ret_id,
		     struct err *err)
{
	if (build->plan->step_count > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "build %s: more than %d layers",
			       build->plan->name, ROOTFS_LAYERS_MAX);
	for (size_t i = 0; i < build->plan->step_count; i++)
		if (find_or_build(build, stack, i, err) < 0)
			return -1;
	return write_image(build, stack, ret_id, err);
}

int builders_build(struct build *build, struct rootfs *ret, struct err *err)
{
	_cleanup_free_ struct stack *stack = xcalloc(1, sizeof(*stack));
	int result;

	rootfs_init(ret);
	stack_init(stack, build);
	result = open_built(build, stack, &ret->image_id, err);
	if (result == 0) {
		stack_done(stack);
		result = build_all(build, stack, &ret->image_id, err);
	}
	if (result >= 0)
		result = stack_finish(stack, ret, err);
	stack_done(stack);
	if (result >= 0 && build->forms & ROOTFS_DISKS)
		result = builder_kernel(build, ret, err);
	if (result < 0) {
		rootfs_done(ret);
		return -1;
	}
	process_copy(&ret->process, &build->plan->config);
	return 0;
}
