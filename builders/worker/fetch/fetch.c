/*
 * Fetching: see fetch.h. For every try:
 *
 *	fetch_run	up to FETCH_TRIES_MAX tries, waiting between them
 *	try_once	one request (fetch_curl) and its redirects
 *	answer_...	its answer (fetch_answer), read by fetch_http and fetch_url
 *
 * The bytes themselves are nobody's to interpret until their digest is right.
 */
#include "builders/worker/fetch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "builders/worker/fetch/run.h"
#include "builders/worker/fetch/status.h"
#include "builders/worker/fetch/url.h"
#include "core/mem.h"

static void run_done(struct run *run)
{
	transport_free(run->transport);
	fetch_file_done(&run->file);
	free(run->validator);
	free(run->at);
	str_done(&run->page);
}


/* Sets run->at to where the answer points. */
static enum next follow(struct run *run, const struct http_reply *reply)
{
	const char *location = reply->fields[HTTP_LOCATION], *why = NULL;
	char *target = location ? url_resolve(run->at, location, &why) : NULL;

	if (!target) {
		_cleanup_free_ char *shown = url_shown(location ? location : "");

		if (location)
			err_set(run->err, ERR_FETCH, "redirected to %s, which %s", shown,
				why);
		else
			err_set(run->err, ERR_FETCH,
				"redirected (%u), but not told where to", reply->status);
		err_mend(run->err, "duet follows no redirect away from https: check the URL");
		return NEXT_FAIL;
	}
	free(run->at);
	run->at = target;
	return NEXT_UNDECIDED;
}

static void ask(struct run *run, bool only_public, struct get_result *ret)
{
	const struct fetch *fetch = run->fetch;
	struct get get = {
		.url = run->at,
		.from = run->file.have,
		.if_range = run->validator,
		.ca_file = fetch->ca_file,
		.bytes_max = run->limit,
		.stall_s = fetch->stall_s ? fetch->stall_s : FETCH_STALL_S,
		.only_public = only_public,
		.body = answer_take,
		.data = run,
	};

	answer_expect(run);
	transport_get(run->transport, &get, ret);
}

/* One request and its redirects. */
static enum next try_once(struct run *run)
{
	bool only_public = false;

	free(run->at);
	run->at = xstrdup(run->fetch->url);
	run->has_retry_after = false;
	for (unsigned int redirects = 0;; redirects++) {
		_cleanup_(get_result_done) struct get_result result = { 0 };
		enum next next;

		ask(run, only_public, &result);
		if (!result.reply.complete || !status_is_redirect(result.reply.status))
			return answer_settle(run, &result);
		if (redirects == FETCH_REDIRECTS_MAX) {
			err_set(run->err, ERR_FETCH, "more than %d redirects",
				FETCH_REDIRECTS_MAX);
			err_mend(run->err,
				 "check the URL: the servers send each other in circles");
			return NEXT_FAIL;
		}
		next = follow(run, &result.reply);
		if (next != NEXT_UNDECIDED)
			return next;
		/* who is outside may not point us at what only we can reach */
		only_public = !result.from_local;
	}
}

/* Doubled for each try; half of it by lot, so that clients do not come back in step. */
static uint64_t backoff_ms(const struct run *run)
{
	uint64_t whole = run->fetch->backoff_ms ? run->fetch->backoff_ms
						: FETCH_BACKOFF_MS;
	uint32_t lot = 0;

	whole <<= run->tries - 1;
	if (whole > FETCH_BACKOFF_MAX_MS)
		whole = FETCH_BACKOFF_MAX_MS;
	if (getrandom(&lot, sizeof(lot), GRND_NONBLOCK) != sizeof(lot))
		lot = 0; /* so early after boot nobody else fetches in step with us */
	return whole / 2 + lot % (whole / 2 + 1);
}

static void wait_ms(uint64_t ms)
{
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

static enum next try_often(struct run *run)
{
	for (;;) {
		enum next next;

		run->tries++;
		if (run->fetch->any_digest && run->file.have > 0 && run_start_over(run) < 0)
			return NEXT_FAIL;
		next = try_once(run);
		run_tell_progress(run, true);
		if (next == NEXT_DONE || next == NEXT_FAIL ||
		    run->tries == FETCH_TRIES_MAX)
			return next;
		if (next == NEXT_RETRY)
			wait_ms(run->has_retry_after ? run->retry_after_ms
						     : backoff_ms(run));
	}
}

/* "fetch URL (redirected to URL, 5 tries): CAUSE" */
static int fail(struct run *run)
{
	_cleanup_free_ char *url = url_shown(run->fetch->url);
	_cleanup_free_ char *at = run->at ? url_shown(run->at) : NULL;
	bool moved = at && strcmp(at, url) != 0;

	if (run->tries == 0)
		return err_wrap(run->err, "fetch %s", url);
	return err_wrap(run->err, "fetch %s (%s%s%s%u %s)", url,
			moved ? "redirected to " : "", moved ? at : "", moved ? ", " : "",
			run->tries, run->tries == 1 ? "try" : "tries");
}

/* What an earlier process left in the file: 1 when it is all that is wanted, 0, -1. */
static int take_up(struct run *run)
{
	if (fetch_file_take_up(&run->file, run->fetch->out, run->limit, run->err) < 0)
		return -1;
	run->doubtful = run->file.have > 0;
	if (run->fetch->bytes == 0 || run->file.have < run->fetch->bytes)
		return 0;
	if (!run->fetch->any_digest && run_is_right(run))
		return 1;
	return run_start_over(run);
}

static int run_all(struct run *run)
{
	int complete = take_up(run);

	if (complete < 0)
		return fail(run);
	if (complete)
		return 0;
	run->transport = transport_new();
	if (!run->transport) {
		err_set(run->err, ERR_HOST, "start libcurl");
		return fail(run);
	}
	if (try_often(run) != NEXT_DONE)
		return fail(run);
	err_done(run->err); /* what earlier tries left */
	return 0;
}

int fetch_run(const struct fetch *fetch, uint64_t *ret_bytes, struct digest *ret_digest,
	      struct err *err)
{
	_cleanup_(run_done) struct run run = {
		.fetch = fetch,
		.err = err,
		.limit = fetch->bytes ? fetch->bytes :
			 fetch->bytes_max ? fetch->bytes_max : FETCH_BYTES_MAX,
	};
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *why = url_refusal(fetch->url, fetch->plain_http);
	struct sigaction before;
	int result;

	if (why) {
		err_set(err, ERR_FETCH, "the URL %s", why);
		err_mend(err, "give an https:// URL");
		return fail(&run);
	}
	/* TLS writes to connections that the server has closed */
	sigaction(SIGPIPE, &ignore, &before);
	result = run_all(&run);
	sigaction(SIGPIPE, &before, NULL);
	if (result < 0)
		return -1;
	*ret_bytes = run.file.have;
	if (ret_digest)
		*ret_digest = run.digest;
	return 0;
}
