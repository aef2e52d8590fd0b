/* Comparing two lists of what a tree holds (list.c has the form). Pure. */
#include <string.h>

#include "core/store/internal.h"

#define TOLD_MAX 8	/* differences that are named; the rest is counted */

enum field { TYPE, MODE, UID, GID, LINKS, BYTES, MTIME, CONTENT, PATH, TARGET, FIELDS };

static const char *const field_names[FIELDS] = {
	[TYPE] = "type", [MODE] = "mode", [UID] = "owner", [GID] = "group", [LINKS] = "links",
	[BYTES] = "size", [MTIME] = "time", [CONTENT] = "content", [PATH] = "path",
	[TARGET] = "target",
};

/* In this order the first difference is the one that tells most. */
static const enum field telling[] = { TYPE, BYTES, CONTENT, TARGET, MODE, UID, GID, LINKS, MTIME };

struct line {
	const char *at[FIELDS];	/* borrowed from the list */
	size_t length[FIELDS];
	bool whole;		/* false at the end of the list */
};

/* Takes the next line of a list. One that has too few fields counts as the end. */
static struct line next_line(const char **at, const char *end)
{
	const char *stop = memchr(*at, '\n', (size_t)(end - *at)), *from = *at;
	struct line line = { 0 };
	size_t count = 0;

	if (!stop)
		return line;
	while (count < FIELDS && from <= stop) {
		const char *blank = memchr(from, ' ', (size_t)(stop - from));

		if (!blank)
			blank = stop;
		line.at[count] = from;
		line.length[count++] = (size_t)(blank - from);
		from = blank + 1;
	}
	*at = stop + 1;
	line.whole = count > PATH;
	return line;
}

/* The order of the walk: a folder before what is in it, that before the folder's next sibling. */
static int path_order(const struct line *a, const struct line *b)
{
	size_t i = 0, a_length = a->length[PATH], b_length = b->length[PATH];
	const char *a_path = a->at[PATH], *b_path = b->at[PATH];

	/* the root is "." and comes before all */
	if (a_length == 1 && a_path[0] == '.')
		return b_length == 1 && b_path[0] == '.' ? 0 : -1;
	if (b_length == 1 && b_path[0] == '.')
		return 1;
	while (i < a_length && i < b_length && a_path[i] == b_path[i])
		i++;
	if (i == a_length || i == b_length)
		return a_length < b_length ? -1 : a_length > b_length;
	if (a_path[i] == '/' || b_path[i] == '/')
		return a_path[i] == '/' ? -1 : 1;
	return (unsigned char)a_path[i] < (unsigned char)b_path[i] ? -1 : 1;
}

static bool same_field(const struct line *a, const struct line *b, enum field field)
{
	return a->length[field] == b->length[field] &&
	       (a->length[field] == 0 ||
		!memcmp(a->at[field], b->at[field], a->length[field]));
}

static bool has_content(const struct line *line)
{
	return line->length[CONTENT] != 1 || line->at[CONTENT][0] != '-';
}

static void tell(struct str *text, size_t count, const struct line *line, const char *what)
{
	if (count > TOLD_MAX)
		return;
	if (count > 1)
		str_add(text, "; ");
	str_addn(text, line->at[PATH], line->length[PATH]);
	str_addf(text, ": %s", what);
}

static size_t compare_entry(const struct line *recorded, const struct line *found, size_t count,
			    struct str *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(telling); i++) {
		enum field field = telling[i];
		_cleanup_free_ char *what = NULL;

		if (same_field(recorded, found, field))
			continue;
		if (field == CONTENT && !(has_content(recorded) && has_content(found)))
			continue;
		if (field == CONTENT)
			what = xstrdup("content differs");
		else
			what = xasprintf("%s %.*s, recorded %.*s", field_names[field],
					 (int)found->length[field],
					 found->at[field] ? found->at[field] : "",
					 (int)recorded->length[field],
					 recorded->at[field] ? recorded->at[field] : "");
		tell(text, count + 1, found, what);
		return 1;
	}
	return 0;
}

size_t store_list_compare(const struct record *recorded, const struct record *found,
			  struct str *ret_text)
{
	const char *a_at = recorded->at, *b_at = found->at;
	struct line a = next_line(&a_at, recorded->end), b = next_line(&b_at, found->end);
	size_t count = 0;

	while (a.whole || b.whole) {
		int order = !a.whole ? 1 : !b.whole ? -1 : path_order(&a, &b);

		if (order == 0)
			count += compare_entry(&a, &b, count, ret_text);
		else if (order < 0)
			tell(ret_text, ++count, &a, "missing");
		else
			tell(ret_text, ++count, &b, "not recorded");
		if (order <= 0)
			a = next_line(&a_at, recorded->end);
		if (order >= 0)
			b = next_line(&b_at, found->end);
	}
	if (count > TOLD_MAX)
		str_addf(ret_text, "; and %zu more", count - TOLD_MAX);
	return count;
}
