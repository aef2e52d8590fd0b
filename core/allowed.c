/* What the user allows a spec beyond its project: see allowed.h. */
#include "core/allowed.h"

#include <stdlib.h>
#include <string.h>

#include "core/jail/caps.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define SHOWN 300	/* bytes of a word or folder in a message */

static bool take_path(struct allowed *allowed, enum outside_kind kind, const char *value,
		      const char *base);
static bool take_capabilities(struct allowed *allowed, enum outside_kind kind, const char *value,
			      const char *base);
static bool take_cache(struct allowed *allowed, enum outside_kind kind, const char *value,
		       const char *base);

static const struct row {
	const char *word;	/* NULL: nobody is asked for it */
	const char *value;	/* what may stand behind "="; NULL: nothing */
	bool (*take)(struct allowed *allowed, enum outside_kind kind, const char *value,
		     const char *base);
} rows[OUTSIDE_KINDS] = {
	[OUTSIDE_MOUNT] = { "mounts", "/PATH", take_path },
	[OUTSIDE_PATH] = { "paths", "/PATH", take_path },
	[OUTSIDE_CAPABILITIES] = { "capabilities", "NAME+NAME", take_capabilities },
	[OUTSIDE_SECCOMP] = { "seccomp", NULL, NULL },
	[OUTSIDE_CACHE] = { "caches", "NAME", take_cache },
	[OUTSIDE_MIRROR] = { "mirrors", NULL, NULL },
	[OUTSIDE_NETWORK] = { NULL, NULL, NULL },
};

static bool take_cache(struct allowed *allowed, enum outside_kind kind, const char *value,
		       const char *base)
{
	(void)kind;
	(void)base;
	if (!parse_is_name(value))
		return false;
	strv_add(&allowed->caches, value);
	return true;
}

static bool take_path(struct allowed *allowed, enum outside_kind kind, const char *value,
		      const char *base)
{
	if (!*value || (value[0] != '/' && !base))
		return false;
	strv_take(&allowed->paths[kind], path_join(base, value));
	return true;
}

/* "NAME[+NAME...]" */
static bool take_capabilities(struct allowed *allowed, enum outside_kind kind, const char *value,
			      const char *base)
{
	(void)kind;
	(void)base;
	while (*value) {
		size_t length = strcspn(value, "+");
		_cleanup_free_ char *name = xstrndup(value, length);
		uint64_t bit;

		if (!caps_parse(name, &bit))
			return false;
		allowed->capabilities |= bit;
		value += length + (value[length] == '+');
	}
	return true;
}

static bool add_word(struct allowed *allowed, const char *word, const char *base)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < OUTSIDE_KINDS; i++) {
		bool is_all = !strcmp(word, "all");

		if (!is_all && (!rows[i].word || strlen(rows[i].word) != length ||
				strncmp(rows[i].word, word, length)))
			continue;
		if (!word[length])
			allowed->kinds[i] = true;
		if (!is_all)
			return !word[length] || (rows[i].take && rows[i].take(allowed, i, word + length + 1,
									       base));
	}
	return !strcmp(word, "all");
}

static int unknown(const char *word, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(word, 100);
	_cleanup_(str_done) struct str known = { 0 };

	str_add(&known, "all");
	for (size_t i = 0; i < OUTSIDE_KINDS; i++) {
		if (rows[i].word)
			str_addf(&known, ", %s", rows[i].word);
		if (rows[i].value)
			str_addf(&known, ", %s=%s", rows[i].word, rows[i].value);
	}
	err_set(err, ERR_USAGE, "allow: `%s` is nothing that can be allowed", shown);
	return err_mend(err, "%s", known.text);
}

int allowed_add(struct allowed *allowed, const char *words, const char *base, struct err *err)
{
	while (*words) {
		size_t length = strcspn(words, ",");
		_cleanup_free_ char *word = xstrndup(words, length);

		if (!add_word(allowed, word, base))
			return unknown(word, err);
		words += length + (words[length] == ',');
	}
	return 0;
}

void allowed_merge(struct allowed *allowed, const struct allowed *from)
{
	for (size_t i = 0; i < OUTSIDE_KINDS; i++) {
		allowed->kinds[i] |= from->kinds[i];
		for (size_t j = 0; j < from->paths[i].count; j++)
			strv_add(&allowed->paths[i], from->paths[i].items[j]);
	}
	strv_copy(&allowed->caches, &from->caches);
	allowed->capabilities |= from->capabilities;
}

void allowed_done(struct allowed *allowed)
{
	for (size_t i = 0; i < OUTSIDE_KINDS; i++)
		strv_done(&allowed->paths[i]);
	strv_done(&allowed->caches);
	*allowed = (struct allowed){ 0 };
}

bool allowed_covers_path(const struct allowed *allowed, enum outside_kind kind, const char *real)
{
	if (allowed->kinds[kind])
		return true;
	for (size_t i = 0; i < allowed->paths[kind].count; i++) {
		_cleanup_free_ char *root = xrealpath(allowed->paths[kind].items[i]);

		if (root && path_is_below(real, root))
			return true;
	}
	return false;
}

bool allowed_covers_cache(const struct allowed *allowed, const char *name)
{
	if (allowed->kinds[OUTSIDE_CACHE])
		return true;
	for (size_t i = 0; i < allowed->caches.count; i++)
		if (!strcmp(allowed->caches.items[i], name))
			return true;
	return false;
}

const char *allowed_word(enum outside_kind kind)
{
	return rows[kind].word;
}

char *allowed_path_word(enum outside_kind kind, const char *path)
{
	return strchr(path, ',') ? xstrdup(rows[kind].word)
				 : xasprintf("%s=%s", rows[kind].word, path);
}

/* In double quotes where YAML would read something else into it. Owned, escaped. */
static char *quoted(const char *text)
{
	_cleanup_free_ char *shown = str_escape(text, SHOWN);
	bool plain = true;

	for (const char *at = text; *at; at++)
		plain &= (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
			 (*at >= 'A' && *at <= 'Z') || strchr("/._-+=", *at);
	return plain ? TAKE_PTR(shown) : xasprintf("\"%s\"", shown);
}

int allowed_mend(struct err *err, const char *word, const char *dir)
{
	_cleanup_free_ char *shown = str_escape(word, SHOWN), *value = quoted(word), *key = quoted(dir);

	return err_mend(err, "if that is meant: --allow '%s', or `allow: {%s: %s}` in "
			     "~/.config/duet/config.yaml", shown, key, value);
}
