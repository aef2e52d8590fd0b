/* Why a step is made again: see explain.h. */
#include "builders/explain.h"

#include <stdlib.h>
#include <string.h>

#include "core/str.h"

#define LINES_BYTES_MAX (1u << 20)

static char *question_of(const char *image)
{
	return xasprintf("inputs of image %s", image);
}

void explain_read(struct explain *explain, struct store *store, const char *image)
{
	_cleanup_free_ char *question = question_of(image), *text = NULL;
	_cleanup_(err_done) struct err ignored = { 0 };
	char *rest, *line;

	if (store_text_get(store, question, LINES_BYTES_MAX, &text, NULL, &ignored) != 1)
		return;
	for (rest = text; (line = strsep(&rest, "\n"));)
		if (*line)
			strv_add(&explain->before, line);
}

/* ---- what a step is made from ---------------------------------------------------------------- */

/* Inputs that are being added. */
struct adding {
	struct explain *explain;
	size_t number;
};

static void add(void *data, const char *name, const struct digest *value)
{
	struct adding *adding = data;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(value, hex);
	strv_addf(&adding->explain->now, "%zu %s %s", adding->number, name, hex);
}

void explain_add(struct explain *explain, size_t number, const struct plan_made *made)
{
	struct adding adding = { explain, number };

	plan_layer_inputs(made, add, &adding);
}

/* ---- what differs ---------------------------------------------------------------------------- */

/* The name in "STEP NAME HEX", when it is of this step. Owned; NULL: of another. */
static char *name_of(const char *line, size_t number)
{
	const char *hex = strrchr(line, ' ');
	char *end;

	if (strtoull(line, &end, 10) != number || *end != ' ' || !hex || hex <= end)
		return NULL;
	return xstrndup(end + 1, (size_t)(hex - end - 1));
}

/* 1: another value, 0: the same, -1: the last build had no such input. */
static int compare(const struct explain *explain, const char *line, size_t number, const char *name)
{
	for (size_t i = 0; i < explain->before.count; i++) {
		_cleanup_free_ char *other = name_of(explain->before.items[i], number);

		if (other && !strcmp(other, name))
			return strcmp(explain->before.items[i], line) != 0;
	}
	return -1;
}

char *explain_step(const struct explain *explain, size_t number)
{
	_cleanup_(strv_done) struct strv names = { 0 };
	struct str text = { 0 };
	bool plural;

	for (size_t i = 0; i < explain->now.count; i++) {
		_cleanup_free_ char *name = name_of(explain->now.items[i], number);
		int differs = name ? compare(explain, explain->now.items[i], number, name) : 0;

		if (differs < 0)
			return xstrdup(explain->before.count ? "the last build had another step here"
							     : "the image was not built before");
		/* its key differs with the content too: said once */
		if (differs && !(names.count && !strcmp(name, "what the spec says of it")))
			strv_add(&names, name);
	}
	if (names.count == 0)
		return xstrdup("nothing differs from the last build, the store lost it");
	for (size_t i = 0; i < names.count; i++)
		str_addf(&text, "%s%s", i == 0 ? "" : i + 1 < names.count ? ", " : " and ",
			 names.items[i]);
	plural = names.count > 1 || str_has_suffix(names.items[0], "s") ||
		 !strncmp(names.items[0], "the layers ", strlen("the layers "));
	str_add(&text, plural ? " differ" : " differs");
	return text.text;
}

int explain_keep(const struct explain *explain, struct store *store, const char *image,
		 struct err *err)
{
	_cleanup_free_ char *question = question_of(image);
	_cleanup_(str_done) struct str text = { 0 };

	for (size_t i = 0; i < explain->now.count; i++)
		str_addf(&text, "%s\n", explain->now.items[i]);
	return text.length ? store_text_set(store, question, text.text, text.length, err) : 0;
}

void explain_done(struct explain *explain)
{
	strv_done(&explain->before);
	strv_done(&explain->now);
}
