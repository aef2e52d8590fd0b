/* Exports: see export.h. */
#include "builders/oci/export.h"

#include <stdlib.h>
#include <string.h>

#include "builders/oci/tarfile.h"
#include "builders/oci/write.h"
#include "core/mem.h"

const char *const oci_export_formats[] = {
	[EXPORT_OCI] = "oci",
	[EXPORT_DOCKER_ARCHIVE] = "docker-archive",
	[EXPORT_TAR] = "tar",
	[EXPORT_EROFS] = "erofs",
	NULL,
};

/* A blob of the tar: a text, or one of the store. */
struct blob {
	struct digest digest;
	uint64_t bytes;
	const char *text;	/* borrowed; NULL: in a file */
	int file;		/* borrowed; -1: in the store */
};

static int by_digest(const void *a, const void *b)
{
	return memcmp(((const struct blob *)a)->digest.bytes, ((const struct blob *)b)->digest.bytes,
		      DIGEST_SIZE);
}

static struct blob text_blob(const char *text)
{
	struct blob blob = { .text = text, .bytes = strlen(text), .file = -1 };

	digest_of(text, blob.bytes, &blob.digest);
	return blob;
}

static int add_blob(struct tarfile *file, struct store *store, const struct blob *blob,
		    int64_t mtime_s, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	char hex[DIGEST_HEX_SIZE];
	uint64_t bytes = 0;
	int found;

	digest_hex(&blob->digest, hex);
	path = xasprintf("blobs/sha256/%s", hex);
	if (blob->text)
		return tarfile_text(file, path, blob->text, blob->bytes, mtime_s, err);
	if (blob->file >= 0)
		return tarfile_copy(file, path, blob->file, blob->bytes, mtime_s, err);
	found = store_blob_open(store, &blob->digest, &fd, &bytes, err);
	if (found < 0)
		return -1;
	if (found == 0 || bytes != blob->bytes) {
		err_set(err, ERR_STORE, "the store does not have the layer's blob sha256:%.12s", hex);
		return err_mend(err, "build the image again: what is missing is made or fetched anew");
	}
	return tarfile_copy(file, path, fd, bytes, mtime_s, err);
}

static int add_folder(struct tarfile *file, const char *path, int64_t mtime_s, struct err *err)
{
	const struct tar_entry entry = { .path = path, .type = TAR_FOLDER, .mode = 0755,
					 .mtime_s = mtime_s };

	return tarfile_entry(file, &entry, err);
}

static int add_blobs(struct tarfile *file, struct store *store, struct blob *blobs, size_t count,
		     int64_t mtime_s, struct err *err)
{
	qsort(blobs, count, sizeof(*blobs), by_digest);
	if (add_folder(file, "blobs", mtime_s, err) < 0 ||
	    add_folder(file, "blobs/sha256", mtime_s, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		/* an image may have one layer more than once */
		if (i > 0 && digest_equal(&blobs[i].digest, &blobs[i - 1].digest))
			continue;
		if (add_blob(file, store, &blobs[i], mtime_s, err) < 0)
			return -1;
	}
	return 0;
}

/* The names in the order of their bytes, as if a folder had been packed. */
static int write_both(struct tarfile *file, struct store *store, const struct oci_export *args,
		      struct err *err)
{
	const struct blob config = text_blob(args->config);
	const struct oci_written image = {
		.config = config.digest, .config_bytes = config.bytes,
		.layers = args->layers, .layer_count = args->layer_count,
		.created_s = args->created_s,
		.base_name = args->base_name, .base_digest = args->base_digest,
	};
	_cleanup_free_ char *manifest_text = oci_write_manifest(&image);
	const struct blob manifest = text_blob(manifest_text);
	_cleanup_free_ char *index = oci_write_layout_index(&manifest.digest, manifest.bytes,
							    args->reference);
	_cleanup_free_ char *docker = oci_write_docker_manifest(&image, args->reference);
	_cleanup_free_ struct blob *blobs = xcalloc(args->layer_count + 2, sizeof(*blobs));
	int64_t mtime_s = args->created_s > 0 ? args->created_s : 0;

	blobs[0] = config;
	blobs[1] = manifest;
	for (size_t i = 0; i < args->layer_count; i++)
		blobs[2 + i] = (struct blob){ args->layers[i].blob, args->layers[i].bytes, NULL,
						  args->files ? args->files[i] : -1 };
	if (add_blobs(file, store, blobs, args->layer_count + 2, mtime_s, err) < 0 ||
	    tarfile_text(file, "index.json", index, strlen(index), mtime_s, err) < 0 ||
	    tarfile_text(file, "manifest.json", docker, strlen(docker), mtime_s, err) < 0 ||
	    tarfile_text(file, "oci-layout", oci_write_layout(), strlen(oci_write_layout()), mtime_s,
			 err) < 0)
		return -1;
	return tarfile_end(file, err);
}

int export_oci(struct store *store, const struct oci_export *args, struct err *err)
{
	_cleanup_(tarfile_done) struct tarfile file = { .dir = -1, .fd = -1 };
	int result;

	if (tarfile_new(&file, args->file, err) < 0)
		return -1;
	if (args->format == EXPORT_TAR || args->format == EXPORT_EROFS)
		result = export_root(&file, args, err);
	else
		result = write_both(&file, store, args, err);
	if (result < 0 || tarfile_publish(&file, err) < 0)
		return err_wrap(err, "export");
	return 0;
}
