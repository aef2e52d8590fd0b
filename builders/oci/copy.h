/* Copies a part of a file, or all of it inflated, and tells the digests. Runs in duet-worker. */
#ifndef DUET_BUILDERS_OCI_COPY_H
#define DUET_BUILDERS_OCI_COPY_H

#include "builders/layer/layer.h"

struct oci_copy {
	int in;			/* borrowed; a file */
	int out;		/* borrowed; a file, written from its start */
	/* all of it; offset and bytes are not looked at */
	bool inflate;		/* gzip, zstd; with `pack` xz, too */
	bool pack;		/* and packed again, with zstd */
	uint64_t offset, bytes;	/* bytes 0: to the end */
	bool has_expected;
	struct digest expected;	/* of what is read */
	layer_progress *progress;	/* may be NULL */
	void *progress_data;
};

/*
 * Sets blob and blob_bytes of *ret (what was read), with `inflate` diff_id and plain_bytes, too (what
 * was written). With `pack` blob is what was written, and diff_id what that holds. ERR_FETCH_DIGEST when it
 * is not the expected; ERR_LAYER for what cannot be inflated or ends too soon.
 */
int oci_copy_run(const struct oci_copy *args, struct layer_result *ret, struct err *err);
/* The digest of a part of a file, and its first bytes: 0; -1 also when the file ends before. */
int oci_copy_hash(int in, uint64_t offset, uint64_t bytes, uint8_t ret_magic[4],
		  struct digest *ret, struct err *err);

#endif
