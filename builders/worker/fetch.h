/* duet-worker fetch: one URL into one file, verified. The only code that speaks to a network. */
#ifndef DUET_BUILDERS_WORKER_FETCH_H
#define DUET_BUILDERS_WORKER_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

#define FETCH_TRIES_MAX 5
#define FETCH_REDIRECTS_MAX 5
#define FETCH_BYTES_MAX (64ull << 30)	/* 64 GiB, when the size is not known beforehand */

struct fetch {
	const char *url;	/* https:// (file:// is opened by the caller, never here) */
	struct digest expected;
	uint64_t bytes;		/* expected size; 0: unknown */
	int out;		/* borrowed; a regular file; what is in it already is taken up (resume) */
	void (*progress)(void *data, uint64_t done, uint64_t total);
	void *data;
	const char *ca_file;	/* NULL: the system's */
};

/*
 * Resumes what `out` holds (re-hashed from byte 0, Range with If-Range when the validator is strong,
 * start over when the server answers 200), retries with back-off and Retry-After, follows at most
 * FETCH_REDIRECTS_MAX redirects itself, https only, no netrc, no transparent decoding. Stops at
 * bytes + 1. Errors: ERR_FETCH, ERR_FETCH_DIGEST.
 */
int fetch_run(const struct fetch *fetch, uint64_t *ret_bytes, struct err *err);

#endif
