/*
 * From a step to its layer. It is looked up by its layer key, of which the images that the step takes from
 * are a part; when it is there in the forms that are wanted, that is all. Else its blob is opened (kept,
 * or made by the step's builder), workers unpack it into temporary folders of the store, and the forms
 * are published; last the step's record.
 */
#include "builders/step.h"

#include <stdlib.h>
#include <unistd.h>

#include "builders/recorded.h"
#include "core/log.h"
#include "core/mem.h"

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
int step_reopen(void *data, size_t number, struct build_blob *ret, struct err *err)
{
	struct making *making = data;
	const struct plan_step *step = &making->plan->steps[number];
	int found = open_kept(making->build->store, &making->stack->layers[number], ret, err);

	if (found != 0)
		return found < 0 ? -1 : 0;
	return builder_of(step->source, step->step)->open(making->build, step, making->stack, ret,
							  err);
}

/* --explain-cache: what becomes of a step, and why. */
static void tell_why(const struct making *making, size_t number, bool known, bool whole)
{
	const struct plan_step *step = &making->plan->steps[number];
	_cleanup_free_ char *why = known ? NULL : explain_step(&making->explain, number);

	if (known)
		log_note("%s: %s", step->summary, whole ? "found" : "found in another form");
	else if (recorded_is_void(making->build, step))
		log_note("%s: made, because %s asks for it", step->summary,
			 making->build->no_cache ? "--no-cache" : "--update");
	else
		log_note("%s: made, because %s", step->summary, why);
}

/* A step's layer, as far as the store has it. */
struct finding {
	struct recorded record;		/* owned */
	bool known;			/* record.layer is */
	struct stack_forms forms;	/* owned */
	struct build_blob blob;		/* owned; fd -1: the store has none */
};

static void finding_reset(struct finding *finding)
{
	stack_forms_done(&finding->forms);
	if (finding->blob.fd >= 0)
		close(finding->blob.fd);
	finding->forms = (struct stack_forms){ -1, -1, { -1, -1 } };
	finding->blob = (struct build_blob){ .fd = -1 };
	finding->known = false;
}

static void finding_done(struct finding *finding)
{
	recorded_done(&finding->record);
	finding_reset(finding);
}

/* 1: whole; 0: not, or what it takes from is not known yet; -1. */
static int find(struct making *making, const struct plan_step *step, struct finding *ret,
		struct err *err)
{
	const struct stack *stack = making->stack;
	const struct recorded_below below = { stack->layers, stack->count,
					      stack->count ? &stack->chains[stack->count - 1] : NULL };
	const struct store_layer *layer = &ret->record.layer;
	struct build *build = making->build;
	int found;

	finding_reset(ret);
	found = recorded_look(build, making->plan, step, making->rules, &below, &ret->record, err);
	if (found == 1 && build->wants_blobs)
		found = stack_has_blob(stack, layer, err);
	if (found != 1)
		return found;
	ret->known = true;
	if (stack_open(making->stack, layer, &ret->forms, err) < 0)
		return -1;
	if (stack_is_whole(stack, &ret->forms))
		return 1;
	return open_kept(build->store, layer, &ret->blob, err) < 0 ? -1 : 0;
}

/* Opens the images that a step takes from, built where they are not there: 1 when there are any, 0, -1. */
static int open_images(struct build *build, const struct step *step, struct err *err)
{
	int any = 0;

	for (size_t i = 0; step && i < build->plans->stage_count; i++) {
		struct rootfs *ignored;

		if (!step_takes_from(step, i))
			continue;
		if (builders_stage(build, i, &ignored, err) < 0)
			return -1;
		any = 1;
	}
	return any;
}

/* What of a layer the store lacks is made from its blob. */
static int build_step(struct making *making, const struct plan_step *step, struct finding *finding,
		      struct err *err)
{
	const struct builder *builder = builder_of(step->source, step->step);
	struct store *store = making->build->store;
	struct store_layer *layer = &finding->record.layer;
	struct build_blob *blob = &finding->blob;
	int64_t time_s = layer->time_s;
	int result;

	if (blob->fd < 0) {
		if (builder->open(making->build, step, making->stack, blob, err) < 0)
			return -1;
		time_s = blob->time_s;
	}
	result = stack_make(making->stack, blob, step->summary, layer, &finding->forms, err);
	layer->time_s = time_s;
	if (result == 0 && step->layer && !digest_equal(&layer->diff_id, &step->layer->diff_id))
		return err_set(err, ERR_FETCH_DIGEST, "the layer is another one than the image's "
						      "config names: its diff-id differs");
	if (result < 0 || store_step_set(store, &finding->record.key, layer, err) < 0 ||
	    (blob->has_locked_key && store_step_set(store, &blob->locked_key, layer, err) < 0))
		return -1;
	log_progress_end(step->summary);
	return 0;
}

int step_build(struct making *making, size_t number, struct err *err)
{
	const struct plan_step *step = &making->plan->steps[number];
	const struct place *place = step->step ? &step->step->place : &step->source->place;
	_cleanup_(finding_done) struct finding finding = {
		.forms = { -1, -1, { -1, -1 } },
		.blob = { .fd = -1 },
	};
	int found;

	recorded_init(&finding.record, making->build);
	found = find(making, step, &finding, err);
	/* what its images turn out to be is what it is made from: it may be there for those */
	if (found == 0 && finding.blob.fd < 0) {
		found = open_images(making->build, step->step, err);
		if (found == 1)
			found = find(making, step, &finding, err);
	}
	if (found >= 0) {
		explain_add(&making->explain, number, &finding.record.made);
		if (making->build->explain_cache)
			tell_why(making, number, finding.known, found == 1);
	}
	if (found == 0)
		found = build_step(making, step, &finding, err);
	if (found >= 0) {
		stack_push(making->stack, &finding.record.layer, &finding.forms);
		return 0;
	}
	if (err->place) /* of another image that this one takes from: it says which */
		return -1;
	err_wrap(err, "build %s: %s", making->plan->name, step->summary);
	return err_place(err, making->build->spec->file, place->line, place->column);
}
