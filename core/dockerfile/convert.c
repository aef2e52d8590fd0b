/* A Dockerfile into a spec: see core/dockerfile.h. The stages, and which instruction does what. */
#include "core/dockerfile/convert.h"

#include <stdio.h>
#include <string.h>

#include "core/parse.h"
#include "core/path.h"
#include "core/place.h"
#include "core/ref.h"

#define LOSS_BYTES_MAX 300

static const struct dockerfile_loss *add_loss(struct df_convert *c, bool is_note, const char *fmt,
					      va_list args)
{
	struct dockerfile *out = c->out;
	_cleanup_free_ char *text = xvasprintf(fmt, args);
	struct dockerfile_loss *loss;

	out->losses = xreallocarray(out->losses, out->loss_count + 1, sizeof(*out->losses));
	loss = &out->losses[out->loss_count++];
	loss->line = c->line->number;
	loss->text = str_escape(text, LOSS_BYTES_MAX);
	loss->is_note = is_note;
	return loss;
}

int df_lose(struct df_convert *c, const char *fmt, ...)
{
	const struct dockerfile_loss *loss;
	struct df_step *note;
	va_list args;

	va_start(args, fmt);
	loss = add_loss(c, false, fmt, args);
	va_end(args);
	if (!c->stage)
		return 0;
	note = df_stage_add(c->stage, DF_STEP_NOTE);
	str_addf(&note->text, "line %u, not said here: %s", loss->line, loss->text);
	return 0;
}

void df_note(struct df_convert *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_loss(c, true, fmt, args);
	va_end(args);
}

struct df_scope df_scope_of(const struct df_convert *c)
{
	static const struct strv none;

	if (!c->stage)
		return (struct df_scope){ &none, &c->globals, c->lines.escape };
	return (struct df_scope){ &c->stage->environment, &c->stage->arguments, c->lines.escape };
}

char *df_inside(const struct df_convert *c, const char *path)
{
	const char *base = c->stage->workdir && path[0] != '/' ? c->stage->workdir : "";
	_cleanup_free_ char *whole = xasprintf("%s/%s", base, path), *clean = NULL;
	size_t length = strlen(path);
	bool folder;

	clean = xmalloc(strlen(whole) + 1);
	if (!length || !path_clean(whole, clean))
		return NULL;
	folder = path[length - 1] == '/' || !strcmp(path, ".") || str_has_suffix(path, "/.");
	return xasprintf("/%s%s", clean, folder && *clean ? "/" : "");
}

/* ---- stages ------------------------------------------------------------------------------------ */

/* A stage by its name or number, before the one under way; NULL. */
static const struct df_stage *find_stage(const struct df_convert *c, const char *name)
{
	size_t before = c->stage_count - 1;
	uint32_t number;

	for (size_t i = before; i-- > 0;)
		if (c->stages[i].name && !strcasecmp(c->stages[i].name, name))
			return &c->stages[i];
	return before > 0 && parse_u32_max(name, (uint32_t)before - 1, &number) ? &c->stages[number]
										: NULL;
}

static bool is_taken(const struct df_convert *c, const char *image)
{
	for (size_t i = 0; i < c->stage_count; i++)
		if (c->stages[i].image && !strcmp(c->stages[i].image, image))
			return true;
	for (size_t i = 0; i < c->outside.count; i += 2)
		if (!strcmp(c->outside.items[i], image))
			return true;
	return false;
}

/* A name that no other image has; owned. */
static char *fresh_name(const struct df_convert *c, const char *base)
{
	char *name = xstrdup(base);

	for (unsigned int i = 2; is_taken(c, name); i++) {
		free(name);
		name = xasprintf("%.50s-%u", base, i);
	}
	return name;
}

const char *df_image_of(struct df_convert *c, const char *name)
{
	const struct df_stage *stage = find_stage(c, name);
	_cleanup_free_ char *image = NULL;

	if (stage)
		return stage->image;
	for (size_t i = 0; i + 1 < c->outside.count; i += 2)
		if (!strcmp(c->outside.items[i + 1], name))
			return c->outside.items[i];
	if (ref_refusal(name))
		return NULL;
	image = fresh_name(c, "outside");
	str_add(&c->images, "  ");
	df_put(&c->images, image, false);
	str_add(&c->images, ":\n    from: ");
	df_put(&c->images, name, true);
	str_add(&c->images, "\n");
	strv_take(&c->outside, TAKE_PTR(image));
	strv_add(&c->outside, name);
	return c->outside.items[c->outside.count - 2];
}

static void inherit(struct df_stage *stage, const struct strv *environment, const char *workdir,
		    const char *user)
{
	strv_copy(&stage->inherited, environment);
	strv_copy(&stage->environment, environment);
	stage->workdir = workdir ? xstrdup(workdir) : NULL;
	stage->inherited_workdir = workdir ? xstrdup(workdir) : NULL;
	stage->user = user ? xstrdup(user) : NULL;
	stage->inherited_user = user ? xstrdup(user) : NULL;
}

static char *from_image(const char *image)
{
	struct str from = { 0 };

	str_add(&from, "{image: ");
	df_put(&from, image, false);
	str_add(&from, "}");
	return from.text;
}

void df_cut(struct df_convert *c)
{
	struct df_stage *stage = c->stage, rest = { 0 };
	char *image = stage->image, *part;

	part = xasprintf("%.50s-part%zu", image ? image : "image", ++stage->parts);
	stage->image = fresh_name(c, part);
	free(part);
	/* of the end of the stage: an ENTRYPOINT further down would take the CMD away */
	rest.entrypoint = TAKE_PTR(stage->entrypoint);
	rest.command = TAKE_PTR(stage->command);
	df_stage_write(stage, false, &c->images);
	inherit(&rest, &stage->environment, stage->workdir, stage->user);
	rest.name = TAKE_PTR(stage->name);
	rest.image = image;
	rest.from = from_image(stage->image);
	rest.scratch = stage->scratch;
	rest.has_root = stage->has_root;
	rest.parts = stage->parts;
	strv_copy(&rest.folders, &stage->folders);
	strv_copy(&rest.arguments, &stage->arguments);
	strv_copy(&rest.shell, &stage->shell);
	/* its name stays taken */
	strv_add(&c->outside, stage->image);
	strv_add(&c->outside, "");
	df_stage_done(stage);
	*stage = rest;
}

static void begin_from(struct df_convert *c, const char *reference)
{
	const struct df_stage *other = find_stage(c, reference);
	struct str from = { 0 };

	if (other) {
		inherit(c->stage, &other->environment, other->workdir, other->user);
		strv_copy(&c->stage->shell, &other->shell);
		c->stage->scratch = other->scratch;
		c->stage->has_root = other->has_root;
		strv_copy(&c->stage->folders, &other->folders);
		c->stage->from = from_image(other->image);
		return;
	}
	c->stage->scratch = !strcmp(reference, "scratch");
	c->stage->has_root = !c->stage->scratch;
	if (!c->stage->scratch && ref_refusal(reference)) {
		df_lose(c, "FROM %s: %s", reference, ref_refusal(reference));
		reference = "scratch";
	}
	df_put(&from, reference, true);
	c->stage->from = from.text;
}

static void take_platform(struct df_convert *c, const char *flag)
{
	const struct df_scope scope = { &(struct strv){ 0 }, &c->globals, c->lines.escape };
	const char *value = strchr(flag, '='), *bad = NULL;
	char *expanded;

	if (!str_has_prefix(flag, "--platform=")) {
		df_lose(c, "%s", flag);
		return;
	}
	/* the host's own, which is what is taken without it */
	if (strstr(value, "BUILDPLATFORM") || strstr(value, "TARGETPLATFORM"))
		return;
	expanded = df_expand(value + 1, &scope, &bad);
	if (!expanded || !*expanded) {
		df_lose(c, "%s: %s", flag, bad ? bad : "it is empty");
		free(expanded);
		return;
	}
	c->stage->platform = expanded;
}

static int take_from(struct df_convert *c)
{
	const struct df_scope scope = { &(struct strv){ 0 }, &c->globals, c->lines.escape };
	const char *text = c->line->rest, *bad;
	_cleanup_(strv_done) struct strv words = { 0 };
	_cleanup_free_ char *number = NULL;
	const char *name;
	char *flag;

	if (c->stage)
		df_stage_write(c->stage, false, &c->images);
	c->stage = &c->stages[c->stage_count++];
	while ((flag = df_take_flag(&text))) {
		take_platform(c, flag);
		free(flag);
	}
	bad = df_words(text, &scope, &words);
	if (bad || words.count == 0 || !*words.items[0]) {
		df_lose(c, "FROM %s: %s", text, bad ? bad : "no image");
		c->stage->from = xstrdup("scratch");
	} else {
		begin_from(c, words.items[0]);
	}
	if (words.count == 3 && !strcasecmp(words.items[1], "AS"))
		c->stage->name = xstrdup(words.items[2]);
	else if (words.count > 1)
		df_lose(c, "FROM %s", text);
	if (c->stage_count == c->stage_total)
		return 0;
	number = xasprintf("stage%zu", c->stage_count - 1);
	name = c->stage->name && parse_is_name(c->stage->name) ? c->stage->name : number;
	c->stage->image = fresh_name(c, name);
	return 0;
}

/* ---- instructions ------------------------------------------------------------------------------ */

static int lose_line(struct df_convert *c)
{
	return df_lose(c, "%s %s", c->line->word, c->line->rest);
}

static int healthcheck(struct df_convert *c)
{
	return strcasecmp(c->line->rest, "NONE") ? lose_line(c) : 0;
}

static const struct instruction {
	const char *word;
	int (*take)(struct df_convert *c);
} instructions[] = {
	{ "FROM", take_from }, { "RUN", df_run }, { "COPY", df_copy }, { "ADD", df_copy },
	{ "ENV", df_env }, { "ARG", df_arg }, { "LABEL", df_label }, { "WORKDIR", df_workdir },
	{ "USER", df_user }, { "ENTRYPOINT", df_entrypoint }, { "CMD", df_cmd },
	{ "EXPOSE", df_expose }, { "VOLUME", df_volume }, { "STOPSIGNAL", df_stopsignal },
	{ "SHELL", df_shell }, { "HEALTHCHECK", healthcheck }, { "ONBUILD", lose_line },
	{ "MAINTAINER", lose_line },
};

static int take_line(struct df_convert *c, const char *file, struct err *err)
{
	const struct place place = { c->line->number, 1 };
	_cleanup_free_ char *shown = str_escape(c->line->word, 40);

	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (strcmp(instructions[i].word, c->line->word))
			continue;
		if (!c->stage && strcmp(c->line->word, "FROM") && strcmp(c->line->word, "ARG"))
			return place_fail(err, file, place, ERR_SPEC_SYNTAX,
					  "%s above the first FROM", shown);
		return instructions[i].take(c);
	}
	return place_fail(err, file, place, ERR_SPEC_SYNTAX, "unknown instruction %s", shown);
}

static char *variable_of(const char *secret)
{
	char *name = xstrdup(secret);

	for (char *at = name; *at; at++) {
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
		else if (strchr("-.", *at))
			*at = '_';
	}
	return name;
}

static char *whole_spec(const struct df_convert *c, const char *name, const char *last)
{
	struct str out = { 0 };

	str_add(&out, "duet: 1\nname: ");
	df_put(&out, name, false);
	str_add(&out, "\n\n");
	if (c->images.length)
		str_addf(&out, "images:\n%s\n", c->images.text);
	str_add(&out, last);
	for (size_t i = 0; i < c->secrets.count; i++) {
		_cleanup_free_ char *variable = variable_of(c->secrets.items[i]);

		str_add(&out, i ? "  " : "\nsecrets:\n  ");
		df_put(&out, c->secrets.items[i], false);
		str_add(&out, ": {env: ");
		df_put(&out, variable, false);
		str_add(&out, "}\n");
	}
	return out.text;
}

static int convert(struct df_convert *c, const char *name, const char *file, struct err *err)
{
	_cleanup_(str_done) struct str last = { 0 };

	for (size_t i = 0; i < c->lines.count; i++)
		c->stage_total += !strcmp(c->lines.items[i].word, "FROM");
	if (c->stage_total == 0)
		return place_fail(err, file, (struct place){ 1, 1 }, ERR_SPEC_SYNTAX,
				  "there is no FROM");
	c->stages = xcalloc(c->stage_total, sizeof(*c->stages));
	for (size_t i = 0; i < c->lines.count; i++) {
		c->line = &c->lines.items[i];
		if (take_line(c, file, err) < 0)
			return -1;
	}
	df_stage_write(c->stage, true, &last);
	c->out->spec = whole_spec(c, name, last.text);
	return 0;
}

int dockerfile_convert(struct dockerfile *ret, const struct dockerfile_files *files,
		       const char *name, const char *file, const char *text, size_t size,
		       struct err *err)
{
	struct dockerfile out = { 0 };
	struct df_convert c = { .out = &out, .files = files };
	int result = df_lines_read(&c.lines, file, text, size, err);

	if (result == 0)
		result = convert(&c, name, file, err);
	for (size_t i = 0; i < c.stage_count; i++)
		df_stage_done(&c.stages[i]);
	free(c.stages);
	strv_done(&c.globals);
	strv_done(&c.secrets);
	strv_done(&c.outside);
	strv_done(&c.caches);
	str_done(&c.images);
	df_lines_done(&c.lines);
	if (result < 0)
		dockerfile_done(&out);
	else
		*ret = out;
	return result;
}

void dockerfile_done(struct dockerfile *dockerfile)
{
	for (size_t i = 0; i < dockerfile->loss_count; i++)
		free(dockerfile->losses[i].text);
	free(dockerfile->losses);
	free(dockerfile->spec);
	*dockerfile = (struct dockerfile){ 0 };
}
