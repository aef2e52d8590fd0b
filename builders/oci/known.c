/*
 * Images that were found before: their records, texts that are pinned under the manifest's digest, and
 * their configs beside them.
 */
#include <unistd.h>

#include "builders/oci/source.h"
#include "core/str.h"

static char *question_of(const char *what, const struct digest *manifest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(manifest, hex);
	return xasprintf("oci %s of manifest %s", what, hex);
}

/* Is the config there, which an image keeps that is its base and nothing more? */
static bool has_config(struct store *store, const struct digest *manifest,
		       const struct oci_image *image)
{
	_cleanup_free_ char *question = question_of("config", manifest);
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
	_cleanup_free_ char *question = question_of("image", manifest), *text = NULL;
	size_t size;
	int found = store_text_get(store, question, OCI_RECORD_MAX, &text, &size, err);

	if (found != 1)
		return found;
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
	_cleanup_free_ char *question = question_of("image", id), *config = question_of("config", id);
	_cleanup_(str_done) struct str text = { 0 };

	oci_image_write(image, &text);
	if (store_text_set(store, question, text.text, text.length, err) < 0)
		return -1;
	return store_pin_set(store, config, &image->config, err);
}
