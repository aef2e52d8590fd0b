/* Images of the store on their way out: see export.h. */
#include <string.h>

#include "builders/oci/documents.h"
#include "builders/oci/export.h"
#include "builders/stack.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/parse.h"

int64_t export_created(const char *config)
{
	_cleanup_free_ char *text = NULL;
	int64_t seconds;

	if (!json_look(config, strlen(config), "created", &text) || !text ||
	    !parse_time(text, &seconds))
		return -1;
	return seconds;
}

/* The layer as it is; with `ret_file` zstd gives way to the plain tar, in *ret_file. */
static int take_layer(struct store *store, const struct store_layer *layer, struct oci_layer *ret,
		      int *ret_file, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct digest diff_id;

	if (export_open_layer(store, layer, ret, &fd, err) < 0)
		return -1;
	if (!ret_file || ret->compression != OCI_ZSTD)
		return 0;
	if (store_blob_new(store, ret_file, err) < 0 ||
	    oci_inflate(fd, &ret->blob, *ret_file, "inflate a layer", &diff_id, &ret->bytes, err) < 0)
		return -1;
	if (!digest_equal(&diff_id, &layer->diff_id))
		return err_set(err, ERR_STORE, "a layer of the store is not what its record says");
	ret->blob = diff_id;
	ret->compression = OCI_PLAIN;
	return 0;
}

int export_layers(struct store *store, const struct store_image *image, struct oci_layer *layers,
		  int *files, struct err *err)
{
	for (size_t i = 0; files && i < image->layer_count; i++)
		files[i] = -1;
	for (size_t i = 0; i < image->layer_count; i++)
		if (take_layer(store, &image->layers[i], &layers[i], files ? &files[i] : NULL,
			       err) < 0)
			return -1;
	return 0;
}

static int export_blobs(struct store *store, const struct store_image *image,
			struct oci_export *args, struct err *err)
{
	_cleanup_free_ struct oci_layer *layers = xcalloc(image->layer_count + 1, sizeof(*layers));
	_cleanup_free_ int *inflated = xcalloc(image->layer_count + 1, sizeof(*inflated));
	int *files = args->format == EXPORT_DOCKER_ARCHIVE ? inflated : NULL;
	int result = export_layers(store, image, layers, files, err);

	args->layers = layers;
	args->layer_count = image->layer_count;
	args->files = files;
	result = result < 0 ? err_wrap(err, "export") : export_oci(store, args, err);
	for (size_t i = 0; files && i < image->layer_count; i++)
		mem_closep(&files[i]);
	return result;
}

int export_push_layer(struct stack *stack, const struct store_layer *known, struct err *err)
{
	_cleanup_(stack_forms_done) struct stack_forms forms = { -1, -1, { -1, -1 } };
	struct build_blob blob = { .fd = -1, .bytes = known->blob_bytes, .in_store = known->has_blob,
				   .has_expected = true, .expected = known->blob, .allow_xz = true };
	struct store_layer layer = *known;
	int result;

	if (stack_open(stack, known, &forms, err) < 0)
		return -1;
	if (!stack_is_whole(stack, &forms)) {
		if (export_open_blob(stack->store, known, &blob.fd, err) < 0)
			return -1;
		result = stack_make(stack, &blob, "unpack a layer", &layer, &forms, err);
		mem_closep(&blob.fd);
		if (result < 0)
			return -1;
	}
	stack_push(stack, &layer, &forms);
	return 0;
}

static int export_merged(struct store *store, const struct store_image *image,
			 struct oci_export *args, struct err *err)
{
	_cleanup_free_ struct stack *stack = xcalloc(1, sizeof(*stack));
	int disks[ROOTFS_LAYERS_MAX], result = 0;

	stack_init(stack, store, ROOTFS_DISKS);
	for (size_t i = 0; result == 0 && i < image->layer_count; i++) {
		result = export_push_layer(stack, &image->layers[i], err);
		if (result == 0)
			disks[i] = stack->forms[i].disk.image;
	}
	args->disks = disks;
	args->disk_count = stack->count;
	result = result < 0 ? err_wrap(err, "export") : export_oci(store, args, err);
	stack_done(stack);
	return result;
}

int export_image(struct store *store, const struct store_image *image, enum export_format format,
		 const char *file, const char *reference, struct err *err)
{
	struct oci_export args = {
		.format = format, .file = file, .config = image->config, .reference = reference,
		.created_s = export_created(image->config),
	};

	if (image->layer_count > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "export: more than %d layers", ROOTFS_LAYERS_MAX);
	return format == EXPORT_TAR || format == EXPORT_EROFS
		       ? export_merged(store, image, &args, err)
		       : export_blobs(store, image, &args, err);
}
