/* What `duet plan` prints: see plan.h. */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/outside.h"
#include "core/plan.h"
#include "core/str.h"

#define KEY_SHOWN 12		/* digits of a key in the table */

static const char *const runner_names[] = {
	[SPEC_RUNNER_CONTAINER] = "container",
	[SPEC_RUNNER_VM] = "vm",
};

/* Everything of the target that reaches beyond the project's folder, a line each. */
static void reaches_outside(const struct spec *spec, struct strv *ret)
{
	struct outside *items;
	size_t count;

	outside_find(spec, spec->host != NULL, &items, &count);
	for (size_t i = 0; i < count; i++)
		strv_add(ret, items[i].text);
	outside_free(items, count);
}

/* A key as the table shows it; what could not be read has none. */
static void shown_key(const struct digest *key, bool unread, char ret[KEY_SHOWN + 1])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	snprintf(ret, KEY_SHOWN + 1, "%-*.*s", KEY_SHOWN, KEY_SHOWN, unread ? "not read" : hex);
}

static void add_rows(struct str *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		char key[KEY_SHOWN + 1];

		shown_key(&step->key, step->unread, key);
		str_addf(out, "%5zu  %s  %s\n", i + 1, key, step->summary);
	}
}

char *plan_text(const struct plans *plans, const struct spec *spec)
{
	_cleanup_(strv_done) struct strv outside = { 0 };
	char key[KEY_SHOWN + 1];
	struct str out = { 0 };

	shown_key(&plans->image.key, plans->image.unread, key);
	str_addf(&out, "plan of %s\n", plans->image.name);
	for (size_t i = 0; i < plans->stage_count; i++) {
		str_addf(&out, "image %s\n", plans->stages[i].name);
		add_rows(&out, &plans->stages[i]);
	}
	if (plans->stage_count > 0)
		str_addf(&out, "image %s\n", plans->image.name);
	add_rows(&out, &plans->image);
	str_addf(&out, "image  %s\n", key);
	str_add(&out, "on    ");
	for (size_t i = 0; i < spec->on_count; i++)
		str_addf(&out, " %s", runner_names[spec->on[i]]);
	str_add(&out, "\n");
	reaches_outside(spec, &outside);
	if (outside.count > 0)
		str_add(&out, "reaches outside the project:\n");
	for (size_t i = 0; i < outside.count; i++)
		str_addf(&out, "  %s\n", outside.items[i]);
	return out.text;
}

static void add_digest(struct json_out *out, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	json_out_text(out, key, text);
}

static void add_steps(struct json_out *out, const struct plan *plan)
{
	json_out_list(out, "steps");
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];

		json_out_map(out, NULL);
		json_out_text(out, "summary", step->summary);
		if (step->unread) {
			json_out_bool(out, "unread", true);
		} else {
			add_digest(out, "key", &step->key);
			add_digest(out, "own_key", &step->own_key);
			add_digest(out, "input", &step->input);
		}
		json_out_end(out);
	}
	json_out_end(out);
}

static void add_process(struct json_out *out, const char *key, const struct process *process)
{
	json_out_map(out, key);
	json_out_texts(out, "entrypoint", &process->entrypoint);
	json_out_texts(out, "command", &process->command);
	json_out_texts(out, "environment", &process->environment);
	json_out_texts(out, "labels", &process->labels);
	if (process->user)
		json_out_text(out, "user", process->user);
	if (process->workdir)
		json_out_text(out, "workdir", process->workdir);
	if (process->volumes.count)
		json_out_texts(out, "volumes", &process->volumes);
	if (process->exposed.count)
		json_out_texts(out, "exposed", &process->exposed);
	if (process->stop_signal)
		json_out_text(out, "stop_signal", process->stop_signal);
	json_out_end(out);
}

static void add_stages(struct json_out *out, const struct plans *plans)
{
	json_out_list(out, "images");
	for (size_t i = 0; i < plans->stage_count; i++) {
		json_out_map(out, NULL);
		json_out_text(out, "name", plans->stages[i].name);
		add_steps(out, &plans->stages[i]);
		if (!plans->stages[i].unread)
			add_digest(out, "image", &plans->stages[i].key);
		json_out_end(out);
	}
	json_out_end(out);
}

char *plan_json(const struct plans *plans, const struct spec *spec)
{
	_cleanup_(strv_done) struct strv outside = { 0 };
	const struct plan *plan = &plans->image;
	struct json_out out;

	json_out_init(&out);
	json_out_text(&out, "format", PLAN_FORMAT);
	json_out_text(&out, "name", plan->name);
	if (plans->stage_count > 0)
		add_stages(&out, plans);
	add_steps(&out, plan);
	if (!plan->unread)
		add_digest(&out, "image", &plan->key);
	add_process(&out, "config", &plan->config);
	json_out_list(&out, "on");
	for (size_t i = 0; i < spec->on_count; i++)
		json_out_text(&out, NULL, runner_names[spec->on[i]]);
	json_out_end(&out);
	reaches_outside(spec, &outside);
	json_out_texts(&out, "outside", &outside);
	return json_out_finish(&out);
}
