/*
 * Fetching: see fetch.h. For every try:
 *
 *	fetch_run	up to FETCH_TRIES_MAX tries, waiting between them
 *	try_once	one request with its redirects and logins (try.c, curl.c)
 *	answer_...	its answer (answer.c), read by http.c and url.c
 *
 * The bytes themselves are nobody's to interpret until their digest is right.
 */
#include "builders/worker/fetch.h"

#include <signal.h>
#include <string.h>

#include "builders/worker/fetch/run.h"
#include "builders/worker/fetch/url.h"
#include "core/mem.h"

static void run_done(struct run *run)
{
	transport_free(run->own_transport);
	fetch_file_done(&run->file);
	free(run->validator);
	try_done(&run->try);
	str_done(&run->page);
}

static void expect(void *data)
{
	answer_expect(data);
}

/* One request and its redirects. */
static enum next try_once(struct run *run)
{
	const struct fetch *fetch = run->fetch;
	_cleanup_(ask_result_done) struct ask_result result = { 0 };
	struct ask ask = {
		.url = fetch->url,
		.accept = fetch->accept,
		.user_agent = fetch->user_agent,
		.from = run->file.have,
		.if_range = run->validator,
		.ca_file = fetch->ca_file,
		.bytes_max = run->limit,
		.stall_s = fetch->stall_s ? fetch->stall_s : FETCH_STALL_S,
		.body = answer_take,
		.data = run,
	};
	enum next next;

	run->has_retry_after = false;
	run->try.only_public = false;
	next = try_ask(&run->try, &ask, expect, &result);
	return next == NEXT_UNDECIDED ? answer_settle(run, &result) : next;
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
		    run->tries >= (run->file.have > 0 ? FETCH_TRIES_MAX
						      : try_limit(&run->try, FETCH_TRIES_MAX)))
			return next;
		if (next == NEXT_RETRY)
			try_wait(run->tries, run->fetch->backoff_ms,
				 run->has_retry_after ? &run->retry_after_ms : NULL);
	}
}

/* "fetch URL (redirected to URL, 5 tries): CAUSE"; of a registry's host "after 3 tries: CAUSE" will do */
static int fail(struct run *run)
{
	_cleanup_free_ char *url = url_shown(run->fetch->url);
	_cleanup_free_ char *at = run->try.at ? url_shown(run->try.at) : NULL, *what = NULL;
	bool moved = at && strcmp(at, url) != 0;

	if (run->fetch->authority && !moved && (run->said || run->try.unreached))
		return try_fail(NULL, run->tries, run->err);
	if (moved)
		return err_wrap(run->err, "fetch %s (redirected to %s, %u %s)", url, at, run->tries,
				run->tries == 1 ? "try" : "tries");
	what = xasprintf("fetch %s", url);
	return try_fail(what, run->tries, run->err);
}

static void tell_taken_up(struct run *run)
{
	if (run->fetch->grown && run->file.have > 0)
		run->fetch->grown(run->fetch->data, run->file.have);
}

/* What an earlier process left in the file: 1 when it is all that is wanted, 0, -1. */
static int take_up(struct run *run)
{
	if (fetch_file_take_up(&run->file, run->fetch->out, run->limit, run->err) < 0)
		return -1;
	run->doubtful = run->file.have > 0;
	if (run->fetch->bytes == 0 || run->file.have < run->fetch->bytes) {
		tell_taken_up(run);
		return 0;
	}
	if (run->fetch->any_digest || !run_is_right(run))
		return run_start_over(run);
	tell_taken_up(run);
	return 1;
}

static int run_all(struct run *run)
{
	int complete = take_up(run);

	if (complete < 0)
		return fail(run);
	if (complete)
		return 0;
	if (!run->fetch->transport)
		run->own_transport = transport_new();
	run->try = (struct try){
		.transport = run->own_transport ? run->own_transport : run->fetch->transport,
		.authority = run->fetch->authority,
		.err = run->err,
	};
	if (!run->try.transport) {
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
