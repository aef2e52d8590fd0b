/* YAML of a spec: scalars, lists, blocks of lines. */
#include <string.h>

#include "core/dockerfile/internal.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Is it the same without quotes, in a list too? What YAML has another type for is not. */
static bool is_plain(const char *text)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off", "y",
					     "n" };
	size_t length = strlen(text);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return false;
	return length > 0 && strchr(LETTERS "/._", text[0]) &&
	       strspn(text, LETTERS "/._-+=@:$ ") == length && !strchr(": ", text[length - 1]) &&
	       !strstr(text, ": ");
}

static void put_quoted(struct str *out, const char *text)
{
	str_add(out, "\"");
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			str_addf(out, "\\%c", c);
		else if (c == '\n')
			str_add(out, "\\n");
		else if (c == '\t')
			str_add(out, "\\t");
		else if (c < 0x20 || c == 0x7f)
			str_addf(out, "\\x%02X", c);
		else
			str_addn(out, text, 1);
	}
	str_add(out, "\"");
}

void df_put(struct str *out, const char *text, bool expands)
{
	_cleanup_(str_done) struct str doubled = { 0 };

	str_add(&doubled, "");
	for (const char *at = text; *at; at++)
		str_add(&doubled, (char[]){ *at, expands && *at == '$' ? '$' : '\0', '\0' });
	if (is_plain(doubled.text))
		str_add(out, doubled.text);
	else
		put_quoted(out, doubled.text);
}

void df_put_key(struct str *out, const char *key, const char *value)
{
	if (!value)
		return;
	str_addf(out, "%s: ", key);
	df_put(out, value, false);
	str_add(out, "\n");
}

void df_put_list(struct str *out, const struct strv *list, bool expands)
{
	str_add(out, "[");
	for (size_t i = 0; i < list->count; i++) {
		str_add(out, i ? ", " : "");
		df_put(out, list->items[i], expands);
	}
	str_add(out, "]");
}

/*
 * Does it read better as a block, and does one keep it as it is: no other control characters, no blank
 * before the first line?
 */
static bool is_block(const char *text)
{
	size_t length = strlen(text);

	if (!strpbrk(text, "\n\"\\") || strchr(" \t\n", text[0]) ||
	    (length > 1 && text[length - 1] == '\n' && text[length - 2] == '\n'))
		return false;
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
			return false;
	return true;
}

void df_put_text(struct str *out, const char *key, const char *text, unsigned int indent)
{
	str_addf(out, "%s: ", key);
	if (!is_block(text)) {
		df_put(out, text, false);
		str_add(out, "\n");
		return;
	}
	str_add(out, text[strlen(text) - 1] == '\n' ? "|\n" : "|-\n");
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length > 0)
			str_addf(out, "%*s%.*s", (int)indent, "", (int)length, text);
		str_add(out, "\n");
		text += length + (text[length] == '\n');
	}
}
