/*
 * One try: a request, the redirects that it meets and the logins that it is asked for. Under
 * fetch.c, which fetches files, and the registry's calls.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_TRY_H
#define DUET_BUILDERS_WORKER_FETCH_TRY_H

#include <stdbool.h>
#include <stdint.h>

#include "builders/worker/fetch/curl.h"
#include "core/err.h"

/* What comes after a try, or after a part of it. */
enum next {
	NEXT_UNDECIDED,
	NEXT_DONE,
	NEXT_RETRY,	/* after a wait */
	NEXT_AT_ONCE,	/* another try, without a wait */
	NEXT_FAIL,
};

/*
 * Who asks. Only URLs of one origin (scheme, host and port) are sent an Authorization, and none after
 * a redirect has led away from it, not even back there.
 */
struct authority {
	const char *origin;	/* a URL of it; borrowed */
	/* *ret: the header's value, owned, or NULL for none. */
	int (*header)(void *data, char **ret, struct err *err);
	/*
	 * The origin answered 401 to a request with `sent` (NULL: none): 1: ask again, 0: it is an
	 * answer like any other, -1: it cannot be satisfied.
	 */
	int (*challenged)(void *data, const struct ask_result *result, const char *sent,
			  struct err *err);
	/*
	 * Sets an error for a status that is not what was hoped for; NULL: status_error() does.
	 * `own`: the origin itself answered. `page` is hostile; may be NULL.
	 */
	int (*refused)(void *data, bool own, unsigned int status, const char *page,
		       struct err *err);
	void *data;
};

struct try {
	struct transport *transport;		/* borrowed */
	const struct authority *authority;	/* borrowed; NULL: anonymous */
	struct err *err;			/* borrowed */
	bool only_public;	/* local addresses are refused; set by a redirect from outside */
	bool unreached;		/* the last request reached nobody whom it could speak with */
	bool away;		/* not, or no longer, at the authority's origin */
	char *at;		/* owned; the URL that is being asked, after redirects */
};

/*
 * Asks ask->url; redirects are followed for GET and HEAD alone (what has a body is not sent to
 * whom nobody named). `expect` is told before every request, with ask->data; may be NULL.
 * NEXT_UNDECIDED: *ret is the answer that counts; else try->err is set.
 */
enum next try_ask(struct try *try, const struct ask *ask, void (*expect)(void *data),
		  struct ask_result *ret);
void try_done(struct try *try);

/* "WHAT (N tries): CAUSE", or without WHAT "after N tries: CAUSE"; one try goes without saying. */
int try_fail(const char *what, unsigned int tries, struct err *err);
/* How many tries there are: fewer when nobody is there. */
unsigned int try_limit(const struct try *try, unsigned int tries_max);

/*
 * Waits before the next try: as Retry-After said, or `backoff_ms` doubled for each of the `tries`
 * made; half of it by lot, so that clients do not come back in step.
 */
void try_wait(unsigned int tries, uint64_t backoff_ms, const uint64_t *retry_after_ms);

#endif
