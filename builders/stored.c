/* Images of the store as they are: see stored.h. */
#include "builders/stored.h"

#include <string.h>

#include "builders/oci/config.h"
#include "builders/oci/export.h"
#include "builders/stack.h"
#include "core/mem.h"

static int check_layers(const struct store_image *image, const struct oci_image *said,
			struct err *err)
{
	for (size_t i = 0; i < image->layer_count; i++)
		if (!digest_equal(&image->layers[i].diff_id, &said->layers[i].diff_id))
			return err_set(err, ERR_OCI, "layer %zu is not the one that it names", i + 1);
	return 0;
}

int stored_read(const struct store_image *image, struct oci_image *ret, struct err *err)
{
	struct oci_image said = { .config = image->id, .layer_count = image->layer_count };

	said.layers = xcalloc(said.layer_count + 1, sizeof(*said.layers));
	if (oci_config_read(image->config, strlen(image->config), &said, err) < 0 ||
	    check_layers(image, &said, err) < 0) {
		oci_image_done(&said);
		return err_wrap(err, "read the image's config");
	}
	*ret = said;
	return 0;
}

static int open_layers(struct stack *stack, const struct store_image *image, struct rootfs *ret,
		       struct err *err)
{
	if (image->layer_count > ROOTFS_LAYERS_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "more than %d layers", ROOTFS_LAYERS_MAX);
	for (size_t i = 0; i < image->layer_count; i++)
		if (export_push_layer(stack, &image->layers[i], err) < 0)
			return -1;
	return stack_finish(stack, ret, err);
}

int stored_open(struct store *store, const struct store_image *image, unsigned int forms,
		struct rootfs *ret, struct err *err)
{
	_cleanup_free_ struct stack *stack = xcalloc(1, sizeof(*stack));
	_cleanup_(oci_image_done) struct oci_image said = { 0 };
	int result;

	if (stored_read(image, &said, err) < 0)
		return -1;
	rootfs_init(ret);
	stack_init(stack, store, forms);
	result = open_layers(stack, image, ret, err);
	stack_done(stack);
	if (result < 0) {
		rootfs_done(ret);
		return -1;
	}
	ret->image_id = image->id;
	process_copy(&ret->process, &said.process);
	return 0;
}
