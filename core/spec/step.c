/* image.steps of a spec: one reader for each kind of step. */
#include "core/spec/values.h"

#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "core/parse.h"
#include "core/spec/image.h"
#include "core/str.h"

void step_done(struct step *step)
{
	free(step->url);
	free(step->path);
	free(step->to);
	strv_done(&step->patterns);
	strv_done(&step->argv);
	process_done(&step->process);
	for (size_t i = 0; i < step->cache_count; i++) {
		free(step->caches[i].path);
		free(step->caches[i].share);
	}
	free(step->caches);
	strv_done(&step->secrets);
	for (size_t i = 0; i < step->mount_count; i++) {
		free(step->mounts[i].source);
		free(step->mounts[i].to);
	}
	free(step->mounts);
	*step = (struct step){ 0 };
}

char *step_command(const struct step *run)
{
	struct str line = { 0 };

	if (run->is_text)
		return xstrdup(run->argv.items[run->argv.count - 1]);
	for (size_t i = 0; i < run->argv.count; i++)
		str_addf(&line, "%s%s", i ? " " : "", run->argv.items[i]);
	return line.text;
}

bool step_takes_from(const struct step *step, size_t stage)
{
	if (step->kind == STEP_COPY && step->from_image && step->image == stage)
		return true;
	for (size_t i = 0; i < step->mount_count; i++)
		if (step->mounts[i].image == stage)
			return true;
	return false;
}

static int read_archive(struct image_reader *reader, const struct yaml_node *map, struct step *ret)
{
	const struct yaml_node *to = yaml_get(map, "to"), *strip = yaml_get(map, "strip");

	ret->kind = STEP_ARCHIVE;
	ret->to = spec_inside(to ? to->text : "/");
	if (strip)
		parse_u32_max(strip->text, UINT32_MAX, &ret->strip);
	spec_sha256(map, &ret->has_sha256, &ret->sha256);
	return spec_reference(reader->r, map, "step.archive", &ret->url, &ret->path);
}

/* "UID[:GID]", checked before. */
static void read_owner(const char *text, struct step *ret)
{
	_cleanup_free_ char *uid = xstrndup(text, strcspn(text, ":"));
	const char *colon = strchr(text, ':');

	ret->has_owner = true;
	parse_id(uid, &ret->owner_uid);
	parse_id(colon ? colon + 1 : uid, &ret->owner_gid);
}

/* One thing that is copied: a path of the host, or inside another image. */
static int add_pattern(struct image_reader *reader, const struct yaml_node *node, struct step *ret)
{
	const struct schema_key *key = schema_find("step.copy", "copy");
	_cleanup_free_ char *text = NULL, *path = NULL;

	if (spec_expand(reader->r, key, node, node->text, &text) < 0)
		return -1;
	if (!ret->from_image) {
		const struct spec *spec = reader->r->spec;

		if (spec_host_path(reader->r, key, node, text, &path) < 0)
			return -1;
		spec->host_uses[spec->host_use_count - 1].is_copied = true;
		strv_take(&ret->patterns, TAKE_PTR(path));
		return 0;
	}
	/* inside the other image; a relative one begins at its root */
	path = xasprintf("/%s", text);
	if (strstr(path, "/../") || str_has_suffix(path, "/.."))
		return place_fail(reader->r->err, reader->r->file, node->place, ERR_SPEC_VALUE,
				  "copy: \"..\" in a path of another image");
	strv_take(&ret->patterns, spec_inside(path));
	return 0;
}

/* Several things need a folder to land in. */
static int check_to(struct image_reader *reader, const struct yaml_node *to, const struct step *step)
{
	const struct spec_reader *r = reader->r;
	bool several = step->patterns.count > 1;

	for (size_t i = 0; i < step->patterns.count; i++) {
		const char *path = step->patterns.items[i];
		size_t skip = strlen(r->dir);

		/* the name of the spec's own folder is no pattern */
		if (step->from_image || strncmp(path, r->dir, skip))
			skip = 0;
		several |= glob_is_pattern(path + skip);
	}
	if (!several || str_has_suffix(step->to, "/"))
		return 0;
	place_fail(r->err, r->file, to->place, ERR_SPEC_VALUE,
		   "to: a pattern, or several sources, need a folder to land in");
	return err_mend(r->err, "write to: %s/", step->to);
}

static int read_copy(struct image_reader *reader, const struct yaml_node *map, struct step *ret)
{
	const struct yaml_node *from = yaml_get(map, "from"), *what = yaml_get(map, "copy");
	const struct yaml_node *owner = yaml_get(map, "owner"), *mode = yaml_get(map, "mode");
	const char *to = yaml_get(map, "to")->text;
	_cleanup_free_ char *clean = spec_inside(to);

	ret->kind = STEP_COPY;
	ret->to = str_has_suffix(to, "/") && strcmp(clean, "/") ? xasprintf("%s/", clean)
								: TAKE_PTR(clean);
	if (owner)
		read_owner(owner->text, ret);
	if (mode)
		ret->has_mode = parse_mode(mode->text, &ret->mode);
	ret->from_image = from;
	if (from && image_reader_find(reader, from, &ret->image) < 0)
		return -1;
	if (what->kind == YAML_TEXT)
		return add_pattern(reader, what, ret) < 0
			       ? -1
			       : check_to(reader, yaml_get(map, "to"), ret);
	for (size_t i = 0; i < what->count; i++)
		if (add_pattern(reader, &what->items[i], ret) < 0)
			return -1;
	return what->count ? check_to(reader, yaml_get(map, "to"), ret)
			   : place_fail(reader->r->err, reader->r->file, what->place,
					ERR_SPEC_VALUE, "copy: the list is empty");
}

static int read_mounts(struct image_reader *reader, const struct yaml_node *list, struct step *ret)
{
	ret->mounts = xcalloc(list->count, sizeof(*ret->mounts));
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *map = &list->items[i], *source = yaml_get(map, "source");
		struct step_mount *mount = &ret->mounts[ret->mount_count++];

		mount->source = spec_inside(source ? source->text : "/");
		mount->to = spec_inside(yaml_get(map, "to")->text);
		if (image_reader_find(reader, yaml_get(map, "from"), &mount->image) < 0)
			return -1;
	}
	return 0;
}

/* An entry may come twice; one path cannot be two caches. */
static int add_cache(struct image_reader *reader, const struct yaml_node *item, struct step *ret)
{
	bool is_map = item->kind == YAML_MAP;
	const struct yaml_node *path = is_map ? yaml_get(item, "path") : item;
	const struct yaml_node *share = is_map ? yaml_get(item, "share") : NULL;
	struct step_cache *cache = &ret->caches[ret->cache_count];
	_cleanup_free_ char *inside = spec_inside(path->text), *shown = NULL;

	for (size_t i = 0; i < ret->cache_count; i++) {
		const char *other = ret->caches[i].share;

		if (strcmp(ret->caches[i].path, inside))
			continue;
		if (share ? other && !strcmp(other, share->text) : !other)
			continue;
		shown = str_escape(inside, 60);
		place_fail(reader->r->err, reader->r->file, item->place, ERR_SPEC_VALUE,
			   "cache: a second cache at %s", shown);
		return err_mend(reader->r->err, "keep one of the two");
	}
	*cache = (struct step_cache){ .path = TAKE_PTR(inside),
				      .share = share ? xstrdup(share->text) : NULL,
				      .place = item->place };
	ret->cache_count++;
	return 0;
}

static int read_caches(struct image_reader *reader, const struct yaml_node *list, struct step *ret)
{
	ret->caches = xcalloc(list->count, sizeof(*ret->caches));
	for (size_t i = 0; i < list->count; i++)
		if (add_cache(reader, &list->items[i], ret) < 0)
			return -1;
	return 0;
}

static int read_run(struct image_reader *reader, const struct yaml_node *map, struct step *ret)
{
	const struct yaml_node *run = yaml_get(map, "run"), *network = yaml_get(map, "network");
	const struct yaml_node *secrets = yaml_get(map, "secrets");

	ret->kind = STEP_RUN;
	ret->is_text = run->kind == YAML_TEXT;
	spec_argv(run, &ret->argv);
	if (ret->argv.count == 0)
		return place_fail(reader->r->err, reader->r->file, run->place, ERR_SPEC_VALUE,
				  "run: the list is empty");
	ret->network = network && !strcmp(network->text, "nat") ? NETWORK_NAT : NETWORK_NONE;
	if (yaml_get(map, "cache") && read_caches(reader, yaml_get(map, "cache"), ret) < 0)
		return -1;
	for (size_t i = 0; secrets && i < secrets->count; i++)
		strv_add(&ret->secrets, secrets->items[i].text);
	if (yaml_get(map, "mounts") && read_mounts(reader, yaml_get(map, "mounts"), ret) < 0)
		return -1;
	return spec_read_process(reader->r, map, "step.run", &ret->process);
}

int image_read_steps(struct image_reader *reader, const struct yaml_node *list,
		     struct image_spec *ret)
{
	static const struct {
		const char *name;
		int (*read)(struct image_reader *reader, const struct yaml_node *map,
			    struct step *ret);
	} readers[] = { { "archive", read_archive }, { "copy", read_copy }, { "run", read_run } };

	ret->steps = xcalloc(list->count, sizeof(*ret->steps));
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *map = &list->items[i];
		struct step *step = &ret->steps[ret->step_count++];

		step->place = map->place;
		for (size_t j = 0; j < ARRAY_SIZE(readers); j++)
			if (yaml_get(map, readers[j].name) &&
			    readers[j].read(reader, map, step) < 0)
				return -1;
	}
	return 0;
}
