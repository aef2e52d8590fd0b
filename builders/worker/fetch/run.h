/*
 * One run of fetch, between its two files: fetch.c tries and waits; answer.c turns one answer into bytes of the file and says what comes next.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_RUN_H
#define DUET_BUILDERS_WORKER_FETCH_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/worker/fetch.h"
#include "builders/worker/fetch/curl.h"
#include "builders/worker/fetch/file.h"
#include "builders/worker/fetch/try.h"
#include "core/str.h"

struct run {
	const struct fetch *fetch;	/* borrowed */
	struct transport *own_transport;	/* owned; NULL: the caller's is used */
	struct try try;
	struct err *err;		/* borrowed; the last try's trouble */
	unsigned int tries;
	bool said;		/* a registry's word on what was asked of it: its caller names that */
	struct fetch_file file;
	uint64_t limit;		/* bytes the file may have */
	struct digest digest;	/* of the file, when it was complete */
	bool doubtful;		/* from several answers, or one without a length */
	bool again;		/* it was wrong and is being fetched from byte 0 */
	char *validator;	/* owned; strong, of what is in the file; or NULL */
	int64_t shown_ms;	/* when progress was last told */
	/* the try */
	uint64_t total;		/* bytes the whole will have; 0: not known */
	uint64_t retry_after_ms;
	bool has_retry_after;
	/* the answer */
	bool begun;		/* its head was looked at */
	bool wanted;		/* its body goes into the file */
	enum next next;		/* what is decided already */
	struct str page;	/* the body of an answer that is not wanted */
};

/* Sets run->digest; is it the one that is expected? */
bool run_is_right(struct run *run);
/* Back to an empty file. */
int run_start_over(struct run *run);
/* Tells the caller how far it is, at most every PROGRESS_MS unless `always`. */
void run_tell_progress(struct run *run, bool always);

/* Makes the run ready for an answer. */
void answer_expect(struct run *run);
/* The body, piece by piece: `body` of struct ask. When it ends, run->next says why. */
bool answer_take(void *run, const struct http_reply *reply, const void *bytes,
		 size_t size);
/* The answer is over, and no redirect: NEXT_DONE, or what to do, with run->err set. */
enum next answer_settle(struct run *run, const struct ask_result *result);

#endif
