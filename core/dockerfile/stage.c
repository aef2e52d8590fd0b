/* A stage of a Dockerfile as an image of a spec. */
#include <string.h>

#include "core/dockerfile/internal.h"
#include "core/path.h"

struct df_step *df_stage_add(struct df_stage *stage, enum df_step_kind kind)
{
	struct df_step *step;

	stage->steps = xreallocarray(stage->steps, stage->step_count + 1, sizeof(*stage->steps));
	step = &stage->steps[stage->step_count++];
	*step = (struct df_step){ .kind = kind };
	if (kind != DF_STEP_RUN)
		return step;
	stage->has_run = true;
	/* a RUN sees the arguments too; ENV wins */
	strv_copy(&step->environment, &stage->arguments);
	for (size_t i = 0; i < stage->environment.count; i++) {
		const char *pair = stage->environment.items[i], *value = strchr(pair, '=');
		_cleanup_free_ char *name = xstrndup(pair, (size_t)(value - pair));

		strv_setenv(&step->environment, name, value + 1);
	}
	step->workdir = stage->workdir ? xstrdup(stage->workdir) : NULL;
	step->user = stage->user ? xstrdup(stage->user) : NULL;
	return step;
}

/* ---- folders ----------------------------------------------------------------------------------- */

static bool is_listed(const struct strv *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], text))
			return true;
	return false;
}

void df_stage_add_folder(struct df_stage *stage, const char *path)
{
	for (const char *at = path; *at; at += strcspn(at, "/")) {
		_cleanup_free_ char *folder = NULL;

		at += strspn(at, "/");
		if (!*at)
			return;
		folder = xstrndup(path, (size_t)(at - path) + strcspn(at, "/"));
		if (!is_listed(&stage->folders, folder))
			strv_add(&stage->folders, folder);
	}
}

void df_stage_add_parents(struct df_stage *stage, const char *path)
{
	_cleanup_free_ char *above = xstrndup(path, (size_t)(path_base(path) - path));

	df_stage_add_folder(stage, above);
}

bool df_stage_has_folder(const struct df_stage *stage, const char *path)
{
	/* of every distribution */
	static const char *const usual[] = {
		"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt",
		"/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/bin",
		"/usr/include", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/local/etc",
		"/usr/local/lib", "/usr/local/sbin", "/usr/local/share", "/usr/sbin", "/usr/share",
		"/usr/src", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool",
		"/var/tmp",
	};

	for (size_t i = 0; stage->has_root && i < ARRAY_SIZE(usual); i++)
		if (!strcmp(usual[i], path))
			return true;
	return is_listed(&stage->folders, path);
}

/* ---- YAML -------------------------------------------------------------------------------------- */

/* The pairs of `list` that `base` has not. */
static void put_pairs(struct str *out, const char *key, const struct strv *list,
		      const struct strv *base, bool expands)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		const char *value = strchr(list->items[i], '=') + 1, *there;
		_cleanup_free_ char *name = xstrndup(list->items[i],
						     (size_t)(value - 1 - list->items[i]));

		there = base ? strv_getenv(base, name) : NULL;
		if (there && !strcmp(there, value))
			continue;
		str_addf(out, count++ ? ", " : "%s: {", key);
		df_put(out, name, false);
		str_add(out, ": ");
		df_put(out, value, expands);
	}
	if (count > 0)
		str_add(out, "}\n");
}

/* Adds `text`, each line but the first behind `indent` blanks. */
static void put_indented(struct str *out, const char *text, size_t indent)
{
	bool first = true;

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (!first && length > 0)
			str_addf(out, "%*s", (int)indent, "");
		str_addn(out, text, length);
		str_add(out, "\n");
		text += length + (text[length] == '\n');
		first = false;
	}
}

static bool is_other(const char *value, const char *than)
{
	return value && (!than || strcmp(value, than));
}

static void write_step(const struct df_stage *stage, const struct df_step *step, size_t indent,
		       struct str *out)
{
	_cleanup_(str_done) struct str text = { 0 };

	if (step->kind == DF_STEP_NOTE) {
		str_addf(out, "%*s# %s\n", (int)indent, "", step->text.text);
		return;
	}
	str_add(&text, step->text.text);
	if (step->kind == DF_STEP_RUN) {
		put_pairs(&text, "environment", &step->environment, &stage->environment, true);
		if (is_other(step->workdir, stage->workdir))
			df_put_key(&text, "workdir", step->workdir);
		if (step->user && strcmp(step->user, "root") && strcmp(step->user, "0"))
			df_put_key(&text, "user", step->user);
	}
	str_addf(out, "%*s- ", (int)indent, "");
	put_indented(out, text.text, indent + 2);
}

static void write_steps(const struct df_stage *stage, size_t indent, struct str *out)
{
	bool any = false;

	for (size_t i = 0; i < stage->step_count; i++)
		any |= stage->steps[i].kind != DF_STEP_NOTE;
	if (any)
		str_addf(out, "%*ssteps:\n", (int)indent, "");
	for (size_t i = 0; i < stage->step_count; i++)
		write_step(stage, &stage->steps[i], any ? indent + 2 : indent, out);
}

static void write_config(const struct df_stage *stage, size_t indent, struct str *out)
{
	_cleanup_(str_done) struct str text = { 0 };
	const struct { const char *key; const struct strv *list; } lists[] = {
		{ "volumes", &stage->volumes }, { "exposed", &stage->exposed },
	};

	put_pairs(&text, "environment", &stage->environment, &stage->inherited, true);
	if (is_other(stage->user, stage->inherited_user))
		df_put_key(&text, "user", stage->user);
	if (is_other(stage->workdir, stage->inherited_workdir))
		df_put_key(&text, "workdir", stage->workdir);
	if (stage->entrypoint)
		str_add(&text, stage->entrypoint);
	if (stage->command)
		str_add(&text, stage->command);
	put_pairs(&text, "labels", &stage->labels, NULL, false);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (lists[i].list->count == 0)
			continue;
		str_addf(&text, "%s: ", lists[i].key);
		df_put_list(&text, lists[i].list, false);
		str_add(&text, "\n");
	}
	df_put_key(&text, "stop_signal", stage->stop_signal);
	if (!text.text)
		return;
	str_addf(out, "%*sconfig:\n%*s", (int)indent, "", (int)indent + 2, "");
	put_indented(out, text.text, indent + 2);
}

void df_stage_write(const struct df_stage *stage, bool is_last, struct str *out)
{
	const size_t indent = is_last ? 2 : 4;

	if (is_last) {
		str_add(out, "image:\n");
	} else {
		str_add(out, "  ");
		df_put(out, stage->image, false);
		str_add(out, ":\n");
	}
	str_addf(out, "%*sfrom: %s\n", (int)indent, "", stage->from);
	if (stage->platform) {
		str_addf(out, "%*splatform: ", (int)indent, "");
		df_put(out, stage->platform, true);
		str_add(out, "\n");
	}
	write_steps(stage, indent, out);
	write_config(stage, indent, out);
}

void df_stage_done(struct df_stage *stage)
{
	struct strv *const lists[] = { &stage->inherited, &stage->environment, &stage->arguments,
				       &stage->labels, &stage->volumes, &stage->exposed,
				       &stage->shell, &stage->folders };
	char *const texts[] = { stage->name, stage->image, stage->from, stage->platform,
				stage->workdir, stage->user, stage->stop_signal, stage->entrypoint,
				stage->command, stage->inherited_workdir, stage->inherited_user };

	for (size_t i = 0; i < stage->step_count; i++) {
		str_done(&stage->steps[i].text);
		strv_done(&stage->steps[i].environment);
		free(stage->steps[i].workdir);
		free(stage->steps[i].user);
	}
	free(stage->steps);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_done(lists[i]);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	*stage = (struct df_stage){ 0 };
}
