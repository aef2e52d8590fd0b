/* Instructions that set something: ENV, ARG, LABEL, WORKDIR, USER, ENTRYPOINT, CMD and the like. */
#include <string.h>

#include "core/dockerfile/convert.h"
#include "core/parse.h"

#define PORTS_MAX 100	/* of a range in EXPOSE */

static void replace(char **text, char *with)
{
	free(*text);
	*text = with;
}

static bool words_of(struct df_convert *c, const char *text, struct strv *ret)
{
	const struct df_scope scope = df_scope_of(c);
	const char *bad = df_words(text, &scope, ret);

	if (!bad && ret->count == 0)
		bad = "nothing is said";
	if (bad)
		df_lose(c, "%s", bad);
	return !bad;
}

/* ---- pairs ------------------------------------------------------------------------------------- */

/* Is the first word NAME=VALUE? Else it is the old form, NAME VALUE. */
static bool is_new_form(const char *text)
{
	return strcspn(text, "=") < strcspn(text, " \t");
}

/* NAME=VALUE words, from either form. */
static bool pairs_of(struct df_convert *c, struct strv *ret)
{
	const struct df_scope scope = df_scope_of(c);
	const char *text = c->line->rest, *bad = NULL;
	size_t length = strcspn(text, " \t");
	_cleanup_free_ char *value = NULL;

	if (is_new_form(text)) {
		if (!words_of(c, text, ret))
			return false;
	} else {
		if (text[length])
			value = df_expand(text + length + strspn(text + length, " \t"), &scope, &bad);
		if (!value) {
			df_lose(c, "%s", bad ? bad : "a name without a value");
			return false;
		}
		strv_addf(ret, "%.*s=%s", (int)length, text, value);
	}
	for (size_t i = 0; i < ret->count; i++)
		if (!strchr(ret->items[i], '=') || ret->items[i][0] == '=') {
			df_lose(c, "%s: not NAME=VALUE", ret->items[i]);
			return false;
		}
	return true;
}

/* PATH of a base image is not known here: where it stands in a value, Docker's own is taken. */
static void tell_path(struct df_convert *c)
{
	if (!strstr(c->line->rest, "$PATH") && !strstr(c->line->rest, "${PATH"))
		return;
	if (!strv_getenv(&c->stage->environment, "PATH") && !c->stage->scratch)
		df_lose(c, "PATH of the base image: taken to be the usual one");
}

int df_env(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv pairs = { 0 };
	bool fresh = false;

	tell_path(c);
	if (!pairs_of(c, &pairs))
		return 0;
	for (size_t i = 0; i < pairs.count; i++) {
		*strchr(pairs.items[i], '=') = '\0';
		fresh |= !strv_getenv(&c->stage->environment, pairs.items[i]);
	}
	if (fresh && c->stage->has_run)
		df_cut(c);
	for (size_t i = 0; i < pairs.count; i++)
		strv_setenv(&c->stage->environment, pairs.items[i],
			    pairs.items[i] + strlen(pairs.items[i]) + 1);
	return 0;
}

int df_label(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv pairs = { 0 };

	if (!pairs_of(c, &pairs))
		return 0;
	for (size_t i = 0; i < pairs.count; i++) {
		char *value = strchr(pairs.items[i], '=');

		*value++ = '\0';
		strv_setenv(&c->stage->labels, pairs.items[i], value);
	}
	return 0;
}

int df_arg(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv words = { 0 };
	struct strv *arguments = c->stage ? &c->stage->arguments : &c->globals;

	if (!words_of(c, c->line->rest, &words))
		return 0;
	for (size_t i = 0; i < words.count; i++) {
		char *value = strchr(words.items[i], '=');
		const char *global;

		if (value)
			*value++ = '\0';
		global = c->stage ? strv_getenv(&c->globals, words.items[i]) : NULL;
		if (value || global)
			strv_setenv(arguments, words.items[i], value ? value : global);
		else
			df_lose(c, "ARG %s: it has no value here, and is empty", words.items[i]);
	}
	return 0;
}

/* ---- one value --------------------------------------------------------------------------------- */

/* Owned; NULL: named. */
static char *value_of(struct df_convert *c)
{
	const struct df_scope scope = df_scope_of(c);
	const char *bad = "nothing is said";
	char *value = *c->line->rest ? df_expand(c->line->rest, &scope, &bad) : NULL;

	if (!value)
		df_lose(c, "%s", bad);
	return value;
}

int df_workdir(struct df_convert *c)
{
	_cleanup_free_ char *value = value_of(c);
	char *path = value ? df_inside(c, value) : NULL;
	size_t length = path ? strlen(path) : 0;

	if (!value)
		return 0;
	if (!path)
		return df_lose(c, "%s: no path inside", value);
	if (!c->stage->workdir && value[0] != '/' && !c->stage->scratch)
		df_lose(c, "WORKDIR of the base image: taken to be /");
	if (length > 1 && path[length - 1] == '/')
		path[length - 1] = '\0';
	if (!c->stage->workdir && c->stage->has_run)
		df_cut(c);
	df_stage_add_folder(c->stage, path);
	replace(&c->stage->workdir, path);
	return 0;
}

int df_user(struct df_convert *c)
{
	char *value = value_of(c);

	if (value)
		replace(&c->stage->user, value);
	return 0;
}

int df_stopsignal(struct df_convert *c)
{
	_cleanup_free_ char *value = value_of(c);

	if (!value)
		return 0;
	if (*value >= 'A' && *value <= 'Z' && !str_has_prefix(value, "SIG"))
		replace(&c->stage->stop_signal, xasprintf("SIG%s", value));
	else
		replace(&c->stage->stop_signal, xstrdup(value));
	return 0;
}

/* "KEY: ..." for a list, or for a text that the shell gets. */
static char *command_of(const struct df_convert *c, const char *key)
{
	_cleanup_(strv_done) struct strv list = { 0 };
	struct str out = { 0 };

	if (!df_json_list(c->line->rest, &list)) {
		if (c->stage->shell.count == 0) {
			df_put_text(&out, key, c->line->rest, 2);
			return out.text;
		}
		strv_copy(&list, &c->stage->shell);
		strv_add(&list, c->line->rest);
	}
	str_addf(&out, "%s: ", key);
	df_put_list(&out, &list, false);
	str_add(&out, "\n");
	return out.text;
}

int df_entrypoint(struct df_convert *c)
{
	replace(&c->stage->entrypoint, command_of(c, "entrypoint"));
	return 0;
}

int df_cmd(struct df_convert *c)
{
	replace(&c->stage->command, command_of(c, "command"));
	return 0;
}

int df_shell(struct df_convert *c)
{
	static const char *const usual[] = { "/bin/sh", "-c" };
	struct strv list = { 0 };

	if (!df_json_list(c->line->rest, &list) || list.count == 0) {
		strv_done(&list);
		return df_lose(c, "SHELL takes a JSON list");
	}
	strv_done(&c->stage->shell);
	if (list.count == 2 && !strcmp(list.items[0], usual[0]) && !strcmp(list.items[1], usual[1]))
		strv_done(&list);
	else
		c->stage->shell = list;
	return 0;
}

/* ---- lists ------------------------------------------------------------------------------------- */

/* "PORT[-PORT][/PROTOCOL]" */
static bool add_ports(const char *word, struct strv *ret)
{
	size_t protocol = strcspn(word, "/"), dash = strcspn(word, "-");
	_cleanup_free_ char *first = xstrndup(word, dash < protocol ? dash : protocol);
	_cleanup_free_ char *last = dash < protocol ? xstrndup(word + dash + 1, protocol - dash - 1)
						    : xstrdup(first);
	uint32_t from, to;

	if (!parse_u32_max(first, 65535, &from) || !parse_u32_max(last, 65535, &to) || from == 0 ||
	    to < from || to - from >= PORTS_MAX)
		return false;
	for (; from <= to; from++)
		strv_addf(ret, "%u%s", from, word + protocol);
	return true;
}

int df_expose(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv words = { 0 };

	if (!words_of(c, c->line->rest, &words))
		return 0;
	for (size_t i = 0; i < words.count; i++)
		if (!add_ports(words.items[i], &c->stage->exposed))
			df_lose(c, "EXPOSE %s", words.items[i]);
	return 0;
}

int df_volume(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv words = { 0 };

	if (!df_json_list(c->line->rest, &words) && !words_of(c, c->line->rest, &words))
		return 0;
	for (size_t i = 0; i < words.count; i++) {
		char *path = df_inside(c, words.items[i]);

		if (path)
			strv_take(&c->stage->volumes, path);
		else
			df_lose(c, "VOLUME %s: no path inside", words.items[i]);
	}
	return 0;
}
