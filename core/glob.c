/* Patterns and the rules of a .duetignore: see glob.h. */
#include "core/glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/str.h"

bool glob_is_pattern(const char *text)
{
	return strpbrk(text, "*?[\\") != NULL;
}

char *glob_cut(char *path, size_t from)
{
	char *at = path + from;

	at += *at == '/';
	while (*at) {
		char *end = at + strcspn(at, "/"), *part = xstrndup(at, (size_t)(end - at));
		bool is_pattern = glob_is_pattern(part);

		free(part);
		if (is_pattern) {
			char *pattern = xstrdup(at);

			/* "/" alone stays */
			at[at > path + 1 && at[-1] == '/' ? -1 : 0] = '\0';
			return pattern;
		}
		at = end + (*end == '/');
	}
	return NULL;
}

/* ---- one component --------------------------------------------------------------------------- */

/* The character at `at`, and its bytes; what is no UTF-8 counts byte by byte, beyond all characters. */
static uint32_t next_character(const char *at, const char *end, size_t *ret_length)
{
	static const uint8_t first_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint8_t first = (uint8_t)*at;
	size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t character;

	*ret_length = 1;
	if (first < 0x80)
		return first;
	if (length == 1 || (size_t)(end - at) < length || !str_is_utf8(at, length))
		return 0x110000u + first;
	*ret_length = length;
	character = first & first_bits[length];
	for (size_t i = 1; i < length; i++)
		character = character << 6 | ((uint8_t)at[i] & 0x3f);
	return character;
}

/* A character of a bracket, without its backslash; moves *at behind it. */
static uint32_t take(const char **at, const char *end)
{
	size_t length;
	uint32_t character;

	if (**at == '\\' && *at + 1 < end)
		++*at;
	character = next_character(*at, end, &length);
	*at += length;
	return character;
}

/* "[...]" at `at`: 1 or 0 and the end of it; -1 when it is not closed, and "[" stands for itself. */
static int match_bracket(const char **at, const char *end, uint32_t character)
{
	const char *p = *at + 1;
	bool negated = p < end && (*p == '!' || *p == '^'), found = false;

	p += negated;
	for (bool first = true; p < end && (first || *p != ']'); first = false) {
		uint32_t low = take(&p, end), high = low;

		if (p + 1 < end && *p == '-' && p[1] != ']') {
			p++;
			high = take(&p, end);
		}
		found |= low <= character && character <= high;
	}
	if (p >= end)
		return -1;
	*at = p + 1;
	return found != negated;
}

/* One element of the pattern other than "*" against one character; moves both on a match. */
static bool match_one(const char **pattern, const char *pattern_end, const char **name,
		      const char *name_end)
{
	const char *p = *pattern;
	uint32_t character;
	size_t length, own;
	int bracket;

	if (p == pattern_end || *name == name_end)
		return false;
	character = next_character(*name, name_end, &length);
	if (*p == '?') {
		p++;
	} else {
		bracket = *p == '[' ? match_bracket(&p, pattern_end, character) : -1;
		if (bracket == 0)
			return false;
		if (bracket < 0) {
			if (*p == '\\' && p + 1 < pattern_end)
				p++;
			if (next_character(p, pattern_end, &own) != character)
				return false;
			p += own;
		}
	}
	*pattern = p;
	*name += length;
	return true;
}

/* `hidden`: wildcards match a leading "." too. */
static bool match_component(const char *pattern, const char *pattern_end, const char *name,
			    const char *name_end, bool hidden)
{
	const char *star = NULL, *star_name = NULL;

	if (!hidden && name < name_end && *name == '.' && pattern < pattern_end &&
	    *pattern != '.' && !(*pattern == '\\' && pattern + 1 < pattern_end &&
				 pattern[1] == '.'))
		return false;
	for (;;) {
		if (pattern < pattern_end && *pattern == '*') {
			star = ++pattern;
			star_name = name;
		} else if (pattern == pattern_end && name == name_end) {
			return true;
		} else if (!match_one(&pattern, pattern_end, &name, name_end)) {
			size_t length;

			/* only the last star has to give way: what it skips no earlier one needs */
			if (!star || star_name == name_end)
				return false;
			next_character(star_name, name_end, &length);
			name = star_name += length;
			pattern = star;
		}
	}
}

bool glob_match_name(const char *pattern, size_t length, const char *name, bool hidden)
{
	return match_component(pattern, pattern + length, name, name + strlen(name), hidden);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static const char *component_end(const char *at)
{
	return at + strcspn(at, "/");
}

/* Behind the component that ends at `end`. */
static const char *behind(const char *end)
{
	return end + (*end == '/');
}

enum glob_match glob_match(const char *pattern, const char *path)
{
	const char *star = NULL, *star_path = NULL;

	for (;;) {
		const char *pattern_end = component_end(pattern), *path_end = component_end(path);

		if (!*pattern)
			return *path ? GLOB_BELOW : GLOB_ITSELF;
		if (pattern_end - pattern == 2 && !memcmp(pattern, "**", 2)) {
			star = pattern = behind(pattern_end);
			star_path = path;
			if (!*star)
				return !*path ? GLOB_NO : *path_end ? GLOB_BELOW : GLOB_ITSELF;
			continue;
		}
		if (*path && match_component(pattern, pattern_end, path, path_end, true)) {
			pattern = behind(pattern_end);
			path = behind(path_end);
			continue;
		}
		if (!star || !*star_path)
			return GLOB_NO;
		path = star_path = behind(component_end(star_path));
		pattern = star;
	}
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes "./", doubled and leading slashes off. Owned. */
static char *clean_pattern(const char *text, const char *end)
{
	_cleanup_(str_done) struct str clean = { 0 };

	while (text < end) {
		const char *stop = memchr(text, '/', (size_t)(end - text));
		size_t length = (size_t)((stop ? stop : end) - text);

		if (length > 0 && !(length == 1 && *text == '.')) {
			if (clean.length)
				str_add(&clean, "/");
			str_addn(&clean, text, length);
		}
		text += length + 1;
	}
	return xstrdup(clean.text ? clean.text : "");
}

static bool leads_up(const char *pattern)
{
	for (const char *at = pattern; *at; at = behind(component_end(at)))
		if (component_end(at) - at == 2 && !memcmp(at, "..", 2))
			return true;
	return false;
}

static int add_rule(struct ignore *ignore, const char *text, const char *end, struct err *err)
{
	struct ignore_rule rule = { 0 };

	while (text < end && is_blank(*text))
		text++;
	while (text < end && is_blank(end[-1]))
		end--;
	if (text == end || *text == '#')
		return 0;
	rule.keep = *text == '!';
	text += rule.keep;
	rule.folder = text < end && end[-1] == '/';
	rule.pattern = clean_pattern(text, end);
	if (leads_up(rule.pattern) || ignore->count == IGNORE_RULES_MAX) {
		bool up = ignore->count < IGNORE_RULES_MAX;

		free(rule.pattern);
		return up ? err_set(err, ERR_SPEC_VALUE, "\"..\" in a pattern of a %s", IGNORE_FILE)
			  : err_set(err, ERR_SPEC_LIMIT, "a %s of more than %d rules", IGNORE_FILE,
				    IGNORE_RULES_MAX);
	}
	if (!*rule.pattern) { /* the folder itself: no rule of what is in it */
		free(rule.pattern);
		return 0;
	}
	ignore->rules = xreallocarray(ignore->rules, ignore->count + 1, sizeof(rule));
	ignore->rules[ignore->count++] = rule;
	ignore->has_keep |= rule.keep;
	return 0;
}

int ignore_parse(struct ignore *ret, const char *file, const char *text, size_t size,
		 struct err *err)
{
	_cleanup_(ignore_done) struct ignore ignore = { 0 };
	const char *end = text + size;

	if (memchr(text, '\0', size))
		return err_set(err, ERR_SPEC_SYNTAX, "read %s: there is a NUL in it", file);
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (unsigned int line = 1; text < end; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		if (add_rule(&ignore, text, stop, err) < 0)
			return err_place(err, file, line, 1);
		text = stop + 1;
	}
	*ret = ignore;
	ignore = (struct ignore){ 0 };
	return 0;
}

void ignore_apply(const struct ignore *ignore, const char *path, bool is_folder, bool *ignored)
{
	for (size_t i = 0; ignore && i < ignore->count; i++) {
		const struct ignore_rule *rule = &ignore->rules[i];
		enum glob_match match;

		if (*ignored != rule->keep)
			continue;
		match = glob_match(rule->pattern, path);
		if (match == GLOB_BELOW || (match == GLOB_ITSELF && (is_folder || !rule->folder)))
			*ignored = !rule->keep;
	}
}

void ignore_done(struct ignore *ignore)
{
	for (size_t i = 0; i < ignore->count; i++)
		free(ignore->rules[i].pattern);
	free(ignore->rules);
	*ignore = (struct ignore){ 0 };
}
