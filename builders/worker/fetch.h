/* duet-worker fetch: one URL into one file, verified. */
#ifndef DUET_BUILDERS_WORKER_FETCH_H
#define DUET_BUILDERS_WORKER_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

struct authority;
struct http_reply;
struct transport;

#define FETCH_TRIES_MAX 5		/* a try is one request with its redirects */
#define FETCH_UNREACHED_TRIES_MAX 3	/* where no such host is, or nobody listens, some seconds do */
#define FETCH_REDIRECTS_MAX 5
#define FETCH_BYTES_MAX (64ull << 30)	/* 64 GiB, when the size is not known beforehand */
#define FETCH_ERROR_BODY_MAX 65536	/* bytes of an error page that are read */
#define FETCH_ERROR_SHOWN_MAX 1000	/* bytes of it, escaped, in a message */
#define FETCH_BACKOFF_MS 1000		/* before the second try; doubled for each later one */
#define FETCH_BACKOFF_MAX_MS 60000
#define FETCH_STALL_S 30		/* so long below 1 KiB/s ends a try */

struct fetch {
	const char *url;	/* https:// (file:// is opened by the caller, never here) */
	/*
	 * http:// too, for what a signature or a digest vouches for: everybody on the way can read what
	 * is asked for, and change the answer.
	 */
	bool plain_http;
	struct digest expected;
	bool any_digest;	/* nothing is expected: the caller verifies what came */
	uint64_t bytes;		/* expected size; 0: unknown */
	uint64_t bytes_max;	/* when the size is unknown; 0: FETCH_BYTES_MAX */
	int out;		/* borrowed; a regular file, O_RDWR; what is in it is taken up (resume) */
	/* Bytes in the file, and how many it will be (0: not known); about ten times a second. */
	void (*progress)(void *data, uint64_t done, uint64_t total);
	/*
	 * So many bytes of the file are there to read: called whenever it has grown, and with 0 before
	 * it is started over. May be NULL.
	 */
	void (*grown)(void *data, uint64_t bytes);
	/* The head of an answer whose body goes into the file. May be NULL. */
	void (*head)(void *data, const struct http_reply *reply);
	void *data;			/* of these */
	const struct authority *authority;	/* borrowed; NULL: anonymous */
	struct transport *transport;	/* borrowed; NULL: one of its own */
	const char *accept, *user_agent;	/* NULL: libcurl's, the package's */
	const char *ca_file;	/* NULL: the system's */
	uint32_t backoff_ms;	/* 0: FETCH_BACKOFF_MS */
	uint32_t stall_s;	/* 0: FETCH_STALL_S */
};

/*
 * Resumes what `out` holds (re-hashed from byte 0, Range with If-Range when the validator is strong,
 * start over when the server answers 200), retries with back-off and jitter or as Retry-After says,
 * follows at most FETCH_REDIRECTS_MAX redirects itself, from https to https only, never from a public server to a
 * local address, no netrc, no credentials, no decoding: the digest is that of the bytes on the wire.
 * Stops at bytes + 1. When a file that was put together from several answers has the wrong digest,
 * it is fetched once more from byte 0. With any_digest nothing is put together: each try starts over.
 *
 * A file that already is what is expected costs no request when its size is known, else one (416).
 * On success `out` holds exactly the expected bytes (not synced), *ret_bytes is their number and
 * *ret_digest theirs (NULL: not wanted). After
 * ERR_FETCH what came stays in it, for a later call to take up; after ERR_FETCH_DIGEST it is empty.
 * Errors: ERR_FETCH, ERR_FETCH_DIGEST, -errno of `out`. Ignores SIGPIPE while it runs.
 */
int fetch_run(const struct fetch *fetch, uint64_t *ret_bytes, struct digest *ret_digest,
	      struct err *err);

#endif
