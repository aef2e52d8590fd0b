/* What of a spec reaches outside its project: see outside.h. */
#include "core/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define TEXT_SHOWN 200	/* bytes of a path in a text */

static const char *const kinds[OUTSIDE_KINDS] = {
	[OUTSIDE_MOUNT] = "mounts",
	[OUTSIDE_CAPABILITIES] = "capabilities",
	[OUTSIDE_SECCOMP] = "seccomp",
	[OUTSIDE_CACHE] = "caches",
};

struct list {
	struct outside *items;
	size_t count;
};

static void add(struct list *list, const struct outside *item)
{
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = *item;
}

/* Lexical: with a ".." in it nobody can tell without looking. */
static bool leads_out(const struct spec *spec, const char *path, bool look)
{
	_cleanup_free_ char *real = NULL;

	if (!path_is_below(path, spec->dir) || strstr(path, "/.."))
		return true;
	if (!look)
		return false;
	real = realpath(path, NULL);
	/* what is not there cannot be mounted either */
	return real && !path_is_below(real, spec->dir);
}

static void find_mounts(const struct spec *spec, bool look, struct list *list)
{
	for (size_t i = 0; i < spec->target.mount_count; i++) {
		const struct mount *mount = &spec->target.mounts[i];
		struct outside item = { .kind = OUTSIDE_MOUNT, .place = mount->place,
					.path = mount->source };
		_cleanup_free_ char *source = NULL, *at = NULL;

		if (mount->kind != MOUNT_BIND || !leads_out(spec, mount->source, look))
			continue;
		source = str_escape(mount->source, TEXT_SHOWN);
		at = str_escape(mount->target, TEXT_SHOWN);
		item.text = xasprintf("mount %s at %s, %s", source, at,
				      mount->read_only ? "read-only" : "writable");
		add(list, &item);
	}
}

static struct outside of_cache(const struct step_cache *cache)
{
	_cleanup_free_ char *path = str_escape(cache->path, TEXT_SHOWN);

	return (struct outside){ .kind = OUTSIDE_CACHE, .place = cache->place, .share = cache->share,
				 .text = xasprintf("cache %s shared as %s", path, cache->share) };
}

/* Several steps may share the same one: it is told of once. */
static void add_cache(struct list *list, const struct step_cache *cache)
{
	struct outside item = of_cache(cache);

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].kind == OUTSIDE_CACHE && !strcmp(list->items[i].text, item.text)) {
			free(item.text);
			return;
		}
	add(list, &item);
}

static void find_caches(const struct image_spec *image, struct list *list)
{
	for (size_t i = 0; i < image->step_count; i++)
		for (size_t j = 0; j < image->steps[i].cache_count; j++)
			if (image->steps[i].caches[j].share)
				add_cache(list, &image->steps[i].caches[j]);
}

void outside_find(const struct spec *spec, bool look, struct outside **ret, size_t *ret_count)
{
	const struct target *target = &spec->target;
	struct list list = { 0 };

	for (size_t i = 0; i < spec->stage_count; i++)
		find_caches(&spec->stages[i], &list);
	find_caches(&spec->image, &list);
	find_mounts(spec, look, &list);
	if (target->capabilities_add) {
		_cleanup_free_ char *names = caps_text(target->capabilities_add);
		const struct outside item = { .kind = OUTSIDE_CAPABILITIES,
					      .place = target->capabilities_place,
					      .capabilities = target->capabilities_add,
					      .text = xasprintf("capabilities %s", names) };

		add(&list, &item);
	}
	if (target->seccomp == SECCOMP_UNCONFINED) {
		const struct outside item = { .kind = OUTSIDE_SECCOMP,
					      .place = target->seccomp_place,
					      .text = xstrdup("no filter of system calls") };

		add(&list, &item);
	}
	*ret = list.items;
	*ret_count = list.count;
}

void outside_free(struct outside *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(items[i].text);
	free(items);
}

/* "NAME[+NAME...]" */
static bool parse_capabilities(const char *text, uint64_t *ret)
{
	while (*text) {
		size_t length = strcspn(text, "+");
		_cleanup_free_ char *name = xstrndup(text, length);
		uint64_t bit;

		if (!caps_parse(name, &bit))
			return false;
		*ret |= bit;
		text += length + (text[length] == '+');
	}
	return true;
}

static bool add_word(struct allowed *allowed, const char *word)
{
	const char *value = strchr(word, '=');
	size_t length = value ? (size_t)(value - word) : strlen(word);

	if (!strcmp(word, "all")) {
		for (size_t i = 0; i < OUTSIDE_KINDS; i++)
			allowed->kinds[i] = true;
		return true;
	}
	for (size_t i = 0; i < OUTSIDE_KINDS; i++) {
		if (strlen(kinds[i]) != length || strncmp(kinds[i], word, length))
			continue;
		if (!value) {
			allowed->kinds[i] = true;
			return true;
		}
		if (i == OUTSIDE_CAPABILITIES)
			return parse_capabilities(value + 1, &allowed->capabilities);
		if (i == OUTSIDE_CACHE && parse_is_name(value + 1)) {
			strv_add(&allowed->caches, value + 1);
			return true;
		}
		if (i != OUTSIDE_MOUNT || value[1] != '/')
			return false;
		strv_add(&allowed->paths, value + 1);
		return true;
	}
	return false;
}

int allowed_add(struct allowed *allowed, const char *words, struct err *err)
{
	while (*words) {
		size_t length = strcspn(words, ",");
		_cleanup_free_ char *word = xstrndup(words, length), *shown = NULL;

		if (!add_word(allowed, word)) {
			shown = str_escape(word, 100);
			err_set(err, ERR_USAGE, "allow: `%s` is nothing that can be allowed", shown);
			return err_mend(err, "all, mounts, mounts=/PATH, capabilities, "
					     "capabilities=NAME+NAME, seccomp, caches, caches=NAME");
		}
		words += length + (words[length] == ',');
	}
	return 0;
}

/* By where it leads: a link must not get more than its target. */
static bool covers_path(const struct allowed *allowed, const char *path)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	for (size_t i = 0; i < allowed->paths.count; i++) {
		_cleanup_free_ char *root = realpath(allowed->paths.items[i], NULL);

		if (real && root && path_is_below(real, root))
			return true;
	}
	return false;
}

static bool covers_cache(const struct allowed *allowed, const char *share)
{
	for (size_t i = 0; i < allowed->caches.count; i++)
		if (!strcmp(allowed->caches.items[i], share))
			return true;
	return false;
}

bool allowed_covers(const struct allowed *allowed, const struct outside *item)
{
	if (allowed->kinds[item->kind])
		return true;
	if (item->kind == OUTSIDE_CAPABILITIES)
		return !(item->capabilities & ~allowed->capabilities);
	if (item->kind == OUTSIDE_CACHE)
		return covers_cache(allowed, item->share);
	return item->kind == OUTSIDE_MOUNT && covers_path(allowed, item->path);
}

void allowed_done(struct allowed *allowed)
{
	strv_done(&allowed->paths);
	strv_done(&allowed->caches);
	*allowed = (struct allowed){ 0 };
}

char *outside_word(const struct outside *item)
{
	_cleanup_free_ char *names = NULL;

	if (item->kind == OUTSIDE_SECCOMP)
		return xstrdup(kinds[item->kind]);
	if (item->kind == OUTSIDE_MOUNT)
		return xasprintf("%s=%s", kinds[item->kind], item->path);
	if (item->kind == OUTSIDE_CACHE)
		return xasprintf("%s=%s", kinds[item->kind], item->share);
	names = caps_text(item->capabilities);
	for (char *at = names; *at; at++)
		if (*at == ' ')
			*at = '+';
	return xasprintf("%s=%s", kinds[item->kind], names);
}

int outside_refuse(const struct spec *spec, const struct outside *item, struct err *err)
{
	_cleanup_free_ char *word = outside_word(item), *shown = str_escape(word, 300);

	place_fail(err, spec->file, item->place, ERR_ALLOW, "reaches outside the project: %s",
		   item->text);
	return err_mend(err, "if that is meant: --allow '%s', or `allow: [%s]` in "
			     "~/.config/duet/config.yaml", shown, shown);
}

bool outside_is_of_build(const struct outside *item)
{
	return item->kind == OUTSIDE_CACHE;
}

int outside_check_cache(const struct spec *spec, const struct allowed *allowed,
			const struct step_cache *cache, struct err *err)
{
	struct outside item;
	int result = 0;

	if (!cache->share)
		return 0;
	item = of_cache(cache);
	if (!allowed || !allowed_covers(allowed, &item))
		result = outside_refuse(spec, &item, err);
	free(item.text);
	return result;
}

/* ---- mounts by descriptor -------------------------------------------------------------------- */

static bool may_mount(const struct spec *spec, const struct allowed *allowed, const char *real)
{
	_cleanup_free_ char *project = realpath(spec->dir, NULL);

	if (allowed->kinds[OUTSIDE_MOUNT] || (project && path_is_below(real, project)))
		return true;
	for (size_t i = 0; i < allowed->paths.count; i++) {
		_cleanup_free_ char *root = realpath(allowed->paths.items[i], NULL);

		if (root && path_is_below(real, root))
			return true;
	}
	return false;
}

static int open_mount(const struct spec *spec, const struct allowed *allowed, struct mount *mount,
		      struct err *err)
{
	_cleanup_close_ int fd = open(mount->source, O_PATH | O_CLOEXEC);
	_cleanup_free_ char *shown = str_escape(mount->source, TEXT_SHOWN), *real = NULL;
	struct outside item = { .kind = OUTSIDE_MOUNT, .place = mount->place,
				.path = mount->source };
	int result;

	if (fd < 0) {
		err_sys_as(err, ERR_SPEC_VALUE, errno, "mount %s", shown);
		err_mend(err, "make it, or name a file or folder that exists");
		return err_place(err, spec->file, mount->place.line, mount->place.column);
	}
	real = fs_path_of(fd);
	if (real && may_mount(spec, allowed, real)) {
		mem_closep(&mount->fd);
		mount->fd = TAKE_FD(fd);
		return 0;
	}
	item.text = xasprintf("mount %s, which is elsewhere by now", shown);
	result = outside_refuse(spec, &item, err);
	free(item.text);
	return result;
}

int outside_open_mounts(struct spec *spec, const struct allowed *allowed, struct err *err)
{
	for (size_t i = 0; i < spec->target.mount_count; i++)
		if (spec->target.mounts[i].kind == MOUNT_BIND &&
		    open_mount(spec, allowed, &spec->target.mounts[i], err) < 0)
			return -1;
	return 0;
}
