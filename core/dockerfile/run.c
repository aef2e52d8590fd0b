/* RUN: the command, --mount, --network. */
#include <string.h>

#include "core/dockerfile/convert.h"
#include "core/parse.h"

struct mount {
	char *type, *from, *source, *target, *id;	/* owned or NULL */
	char *other;	/* owned; an option that is not known */
};

static void mount_done(struct mount *mount)
{
	free(mount->type);
	free(mount->from);
	free(mount->source);
	free(mount->target);
	free(mount->id);
	free(mount->other);
}

static void set(char **text, const char *value)
{
	free(*text);
	*text = xstrdup(value);
}

static void read_mount(const char *text, struct mount *ret)
{
	static const char *const harmless[] = { "sharing", "required", "ro", "readonly" };

	while (*text) {
		size_t length = strcspn(text, ",");
		_cleanup_free_ char *option = xstrndup(text, length);
		char *value = strchr(option, '=');
		bool known = false;

		if (value)
			*value++ = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			known |= !strcmp(option, harmless[i]);
		if (!strcmp(option, "type"))
			set(&ret->type, value ? value : "");
		else if (!strcmp(option, "from"))
			set(&ret->from, value ? value : "");
		else if (!strcmp(option, "source") || !strcmp(option, "src"))
			set(&ret->source, value ? value : "");
		else if (!strcmp(option, "target") || !strcmp(option, "dst") ||
			 !strcmp(option, "destination"))
			set(&ret->target, value ? value : "");
		else if (!strcmp(option, "id"))
			set(&ret->id, value ? value : "");
		else if (!known)
			set(&ret->other, option);
		text += length + (text[length] == ',');
	}
}

struct run_flags {
	struct strv cache, secrets;
	struct str mounts;
	bool no_network;
};

/*
 * An id names a cache among all that are built on the same machine, whoever writes the Dockerfile; without
 * one the path is it. It does not become `share`: that reaches outside the project, and most ids are there
 * to tell caches of one Dockerfile apart. A cache of ours is the project's, by its path; where an id says
 * more than the path, that is lost.
 */
static void tell_id(struct df_convert *c, const char *id, const char *path)
{
	_cleanup_free_ char *name = xstrdup(id ? id : path);
	struct strv *caches = &c->caches;

	for (size_t i = 0; i + 1 < caches->count; i += 2) {
		bool same_id = !strcmp(caches->items[i], name);
		bool same_path = !strcmp(caches->items[i + 1], path);

		if (same_id && same_path)
			return;
		if (same_id)
			df_lose(c, "the cache %s at %s is the one at %s (write the same target)", name,
				path, caches->items[i + 1]);
		if (same_path)
			df_lose(c, "the caches %s and %s at %s are two (write another target)",
				caches->items[i], name, path);
		if (same_id || same_path)
			break;
	}
	strv_take(caches, TAKE_PTR(name));
	strv_add(caches, path);
}

static int take_cache(struct df_convert *c, const struct mount *mount, struct run_flags *flags)
{
	_cleanup_free_ char *target = mount->target ? df_inside(c, mount->target) : NULL;

	if (!target || mount->from || mount->other)
		return df_lose(c, "a cache mount with %s", mount->from ? "from" : mount->other
							   ? mount->other : "no target");
	tell_id(c, mount->id, target);
	strv_add(&flags->cache, target);
	return 0;
}

static int take_secret(struct df_convert *c, const struct mount *mount, struct run_flags *flags)
{
	const char *id = mount->id;
	_cleanup_free_ char *usual = NULL;

	if (!id || !parse_is_name(id))
		return df_lose(c, "a secret without an id that is a name");
	usual = xasprintf("/run/secrets/%s", id);
	if ((mount->target && strcmp(mount->target, usual)) || mount->other)
		df_lose(c, "the secret %s elsewhere than in %s, or with another owner or mode", id,
			usual);
	strv_add(&flags->secrets, id);
	for (size_t i = 0; i < c->secrets.count; i++)
		if (!strcmp(c->secrets.items[i], id))
			return 0;
	strv_add(&c->secrets, id);
	return 0;
}

static int take_bind(struct df_convert *c, const struct mount *mount, struct run_flags *flags)
{
	_cleanup_free_ char *target = mount->target ? df_inside(c, mount->target) : NULL;
	const char *image = mount->from ? df_image_of(c, mount->from) : NULL;
	const char *source = mount->source ? mount->source : "/";

	if (!mount->from)
		return df_lose(c, "a mount of the build's folder (write a copy step)");
	if (!image || !target || mount->other)
		return df_lose(c, "a mount with %s", mount->other ? mount->other : "no from or target");
	str_add(&flags->mounts, flags->mounts.length ? ", {from: " : "{from: ");
	df_put(&flags->mounts, image, false);
	if (strcmp(source, "/") && strcmp(source, ".")) {
		_cleanup_free_ char *full = xasprintf("%s%s", *source == '/' ? "" : "/", source);

		str_add(&flags->mounts, ", source: ");
		df_put(&flags->mounts, full, false);
	}
	str_add(&flags->mounts, ", to: ");
	df_put(&flags->mounts, target, false);
	str_add(&flags->mounts, "}");
	return 0;
}

static int take_mount(struct df_convert *c, const char *text, struct run_flags *flags)
{
	_cleanup_(mount_done) struct mount mount = { 0 };
	const struct df_scope scope = df_scope_of(c);
	_cleanup_free_ char *expanded = NULL;
	const char *bad = NULL;

	expanded = df_expand(text, &scope, &bad);
	if (!expanded)
		return df_lose(c, "--mount: %s", bad);
	read_mount(expanded, &mount);
	if (mount.type && !strcmp(mount.type, "cache"))
		return take_cache(c, &mount, flags);
	if (mount.type && !strcmp(mount.type, "secret"))
		return take_secret(c, &mount, flags);
	if (!mount.type || !strcmp(mount.type, "bind"))
		return take_bind(c, &mount, flags);
	return df_lose(c, "a mount of type %s", mount.type);
}

static void take_flags(struct df_convert *c, const char **text, struct run_flags *flags)
{
	char *flag;

	while ((flag = df_take_flag(text))) {
		if (str_has_prefix(flag, "--mount="))
			take_mount(c, flag + strlen("--mount="), flags);
		else if (!strcmp(flag, "--network=none"))
			flags->no_network = true;
		else if (strcmp(flag, "--network=default"))
			df_lose(c, "%s", flag);
		free(flag);
	}
}

static bool is_heredoc_alone(const struct df_line *line, const char *text)
{
	return line->heredocs == 1 && !strncmp(text, "<<", 2) && !strpbrk(text, " \t;|&>");
}

/* What the shell gets; owned. */
static char *script_of(const struct df_line *line, const char *text)
{
	if (!line->heredoc)
		return xstrdup(text);
	return is_heredoc_alone(line, text) ? xstrdup(line->heredoc_body)
					    : xasprintf("%s\n%s", text, line->heredoc);
}

static void put_command(const struct df_convert *c, const char *text, struct str *out)
{
	_cleanup_(strv_done) struct strv list = { 0 };
	_cleanup_free_ char *script = NULL;

	if (!c->line->heredoc && df_json_list(text, &list) && list.count > 0) {
		str_add(out, "run: ");
		df_put_list(out, &list, false);
		str_add(out, "\n");
		return;
	}
	script = script_of(c->line, text);
	if (c->stage->shell.count == 0) {
		df_put_text(out, "run", script, 2);
		return;
	}
	strv_copy(&list, &c->stage->shell);
	strv_add(&list, script);
	str_add(out, "run: ");
	df_put_list(out, &list, false);
	str_add(out, "\n");
}

static void put_flags(const struct run_flags *flags, struct str *out)
{
	const struct { const char *key; const struct strv *list; } lists[] = {
		{ "cache", &flags->cache }, { "secrets", &flags->secrets },
	};

	if (!flags->no_network)
		str_add(out, "network: nat\n");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (lists[i].list->count == 0)
			continue;
		str_addf(out, "%s: ", lists[i].key);
		df_put_list(out, lists[i].list, false);
		str_add(out, "\n");
	}
	if (flags->mounts.length)
		str_addf(out, "mounts: [%s]\n", flags->mounts.text);
}

/* A step is run as root where it names no user. Said once: most images have none. */
static void tell_user(struct df_convert *c)
{
	if (c->stage->scratch || c->stage->user || c->told_user)
		return;
	c->told_user = true;
	df_note(c, "run as root: write a USER above it if the base image has one");
}

int df_run(struct df_convert *c)
{
	struct run_flags flags = { 0 };
	const char *text = c->line->rest;
	struct df_step *step;

	tell_user(c);
	take_flags(c, &text, &flags);
	if (is_heredoc_alone(c->line, text) && str_has_prefix(c->line->heredoc_body, "#!")) {
		df_lose(c, "RUN of a here-document that names its interpreter");
	} else {
		step = df_stage_add(c->stage, DF_STEP_RUN);
		put_command(c, text, &step->text);
		put_flags(&flags, &step->text);
	}
	strv_done(&flags.cache);
	strv_done(&flags.secrets);
	str_done(&flags.mounts);
	return 0;
}
