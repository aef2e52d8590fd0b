/*
 * Docker archives: see archive.h.
 *
 *	1  what there is: the tar is read once, names, links, where content begins
 *	2  manifest.json: the image that is asked for
 *	3  its config, read as every image's
 *	4  its layers, hashed where they lie
 */
#include "builders/oci/archive.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/tar.h"
#include "builders/oci/config.h"
#include "builders/oci/copy.h"
#include "builders/oci/document.h"
#include "builders/oci/fields.h"
#include "core/fs.h"
#include "core/path.h"
#include "core/str.h"

#define CHUNK (1024 * 1024)
#define LINKS_MAX 8	/* links to links */
#define SHOWN 100	/* bytes of a text in a message */
#define SHOWN_LIST 10	/* names in a message */

struct item {
	char *path;	/* owned; clean */
	char *target;	/* owned; of a link: clean, from the archive's root; NULL: a file */
	struct oci_place place;
};

struct listing {
	int file;		/* borrowed */
	uint64_t file_bytes, at;
	char *chunk;		/* owned */
	struct item *items;	/* owned */
	size_t count;
};

static void listing_done(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		free(listing->items[i].path);
		free(listing->items[i].target);
	}
	free(listing->items);
	free(listing->chunk);
}

/* ---- 1: what there is ------------------------------------------------------------------------ */

static int pull(void *data, const void **ret, size_t *ret_size, struct err *err)
{
	struct listing *listing = data;
	ssize_t got;

	do
		got = pread(listing->file, listing->chunk, CHUNK, (off_t)listing->at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, errno, "read the archive");
	listing->at += (uint64_t)got;
	*ret = listing->chunk;
	*ret_size = (size_t)got;
	return got > 0;
}

/*
 * Where a symbolic link in `path` leads, by the text alone; NULL when that is out of the archive.
 * Owned.
 */
static char *resolved(const char *path, const char *target)
{
	const char *base = path_base(path), *at = target;
	struct str out = { 0 };

	str_addn(&out, path, *target == '/' ? 0 : (size_t)(base - path));
	while (out.length > 0 && out.text[out.length - 1] == '/')
		out.text[--out.length] = '\0';
	while (*at) {
		size_t length = strcspn(at, "/");

		if (length == 2 && !strncmp(at, "..", 2)) {
			char *slash = strrchr(out.text, '/');

			if (out.length == 0) {
				str_done(&out);
				return NULL;
			}
			out.length = slash ? (size_t)(slash - out.text) : 0;
			out.text[out.length] = '\0';
		} else if (length > 0 && !(length == 1 && *at == '.')) {
			if (out.length > 0)
				str_add(&out, "/");
			str_addn(&out, at, length);
		}
		at += length + (at[length] == '/');
	}
	return out.text;
}

static int add_item(struct listing *listing, const struct tar_entry *entry, uint64_t offset,
		    struct err *err)
{
	char clean[PATH_LENGTH_MAX + 1], target[PATH_LENGTH_MAX + 1];
	struct item item = { .place = { offset, entry->size } };

	if (!path_clean(entry->path, clean))
		return 0; /* nothing that a manifest could name */
	if (entry->type == TAR_SYMLINK)
		item.target = resolved(clean, entry->target);
	else if (entry->type == TAR_HARDLINK && path_clean(entry->target, target))
		item.target = xstrdup(target);
	if (entry->type != TAR_FILE && !item.target)
		return 0;
	if (entry->type == TAR_FILE && (offset > listing->file_bytes ||
					entry->size > listing->file_bytes - offset)) {
		_cleanup_free_ char *shown = str_escape(clean, SHOWN);

		return err_set(err, ERR_LAYER, "%s: the archive ends in the middle of it", shown);
	}
	item.path = xstrdup(clean);
	listing->items[listing->count++] = item;
	return 0;
}

static int list(struct listing *listing, struct err *err)
{
	const struct tar_source source = { pull, listing, false };
	const struct tar_entry *entry;
	struct tar *tar;
	int found;

	listing->items = xcalloc(OCI_ARCHIVE_ENTRIES_MAX, sizeof(*listing->items));
	listing->chunk = xmalloc(CHUNK);
	tar = tar_new(&source);
	while ((found = tar_next(tar, &entry, err)) == 1) {
		if (listing->count == OCI_ARCHIVE_ENTRIES_MAX)
			found = err_set(err, ERR_LAYER_LIMIT, "more than %d entries",
					OCI_ARCHIVE_ENTRIES_MAX);
		else
			found = add_item(listing, entry, tar_at(tar), err);
		if (found < 0)
			break;
	}
	tar_free(tar);
	return found;
}

/* The last one of that name, as unpacking it would give. */
static const struct item *find_item(const struct listing *listing, const char *path)
{
	for (size_t i = listing->count; i > 0; i--)
		if (!strcmp(listing->items[i - 1].path, path))
			return &listing->items[i - 1];
	return NULL;
}

static int find_file(const struct listing *listing, const char *name, struct oci_place *ret,
		     struct err *err)
{
	_cleanup_free_ char *shown = str_escape(name, SHOWN);
	char clean[PATH_LENGTH_MAX + 1];
	const struct item *item;

	if (!path_clean(name, clean))
		return err_set(err, ERR_OCI, "`%s` is no name in an archive", shown);
	item = find_item(listing, clean);
	for (int i = 0; item && item->target && i < LINKS_MAX; i++)
		item = find_item(listing, item->target);
	if (!item || item->target)
		return err_set(err, ERR_OCI, "there is no file `%s` in the archive", shown);
	*ret = item->place;
	return 0;
}

/* Owned. */
static int read_file(const struct listing *listing, const char *name, size_t max, char **ret,
		     size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct oci_place place;
	ssize_t got;

	if (find_file(listing, name, &place, err) < 0)
		return -1;
	if (place.bytes > max)
		return err_set(err, ERR_OCI, "%s has more than %zu bytes", path_base(name), max);
	text = xmalloc(place.bytes + 1);
	got = fs_pread_all(listing->file, text, place.bytes, place.offset);
	if (got < 0)
		return err_sys(err, errno, "read the archive");
	if ((size_t)got < place.bytes)
		return err_set(err, ERR_LAYER, "the archive ends too soon");
	text[place.bytes] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = place.bytes;
	return 0;
}

/* ---- 2: manifest.json ------------------------------------------------------------------------ */

/* Does this image have the name? Its names go into `there`. 1, 0, -1. */
static int has_name(const struct json_in *image, const char *tag, struct strv *there,
		    struct err *err)
{
	const struct json_in *names = NULL;
	bool has = false;

	if (field_list(image, "RepoTags", &names, err) < 0)
		return -1;
	for (size_t i = 0; i < json_in_count(names); i++) {
		const char *name = json_in_text(json_in_item(names, i));
		_cleanup_free_ char *shown = str_escape(name ? name : "", SHOWN);

		if (!name)
			return err_set(err, ERR_OCI, "`RepoTags[%zu]` is no text", i);
		has |= oci_tag_fits(tag, name);
		if (there->count < SHOWN_LIST)
			strv_add(there, shown);
	}
	return has || !*tag;
}

static int no_image(const char *tag, bool several, const struct strv *there, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(tag, SHOWN);
	_cleanup_(str_done) struct str names = { 0 };

	for (size_t i = 0; i < there->count; i++)
		str_addf(&names, "%s%s", i ? ", " : "", there->items[i]);
	if (several)
		err_set(err, ERR_OCI, *tag ? "there are several images `%s`"
					   : "there are several images, and no tag says which", shown);
	else
		err_set(err, ERR_OCI, *tag ? "there is no image `%s`" : "there is no image", shown);
	return names.length ? err_mend(err, "there is %s", names.text) : -1;
}

static int choose(const struct json_in *images, const char *tag, const struct json_in **ret,
		  struct err *err)
{
	_cleanup_(strv_done) struct strv there = { 0 };
	const struct json_in *found = NULL;
	const char *config, *first = NULL;

	if (!json_in_is_list(images))
		return err_set(err, ERR_OCI, "no JSON list");
	for (size_t i = 0; i < json_in_count(images); i++) {
		const struct json_in *image = json_in_item(images, i);
		int fits = has_name(image, tag, &there, err);

		if (fits < 0)
			return -1;
		if (fits == 0)
			continue;
		if (field_text(image, "Config", &config, err) <= 0)
			return err->code ? -1 : err_set(err, ERR_OCI, "`Config` is missing");
		if (found && strcmp(config, first))
			return no_image(tag, true, &there, err);
		found = image;
		first = config;
	}
	*ret = found;
	return found ? 0 : no_image(tag, false, &there, err);
}

/* ---- 3 and 4: the image ---------------------------------------------------------------------- */

/* "HEX.json" and "blobs/sha256/HEX" are names that say what must be in it. */
static int check_name(const char *name, const struct digest *digest, struct err *err)
{
	_cleanup_free_ char *hex = xstrdup(path_base(name));
	struct digest said;

	hex[strcspn(hex, ".")] = '\0';
	if (digest_parse_hex(hex, &said) && !digest_equal(&said, digest))
		return err_set(err, ERR_FETCH_DIGEST, "%.12s: its digest differs from its name", hex);
	return 0;
}

static int hash_layer(const struct listing *listing, struct oci_image *image, size_t index,
		      struct err *err)
{
	struct oci_layer *layer = &image->layers[index];
	const struct oci_place *place = &image->places[index];
	uint8_t magic[4];

	layer->bytes = place->bytes;
	for (size_t i = 0; i < index; i++) {
		if (image->places[i].offset != place->offset)
			continue;
		layer->blob = image->layers[i].blob;
		layer->compression = image->layers[i].compression;
	}
	if (digest_is_zero(&layer->blob)) {
		if (oci_copy_hash(listing->file, place->offset, place->bytes, magic, &layer->blob,
				  err) < 0)
			return -1;
		if (!memcmp(magic, "\x1f\x8b", 2))
			layer->compression = OCI_GZIP;
		else if (!memcmp(magic, "\x28\xb5\x2f\xfd", 4))
			layer->compression = OCI_ZSTD;
	}
	if (layer->compression == OCI_PLAIN && !digest_equal(&layer->blob, &layer->diff_id))
		return err_set(err, ERR_FETCH_DIGEST, "its digest is not the diff-id in the config");
	return 0;
}

static int read_layers(const struct listing *listing, const struct json_in *manifest,
		       struct oci_image *image, struct err *err)
{
	const struct json_in *names = NULL;
	size_t count;

	if (field_list(manifest, "Layers", &names, err) < 0)
		return -1;
	count = json_in_count(names);
	if (count > OCI_LAYERS_MAX)
		return err_set(err, ERR_OCI, "%zu layers, more than %d", count, OCI_LAYERS_MAX);
	image->layer_count = count;
	image->layers = xcalloc(count + 1, sizeof(*image->layers));
	image->places = xcalloc(count + 1, sizeof(*image->places));
	for (size_t i = 0; i < count; i++) {
		const char *name = json_in_text(json_in_item(names, i));

		if (!name)
			return err_set(err, ERR_OCI, "`Layers[%zu]` is no text", i);
		if (find_file(listing, name, &image->places[i], err) < 0)
			return err_wrap(err, "layer %zu", i + 1);
	}
	return 0;
}

static int read_config(const struct listing *listing, const struct json_in *manifest,
		       int out_config, struct oci_image *image, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *name;
	size_t size;

	/* it is there: choose() looked */
	if (field_text(manifest, "Config", &name, err) < 0 ||
	    read_file(listing, name, OCI_CONFIG_MAX, &text, &size, err) < 0)
		return -1;
	digest_of(text, size, &image->config);
	image->config_bytes = size;
	if (check_name(name, &image->config, err) < 0 ||
	    oci_config_read(text, size, image, err) < 0)
		return err_wrap(err, "read the image's config");
	if (fs_pwrite_all(out_config, text, size, 0) < 0)
		return err_sys(err, errno, "write the image's config");
	return 0;
}

static int read_image(const struct listing *listing, const struct json_in *manifest,
		      int out_config, layer_progress *progress, void *progress_data,
		      struct oci_image *image, struct err *err)
{
	if (read_layers(listing, manifest, image, err) < 0 ||
	    read_config(listing, manifest, out_config, image, err) < 0)
		return -1;
	image->docker = true;
	for (size_t i = 0; i < image->layer_count; i++) {
		if (hash_layer(listing, image, i, err) < 0)
			return err_wrap(err, "layer %zu", i + 1);
		progress(progress_data, i + 1, image->layer_count);
	}
	return 0;
}

int oci_archive_read(int archive, const char *tag, int out_config, layer_progress *progress,
		     void *progress_data, struct oci_image *ret, struct err *err)
{
	_cleanup_(listing_done) struct listing listing = { .file = archive };
	_cleanup_(field_document_done) struct json_in *images = NULL;
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_free_ char *text = NULL;
	const struct json_in *manifest;
	struct stat st;
	size_t size;

	if (fstat(archive, &st) < 0)
		return err_sys(err, errno, "look at the archive");
	listing.file_bytes = (uint64_t)st.st_size;
	if (list(&listing, err) < 0)
		return -1;
	if (read_file(&listing, "manifest.json", OCI_MANIFEST_MAX, &text, &size, err) < 0)
		return err_mend(err, "a docker-archive has it: `docker save`, `podman save`");
	if (json_in_new(text, size, OCI_JSON_DEPTH_MAX, ERR_OCI, &images, err) < 0 ||
	    choose(images, tag, &manifest, err) < 0)
		return err_wrap(err, "read manifest.json");
	if (read_image(&listing, manifest, out_config, progress, progress_data, &image, err) < 0)
		return -1;
	*ret = image;
	image = (struct oci_image){ 0 };
	return 0;
}
