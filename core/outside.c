/* What of a spec reaches outside its project: see outside.h. */
#include "core/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/glob.h"
#include "core/jail/caps.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define TEXT_SHOWN 200	/* bytes of a path in a text */

struct list {
	struct outside *items;
	size_t count;
};

static void add(struct list *list, const struct outside *item)
{
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = *item;
}

/* "copy", "secret file": what a reader looks for in the spec. Owned. */
static char *label(const struct host_use *use)
{
	const char *dot = strchr(use->object, '.');

	if (!dot || str_has_prefix(use->object, "from.") || str_has_prefix(use->object, "step."))
		return xstrdup(use->key);
	return xasprintf("%.*s %s", (int)(dot - use->object), use->object, use->key);
}

/* What is opened of it: of a pattern the folder in front. Owned. */
static char *opened_path(const struct spec *spec, const struct host_use *use)
{
	char *path = xstrdup(use->path);

	if (use->is_copied)
		free(glob_cut(path, path_is_below(path, spec->dir) ? strlen(spec->dir) : 0));
	return path;
}

static enum outside_when when_used(const struct host_use *use)
{
	if (!strcmp(use->object, "vm"))
		return OUTSIDE_VM;
	return !strcmp(use->object, "target") ? OUTSIDE_JOB : OUTSIDE_ALWAYS;
}

static void find_paths(const struct spec *spec, bool look, struct list *list)
{
	for (size_t i = 0; i < spec->host_use_count; i++) {
		const struct host_use *use = &spec->host_uses[i];
		struct outside item = { .kind = OUTSIDE_PATH, .when = when_used(use),
					.place = use->place, .key = use->key,
					.flags = use->is_copied ? O_NOFOLLOW : 0 };
		_cleanup_free_ char *path = NULL, *shown = NULL, *name = NULL;

		/* a mount has a word of its own */
		if (use->is_mount)
			continue;
		path = opened_path(spec, use);
		if (!host_path_leads_out(look ? spec->host : NULL, spec->dir, path, item.flags))
			continue;
		shown = str_escape(use->named, TEXT_SHOWN);
		name = label(use);
		item.text = xasprintf("%s %s", name, shown);
		item.path = TAKE_PTR(path);
		add(list, &item);
	}
}

/* Lexical: with a ".." in it nobody can tell without looking. */
static bool leads_out(const struct spec *spec, const char *path, bool look)
{
	_cleanup_free_ char *real = NULL;

	if (!path_is_below(path, spec->dir) || strstr(path, "/.."))
		return true;
	if (!look)
		return false;
	real = xrealpath(path);
	/* what is not there cannot be mounted either */
	return real && !path_is_below(real, spec->dir);
}

static void find_mounts(const struct spec *spec, bool look, struct list *list)
{
	for (size_t i = 0; i < spec->target.mount_count; i++) {
		const struct mount *mount = &spec->target.mounts[i];
		struct outside item = { .kind = OUTSIDE_MOUNT, .when = OUTSIDE_JOB,
					.place = mount->place };
		_cleanup_free_ char *source = NULL, *at = NULL;

		if (mount->kind != MOUNT_BIND || !leads_out(spec, mount->source, look))
			continue;
		source = str_escape(mount->source, TEXT_SHOWN);
		at = str_escape(mount->target, TEXT_SHOWN);
		item.path = xstrdup(mount->source);
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

/* Whoever signs a suite has scripts run as root of the image that is made, in a jail. */
static void find_mirror(const struct image_spec *image, struct list *list)
{
	const struct source *source = &image->from;
	_cleanup_free_ char *mirror = NULL, *keyring = NULL;
	struct outside item = { .kind = OUTSIDE_MIRROR, .place = source->place };

	if (source->kind != SOURCE_DEBIAN || (!source->mirror && !source->keyring))
		return;
	mirror = source->mirror ? str_escape(source->mirror, TEXT_SHOWN) : NULL;
	keyring = source->keyring ? str_escape(source->keyring, TEXT_SHOWN) : NULL;
	item.text = xasprintf("packages%s%s%s%s", mirror ? " from " : "", mirror ? mirror : "",
			      keyring ? " signed by " : "", keyring ? keyring : "");
	add(list, &item);
}

static void find_network(const struct image_spec *image, bool is_stage, struct list *list)
{
	for (size_t i = 0; i < image->step_count; i++) {
		const struct step *step = &image->steps[i];
		struct outside item = { .kind = OUTSIDE_NETWORK, .place = step->place };

		if (step->kind != STEP_RUN || step->network != NETWORK_NAT)
			continue;
		item.text = is_stage ? xasprintf("network nat of step %zu of the image %s", i + 1,
						 image->name)
				     : xasprintf("network nat of step %zu", i + 1);
		add(list, &item);
	}
}

static void find_in_image(const struct image_spec *image, bool is_stage, struct list *list)
{
	find_mirror(image, list);
	find_caches(image, list);
	find_network(image, is_stage, list);
}

static void find_in_target(const struct target *target, struct list *list)
{
	if (target->network == NETWORK_NAT) {
		const struct outside item = { .kind = OUTSIDE_NETWORK, .when = OUTSIDE_JOB,
					      .place = target->network_place,
					      .text = xstrdup("network nat of the target") };

		add(list, &item);
	}
	if (target->capabilities_add) {
		_cleanup_free_ char *names = caps_text(target->capabilities_add);
		const struct outside item = { .kind = OUTSIDE_CAPABILITIES, .when = OUTSIDE_JOB,
					      .place = target->capabilities_place,
					      .capabilities = target->capabilities_add,
					      .text = xasprintf("capabilities %s", names) };

		add(list, &item);
	}
	if (target->seccomp == SECCOMP_UNCONFINED) {
		const struct outside item = { .kind = OUTSIDE_SECCOMP, .when = OUTSIDE_JOB,
					      .place = target->seccomp_place,
					      .text = xstrdup("no filter of system calls") };

		add(list, &item);
	}
}

void outside_find(const struct spec *spec, bool look, struct outside **ret, size_t *ret_count)
{
	struct list list = { 0 };

	find_paths(spec, look, &list);
	for (size_t i = 0; i < spec->stage_count; i++)
		find_in_image(&spec->stages[i], true, &list);
	find_in_image(&spec->image, false, &list);
	find_mounts(spec, look, &list);
	find_in_target(&spec->target, &list);
	*ret = list.items;
	*ret_count = list.count;
}

void outside_free(struct outside *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].path);
		free(items[i].text);
	}
	free(items);
}

bool outside_is_allowed(const struct spec *spec, const struct allowed *allowed,
			const struct outside *item)
{
	_cleanup_(err_done) struct err err = { 0 };
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *real = NULL;

	if (!allowed_word(item->kind) || allowed->kinds[item->kind])
		return true;
	switch (item->kind) {
	case OUTSIDE_CAPABILITIES:
		return !(item->capabilities & ~allowed->capabilities);
	case OUTSIDE_MOUNT:
		/* by where it leads: a link must not get more than its target */
		real = xrealpath(item->path);
		return real && allowed_covers_path(allowed, item->kind, real);
	case OUTSIDE_PATH:
		fd = host_path_open(spec->host, item->key, item->path, O_PATH | item->flags, &err);
		return fd >= 0 || err.code != ERR_ALLOW;
	case OUTSIDE_CACHE:
		return allowed_covers_cache(allowed, item->share);
	case OUTSIDE_SECCOMP:
	case OUTSIDE_MIRROR:
	case OUTSIDE_NETWORK:
	case OUTSIDE_KINDS:
		break;
	}
	return false;
}

char *outside_word(const struct outside *item)
{
	_cleanup_free_ char *names = NULL, *real = NULL;

	if (item->kind == OUTSIDE_MOUNT)
		return allowed_path_word(item->kind, item->path);
	if (item->kind == OUTSIDE_PATH) {
		real = host_path_where(item->path, item->flags);
		return allowed_path_word(item->kind, real);
	}
	if (item->kind == OUTSIDE_CACHE)
		return xasprintf("%s=%s", allowed_word(item->kind), item->share);
	if (item->kind != OUTSIDE_CAPABILITIES)
		return xstrdup(allowed_word(item->kind));
	names = caps_text(item->capabilities);
	for (char *at = names; *at; at++)
		if (*at == ' ')
			*at = '+';
	return xasprintf("%s=%s", allowed_word(item->kind), names);
}

int outside_refuse(const struct spec *spec, const struct outside *item, struct err *err)
{
	_cleanup_free_ char *word = outside_word(item);

	place_fail(err, spec->file, item->place, ERR_ALLOW, "reaches outside the project: %s",
		   item->text);
	return allowed_mend(err, word, spec->dir);
}

int outside_check_cache(const struct spec *spec, const struct step_cache *cache, struct err *err)
{
	const struct allowed *allowed = spec->host ? spec->host->allowed : NULL;
	struct outside item;
	int result;

	if (!cache->share || (allowed && allowed_covers_cache(allowed, cache->share)))
		return 0;
	item = of_cache(cache);
	result = outside_refuse(spec, &item, err);
	free(item.text);
	return result;
}

/* ---- mounts by descriptor -------------------------------------------------------------------- */

static bool may_mount(const struct spec *spec, const struct allowed *allowed, const char *real)
{
	_cleanup_free_ char *project = xrealpath(spec->dir);

	return (project && path_is_below(real, project)) ||
	       allowed_covers_path(allowed, OUTSIDE_MOUNT, real);
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
