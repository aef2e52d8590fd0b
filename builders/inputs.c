/*
 * What goes into a build, before and beside it: each source and step is asked for its input by its
 * builder, which gives the plan; what the lock keeps of inputs; and whether they are still the same.
 */
#include <stdlib.h>
#include <string.h>

#include "builders/builder.h"
#include "core/mem.h"

const struct builder *builder_of(const struct source *source, const struct step *step)
{
	static const struct builder *const sources[] = {
		[SOURCE_SCRATCH] = NULL,
		[SOURCE_ARCHIVE] = &archive_builder,
		[SOURCE_DIRECTORY] = &directory_builder,
		[SOURCE_DEBIAN] = &debian_builder,
		[SOURCE_OCI] = &oci_builder,
		[SOURCE_LAYOUT] = &oci_builder,
		[SOURCE_DOCKER_ARCHIVE] = &oci_builder,
		[SOURCE_IMAGE] = NULL,
	};
	static const struct builder *const steps[] = {
		[STEP_ARCHIVE] = &archive_builder,
		[STEP_COPY] = &copy_builder,
		[STEP_RUN] = &run_builder,
	};

	return step ? steps[step->kind] : sources[source->kind];
}

/* The digests of an image's inputs, and what it begins with. */
static int look_up(struct resolve *resolve, struct digest *digests, bool *unread,
		   struct plan_base *ret_base, struct err *err)
{
	const struct image_spec *image = resolve->image;

	for (size_t i = 0; i <= image->step_count; i++) {
		const struct source *source = i == 0 ? &image->from : NULL;
		const struct step *step = i == 0 ? NULL : &image->steps[i - 1];
		const struct builder *builder = builder_of(source, step);
		const struct place *place = step ? &step->place : &source->place;

		if (!builder || !builder->resolve)
			continue;
		if (builder->resolve(resolve, source, step, &digests[i], ret_base, err) == 0)
			continue;
		if (!resolve->looks_only || err->code != ERR_ALLOW)
			return err->place ? -1 : err_place(err, resolve->spec->file, place->line,
							   place->column);
		unread[i] = true;
		err_done(err);
	}
	return 0;
}

static int plan_image(struct resolve *resolve, const struct plan *stages, struct plan *ret,
		      struct err *err)
{
	const struct image_spec *image = resolve->image;
	_cleanup_free_ struct digest *digests = xcalloc(1 + image->step_count, sizeof(*digests));
	_cleanup_free_ bool *unread = xcalloc(1 + image->step_count, sizeof(*unread));
	_cleanup_(plan_base_done) struct plan_base base = { 0 };
	_cleanup_free_ char *rules = builder_run_rules(resolve->store);
	struct plan_inputs inputs = { digests, 1 + image->step_count, &base, rules,
				      resolve->store->map.kind == IDMAP_SINGLE, unread };

	if (look_up(resolve, digests, unread, &base, err) < 0)
		return -1;
	return plan_make(ret, resolve->spec, image, &inputs, stages, err);
}

static int plan_all(struct resolve *resolve, struct plans *ret, struct err *err)
{
	const struct spec *spec = resolve->spec;

	ret->stages = xcalloc(spec->stage_count, sizeof(*ret->stages));
	for (size_t i = 0; i < spec->stage_count; i++) {
		resolve->image = &spec->stages[i];
		if (plan_image(resolve, ret->stages, &ret->stages[i], err) < 0)
			return -1;
		ret->stage_count++;
	}
	resolve->image = &spec->image;
	return plan_image(resolve, ret->stages, &ret->image, err);
}

int builders_plan(struct resolve *resolve, struct plans *ret, struct err *err)
{
	struct plans plans = { 0 };
	int result = plan_all(resolve, &plans, err);

	free(resolve->last_copied);
	resolve->last_copied = NULL;
	if (result == 0)
		*ret = plans;
	else
		plans_done(&plans);
	return result;
}

int builders_learn(struct build *build, size_t number, struct err *err)
{
	const struct image_spec *image = &build->spec->stages[number];
	struct resolve resolve = { .store = build->store, .spec = build->spec, .image = image,
				   .lock = build->lock };

	for (size_t i = 0; build->lock && i <= image->step_count; i++) {
		const struct source *source = i == 0 ? &image->from : NULL;
		const struct step *step = i == 0 ? NULL : &image->steps[i - 1];
		const struct builder *builder = builder_of(source, step);
		struct digest ignored;

		if (!builder || !builder->is_locked ||
		    builder->is_locked(build->lock, source, step))
			continue;
		if (builder->resolve(&resolve, source, step, &ignored, NULL, err) < 0)
			return -1;
	}
	return 0;
}

/* What `resolve` alone locks is asked again, into a lock of its own. */
static int check_by_resolving(struct resolve *resolve, const struct builder *builder,
			      const struct source *source, struct strv *ret_drifts, struct err *err)
{
	_cleanup_(plan_base_done) struct plan_base base = { 0 };
	_cleanup_(lock_done) struct lock now = { 0 };
	struct resolve again = *resolve;
	struct digest ignored;

	again.lock = &now;
	again.locked = false;
	again.refresh = true;
	if (builder->resolve(&again, source, NULL, &ignored, &base, err) < 0) {
		/* what the source says is a drift, what goes wrong here is not */
		if (err->code != ERR_FETCH && err->code != ERR_FETCH_DIGEST && err->code != ERR_AUTH &&
		    err->code != ERR_OCI && err->code != ERR_OCI_PLATFORM)
			return -1;
		strv_addf(ret_drifts, "image %s: %s", base.name ? base.name : resolve->image->name,
			  err->msg);
		err_done(err);
		return 0;
	}
	for (size_t i = 0; i < now.count; i++)
		lock_compare(resolve->lock, &now, now.entries[i].kind, now.entries[i].key,
			     ret_drifts);
	return 0;
}

static int check_image(struct resolve *resolve, struct strv *ret_drifts, struct err *err)
{
	const struct image_spec *image = resolve->image;

	for (size_t i = 0; i <= image->step_count; i++) {
		const struct source *source = i == 0 ? &image->from : NULL;
		const struct step *step = i == 0 ? NULL : &image->steps[i - 1];
		const struct builder *builder = builder_of(source, step);
		int result = 0;

		if (builder && builder->check)
			result = builder->check(resolve, source, step, ret_drifts, err);
		else if (source && source->kind == SOURCE_OCI)
			result = check_by_resolving(resolve, builder, source, ret_drifts, err);
		if (result < 0)
			return -1;
	}
	return 0;
}

int builders_check(struct resolve *resolve, struct strv *ret_drifts, struct err *err)
{
	const struct spec *spec = resolve->spec;

	for (size_t i = 0; i < spec->stage_count; i++) {
		resolve->image = &spec->stages[i];
		if (check_image(resolve, ret_drifts, err) < 0)
			return -1;
	}
	resolve->image = &spec->image;
	return check_image(resolve, ret_drifts, err);
}
