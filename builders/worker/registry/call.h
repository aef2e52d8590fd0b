/* One small request to a registry or its token server: tries, waits, redirects, logins; no file. */
#ifndef DUET_BUILDERS_WORKER_REGISTRY_CALL_H
#define DUET_BUILDERS_WORKER_REGISTRY_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include "builders/worker/fetch/try.h"
#include "builders/worker/registry/session.h"
#include "core/str.h"

struct call {
	const char *method, *url;
	const char *content_type, *content_range, *form;	/* as in struct ask */
	const struct upload *upload;
	const struct authority *authority;	/* NULL: anonymous */
	size_t body_max;		/* bytes of the body of a 2xx; more is an error */
	unsigned int tries_max;		/* 0: FETCH_TRIES_MAX */
	unsigned int stall_s;		/* 0: FETCH_STALL_S */
	bool only_public;		/* local addresses are refused */
};

struct call_result {
	struct http_reply reply;
	struct str body;	/* of a 2xx the whole, else at most FETCH_ERROR_BODY_MAX */
	bool from_local;	/* the server's address is a local one */
	char *at;		/* owned; the URL that answered */
};

/*
 * Gets an answer, whatever its status (of one that may pass, the last try's): 0. -1: there was none,
 * nobody could log in, or its body was too long: "METHOD URL (N tries): CAUSE".
 */
int call_run(struct visit *visit, const struct call *call, struct call_result *ret, struct err *err);
/* Sets the error of an answer that is not what was hoped for, by the call's authority. Returns -1. */
int call_refused(const struct call *call, const struct call_result *result, struct err *err);
void call_result_done(struct call_result *result);

#endif
