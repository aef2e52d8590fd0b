/*
 * `image` and `images` of a spec. An image that another takes from is read before it, at the place
 * where it is named: so the stages come out in the order in which they can be built, and a circle
 * meets an image that is being read.
 */
#include "core/spec/image.h"

#include <stdlib.h>
#include <string.h>

#include "core/parse.h"
#include "core/str.h"

enum image_state { IMAGE_UNREAD, IMAGE_IN_PROGRESS, IMAGE_READ };

static void source_done(struct source *source)
{
	free(source->url);
	free(source->path);
	free(source->suite);
	free(source->variant);
	strv_done(&source->packages);
	free(source->mirror);
	free(source->keyring);
	ref_done(&source->ref);
	free(source->tag);
	*source = (struct source){ 0 };
}

void image_spec_done(struct image_spec *image)
{
	free(image->name);
	free(image->platform);
	source_done(&image->from);
	for (size_t i = 0; i < image->step_count; i++)
		step_done(&image->steps[i]);
	free(image->steps);
	process_done(&image->config);
	*image = (struct image_spec){ 0 };
}

void spec_sha256(const struct yaml_node *map, bool *ret_has, struct digest *ret)
{
	const struct yaml_node *sha256 = yaml_get(map, "sha256");

	*ret_has = sha256 && digest_parse_hex(sha256->text, ret);
}

static int read_path(struct spec_reader *r, const struct yaml_node *map, const char *object,
		     const char *name, char **ret)
{
	_cleanup_free_ char *text = NULL;

	if (spec_text(r, map, object, name, &text) < 0)
		return -1;
	return spec_host_path(r, schema_find(object, name), yaml_get(map, name), text, ret);
}

/* ---- from ------------------------------------------------------------------------------------ */

static int read_archive(struct image_reader *reader, const struct yaml_node *map,
			struct source *ret)
{
	spec_sha256(map, &ret->has_sha256, &ret->sha256);
	return spec_reference(reader->r, map, "from.archive", &ret->url, &ret->path);
}

static int read_directory(struct image_reader *reader, const struct yaml_node *map,
			  struct source *ret)
{
	return read_path(reader->r, map, "from.directory", "directory", &ret->path);
}

static int read_debian(struct image_reader *reader, const struct yaml_node *map,
		       struct source *ret)
{
	const struct yaml_node *packages = yaml_get(map, "packages");
	const struct yaml_node *variant = yaml_get(map, "variant");

	ret->suite = xstrdup(yaml_get(map, "debian")->text);
	ret->variant = xstrdup(variant ? variant->text : "minbase");
	for (size_t i = 0; packages && i < packages->count; i++)
		strv_add(&ret->packages, packages->items[i].text);
	if (spec_text(reader->r, map, "from.debian", "mirror", &ret->mirror) < 0)
		return -1;
	return yaml_get(map, "keyring")
		       ? read_path(reader->r, map, "from.debian", "keyring", &ret->keyring)
		       : 0;
}

static int read_layout(struct image_reader *reader, const struct yaml_node *map,
		       struct source *ret)
{
	if (spec_text(reader->r, map, "from.layout", "tag", &ret->tag) < 0)
		return -1;
	return read_path(reader->r, map, "from.layout", "layout", &ret->path);
}

static int read_docker_archive(struct image_reader *reader, const struct yaml_node *map,
			       struct source *ret)
{
	if (spec_text(reader->r, map, "from.docker_archive", "tag", &ret->tag) < 0)
		return -1;
	return read_path(reader->r, map, "from.docker_archive", "docker_archive", &ret->path);
}

static int read_other(struct image_reader *reader, const struct yaml_node *map, struct source *ret)
{
	return image_reader_find(reader, yaml_get(map, "image"), &ret->image);
}

/* `scratch`, or a reference. */
static int read_word(struct spec_reader *r, const struct yaml_node *node, struct source *ret)
{
	_cleanup_free_ char *text = NULL;

	if (spec_expand(r, schema_find("image", "from"), node, node->text, &text) < 0)
		return -1;
	if (!strcmp(text, "scratch")) {
		ret->kind = SOURCE_SCRATCH;
		return 0;
	}
	ret->kind = SOURCE_OCI;
	return ref_parse(&ret->ref, text, r->err) < 0
		       ? err_place(r->err, r->file, node->place.line, node->place.column)
		       : 0;
}

static int read_source(struct image_reader *reader, const struct yaml_node *from,
		       struct source *ret)
{
	static const struct {
		const char *name;
		enum source_kind kind;
		int (*read)(struct image_reader *reader, const struct yaml_node *map,
			    struct source *ret);
	} readers[] = {
		{ "archive", SOURCE_ARCHIVE, read_archive },
		{ "debian", SOURCE_DEBIAN, read_debian },
		{ "directory", SOURCE_DIRECTORY, read_directory },
		{ "docker_archive", SOURCE_DOCKER_ARCHIVE, read_docker_archive },
		{ "image", SOURCE_IMAGE, read_other },
		{ "layout", SOURCE_LAYOUT, read_layout },
	};

	ret->place = from->place;
	if (from->kind == YAML_TEXT)
		return read_word(reader->r, from, ret);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		if (!yaml_get(from, readers[i].name))
			continue;
		ret->kind = readers[i].kind;
		return readers[i].read(reader, from, ret);
	}
	return 0;
}

/* ---- images ---------------------------------------------------------------------------------- */

static void add_texts(const struct yaml_node *list, struct strv *ret)
{
	for (size_t i = 0; list && i < list->count; i++)
		strv_add(ret, list->items[i].text);
}

static int read_config(struct spec_reader *r, const struct yaml_node *map, struct process *ret)
{
	const struct yaml_node *volumes = yaml_get(map, "volumes");

	if (spec_read_process(r, map, "config", ret) < 0)
		return -1;
	for (size_t i = 0; volumes && i < volumes->count; i++)
		strv_take(&ret->volumes, spec_inside(volumes->items[i].text));
	add_texts(yaml_get(map, "exposed"), &ret->exposed);
	if (spec_text(r, map, "config", "stop_signal", &ret->stop_signal) < 0)
		return -1;
	return spec_pairs(r, map, "config", "labels", &ret->labels);
}

static int read_image(struct image_reader *reader, const struct yaml_node *map,
		      struct image_spec *ret)
{
	const struct yaml_node *steps = yaml_get(map, "steps"), *config = yaml_get(map, "config");

	ret->place = map->place;
	if (spec_text(reader->r, map, "image", "platform", &ret->platform) < 0 ||
	    read_source(reader, yaml_get(map, "from"), &ret->from) < 0)
		return -1;
	if (steps && image_read_steps(reader, steps, ret) < 0)
		return -1;
	return config ? read_config(reader->r, config, &ret->config) : 0;
}

/* No such entry: the nearest, or all. */
static int unknown_image(struct image_reader *reader, const struct yaml_node *name)
{
	const char *names[SPEC_IMAGES_MAX + 1] = { 0 }, *near;
	_cleanup_free_ char *shown = str_escape(name->text, 60);
	struct spec_reader *r = reader->r;

	for (size_t i = 0; reader->images && i < reader->images->count; i++)
		names[i] = yaml_key(reader->images, i)->text;
	place_fail(r->err, r->file, name->place, ERR_SPEC_VALUE, "no image \"%s\" in `images`",
		   shown);
	near = str_nearest(name->text, names);
	if (near)
		return err_mend(r->err, "did you mean \"%s\"?", near);
	return err_mend(r->err, "images of the spec that others take from stand below the key "
				"`images`");
}

static int read_stage(struct image_reader *reader, size_t number)
{
	const struct yaml_node *name = yaml_key(reader->images, number);
	struct spec *spec = reader->spec;
	struct image_spec image = { 0 };

	if (!parse_is_name(name->text)) {
		place_fail(reader->r->err, reader->r->file, name->place, ERR_SPEC_VALUE,
			   "images: expected a name");
		return err_mend(reader->r->err, "%s", schema_value(SCHEMA_NAME)->mend);
	}
	reader->states[number] = IMAGE_IN_PROGRESS;
	image.name = xstrdup(name->text);
	if (read_image(reader, yaml_value(reader->images, number), &image) < 0) {
		image_spec_done(&image);
		return -1;
	}
	reader->states[number] = IMAGE_READ;
	spec->stages[spec->stage_count++] = image;
	return 0;
}

int image_reader_find(struct image_reader *reader, const struct yaml_node *name, size_t *ret)
{
	const struct yaml_node *images = reader->images;
	struct spec *spec = reader->spec;
	size_t number = 0;

	while (images && number < images->count &&
	       strcmp(yaml_key(images, number)->text, name->text))
		number++;
	if (!images || number == images->count)
		return unknown_image(reader, name);
	if (reader->states[number] == IMAGE_IN_PROGRESS)
		return place_fail(reader->r->err, reader->r->file, name->place, ERR_SPEC_VALUE,
				  "the image %s takes from itself in the end", name->text);
	if (reader->states[number] == IMAGE_UNREAD && read_stage(reader, number) < 0)
		return -1;
	for (*ret = 0; strcmp(spec->stages[*ret].name, name->text); ++*ret)
		;
	return 0;
}

int spec_read_images(struct spec_reader *r, const struct yaml_node *root, struct spec *ret)
{
	struct image_reader reader = { .r = r, .spec = ret, .images = yaml_get(root, "images") };
	size_t count = reader.images ? reader.images->count : 0;
	int result = 0;

	ret->stages = xcalloc(count, sizeof(*ret->stages));
	reader.states = xcalloc(count, sizeof(*reader.states));
	for (size_t i = 0; result == 0 && i < count; i++)
		if (reader.states[i] == IMAGE_UNREAD)
			result = read_stage(&reader, i);
	ret->image.name = xstrdup(ret->name);
	if (result == 0)
		result = read_image(&reader, yaml_get(root, "image"), &ret->image);
	free(reader.states);
	return result;
}

/* ---- secrets --------------------------------------------------------------------------------- */

static int check_secrets(struct spec_reader *r, const struct spec *spec,
			 const struct image_spec *image)
{
	for (size_t i = 0; i < image->step_count; i++) {
		const struct step *step = &image->steps[i];

		for (size_t j = 0; j < step->secrets.count; j++) {
			size_t k = 0;

			while (k < spec->secret_count &&
			       strcmp(spec->secrets[k].name, step->secrets.items[j]))
				k++;
			if (k < spec->secret_count)
				continue;
			place_fail(r->err, r->file, step->place, ERR_SPEC_VALUE,
				   "no secret \"%s\" in `secrets`", step->secrets.items[j]);
			return err_mend(r->err, "add at the top: secrets: {%s: {env: VARIABLE}}",
					step->secrets.items[j]);
		}
	}
	return 0;
}

int spec_read_secrets(struct spec_reader *r, const struct yaml_node *map, struct spec *ret)
{
	ret->secrets = xcalloc(map ? map->count : 0, sizeof(*ret->secrets));
	for (size_t i = 0; map && i < map->count; i++) {
		const struct yaml_node *name = yaml_key(map, i), *value = yaml_value(map, i);
		struct secret *secret = &ret->secrets[ret->secret_count++];

		secret->place = name->place;
		secret->name = xstrdup(name->text);
		if (!parse_is_name(name->text)) {
			place_fail(r->err, r->file, name->place, ERR_SPEC_VALUE,
				   "secrets: expected a name");
			return err_mend(r->err, "%s", schema_value(SCHEMA_NAME)->mend);
		}
		if (yaml_get(value, "env"))
			secret->env = xstrdup(yaml_get(value, "env")->text);
		else if (read_path(r, value, "secret.file", "file", &secret->path) < 0)
			return -1;
	}
	for (size_t i = 0; i < ret->stage_count; i++)
		if (check_secrets(r, ret, &ret->stages[i]) < 0)
			return -1;
	return check_secrets(r, ret, &ret->image);
}
