/*
 * From a plan to a rootfs. For each step: its layer is looked up by the step's own key; when its tree
 * is there, that is all. Else the step's builder opens the blob, a worker unpacks it into a temporary
 * folder of the store, and the tree is published; then the step's record; last the image's.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/worker/client.h"
#include "core/image.h"
#include "core/log.h"
#include "core/mem.h"

static const struct builder *builder_of(const struct source *source, const struct step *step)
{
	static const struct builder *const sources[] = {
		[SOURCE_SCRATCH] = NULL,
		[SOURCE_ARCHIVE] = &archive_builder,
		[SOURCE_DIRECTORY] = &directory_builder,
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

/* What is unpacked so far: the trees below, and the chain-id of the topmost. */
struct stack {
	struct rootfs *rootfs;
	struct digest chain;
	struct store_layer layers[ROOTFS_LAYERS_MAX];
};

static void next_chain(const struct stack *stack, const struct digest *diff_id,
		       struct digest *ret)
{
	digest_chain(stack->rootfs->layer_count ? &stack->chain : NULL, diff_id, ret);
}

static void push(struct stack *stack, const struct store_layer *layer, int tree, int use)
{
	struct rootfs *rootfs = stack->rootfs;

	next_chain(stack, &layer->diff_id, &stack->chain);
	stack->layers[rootfs->layer_count] = *layer;
	rootfs->layers[rootfs->layer_count++] = (struct rootfs_layer){ layer->diff_id, tree, use };
}

/* 1 when the layer's tree is in the store (then it is pushed), 0 when not, -1. */
static int push_known(struct store *store, struct stack *stack, const struct store_layer *layer,
		      struct err *err)
{
	struct digest chain;
	int tree, use, found;

	next_chain(stack, &layer->diff_id, &chain);
	found = store_tree_open(store, &layer->diff_id, &chain, &tree, &use, err);
	if (found == 1)
		push(stack, layer, tree, use);
	return found;
}

static int unpack(struct store *store, struct stack *stack, const struct build_blob *blob,
		  int tree, const char *what, struct worker_reply *ret, struct err *err)
{
	const struct rootfs *rootfs = stack->rootfs;
	struct worker_request request = {
		.version = WORKER_VERSION,
		.op = WORKER_UNPACK,
		.flags = (blob->has_expected ? WORKER_HAS_EXPECTED : 0) |
			 (blob->allow_xz ? WORKER_ALLOW_XZ : 0) |
			 (store->map.kind == IDMAP_SINGLE ? WORKER_SINGLE_UID : 0),
		.fd_count = (uint32_t)(2 + rootfs->layer_count),
		.bytes = blob->bytes,
		.expected = blob->expected,
	};
	int fds[WORKER_LOWER_MAX + 2] = { blob->fd, tree };

	if (rootfs->layer_count > WORKER_LOWER_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "unpack: more than %d layers",
			       WORKER_LOWER_MAX);
	for (size_t i = 0; i < rootfs->layer_count; i++)
		fds[2 + i] = rootfs->layers[i].tree;
	return worker_run(&store->map, &request, fds, request.fd_count, what, ret, err);
}

static void tell_losses(const struct worker_reply *reply)
{
	if (reply->owners_lost)
		log_note("%llu entries belong to other users than root; in single-uid mode they "
			 "belong to root", (unsigned long long)reply->owners_lost);
	if (reply->devices)
		log_debug("%llu device nodes of the layer were left out (a container has its own "
			 "/dev)", (unsigned long long)reply->devices);
}

static int unpack_into(struct store *store, struct stack *stack, struct store_tmp *tmp,
		       const struct build_blob *blob, const char *what, struct store_layer *ret,
		       struct err *err)
{
	_cleanup_close_ int tree = -1;
	struct worker_reply reply;
	struct digest chain;

	if (store_tree_new(store, tmp, &tree, err) < 0 ||
	    unpack(store, stack, blob, tree, what, &reply, err) < 0)
		return -1;
	*ret = (struct store_layer){
		.diff_id = reply.diff_id, .blob = reply.blob, .blob_bytes = reply.blob_bytes,
		.has_blob = blob->in_store, .needs_lower = reply.needs_lower,
		.entries = reply.entries, .tree_bytes = reply.tree_bytes,
	};
	tell_losses(&reply);
	next_chain(stack, &ret->diff_id, &chain);
	return store_tree_publish(store, tmp, ret, &chain, err);
}

static int build_step(struct build *build, struct stack *stack, const struct plan_step *step,
		      struct err *err)
{
	const struct builder *builder = builder_of(step->source, step->step);
	struct store *store = build->store;
	struct build_blob blob = { .fd = -1 };
	struct store_layer layer;
	struct store_tmp tmp;
	struct err ignored = { 0 };
	int result;

	if (builder->open(build, step, &blob, err) < 0)
		return -1;
	if (store_tmp_new(store, &tmp, err) < 0) {
		close(blob.fd);
		return -1;
	}
	result = unpack_into(store, stack, &tmp, &blob, step->summary, &layer, err);
	close(blob.fd);
	/* a failed removal must not hide why the build failed; the next store_open tries again */
	(void)store_tmp_drop(store, &tmp, &ignored);
	err_done(&ignored);
	if (result < 0 || store_step_set(store, &step->own_key, &layer, err) < 0)
		return -1;
	log_progress_end(step->summary);
	result = push_known(store, stack, &layer, err);
	return result == 0 ? err_set(err, ERR_STORE, "open a layer just unpacked") : result;
}

static int find_or_build(struct build *build, struct stack *stack, size_t number, struct err *err)
{
	const struct plan_step *step = &build->plan->steps[number];
	const struct place *place = step->step ? &step->step->place : &step->source->place;
	struct store_layer layer;
	int found = store_step_get(build->store, &step->own_key, &layer, err);

	if (found == 1)
		found = push_known(build->store, stack, &layer, err);
	if (found == 0)
		found = build_step(build, stack, step, err);
	if (found >= 0)
		return 0;
	err_wrap(err, "build %s: %s", build->plan->name, step->summary);
	return err->place ? -1 : err_place(err, build->spec->file, place->line, place->column);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int write_image(struct build *build, struct stack *stack, struct err *err)
{
	struct store_image image = {
		.name = build->plan->name,
		.plan_key = build->plan->key,
		.layers = stack->layers,
		.layer_count = stack->rootfs->layer_count,
		.spec_file = build->spec->file,
		.built_ns = now_ns(),
	};
	int result;

	image.config = image_config(&build->plan->config, stack->layers, image.layer_count);
	digest_of(image.config, strlen(image.config), &image.id);
	stack->rootfs->image_id = image.id;
	result = store_image_set(build->store, &image, err);
	free(image.config);
	return result;
}

/* The image as it was built before: 1 when its plan is the same and all trees are there. */
static int open_built(struct build *build, struct stack *stack, struct err *err)
{
	struct store_image image;
	int found = store_image_get(build->store, build->plan->name, &image, err);

	if (found != 1)
		return found;
	if (!digest_equal(&image.plan_key, &build->plan->key) ||
	    image.layer_count != build->plan->step_count)
		found = 0;
	for (size_t i = 0; found == 1 && i < image.layer_count; i++)
		found = push_known(build->store, stack, &image.layers[i], err);
	stack->rootfs->image_id = image.id;
	store_image_done(&image);
	return found;
}

int builders_build(struct build *build, struct rootfs *ret, struct err *err)
{
	_cleanup_free_ struct stack *stack = xcalloc(1, sizeof(*stack));
	int found;

	rootfs_init(ret);
	stack->rootfs = ret;
	found = open_built(build, stack, err);
	if (found == 0) {
		rootfs_done(ret);
		rootfs_init(ret);
		if (build->plan->step_count > ROOTFS_LAYERS_MAX)
			return err_set(err, ERR_LAYER_LIMIT, "build %s: more than %d layers",
				       build->plan->name, ROOTFS_LAYERS_MAX);
		for (size_t i = 0; found >= 0 && i < build->plan->step_count; i++)
			found = find_or_build(build, stack, i, err);
		if (found >= 0)
			found = write_image(build, stack, err);
	}
	if (found < 0) {
		rootfs_done(ret);
		return -1;
	}
	process_copy(&ret->process, &build->plan->config);
	return 0;
}
