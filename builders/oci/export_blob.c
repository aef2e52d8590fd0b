/*
 * Blobs of layers for those that take them away: see export.h. The store has them but for two kinds: an
 * archive of the host is not copied when an image is built from it, and xz is nothing that OCI knows.
 * Both are made here, when somebody asks, and may go again with the next gc.
 */
#include "builders/builder.h"
#include "builders/oci/documents.h"
#include "builders/oci/export.h"
#include "core/log.h"
#include "core/mem.h"

static int refuse_missing(const struct store_layer *layer, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&layer->diff_id, hex);
	err_set(err, ERR_STORE, "the store does not keep the blob of layer sha256:%.12s", hex);
	return err_mend(err, "build the image again");
}

/* The host's archive into the store, if it still is what the layer was made from. */
static int take_archive(struct store *store, const struct store_layer *layer, struct err *err)
{
	_cleanup_close_ int archive = -1, out = -1;
	_cleanup_free_ char *path = NULL;
	int found = builder_archive_find(store, &layer->blob, &archive, &path, err);

	if (found == 0)
		return refuse_missing(layer, err);
	if (found == 1 &&
	    (store_blob_new(store, &out, err) < 0 ||
	     oci_copy(archive, 0, 0, &layer->blob, out, "copy the archive", NULL, err) < 0))
		err_wrap(err, "%s", path);
	if (err->code)
		return err_mend(err, "an image of a local archive needs that archive when it is given "
				     "away: put it back as it was, or build the image again");
	log_progress_end("copy the archive");
	return store_blob_publish(store, out, &layer->blob, err);
}

int export_open_blob(struct store *store, const struct store_layer *layer, int *ret_fd,
		     struct err *err)
{
	int found = store_layer_blob_open(store, layer, ret_fd, err);

	if (found != 0)
		return found < 0 ? -1 : 0;
	if (layer->has_blob)
		return refuse_missing(layer, err);
	if (take_archive(store, layer, err) < 0)
		return -1;
	found = store_layer_blob_open(store, layer, ret_fd, err);
	return found == 0 ? err_set(err, ERR_STORE, "open a blob just copied") : found < 0 ? -1 : 0;
}

/* What an xz blob became earlier: 1, 0, -1. */
static int find_packed(struct store *store, const char *question, struct oci_layer *ret, int *ret_fd,
		       struct err *err)
{
	int found = store_pin_get(store, question, &ret->blob, err);

	if (found == 1)
		found = store_blob_open(store, &ret->blob, ret_fd, &ret->bytes, err);
	ret->compression = OCI_ZSTD;
	return found;
}

static int pack_anew(struct store *store, const struct store_layer *layer, const char *question,
		     int xz, struct oci_layer *ret, int *ret_fd, struct err *err)
{
	_cleanup_close_ int out = -1;

	if (store_blob_new(store, &out, err) < 0 ||
	    oci_repack(xz, &layer->blob, out, "pack a layer anew", ret, err) < 0)
		return -1;
	if (!digest_equal(&ret->diff_id, &layer->diff_id))
		return err_set(err, ERR_STORE, "a layer of the store is not what its record says");
	log_progress_end("pack a layer anew");
	if (store_blob_publish(store, out, &ret->blob, err) < 0 ||
	    store_pin_set(store, question, &ret->blob, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(out);
	return 0;
}

int export_open_layer(struct store *store, const struct store_layer *layer, struct oci_layer *ret,
		      int *ret_fd, struct err *err)
{
	_cleanup_free_ char *question = NULL;
	_cleanup_close_ int fd = -1;
	char hex[DIGEST_HEX_SIZE];
	int found;

	if (export_open_blob(store, layer, &fd, err) < 0)
		return -1;
	*ret = (struct oci_layer){ .blob = layer->blob, .bytes = layer->blob_bytes,
				   .compression = oci_compression_of(fd), .diff_id = layer->diff_id };
	if (!oci_is_xz(fd)) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	digest_hex(&layer->blob, hex);
	question = xasprintf("blob packed anew of %s", hex);
	found = find_packed(store, question, ret, ret_fd, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return pack_anew(store, layer, question, fd, ret, ret_fd, err);
}
