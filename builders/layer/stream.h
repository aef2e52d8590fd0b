/*
 * The threads under a layer: a blob in, plain bytes and both digests out.
 *
 *	reader: read + hash blob -> ring -> inflate: inflate -> ring -> hasher: hash plain
 *	                                                            \-> the caller: stream_read
 */
#ifndef DUET_BUILDERS_LAYER_STREAM_H
#define DUET_BUILDERS_LAYER_STREAM_H

#include "builders/layer/layer.h"

struct stream;

struct stream_args {
	int blob;		/* borrowed; O_RDONLY */
	uint64_t blob_bytes;	/* expected; 0: unknown */
	bool has_expected;
	struct digest expected;
	bool allow_xz;
	bool verified;		/* the blob's digest is not wanted */
	layer_progress *progress;	/* may be NULL; called by stream_read */
	void *progress_data;
};

int stream_new(const struct stream_args *args, struct stream **ret, struct err *err);
/* The next plain bytes, borrowed until the next call: 1; 0 at the end; -1. */
int stream_read(struct stream *stream, const void **ret, size_t *ret_size, struct err *err);
/*
 * Reads the rest, which has to be zero bytes from `tar_end` (an offset of the plain bytes) on, and
 * fills the digests and sizes of *ret. ERR_FETCH_DIGEST when the blob is not the expected one.
 */
int stream_finish(struct stream *stream, uint64_t tar_end, struct layer_result *ret,
		  struct err *err);
/*
 * After a failure (in err): where the blob is a file that is not the expected one, that is the cause
 * and replaces the error. Returns -1.
 */
int stream_blame(struct stream *stream, struct err *err);
/* Stops the threads, wherever they are. */
void stream_free(struct stream *stream);

#endif
