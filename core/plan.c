/*
 * Plans: see plan.h. Every key is a SHA-256 over fields that carry their length, the first of them
 * PLAN_FORMAT and the second what the key is of, so that no two kinds of key can be equal.
 *
 *	own key    of a step: its builder, its input's digest, what the spec says about its result
 *	key        of a step: the key of the step below (empty for the first) and its own key
 *	image key  the last step's key and the config
 *
 * Not part of any key: names of local files and of the spec, the spec's name and place, URLs. What
 * they lead to is there by its digest.
 */
#include "core/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/path.h"
#include "core/str.h"

#define SUMMARY_TEXT_MAX 60	/* bytes of a name in a summary */

static void begin_key(struct sha256 *hash, const char *of)
{
	sha256_init(hash);
	sha256_add_text(hash, PLAN_FORMAT);
	sha256_add_text(hash, of);
}

static void add_digest(struct sha256 *hash, const struct digest *digest)
{
	sha256_add_field(hash, digest->bytes, sizeof(digest->bytes));
}

static void add_number(struct sha256 *hash, uint64_t number)
{
	_cleanup_free_ char *text = xasprintf("%" PRIu64, number);

	sha256_add_text(hash, text);
}

static void add_texts(struct sha256 *hash, const struct strv *texts)
{
	add_number(hash, texts->count);
	for (size_t i = 0; i < texts->count; i++)
		sha256_add_text(hash, texts->items[i]);
}

static void own_key_of_source(const struct source *source, const struct digest *input,
			      struct digest *ret)
{
	static const char *const of[] = {
		[SOURCE_SCRATCH] = "from scratch",	[SOURCE_ARCHIVE] = "from archive",
		[SOURCE_DIRECTORY] = "from directory",	[SOURCE_DEBIAN] = "from debian",
	};
	struct sha256 hash;

	begin_key(&hash, of[source->kind]);
	add_digest(&hash, input);
	if (source->kind == SOURCE_DEBIAN) {
		sha256_add_text(&hash, source->suite);
		sha256_add_text(&hash, source->variant);
		sha256_add_text(&hash, source->mirror);
		add_texts(&hash, &source->packages);
	}
	sha256_end(&hash, ret);
}

static void own_key_of_step(const struct step *step, const struct digest *input,
			    struct digest *ret)
{
	struct sha256 hash;

	begin_key(&hash, step->kind == STEP_ARCHIVE ? "step archive" : "step copy");
	add_digest(&hash, input);
	sha256_add_text(&hash, step->to);
	if (step->kind == STEP_ARCHIVE) {
		add_number(&hash, step->strip);
	} else {
		add_number(&hash, step->owner_uid);
		add_number(&hash, step->owner_gid);
		add_number(&hash, step->has_mode);
		add_number(&hash, step->has_mode ? step->mode : 0);
		/* below a folder the file keeps its own name */
		sha256_add_text(&hash,
				str_has_suffix(step->to, "/") ? path_base(step->path) : NULL);
	}
	sha256_end(&hash, ret);
}

static void key_of_step(const struct digest *below, const struct digest *own, struct digest *ret)
{
	struct sha256 hash;

	begin_key(&hash, "step");
	sha256_add_field(&hash, below ? below->bytes : NULL, below ? sizeof(below->bytes) : 0);
	add_digest(&hash, own);
	sha256_end(&hash, ret);
}

static void key_of_image(struct plan *plan)
{
	const struct process *config = &plan->config;
	const struct digest *last =
		plan->step_count ? &plan->steps[plan->step_count - 1].key : NULL;
	struct sha256 hash;

	begin_key(&hash, "image");
	sha256_add_field(&hash, last ? last->bytes : NULL, last ? sizeof(last->bytes) : 0);
	add_texts(&hash, &config->entrypoint);
	add_texts(&hash, &config->command);
	add_texts(&hash, &config->environment);
	add_texts(&hash, &config->labels);
	sha256_add_text(&hash, config->user);
	sha256_add_text(&hash, config->workdir);
	sha256_end(&hash, &plan->key);
}

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
	return str_escape(path_base(url ? url : path), SUMMARY_TEXT_MAX);
}

static char *source_summary(const struct source *source)
{
	_cleanup_free_ char *name = NULL;

	if (source->kind == SOURCE_DEBIAN)
		return source->packages.count
			       ? xasprintf("debian %s with %zu package%s", source->suite,
					   source->packages.count,
					   source->packages.count == 1 ? "" : "s")
			       : xasprintf("debian %s", source->suite);
	name = shown_name(source->url, source->path);
	return xasprintf("%s %s", source->kind == SOURCE_ARCHIVE ? "archive" : "directory", name);
}

static char *step_summary(const struct step *step)
{
	_cleanup_free_ char *name = shown_name(step->url, step->path);
	_cleanup_free_ char *to = str_escape(step->to, SUMMARY_TEXT_MAX);

	return xasprintf("%s %s to %s", step->kind == STEP_ARCHIVE ? "archive" : "copy", name, to);
}

static int add_source(struct plan *plan, const struct spec *spec, const struct digest *looked_up,
		      struct err *err)
{
	struct plan_step *step = &plan->steps[plan->step_count++];
	const struct source *source = &spec->from;

	step->source = source;
	step->summary = source_summary(source);
	if (input_digest(looked_up, source->has_sha256, &source->sha256, step->summary,
			 &step->input, err) < 0)
		return err_place(err, spec->file, source->place.line, source->place.column);
	own_key_of_source(source, &step->input, &step->own_key);
	key_of_step(NULL, &step->own_key, &step->key);
	return 0;
}

static int add_step(struct plan *plan, const struct spec *spec, const struct step *of,
		    const struct digest *looked_up, struct err *err)
{
	const struct digest *below =
		plan->step_count ? &plan->steps[plan->step_count - 1].key : NULL;
	struct plan_step *step = &plan->steps[plan->step_count++];

	step->step = of;
	step->summary = step_summary(of);
	if (input_digest(looked_up, of->has_sha256, &of->sha256, step->summary, &step->input,
			 err) < 0)
		return err_place(err, spec->file, of->place.line, of->place.column);
	own_key_of_step(of, &step->input, &step->own_key);
	key_of_step(below, &step->own_key, &step->key);
	return 0;
}

int plan_make(struct plan *ret, const struct spec *spec, const struct plan_inputs *inputs,
	      struct err *err)
{
	_cleanup_(plan_done) struct plan plan = { .name = xstrdup(spec->name) };

	if (inputs->count != 1 + spec->step_count)
		return err_set(err, ERR_SPEC_MISSING, "plan %s: %zu input digests for %zu inputs",
			       spec->name, inputs->count, 1 + spec->step_count);
	plan.steps = xcalloc(1 + spec->step_count, sizeof(*plan.steps));
	if (spec->from.kind != SOURCE_SCRATCH &&
	    add_source(&plan, spec, &inputs->digests[0], err) < 0)
		return -1;
	for (size_t i = 0; i < spec->step_count; i++)
		if (add_step(&plan, spec, &spec->steps[i], &inputs->digests[1 + i], err) < 0)
			return -1;
	process_copy(&plan.config, &spec->config);
	key_of_image(&plan);
	*ret = plan;
	plan = (struct plan){ 0 };
	return 0;
}

void plan_done(struct plan *plan)
{
	free(plan->name);
	for (size_t i = 0; i < plan->step_count; i++)
		free(plan->steps[i].summary);
	free(plan->steps);
	process_done(&plan->config);
	*plan = (struct plan){ 0 };
}
