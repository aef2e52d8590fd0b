/*
 * The keys of a plan. Every key is a SHA-256 over fields that carry their length, the first of them
 * PLAN_FORMAT and the second what the key is of, so that no two kinds of key can be equal.
 *
 *	own key    of a step: its builder, its input's digest, what the spec says about its result
 *	layer key  of a step's layer: the own key; of a run step and a copy out of an image what it does,
 *		   and the chain-ids of the layers that it takes from
 *	key        of a step: the key of the step below (empty for the first) and its own key
 *	image key  the last step's key and the config
 *
 * Not part of any key: names of local files and of the spec, the spec's name and place, URLs,
 * references, values of secrets and of environment variables outside. What they lead to is there by
 * its digest; of a secret its name is, of a cache its path. What a command found in its caches and secrets
 * can be in its layer all the same: such a layer is recorded for its project alone (builders/recorded.c).
 */
#include "core/plan_keys.h"

#include <inttypes.h>
#include <string.h>

#include "core/path.h"
#include "core/str.h"

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

void plan_source_key(const struct source *source, const struct digest *input, struct digest *ret)
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

/* A layer is what its diff-id says, whichever image and blob it comes with. */
void key_of_layer(const struct plan_layer *layer, struct digest *ret)
{
	struct sha256 hash;

	begin_key(&hash, "from layer");
	add_digest(&hash, &layer->diff_id);
	sha256_end(&hash, ret);
}

static void add_archive(struct sha256 *hash, const struct plan_step *row)
{
	const struct step *step = row->step;

	sha256_add_text(hash, step->to);
	add_number(hash, step->strip);
}

/* Names are part of the input's digest where they matter. */
static void add_copy(struct sha256 *hash, const struct plan_step *row)
{
	const struct step *step = row->step;

	sha256_add_text(hash, step->to);
	add_number(hash, step->from_image);
	if (step->from_image) {
		add_texts(hash, &step->patterns);
		add_number(hash, step->has_owner);
	}
	add_number(hash, step->owner_uid);
	add_number(hash, step->owner_gid);
	add_number(hash, step->has_mode);
	add_number(hash, step->has_mode ? step->mode : 0);
	/* below a folder the file keeps its own name */
	sha256_add_text(hash, str_has_suffix(step->to, "/") && step->patterns.count == 1
				      ? path_base(step->patterns.items[0])
				      : NULL);
	if (row->owners_lost)
		sha256_add_text(hash, "one id");
}

void key_of_own_step(const struct plan_step *step, struct digest *ret)
{
	static const char *const of[] = { [STEP_ARCHIVE] = "step archive",
					  [STEP_COPY] = "step copy" };
	struct sha256 hash;

	begin_key(&hash, of[step->step->kind]);
	add_digest(&hash, &step->input);
	(step->step->kind == STEP_ARCHIVE ? add_archive : add_copy)(&hash, step);
	sha256_end(&hash, ret);
}

/* ---- layers: each input by its name ------------------------------------------------------------ */

static void add_rules(struct sha256 *hash, const struct plan_made *made)
{
	sha256_add_text(hash, made->rules);
}

static void add_platform(struct sha256 *hash, const struct plan_made *made)
{
	sha256_add_text(hash, made->step->image->platform);
}

static void add_command(struct sha256 *hash, const struct plan_made *made)
{
	add_texts(hash, &made->step->step->argv);
}

static void add_environment(struct sha256 *hash, const struct plan_made *made)
{
	add_texts(hash, &made->step->process.environment);
}

static void add_user(struct sha256 *hash, const struct plan_made *made)
{
	sha256_add_text(hash, made->step->process.user);
}

static void add_workdir(struct sha256 *hash, const struct plan_made *made)
{
	sha256_add_text(hash, made->step->process.workdir);
}

static void add_network(struct sha256 *hash, const struct plan_made *made)
{
	add_number(hash, made->step->step->network);
}

static void add_caches(struct sha256 *hash, const struct plan_made *made)
{
	const struct step *step = made->step->step;

	add_number(hash, step->cache_count);
	for (size_t i = 0; i < step->cache_count; i++)
		sha256_add_text(hash, step->caches[i].path);
}

static void add_secrets(struct sha256 *hash, const struct plan_made *made)
{
	add_texts(hash, &made->step->step->secrets);
}

static void add_mounts(struct sha256 *hash, const struct plan_made *made)
{
	const struct step *step = made->step->step;

	add_number(hash, step->mount_count);
	for (size_t i = 0; i < step->mount_count; i++) {
		add_digest(hash, &made->stages[step->mounts[i].image]);
		sha256_add_text(hash, step->mounts[i].source);
		sha256_add_text(hash, step->mounts[i].to);
	}
}

static void add_layers(struct sha256 *hash, const struct plan_made *made)
{
	sha256_add_field(hash, made->chain ? made->chain->bytes : NULL,
			 made->chain ? sizeof(made->chain->bytes) : 0);
}

static void add_date(struct sha256 *hash, const struct plan_made *made)
{
	add_number(hash, (uint64_t)made->time_s);
}

static void add_copied_image(struct sha256 *hash, const struct plan_made *made)
{
	add_digest(hash, &made->stages[made->step->step->image]);
}

static void add_what_is_copied(struct sha256 *hash, const struct plan_made *made)
{
	add_copy(hash, made->step);
}

static void add_input(struct sha256 *hash, const struct plan_made *made)
{
	add_digest(hash, &made->step->input);
}

static void add_own_key(struct sha256 *hash, const struct plan_made *made)
{
	add_digest(hash, &made->step->own_key);
}

/* A row that is added here is in the key, and is told of. */
struct input {
	const char *name;
	void (*add)(struct sha256 *hash, const struct plan_made *made);
};

/* Everything that a command can see. The last two are not in its own key. */
static const struct input run_inputs[] = {
	{ "duet's rules for steps", add_rules },
	{ "the platform", add_platform },
	{ "the command", add_command },
	{ "the environment", add_environment },
	{ "the user", add_user },
	{ "the workdir", add_workdir },
	{ "the network", add_network },
	{ "the caches", add_caches },
	{ "the secrets' names", add_secrets },
	{ "the mounts", add_mounts },
	{ "the layers below", add_layers },
	{ "the date of the layers below", add_date },
};
#define RUN_INPUTS_BELOW 2

static const struct input copy_inputs[] = {
	{ "the image that is copied from", add_copied_image },
	{ "what the spec says of it", add_what_is_copied },
};

static const struct input other_inputs[] = {
	{ "the input's content", add_input },
	/* all else that the key is of: where it goes, owner, mode, packages, ... */
	{ "what the spec says of it", add_own_key },
};

void key_of_run(const struct plan_step *step, const char *rules, const struct digest *stages,
		struct digest *ret)
{
	const struct plan_made made = { .step = step, .rules = rules, .stages = stages };
	struct sha256 hash;

	begin_key(&hash, "step run");
	for (size_t i = 0; i < ARRAY_SIZE(run_inputs) - RUN_INPUTS_BELOW; i++)
		run_inputs[i].add(&hash, &made);
	sha256_end(&hash, ret);
}

/* The inputs of a step's layer; *ret_of: what a key of them is of, NULL: it is the own key. */
static const struct input *inputs_of(const struct plan_step *step, const char **ret_of,
				     size_t *ret_count)
{
	if (step->step && step->step->kind == STEP_RUN) {
		*ret_of = "layer run";
		*ret_count = ARRAY_SIZE(run_inputs);
		return run_inputs;
	}
	if (step->step && step->step->from_image) {
		*ret_of = "layer copy";
		*ret_count = ARRAY_SIZE(copy_inputs);
		return copy_inputs;
	}
	*ret_of = NULL;
	*ret_count = ARRAY_SIZE(other_inputs);
	return other_inputs;
}

void plan_layer_key(const struct plan_made *made, struct digest *ret)
{
	const char *of;
	size_t count;
	const struct input *inputs = inputs_of(made->step, &of, &count);
	struct sha256 hash;

	if (!of) {
		*ret = made->step->own_key;
		return;
	}
	begin_key(&hash, of);
	for (size_t i = 0; i < count; i++)
		inputs[i].add(&hash, made);
	sha256_end(&hash, ret);
}

void plan_layer_inputs(const struct plan_made *made,
		       void (*each)(void *data, const char *name, const struct digest *value),
		       void *data)
{
	const char *of;
	size_t count;
	const struct input *inputs = inputs_of(made->step, &of, &count);

	for (size_t i = 0; i < count; i++) {
		struct digest value;
		struct sha256 hash;

		sha256_init(&hash);
		inputs[i].add(&hash, made);
		sha256_end(&hash, &value);
		each(data, inputs[i].name, &value);
	}
}

/* ---- steps and images ------------------------------------------------------------------------- */

void key_of_step(const struct digest *below, const struct digest *own, struct digest *ret)
{
	struct sha256 hash;

	begin_key(&hash, "step");
	sha256_add_field(&hash, below ? below->bytes : NULL, below ? sizeof(below->bytes) : 0);
	add_digest(&hash, own);
	sha256_end(&hash, ret);
}

void key_of_image(struct plan *plan)
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
	add_texts(&hash, &config->volumes);
	add_texts(&hash, &config->exposed);
	sha256_add_text(&hash, config->user);
	sha256_add_text(&hash, config->workdir);
	sha256_add_text(&hash, config->stop_signal);
	add_number(&hash, (uint64_t)plan->created_s);
	add_digest(&hash, &plan->same_config);
	sha256_add_text(&hash, plan->platform);
	sha256_end(&hash, &plan->key);
}
