/* Plans: see plan.h. From a spec and what was looked up to steps; their keys are in plan_keys.c. */
#include "core/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/path.h"
#include "core/plan_keys.h"
#include "core/str.h"

/* The digest that is known for an input, from the spec or from looking at it. */
static int input_digest(const struct digest *looked_up, bool has_sha256,
			const struct digest *sha256, const char *summary, struct digest *ret,
			struct err *err)
{
	char is[DIGEST_HEX_SIZE], should[DIGEST_HEX_SIZE];

	if (digest_is_zero(looked_up) && !has_sha256)
		return err_set(err, ERR_SPEC_MISSING, "%s: the input's digest is not known",
			       summary);
	if (has_sha256 && !digest_is_zero(looked_up) && !digest_equal(looked_up, sha256)) {
		digest_hex(looked_up, is);
		digest_hex(sha256, should);
		return err_set(err, ERR_FETCH_DIGEST, "%s: sha256 is %s, not %s", summary, is,
			       should);
	}
	*ret = has_sha256 ? *sha256 : *looked_up;
	return 0;
}

static char *shown_name(const char *url, const char *path)
{
	return str_escape(path_base(url ? url : path), PLAN_SUMMARY_MAX);
}

static char *source_summary(const struct source *source)
{
	static const char *const words[] = {
		[SOURCE_ARCHIVE] = "archive", [SOURCE_DIRECTORY] = "directory",
		[SOURCE_LAYOUT] = "layout", [SOURCE_DOCKER_ARCHIVE] = "docker_archive",
	};
	_cleanup_free_ char *name = NULL;

	if (source->kind == SOURCE_DEBIAN)
		return source->packages.count
			       ? xasprintf("debian %s with %zu package%s", source->suite,
					   source->packages.count,
					   source->packages.count == 1 ? "" : "s")
			       : xasprintf("debian %s", source->suite);
	name = shown_name(source->url, source->path);
	return xasprintf("%s %s", words[source->kind], name);
}

static char *layer_summary(const struct plan_base *base, size_t number)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&base->layers[number].diff_id, hex);
	return xasprintf("%s layer %zu of %zu %.12s", base->name, number + 1, base->layer_count, hex);
}

static char *run_summary(const struct step *step)
{
	_cleanup_free_ char *command = step_command(step), *shown = NULL;

	command[strcspn(command, "\n")] = '\0';
	shown = str_escape(command, PLAN_SUMMARY_MAX);
	return xasprintf("run %s", shown);
}

/* The first of what a step copies, as a person would call it. */
static char *copied_name(const struct spec *spec, const struct step *step)
{
	const char *path = step->patterns.items[0];

	if (!step->from_image && !strcmp(path, spec->dir))
		path = ".";
	else if (strcmp(path, "/"))
		path = path_base(path);
	return str_escape(path, PLAN_SUMMARY_MAX);
}

static char *step_summary(const struct spec *spec, const struct step *step)
{
	_cleanup_free_ char *name = NULL, *to = NULL;

	if (step->kind == STEP_RUN)
		return run_summary(step);
	name = step->kind == STEP_COPY ? copied_name(spec, step) : shown_name(step->url, step->path);
	to = str_escape(step->to, PLAN_SUMMARY_MAX);
	return xasprintf("%s %s%s%s%s to %s", step->kind == STEP_ARCHIVE ? "archive" : "copy", name,
			 step->patterns.count > 1 ? ", ..." : "", step->from_image ? " from " : "",
			 step->from_image ? spec->stages[step->image].name : "", to);
}

/* A plan in the making. */
struct making {
	const struct spec *spec;
	const struct image_spec *image;
	const struct plan_inputs *inputs;
	const struct plan *stages;
	struct plan *plan;
	struct err *err;
};

static struct plan_step *add_row(struct making *making)
{
	struct plan *plan = making->plan;
	struct plan_step *step;

	plan->steps = xreallocarray(plan->steps, plan->step_count + 1, sizeof(*plan->steps));
	step = &plan->steps[plan->step_count++];
	*step = (struct plan_step){ .image = making->image };
	return step;
}

static bool is_unread(const struct making *making, size_t input)
{
	return making->inputs->unread && making->inputs->unread[input];
}

/* The key with all below, once the own key is there. */
static void finish_row(struct making *making, struct plan_step *step)
{
	making->plan->unread |= step->unread;
	step->unread = making->plan->unread;
	key_of_step(making->plan->step_count > 1 ? &step[-1].key : NULL, &step->own_key, &step->key);
}

static int add_source(struct making *making)
{
	const struct source *source = &making->image->from;
	struct plan_step *step = add_row(making);

	step->source = source;
	step->summary = source_summary(source);
	step->unread = is_unread(making, 0);
	if (!step->unread &&
	    input_digest(&making->inputs->digests[0], source->has_sha256, &source->sha256,
			 step->summary, &step->input, making->err) < 0)
		return err_place(making->err, making->spec->file, source->place.line,
				 source->place.column);
	plan_source_key(source, &step->input, &step->own_key);
	finish_row(making, step);
	return 0;
}

static int add_base(struct making *making)
{
	const struct plan_base *base = making->inputs->base;
	const struct place *place = &making->image->from.place;

	if (is_unread(making, 0)) {
		struct plan_step *step = add_row(making);

		step->source = &making->image->from;
		step->summary = source_summary(step->source);
		step->unread = true;
		finish_row(making, step);
		return 0;
	}
	if (!base || digest_is_zero(&base->id)) {
		err_set(making->err, ERR_SPEC_MISSING, "from: the image is not known");
		return err_place(making->err, making->spec->file, place->line, place->column);
	}
	for (size_t i = 0; i < base->layer_count; i++) {
		struct plan_step *step = add_row(making);

		step->source = &making->image->from;
		step->layer = xmemdup(&base->layers[i], sizeof(base->layers[i]));
		step->input = base->layers[i].blob;
		step->summary = layer_summary(base, i);
		key_of_layer(step->layer, &step->own_key);
		finish_row(making, step);
	}
	making->plan->created_s = base->created_s;
	process_copy(&making->plan->config, &base->process);
	return 0;
}

static void copy_step(struct plan_step *to, const struct plan_step *from)
{
	*to = *from;
	to->layer = from->layer ? xmemdup(from->layer, sizeof(*from->layer)) : NULL;
	to->summary = xstrdup(from->summary);
	process_copy(&to->process, &from->process);
}

/* An image that begins with another one begins with its steps. */
static void add_other(struct making *making)
{
	const struct plan *other = &making->stages[making->image->from.image];
	struct plan *plan = making->plan;

	plan->steps = xcalloc(other->step_count, sizeof(*plan->steps));
	for (size_t i = 0; i < other->step_count; i++)
		copy_step(&plan->steps[plan->step_count++], &other->steps[i]);
	plan->created_s = other->created_s;
	plan->platform = other->platform ? xstrdup(other->platform) : NULL;
	plan->unread = other->unread;
	process_copy(&plan->config, &other->config);
}

/* A command gets the environment and workdir that the image has so far; it is root unless it says. */
static void fill_process(const struct plan *plan, const struct step *step, struct process *ret)
{
	strv_copy(&ret->environment, &plan->config.environment);
	ret->workdir = plan->config.workdir ? xstrdup(plan->config.workdir) : NULL;
	process_overlay(ret, &step->process);
}

static void add_run_key(struct making *making, struct plan_step *step)
{
	_cleanup_free_ struct digest *stages = xcalloc(making->spec->stage_count, sizeof(*stages));

	for (size_t i = 0; i < step->step->mount_count; i++) {
		size_t number = step->step->mounts[i].image;

		stages[number] = making->stages[number].key;
		step->unread |= making->stages[number].unread;
	}
	key_of_run(step, making->inputs->rules, stages, &step->own_key);
}

static int add_step(struct making *making, size_t number)
{
	const struct step *of = &making->image->steps[number];
	struct plan_step *step = add_row(making);

	step->step = of;
	step->summary = step_summary(making->spec, of);
	if (of->kind == STEP_RUN) {
		fill_process(making->plan, of, &step->process);
		add_run_key(making, step);
		finish_row(making, step);
		return 0;
	}
	step->owners_lost = making->inputs->one_id && of->from_image && !of->has_owner;
	step->unread = of->from_image ? making->stages[of->image].unread : is_unread(making, 1 + number);
	if (of->from_image)
		step->input = making->stages[of->image].key;
	else if (!step->unread &&
		 input_digest(&making->inputs->digests[1 + number], of->has_sha256, &of->sha256,
			      step->summary, &step->input, making->err) < 0)
		return err_place(making->err, making->spec->file, of->place.line,
				 of->place.column);
	key_of_own_step(step, &step->own_key);
	finish_row(making, step);
	return 0;
}

static int add_from(struct making *making)
{
	switch (making->image->from.kind) {
	case SOURCE_SCRATCH:
		return 0;
	case SOURCE_OCI:
	case SOURCE_LAYOUT:
	case SOURCE_DOCKER_ARCHIVE:
		return add_base(making);
	case SOURCE_IMAGE:
		add_other(making);
		return 0;
	case SOURCE_ARCHIVE:
	case SOURCE_DIRECTORY:
	case SOURCE_DEBIAN:
		break;
	}
	return add_source(making);
}

/* Nothing is put on top, and nothing is said about its config. */
static bool is_base_alone(const struct image_spec *image)
{
	const struct process *config = &image->config;
	const struct strv *const lists[] = { &config->entrypoint, &config->command,
					     &config->environment, &config->labels,
					     &config->volumes, &config->exposed };
	size_t said = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		said += strv_is_said(lists[i]);
	return image->from.kind >= SOURCE_OCI && image->from.kind <= SOURCE_DOCKER_ARCHIVE &&
	       image->step_count == 0 && said == 0 && !config->user && !config->workdir &&
	       !config->stop_signal;
}

int plan_make(struct plan *ret, const struct spec *spec, const struct image_spec *image,
	      const struct plan_inputs *inputs, const struct plan *stages, struct err *err)
{
	_cleanup_(plan_done) struct plan plan = { .name = xstrdup(image->name) };
	struct making making = { spec, image, inputs, stages, &plan, err };

	if (inputs->count != 1 + image->step_count)
		return err_set(err, ERR_SPEC_MISSING, "plan %s: %zu input digests for %zu inputs",
			       image->name, inputs->count, 1 + image->step_count);
	if (add_from(&making) < 0)
		return -1;
	if (image->platform) {
		free(plan.platform);
		plan.platform = xstrdup(image->platform);
	}
	/* what the spec's config says holds for its run steps too */
	process_overlay(&plan.config, &image->config);
	for (size_t i = 0; i < image->step_count; i++)
		if (add_step(&making, i) < 0)
			return -1;
	if (is_base_alone(image) && inputs->base)
		plan.same_config = inputs->base->config;
	key_of_image(&plan);
	*ret = plan;
	plan = (struct plan){ 0 };
	return 0;
}

void plan_base_done(struct plan_base *base)
{
	free(base->name);
	free(base->layers);
	process_done(&base->process);
	*base = (struct plan_base){ 0 };
}

void plan_done(struct plan *plan)
{
	free(plan->name);
	free(plan->platform);
	for (size_t i = 0; i < plan->step_count; i++) {
		free(plan->steps[i].summary);
		free(plan->steps[i].layer);
		process_done(&plan->steps[i].process);
	}
	free(plan->steps);
	process_done(&plan->config);
	*plan = (struct plan){ 0 };
}

void plans_done(struct plans *plans)
{
	for (size_t i = 0; i < plans->stage_count; i++)
		plan_done(&plans->stages[i]);
	free(plans->stages);
	plan_done(&plans->image);
	*plans = (struct plans){ 0 };
}
