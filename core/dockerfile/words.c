/* Words of an instruction: quotes, the escape sign, ${NAME:-default}, JSON lists. */
#include <string.h>

#include "core/dockerfile/internal.h"
#include "core/json.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define DEPTH_MAX 8	/* of ${A:-${B:-...}} */

struct words {
	const struct df_scope *scope;
	const char *at;
	const char *bad;	/* a literal */
	unsigned int depth;
};

static void read_until(struct words *w, const char *stops, struct str *out);

static const char *value_of(const struct df_scope *scope, const char *name)
{
	const char *value = strv_getenv(scope->environment, name);

	if (!value)
		value = strv_getenv(scope->arguments, name);
	return value || strcmp(name, "PATH") ? value : DF_USUAL_PATH;
}

/* Behind "${". */
static void read_braces(struct words *w, struct str *out)
{
	size_t length = strspn(w->at, NAME_LETTERS);
	_cleanup_free_ char *name = xstrndup(w->at, length);
	_cleanup_(str_done) struct str word = { 0 };
	const char *value = value_of(w->scope, name);
	bool colon, has;
	char sign;

	w->at += length;
	if (length == 0 || w->depth++ == DEPTH_MAX) {
		w->bad = "a variable without a name, or too deep";
		return;
	}
	colon = *w->at == ':';
	w->at += colon;
	sign = *w->at;
	str_add(&word, "");
	if (sign == '-' || sign == '+') {
		w->at++;
		read_until(w, "}", &word);
	} else if (sign != '}' || colon) {
		w->bad = "a variable with more to it than :- and :+";
	}
	if (!w->bad && *w->at != '}')
		w->bad = "a ${ without its }";
	if (w->bad)
		return;
	w->at++;
	w->depth--;
	has = value && (!colon || *value);
	if (sign == '+')
		str_add(out, has ? word.text : "");
	else if (sign == '-')
		str_add(out, has ? value : word.text);
	else
		str_add(out, value ? value : "");
}

static void read_variable(struct words *w, struct str *out)
{
	size_t length;

	w->at++;
	if (*w->at == '{') {
		w->at++;
		read_braces(w, out);
		return;
	}
	length = strspn(w->at, NAME_LETTERS);
	if (length == 0) {
		str_add(out, "$");
	} else {
		_cleanup_free_ char *name = xstrndup(w->at, length);
		const char *value = value_of(w->scope, name);

		str_add(out, value ? value : "");
		w->at += length;
	}
}

static void read_double(struct words *w, struct str *out)
{
	w->at++;
	while (!w->bad && *w->at && *w->at != '"') {
		if (*w->at == '$') {
			read_variable(w, out);
			continue;
		}
		if (*w->at == w->scope->escape && w->at[1] &&
		    (strchr("\"$", w->at[1]) || w->at[1] == w->scope->escape))
			w->at++;
		str_addn(out, w->at++, 1);
	}
	if (*w->at == '"')
		w->at++;
	else if (!w->bad)
		w->bad = "a quote that does not end";
}

/* Up to one of `stops` outside of quotes. */
static void read_until(struct words *w, const char *stops, struct str *out)
{
	while (!w->bad && *w->at && !strchr(stops, *w->at)) {
		if (*w->at == '$') {
			read_variable(w, out);
		} else if (*w->at == '"') {
			read_double(w, out);
		} else if (*w->at == '\'') {
			size_t length = strcspn(++w->at, "'");

			str_addn(out, w->at, length);
			w->at += length;
			if (*w->at++ != '\'') {
				w->at--;
				w->bad = "a quote that does not end";
			}
		} else {
			if (*w->at == w->scope->escape && w->at[1])
				w->at++;
			str_addn(out, w->at++, 1);
		}
	}
}

const char *df_words(const char *text, const struct df_scope *scope, struct strv *ret)
{
	struct words w = { .scope = scope, .at = text };

	for (;;) {
		struct str word = { 0 };

		w.at += strspn(w.at, " \t");
		if (!*w.at)
			return NULL;
		str_add(&word, "");
		read_until(&w, " \t", &word);
		strv_take(ret, word.text);
		if (w.bad)
			return w.bad;
	}
}

char *df_expand(const char *text, const struct df_scope *scope, const char **ret_bad)
{
	struct words w = { .scope = scope, .at = text };
	struct str word = { 0 };

	str_add(&word, "");
	read_until(&w, "", &word);
	if (!w.bad)
		return word.text;
	str_done(&word);
	*ret_bad = w.bad;
	return NULL;
}

bool df_json_list(const char *text, struct strv *ret)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	struct json_in *list = NULL;
	bool good;

	if (*text != '[' ||
	    json_in_new(text, strlen(text), 2, ERR_SPEC_SYNTAX, &list, &ignored) < 0)
		return false;
	good = json_in_is_list(list);
	for (size_t i = 0; good && i < json_in_count(list); i++)
		good = json_in_text(json_in_item(list, i)) != NULL;
	for (size_t i = 0; good && i < json_in_count(list); i++)
		strv_add(ret, json_in_text(json_in_item(list, i)));
	json_in_free(list);
	return good;
}

char *df_take_flag(const char **text)
{
	size_t length = strcspn(*text, " \t");
	char *flag;

	if (strncmp(*text, "--", 2))
		return NULL;
	flag = xstrndup(*text, length);
	*text += length;
	*text += strspn(*text, " \t");
	return flag;
}
