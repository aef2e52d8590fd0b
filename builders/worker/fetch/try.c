/* One try: see try.h. */
#include "builders/worker/fetch/try.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "builders/worker/fetch.h"
#include "builders/worker/fetch/status.h"
#include "builders/worker/fetch/url.h"
#include "core/mem.h"

void try_done(struct try *try)
{
	free(try->at);
	try->at = NULL;
}

static bool is_at_origin(const struct try *try)
{
	return try->authority && try->authority->header && !try->away &&
	       url_is_same_origin(try->at, try->authority->origin);
}

/* Sets try->at to where the answer points. */
static enum next follow(struct try *try, const struct http_reply *reply)
{
	const char *location = reply->fields[HTTP_LOCATION], *why = NULL;
	char *target = location ? url_resolve(try->at, location, &why) : NULL;

	if (!target) {
		_cleanup_free_ char *shown = url_shown(location ? location : "");

		if (location)
			err_set(try->err, ERR_FETCH, "redirected to %s, which %s", shown, why);
		else
			err_set(try->err, ERR_FETCH,
				"redirected (%u), but not told where to", reply->status);
		err_mend(try->err, "duet follows no redirect away from https: check the URL");
		return NEXT_FAIL;
	}
	free(try->at);
	try->at = target;
	return NEXT_UNDECIDED;
}

/* Sends it to try->at as whoever we are there, again when the login was not the right one. */
static enum next ask_as(struct try *try, struct ask *ask, void (*expect)(void *data),
			struct ask_result *ret)
{
	const struct authority *authority = try->authority;

	for (;;) {
		_cleanup_free_ char *authorization = NULL;
		int again;

		if (is_at_origin(try) && authority->header(authority->data, &authorization, try->err) < 0)
			return NEXT_FAIL;
		ask->url = try->at;
		ask->authorization = authorization;
		ask->only_public = try->only_public;
		if (expect)
			expect(ask->data);
		transport_ask(try->transport, ask, ret);
		try->unreached = ret->unreached || ret->no_tls;
		ask->authorization = NULL;
		if (!ret->reply.complete || ret->reply.status != 401 || !is_at_origin(try))
			return NEXT_UNDECIDED;
		again = authority->challenged(authority->data, ret, authorization, try->err);
		if (again < 0)
			return NEXT_FAIL;
		if (again == 0)
			return NEXT_UNDECIDED;
		ask_result_done(ret);
	}
}

enum next try_ask(struct try *try, const struct ask *ask, void (*expect)(void *data),
		  struct ask_result *ret)
{
	bool has_body = ask->method && strcmp(ask->method, "GET") && strcmp(ask->method, "HEAD");
	struct ask each = *ask;

	free(try->at);
	try->at = xstrdup(ask->url);
	try->away = try->authority && !url_is_same_origin(try->at, try->authority->origin);
	for (unsigned int redirects = 0;; redirects++) {
		enum next next = ask_as(try, &each, expect, ret);

		if (next != NEXT_UNDECIDED || has_body || !ret->reply.complete ||
		    !status_is_redirect(ret->reply.status))
			return next;
		if (redirects == FETCH_REDIRECTS_MAX) {
			err_set(try->err, ERR_FETCH, "more than %d redirects",
				FETCH_REDIRECTS_MAX);
			err_mend(try->err,
				 "check the URL: the servers send each other in circles");
			return NEXT_FAIL;
		}
		next = follow(try, &ret->reply);
		if (next != NEXT_UNDECIDED)
			return next;
		if (try->authority && !url_is_same_origin(try->at, try->authority->origin))
			try->away = true;
		/* who is outside may not point us at what only we can reach */
		try->only_public = !ret->from_local;
		ask_result_done(ret);
	}
}

int try_fail(const char *what, unsigned int tries, struct err *err)
{
	if (tries < 2)
		return what ? err_wrap(err, "%s", what) : -1;
	return what ? err_wrap(err, "%s (%u tries)", what, tries)
		    : err_wrap(err, "after %u tries", tries);
}

unsigned int try_limit(const struct try *try, unsigned int tries_max)
{
	return try->unreached && tries_max > FETCH_UNREACHED_TRIES_MAX ? FETCH_UNREACHED_TRIES_MAX
								      : tries_max;
}

static uint64_t backoff_of(unsigned int tries, uint64_t first_ms)
{
	uint64_t whole = first_ms ? first_ms : FETCH_BACKOFF_MS;
	uint32_t lot = 0;

	whole <<= tries - 1;
	if (whole > FETCH_BACKOFF_MAX_MS)
		whole = FETCH_BACKOFF_MAX_MS;
	if (getrandom(&lot, sizeof(lot), GRND_NONBLOCK) != sizeof(lot))
		lot = 0; /* so early after boot nobody else fetches in step with us */
	return whole / 2 + lot % (whole / 2 + 1);
}

void try_wait(unsigned int tries, uint64_t backoff_ms, const uint64_t *retry_after_ms)
{
	uint64_t ms = retry_after_ms ? *retry_after_ms : backoff_of(tries, backoff_ms);
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}
