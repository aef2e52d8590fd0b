/* Debian's control files: see control.h. */
#include "builders/debian/control.h"

#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "core/str.h"

#define BLANKS " \t\r"

/* The length of the line at `text`, without its newline. */
static size_t line_length(const char *text, size_t size)
{
	const char *end = memchr(text, '\n', size);

	return end ? (size_t)(end - text) : size;
}

static bool is_empty(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr(BLANKS, line[i]) || line[i] == '\0')
			return false;
	return true;
}

bool control_next(struct control *control, struct stanza *ret)
{
	const char *start = NULL;

	while (control->size > 0) {
		const char *line = control->text;
		size_t length = line_length(line, control->size);
		size_t whole = length < control->size ? length + 1 : length;

		if (is_empty(line, length) && start)
			break;
		control->text += whole;
		control->size -= whole;
		if (!start && !is_empty(line, length) && line[0] != '#')
			start = line;
	}
	if (!start)
		return false;
	*ret = (struct stanza){ start, (size_t)(control->text - start) };
	return true;
}

static void trim(const char **text, size_t *length)
{
	while (*length > 0 && strchr(BLANKS, **text)) {
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && strchr(BLANKS, (*text)[*length - 1]))
		(*length)--;
}

/* Does "Field:" stand at the start of the line? */
static bool is_field(const char *line, size_t length, const char *field)
{
	size_t name = strlen(field);

	return length > name && line[name] == ':' && !strncasecmp(line, field, name);
}

char *stanza_get(const struct stanza *stanza, const char *field)
{
	struct str value = { 0 };
	bool inside = false, seen = false, twice = false;
	const char *at = stanza->text, *end = stanza->text + stanza->size;

	if (memchr(stanza->text, '\0', stanza->size))
		return NULL;
	while (at < end) {
		size_t length = line_length(at, (size_t)(end - at)), part = length;
		const char *text = at;

		at += length < (size_t)(end - at) ? length + 1 : length;
		if (length > 0 && text[0] == '#')
			continue;
		if (length > 0 && (text[0] == ' ' || text[0] == '\t')) {
			if (!inside)
				continue;
			trim(&text, &part);
			str_add(&value, "\n");
			str_addn(&value, text, part);
			continue;
		}
		inside = is_field(text, length, field);
		if (!inside)
			continue;
		twice |= seen;
		seen = true;
		text += strlen(field) + 1;
		part -= strlen(field) + 1;
		trim(&text, &part);
		str_addn(&value, text, part);
	}
	if (!seen || twice) {
		str_done(&value);
		return NULL;
	}
	return value.text;
}

bool control_has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (*list) {
		size_t size;

		list += strspn(list, " \t\r\n,");
		size = strcspn(list, " \t\r\n,");
		if (size == length && size > 0 && !strncmp(list, word, size))
			return true;
		list += size;
	}
	return false;
}
