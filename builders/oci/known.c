/*
 * Images that were found before: their records, blobs that are pinned under the manifest's digest, and
 * their configs beside them.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "builders/oci/source.h"
#include "core/fs.h"
#include "core/str.h"

static char *known_question(const struct digest *manifest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(manifest, hex);
	return xasprintf("oci image of manifest %s", hex);
}

static char *config_question(const struct digest *manifest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(manifest, hex);
	return xasprintf("oci config of manifest %s", hex);
}

/* Is the config there, which an image keeps that is its base and nothing more? */
static bool has_config(struct store *store, const struct digest *manifest,
		       const struct oci_image *image)
{
	_cleanup_free_ char *question = config_question(manifest);
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_close_ int fd = -1;
	struct digest pinned;
	uint64_t bytes;

	(void)store_pin_get(store, question, &pinned, &ignored); /* gc sees that it is used */
	return store_blob_open(store, &image->config, &fd, &bytes, &ignored) == 1 &&
	       bytes == image->config_bytes;
}

int oci_source_known(struct store *store, const struct digest *manifest, struct oci_image *ret,
		     struct err *err)
{
	_cleanup_free_ char *question = known_question(manifest), *text = NULL;
	_cleanup_close_ int fd = -1;
	struct digest record;
	uint64_t bytes;
	size_t size;
	int found = store_pin_get(store, question, &record, err);

	if (found == 1)
		found = store_blob_open(store, &record, &fd, &bytes, err);
	if (found != 1)
		return found;
	if (fs_read_fd(fd, "an image's record", OCI_RECORD_MAX, &text, &size, err) < 0)
		return -1;
	if (oci_image_read(ret, text, size, err) < 0) {
		/* of another duet, or damaged: it is made again */
		err_done(err);
		return 0;
	}
	if (has_config(store, manifest, ret))
		return 1;
	oci_image_done(ret);
	return 0;
}

int oci_source_remember(struct store *store, const struct digest *id, const struct oci_image *image,
		    struct err *err)
{
	_cleanup_free_ char *question = known_question(id), *config = config_question(id);
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int record = -1;
	struct digest digest;

	oci_image_write(image, &text);
	digest_of(text.text, text.length, &digest);
	if (store_blob_new(store, &record, err) < 0)
		return -1;
	if (fs_write_all(record, text.text, text.length) < 0)
		return err_sys_as(err, ERR_STORE, errno, "write an image's record");
	if (store_blob_publish(store, record, &digest, err) < 0 ||
	    store_pin_set(store, question, &digest, err) < 0)
		return -1;
	return store_pin_set(store, config, &image->config, err);
}
