/* Why a step is made again: see explain.h. */
#include "builders/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/str.h"

#define LINES_BYTES_MAX (1u << 20)

static char *question_of(const char *image)
{
	return xasprintf("inputs of image %s", image);
}

static void read_before(struct explain *explain, struct store *store, const char *image)
{
	_cleanup_free_ char *question = question_of(image), *text = NULL;
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_close_ int fd = -1;
	struct digest digest;
	uint64_t bytes;
	char *rest, *line;

	if (store_pin_get(store, question, &digest, &ignored) != 1 ||
	    store_blob_open(store, &digest, &fd, &bytes, &ignored) != 1 ||
	    fs_read_fd(fd, "the inputs of an image", LINES_BYTES_MAX, &text, NULL, &ignored) < 0)
		return;
	for (rest = text; (line = strsep(&rest, "\n"));)
		if (*line)
			strv_add(&explain->before, line);
}

void explain_init(struct explain *explain, struct store *store, const char *image)
{
	*explain = (struct explain){ 0 };
	read_before(explain, store, image);
}

/* ---- what a step is made from ---------------------------------------------------------------- */

/* Inputs that are being added. */
struct adding {
	struct explain *explain;
	size_t number;
};

static void add(struct adding *adding, const char *name, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	strv_addf(&adding->explain->now, "%zu %s %s", adding->number, name, hex);
}

static void add_text(struct adding *adding, const char *name, const char *text)
{
	struct digest digest;
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add_text(&hash, text);
	sha256_end(&hash, &digest);
	add(adding, name, &digest);
}

static void add_texts(struct adding *adding, const char *name, const struct strv *texts)
{
	struct digest digest;
	struct sha256 hash;

	sha256_init(&hash);
	for (size_t i = 0; i < texts->count; i++)
		sha256_add_text(&hash, texts->items[i]);
	sha256_end(&hash, &digest);
	add(adding, name, &digest);
}

static void add_mounts(struct adding *adding, const struct step *run, const struct plan *stages)
{
	struct digest places, content;
	struct sha256 where, what;

	sha256_init(&where);
	sha256_init(&what);
	for (size_t i = 0; i < run->mount_count; i++) {
		sha256_add_text(&where, run->mounts[i].source);
		sha256_add_text(&where, run->mounts[i].to);
		sha256_add(&what, stages[run->mounts[i].image].key.bytes, DIGEST_SIZE);
	}
	sha256_end(&where, &places);
	sha256_end(&what, &content);
	add(adding, "the mounts", &places);
	add(adding, "the images that are mounted", &content);
}

static void add_run(struct adding *adding, const struct plan_step *step, const struct plan *stages,
		    const char *rules, const struct digest *chain)
{
	const struct step *run = step->step;
	const struct digest none = { 0 };

	add_texts(adding, "the command", &run->argv);
	add_texts(adding, "the environment", &step->process.environment);
	add_text(adding, "the user", step->process.user);
	add_text(adding, "the workdir", step->process.workdir);
	add_text(adding, "the network", run->network == NETWORK_NAT ? "nat" : "none");
	add_texts(adding, "the caches", &run->cache);
	add_texts(adding, "the secrets' names", &run->secrets);
	add_mounts(adding, run, stages);
	add_text(adding, "the platform", step->image->platform);
	add_text(adding, "duet's rules for steps", rules);
	add(adding, "the layers below", chain ? chain : &none);
}

static void add_input(struct adding *adding, const struct plan_step *step)
{
	add(adding, step->step && step->step->from_image ? "the image that is copied from"
							 : "the input's content", &step->input);
	/* all else that the key is of: where it goes, owner, mode, packages, ... */
	add(adding, "what the spec says of it", &step->own_key);
}

void explain_add(struct explain *explain, size_t number, const struct plan_step *step,
		 const struct plan *stages, const char *rules, const struct digest *chain)
{
	struct adding adding = { explain, number };

	if (step->step && step->step->kind == STEP_RUN)
		add_run(&adding, step, stages, rules, chain);
	else
		add_input(&adding, step);
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
	str_add(&text, names.count > 1 || str_has_suffix(names.items[0], "s") ? " differ" : " differs");
	return text.text;
}

int explain_keep(const struct explain *explain, struct store *store, const char *image,
		 struct err *err)
{
	_cleanup_free_ char *question = question_of(image);
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int fd = -1;
	struct digest digest;

	str_add(&text, "");
	for (size_t i = 0; i < explain->now.count; i++)
		str_addf(&text, "%s\n", explain->now.items[i]);
	digest_of(text.text, text.length, &digest);
	if (text.length == 0)
		return 0;
	if (store_blob_new(store, &fd, err) < 0)
		return -1;
	if (fs_write_all(fd, text.text, text.length) < 0)
		return err_sys_as(err, ERR_STORE, errno, "write the inputs of an image");
	if (store_blob_publish(store, fd, &digest, err) < 0)
		return -1;
	return store_pin_set(store, question, &digest, err);
}

void explain_done(struct explain *explain)
{
	strv_done(&explain->before);
	strv_done(&explain->now);
}
