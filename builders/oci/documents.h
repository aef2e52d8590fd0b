/* duet's side of OCI documents: what duet-worker reads out of them, through its client. */
#ifndef DUET_BUILDERS_OCI_DOCUMENTS_H
#define DUET_BUILDERS_OCI_DOCUMENTS_H

#include "builders/oci/document.h"
#include "core/jail/idmap.h"

/*
 * Documents and files are open for reading; they are read from their start, wherever they stand.
 * Errors are the worker's: ERR_OCI, ERR_OCI_PLATFORM, ERR_FETCH_DIGEST, ERR_LAYER.
 */

/* See oci_document_look. */
int oci_pick(int document, const char *media_type, const char *platform,
	     enum oci_document *ret_kind, struct oci_descriptor *ret, struct err *err);
/* See oci_layout_look. `index`: the layout's index.json. */
int oci_pick_layout(int index, const char *tag, struct oci_descriptor *ret, struct err *err);
/*
 * The image of a manifest and its config, both compared by digest. `expected`: the manifest's;
 * NULL: any. ERR_OCI_PLATFORM when it does not run as `platform` (NULL: any will do).
 */
int oci_make_image(int manifest, int config, const struct digest *expected, const char *platform,
		   struct oci_image *ret, struct err *err);
/* ERR_OCI_PLATFORM when the image does not run as `platform` (NULL: any will do). */
int oci_check_platform(const struct oci_image *image, const char *platform, struct err *err);
/*
 * Copies `bytes` from `offset` on (0: to the end) into the empty file `out`; *ret (may be NULL) is
 * their digest, which has to be `expected` (may be NULL). `what` is shown as progress.
 */
int oci_copy(int in, uint64_t offset, uint64_t bytes, const struct digest *expected, int out,
	     const char *what, struct digest *ret, struct err *err);

/*
 * Inflates a blob (gzip or zstd) into the empty file `out`; it has to be `expected`. Sets the digest and
 * size of what was written.
 */
int oci_inflate(int in, const struct digest *expected, int out, const char *what,
		struct digest *ret_plain, uint64_t *ret_bytes, struct err *err);

/*
 * Packs a blob that OCI does not know (xz) anew, with zstd, into the empty file `out`; it has to be
 * `expected`. *ret is what was written, its diff_id what the blob holds.
 */
int oci_repack(int in, const struct digest *expected, int out, const char *what,
	       struct oci_layer *ret, struct err *err);
/* By the first bytes of a blob. */
enum oci_compression oci_compression_of(int file);
bool oci_is_xz(int file);

struct oci_archive {
	struct oci_image image;	/* owned; image.places tells where the layers lie in `file` */
	int file;		/* owned; a plain tar: the archive, or its inflated copy */
	int config;		/* owned; the config's bytes, in memory */
};

/*
 * Opens a docker-archive, whose `file` stays the caller's. One that is compressed as a whole is
 * inflated into `scratch` first, an empty file (store_blob_new) that is the caller's, too. Layers are
 * to be copied with oci_copy(archive.file, places[i].offset, places[i].bytes, &layers[i].blob, ...).
 */
int oci_open_docker_archive(int file, int scratch, const char *tag, const char *platform,
			    struct oci_archive *ret, struct err *err);
void oci_archive_done(struct oci_archive *archive);

#endif
