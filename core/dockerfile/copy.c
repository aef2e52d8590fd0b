/* COPY and ADD: sources, --from, --chown, --chmod; local archives become archive steps. */
#include <string.h>

#include "core/dockerfile/convert.h"
#include "core/parse.h"

struct copy {
	char *owner, *mode;	/* owned or NULL */
	const char *image;	/* borrowed; NULL: the build's folder */
	bool bad;		/* named already */
};

static bool is_owner(const char *text)
{
	const char *colon = strchr(text, ':');
	_cleanup_free_ char *user = xstrndup(text, colon ? (size_t)(colon - text) : strlen(text));
	uint32_t id;

	return parse_id(user, &id) && (!colon || parse_id(colon + 1, &id));
}

static void take_flag(struct df_convert *c, const char *flag, struct copy *copy)
{
	const char *value = strchr(flag, '=');
	uint32_t mode;

	value = value ? value + 1 : "";
	if (str_has_prefix(flag, "--from=")) {
		copy->image = df_image_of(c, value);
		copy->bad |= !copy->image;
		if (!copy->image)
			df_lose(c, "%s", flag);
	} else if (str_has_prefix(flag, "--chown=") && is_owner(value)) {
		free(copy->owner);
		copy->owner = xstrdup(value);
	} else if (str_has_prefix(flag, "--chown=")) {
		df_lose(c, "%s: an owner takes numbers", flag);
	} else if (str_has_prefix(flag, "--chmod=") && parse_mode(value, &mode)) {
		free(copy->mode);
		copy->mode = xstrdup(value);
	} else if (strcmp(flag, "--link") && strcmp(flag, "--link=true") &&
		   strcmp(flag, "--link=false")) {
		df_lose(c, "%s", flag);
	}
}

static void take_flags(struct df_convert *c, const char **text, struct copy *copy)
{
	const struct df_scope scope = df_scope_of(c);
	char *flag;

	while ((flag = df_take_flag(text))) {
		const char *bad = NULL;
		_cleanup_free_ char *expanded = df_expand(flag, &scope, &bad);

		if (expanded)
			take_flag(c, expanded, copy);
		else
			df_lose(c, "%s: %s", flag, bad);
		free(flag);
	}
}

static bool is_archive(const char *name)
{
	static const char *const ends[] = { ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".txz",
					    ".tar.bz2", ".tbz2", ".tbz" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_has_suffix(name, ends[i]))
			return true;
	return false;
}

static bool is_remote(const char *source)
{
	return strstr(source, "://") || str_has_prefix(source, "git@");
}

/* As the spec has it: beside it, or from the root of an image. Owned. */
static char *source_path(const char *source, bool of_image)
{
	source += strspn(source, "/");
	while (!of_image && str_has_prefix(source, "./"))
		source += 2 + strspn(source + 2, "/");
	if (of_image)
		return xasprintf("/%s", !strcmp(source, ".") ? "" : source);
	return !*source || !strcmp(source, ".") ? xstrdup(".") : xasprintf("./%s", source);
}

static void put_copy(struct df_convert *c, const struct strv *sources, const char *to,
		     const struct copy *copy)
{
	struct df_step *step = df_stage_add(c->stage, DF_STEP_OTHER);

	str_add(&step->text, "copy: ");
	if (sources->count == 1)
		df_put(&step->text, sources->items[0], true);
	else
		df_put_list(&step->text, sources, true);
	str_add(&step->text, "\n");
	df_put_key(&step->text, "from", copy->image);
	df_put_key(&step->text, "to", to);
	df_put_key(&step->text, "owner", copy->owner);
	df_put_key(&step->text, "mode", copy->mode);
}

static void put_archive(struct df_convert *c, const char *source, const char *to,
			const struct copy *copy)
{
	struct df_step *step;

	if (str_has_suffix(source, "bz2") || str_has_suffix(source, "bz")) {
		df_lose(c, "%s: archives are gzip, zstd or xz", source);
		return;
	}
	if (copy->owner || copy->mode)
		df_lose(c, "--chown and --chmod of the archive %s", source);
	step = df_stage_add(c->stage, DF_STEP_OTHER);
	str_add(&step->text, "archive: ");
	df_put(&step->text, source, true);
	str_add(&step->text, "\n");
	df_put_key(&step->text, "to", to);
	c->stage->has_root |= !strcmp(to, "/");
	df_stage_add_folder(c->stage, to);
}

/* The words of the instruction: sources and, last, the target. False: named. */
static bool read_words(struct df_convert *c, const char *text, struct strv *ret)
{
	const struct df_scope scope = df_scope_of(c);
	_cleanup_(strv_done) struct strv list = { 0 };
	const char *bad = NULL;

	if (c->line->heredoc) {
		df_lose(c, "%s of a here-document (write the file beside the spec)", c->line->word);
		return false;
	}
	if (!df_json_list(text, &list)) {
		bad = df_words(text, &scope, ret);
	} else {
		for (size_t i = 0; !bad && i < list.count; i++) {
			char *word = df_expand(list.items[i], &scope, &bad);

			if (word)
				strv_take(ret, word);
		}
	}
	if (!bad && ret->count < 2)
		bad = "a source and a target are needed";
	if (bad)
		df_lose(c, "%s", bad);
	return !bad;
}

/* What ADD takes apart goes there at once, the rest into `ret`. */
static void take_added(struct df_convert *c, const struct strv *paths, const char *to,
		       const struct copy *copy, struct strv *ret)
{
	for (size_t i = 0; i < paths->count; i++)
		if (!is_archive(paths->items[i]))
			strv_add(ret, paths->items[i]);
		else if (strpbrk(paths->items[i], DF_GLOB_SIGNS))
			df_lose(c, "%s: which archives are meant is not known", paths->items[i]);
		else
			put_archive(c, paths->items[i], to, copy);
}

static void take_source(struct df_convert *c, const char *source, const char *to,
			const struct copy *copy, struct strv *ret)
{
	const bool of_image = copy->image != NULL, add = !strcmp(c->line->word, "ADD");
	_cleanup_free_ char *path = source_path(source, of_image);
	_cleanup_(strv_done) struct strv paths = { 0 }, names = { 0 };
	bool archives = false;

	if (strpbrk(path, DF_GLOB_SIGNS)) {
		df_take_pattern(c, path, of_image, &paths);
	} else {
		strv_add(&paths, path);
		if (!of_image)
			df_tell_link(c, path);
	}
	if (add && !of_image)
		df_match(c, &paths, &names);
	for (size_t i = 0; i < names.count; i++)
		archives |= is_archive(names.items[i]);
	if (add)
		take_added(c, archives ? &names : &paths, to, copy, ret);
	else
		strv_copy(ret, &paths);
}

/* Sorts the sources: archives at once, the rest into `ret`. */
static void take_sources(struct df_convert *c, const struct strv *words, const char *to,
			 const struct copy *copy, struct strv *ret)
{
	for (size_t i = 0; i + 1 < words->count; i++)
		if (is_remote(words->items[i]))
			df_lose(c, "%s: what comes from the network has no digest here (an archive "
				   "step takes a URL with sha256)", words->items[i]);
		else
			take_source(c, words->items[i], to, copy, ret);
}

int df_copy(struct df_convert *c)
{
	_cleanup_(strv_done) struct strv words = { 0 }, sources = { 0 };
	_cleanup_free_ char *to = NULL, *target = NULL;
	const char *text = c->line->rest;
	struct copy copy = { 0 };

	take_flags(c, &text, &copy);
	if (!copy.bad && read_words(c, text, &words)) {
		to = df_inside(c, words.items[words.count - 1]);
		if (to)
			take_sources(c, &words, to, &copy, &sources);
		else
			df_lose(c, "%s: no path inside", words.items[words.count - 1]);
	}
	if (sources.count > 0) {
		target = df_target(c, to, copy.image != NULL, &sources);
		put_copy(c, &sources, target, &copy);
	}
	free(copy.owner);
	free(copy.mode);
	return 0;
}
