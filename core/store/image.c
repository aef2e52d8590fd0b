/* Images: references by name, written when all that they name is durable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/parse.h"
#include "core/store/internal.h"

/* Plain names stand for themselves; others (references) are hashed. '@' begins no plain name. */
static void image_file(const char *name, char ret[STORE_PATH_SIZE])
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	if (parse_is_name(name)) {
		snprintf(ret, STORE_PATH_SIZE, "%.128s", name);
		return;
	}
	digest_of(name, strlen(name), &digest);
	digest_hex(&digest, hex);
	snprintf(ret, STORE_PATH_SIZE, "@%s", hex);
}

static bool parse_image(struct record *record, struct store_image *ret)
{
	return record_take_bytes(record, "name", &ret->name) &&
	       record_take_digest(record, "id", &ret->id) &&
	       record_take_digest(record, "plan_key", &ret->plan_key) &&
	       record_take_u64(record, "built_ns", &ret->built_ns) &&
	       record_take_layers(record, &ret->layers, &ret->layer_count) &&
	       record_take_bytes(record, "spec_file", &ret->spec_file) &&
	       record_take_bytes(record, "config", &ret->config) && record_at_end(record);
}

int store_image_read(struct store *store, const char *file, struct store_image *ret,
		     bool *ret_torn, struct err *err)
{
	_cleanup_(store_image_done) struct store_image image = { 0 };
	_cleanup_(record_done) struct record record = { 0 };
	char path[2 * STORE_PATH_SIZE], own_file[STORE_PATH_SIZE] = "";
	int found;

	snprintf(path, sizeof(path), "images/%.256s", file);
	found = record_read(store->dir, path, STORE_RECORD_BYTES_MAX, "image", file, &record,
			    ret_torn, err);
	if (found <= 0)
		return found;
	if (parse_image(&record, &image))
		image_file(image.name, own_file);
	if (strcmp(own_file, file)) {
		if (ret_torn)
			*ret_torn = true;
		return 0;
	}
	*ret = image;
	image = (struct store_image){ 0 };
	return 1;
}

int store_image_get(struct store *store, const char *name, struct store_image *ret,
		    struct err *err)
{
	char file[STORE_PATH_SIZE];

	image_file(name, file);
	return store_image_read(store, file, ret, NULL, err);
}

static int check_image(const struct store_image *image, struct err *err)
{
	size_t length = strlen(image->name);
	struct digest id;

	if (length == 0 || length > STORE_NAME_BYTES_MAX)
		return err_set(err, ERR_STORE, "record an image: its name has %zu bytes (1 to %d)",
			       length, STORE_NAME_BYTES_MAX);
	if (image->layer_count > STORE_LAYERS_MAX)
		return err_set(err, ERR_STORE, "record image %s: %zu layers, more than %d",
			       image->name, image->layer_count, STORE_LAYERS_MAX);
	digest_of(image->config, strlen(image->config), &id);
	if (!digest_equal(&id, &image->id))
		return err_set(err, ERR_STORE, "record image %s: its id is not its config's digest",
			       image->name);
	return 0;
}

int store_image_set(struct store *store, const struct store_image *image, struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = -1;
	char file[STORE_PATH_SIZE];

	if (check_image(image, err) < 0)
		return -1;
	dir = store_folder(store, "images", err);
	if (dir < 0)
		return -1;
	image_file(image->name, file);
	record_begin(&text, "image", file);
	record_bytes(&text, "name", image->name);
	record_digest(&text, "id", &image->id);
	record_digest(&text, "plan_key", &image->plan_key);
	record_u64(&text, "built_ns", image->built_ns);
	record_layers(&text, image->layers, image->layer_count);
	record_bytes(&text, "spec_file", image->spec_file);
	record_bytes(&text, "config", image->config);
	record_end(&text);
	if (text.length > STORE_RECORD_BYTES_MAX)
		return err_set(err, ERR_STORE, "record image %s: more than %u bytes", image->name,
			       STORE_RECORD_BYTES_MAX);
	if (store_file_put(store, dir, file, &text, STORE_PUT_REPLACE, err) < 0)
		return err_wrap(err, "record image %s", image->name);
	return 0;
}

struct listing {
	struct store *store;
	struct store_image *items;
	size_t count;
	struct err *err;
};

static int list_image(void *data, int dir, const char *name)
{
	struct listing *listing = data;
	struct store_image image;
	int found = store_image_read(listing->store, name, &image, NULL, listing->err);

	(void)dir;
	if (found <= 0)
		return found;
	listing->items = xreallocarray(listing->items, listing->count + 1, sizeof(image));
	listing->items[listing->count++] = image;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct store_image *)a)->name, ((const struct store_image *)b)->name);
}

int store_image_list(struct store *store, struct store_image **ret, size_t *ret_count,
		     struct err *err)
{
	struct listing listing = { .store = store, .err = err };

	if (store_each(store->dir, "images", list_image, &listing, err) < 0) {
		for (size_t i = 0; i < listing.count; i++)
			store_image_done(&listing.items[i]);
		free(listing.items);
		return -1;
	}
	if (listing.count > 0)
		qsort(listing.items, listing.count, sizeof(*listing.items), by_name);
	*ret = listing.items;
	*ret_count = listing.count;
	return 0;
}

void store_image_done(struct store_image *image)
{
	if (!image)
		return;
	free(image->name);
	free(image->layers);
	free(image->config);
	free(image->spec_file);
	*image = (struct store_image){ 0 };
}

void store_chain(const struct store_layer *layers, size_t count, struct digest *ret)
{
	*ret = (struct digest){ 0 };
	for (size_t i = 0; i < count; i++)
		digest_chain(i ? ret : NULL, &layers[i].diff_id, ret);
}
