/*
 * Sources and targets of COPY and ADD, where Docker takes the same words for something else: its wildcards
 * match hidden names, links that are named are followed, and a target that is a folder already is one without
 * a / at its end, too.
 */
#include <string.h>

#include "core/dockerfile/convert.h"
#include "core/path.h"

#define WILD_MAX 4	/* components of a pattern that begin with a wildcard */

/* ---- patterns ---------------------------------------------------------------------------------- */

static bool is_pattern(const char *path)
{
	return strpbrk(path, DF_GLOB_SIGNS) != NULL;
}

/* Where components begin with a wildcard. Returns how many there are. */
static size_t wild_places(const char *pattern, const char *places[WILD_MAX])
{
	size_t count = 0;

	for (const char *at = pattern; *at; at++)
		if ((*at == '*' || *at == '?') && (at == pattern || at[-1] == '/')) {
			if (count == WILD_MAX)
				return 0;
			places[count++] = at;
		}
	return count;
}

/* The pattern for names with a "." before the wildcards of `which`, a bit for each of `places`. */
static char *hidden_pattern(const char *pattern, const char *const *places, size_t count,
			    unsigned int which)
{
	struct str out = { 0 };

	for (size_t i = 0; i < count; i++) {
		str_addn(&out, pattern, (size_t)(places[i] - pattern));
		pattern = places[i];
		if (!(which & 1u << i))
			continue;
		str_add(&out, ".");
		/* "?" was the dot itself */
		pattern += *pattern == '?';
	}
	str_add(&out, pattern);
	return out.text;
}

static bool matches(const struct df_convert *c, const char *pattern)
{
	_cleanup_(strv_done) struct strv names = { 0 };

	c->files->match(c->files->data, pattern, &names);
	return names.count > 0;
}

void df_take_pattern(struct df_convert *c, const char *pattern, bool of_image, struct strv *ret)
{
	const char *places[WILD_MAX];
	size_t count = wild_places(pattern, places), before = ret->count;

	if (count > 0 && of_image)
		df_note(c, "%s: here it matches no name that begins with a \".\"", pattern);
	if (!c->files || of_image || count == 0 || matches(c, pattern))
		strv_add(ret, pattern);
	for (unsigned int which = 1; c->files && !of_image && which < 1u << count; which++) {
		char *hidden = hidden_pattern(pattern, places, count, which);

		if (matches(c, hidden))
			strv_take(ret, hidden);
		else
			free(hidden);
	}
	/* it matches nothing, which the build tells */
	if (ret->count == before)
		strv_add(ret, pattern);
}

void df_match(const struct df_convert *c, const struct strv *list, struct strv *ret)
{
	for (size_t i = 0; i < list->count; i++)
		if (!is_pattern(list->items[i]))
			strv_add(ret, list->items[i]);
		else if (c->files)
			c->files->match(c->files->data, list->items[i], ret);
}

void df_tell_link(struct df_convert *c, const char *path)
{
	if (c->files && S_ISLNK(c->files->mode(c->files->data, path)))
		df_lose(c, "%s: a symbolic link is copied as one, not what it leads to", path);
}

/* ---- the target -------------------------------------------------------------------------------- */

static bool has_pattern(const struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (is_pattern(list->items[i]))
			return true;
	return false;
}

/* The one name that stands for all of them, which then takes their place. */
static bool take_only_name(const struct df_convert *c, struct strv *sources)
{
	_cleanup_(strv_done) struct strv names = { 0 };

	df_match(c, sources, &names);
	if (names.count != 1 || is_pattern(names.items[0]))
		return false;
	strv_done(sources);
	strv_add(sources, names.items[0]);
	return true;
}

/* A file that is to have another name, or goes into a folder of the base image or of a RUN? */
static bool is_doubtful(const struct df_convert *c, const char *source, const char *to)
{
	const char *base = path_base(to);

	return (!c->stage->scratch || c->stage->has_run) && c->files && !strchr(base, '.') &&
	       strcmp(base, path_base(source)) &&
	       S_ISREG(c->files->mode(c->files->data, source));
}

char *df_target(struct df_convert *c, const char *to, bool of_image, struct strv *sources)
{
	bool folder = str_has_suffix(to, "/");

	if (!folder && has_pattern(sources) && (of_image || !take_only_name(c, sources))) {
		df_lose(c, "%s: what a pattern matches goes into a folder: %s/ is taken", to, to);
		folder = true;
	}
	folder |= sources->count > 1 || df_stage_has_folder(c->stage, to);
	if (!folder && !of_image && is_doubtful(c, sources->items[0], to))
		df_note(c, "%s: taken for the name of a file; write %s/ if it is a folder there", to, to);
	if (folder || (c->files && !of_image &&
		       S_ISDIR(c->files->mode(c->files->data, sources->items[0]))))
		df_stage_add_folder(c->stage, to);
	else
		df_stage_add_parents(c->stage, to);
	return xasprintf("%s%s", to, folder && !str_has_suffix(to, "/") ? "/" : "");
}
