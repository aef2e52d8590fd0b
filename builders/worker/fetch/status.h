/* What the status codes of HTTP mean to fetch (RFC 9110, 15). Pure. */
#ifndef DUET_BUILDERS_WORKER_FETCH_STATUS_H
#define DUET_BUILDERS_WORKER_FETCH_STATUS_H

#include <stdbool.h>

#include "builders/worker/fetch/curl.h"
#include "core/err.h"

/* 301, 302, 303, 307, 308. */
bool status_is_redirect(unsigned int status);
/* 408, 429 and 5xx: may go away by itself. */
bool status_is_passing(unsigned int status);
/* Sets ERR_FETCH with a mend: "not found (404); the server says: PAGE". `page` is hostile; may be NULL. */
int status_error(unsigned int status, const char *page, struct err *err);

/*
 * Sets what an answer says that is ASK_BROKEN or ASK_REFUSED, and `mend` unless it has one of its own.
 * `origin`: the registry that was asked, or NULL; one without TLS can be named.
 */
int status_broken(const struct ask_result *result, const char *origin, const char *mend,
		  struct err *err);

#endif
