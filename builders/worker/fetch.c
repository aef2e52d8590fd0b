/*
 * Fetching: see fetch.h. What is decided here, in this order for every try:
 *
 *	fetch_run	up to FETCH_TRIES_MAX tries, waiting between them
 *	try_once	one request and its redirects
 *	begin		the head is there: is its body wanted, and where does it go?
 *	take_body	bytes go into the file and its hash (fetch_file)
 *	settle		the answer is over: the file is right, or what to do next
 *
 * fetch_curl does one request, fetch_http and fetch_url read what came; the bytes themselves are
 * nobody's to interpret until their digest is right.
 */
#include "builders/worker/fetch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "builders/worker/fetch_curl.h"
#include "builders/worker/fetch_file.h"
#include "builders/worker/fetch_http.h"
#include "builders/worker/fetch_status.h"
#include "builders/worker/fetch_url.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define PROGRESS_MS 100

static const char mend_server[] = "try again later, or use another URL: the server is at fault";

/* What comes after a try, or after a part of it. */
enum next {
	NEXT_UNDECIDED,
	NEXT_DONE,
	NEXT_RETRY,	/* after a wait */
	NEXT_AT_ONCE,	/* another try, without a wait */
	NEXT_FAIL,
};

struct run {
	const struct fetch *fetch;	/* borrowed */
	struct transport *transport;	/* owned */
	struct err *err;		/* borrowed; the last try's trouble */
	unsigned int tries;
	struct fetch_file file;
	uint64_t limit;		/* bytes the file may have */
	bool doubtful;		/* from several answers, or from one that did not tell its length */
	bool again;		/* it was wrong and is being fetched from byte 0 */
	char *validator;	/* owned; strong, of what is in the file; or NULL */
	int64_t shown_ms;	/* when progress was last told */
	/* the try */
	char *at;		/* owned; the URL that is being asked, after redirects */
	uint64_t total;		/* bytes the whole will have; 0: not known */
	uint64_t retry_after_ms;
	bool has_retry_after;
	/* the answer */
	bool begun;		/* its head was looked at */
	bool wanted;		/* its body goes into the file */
	enum next next;		/* what is decided already */
	struct str page;	/* the body of an answer that is not wanted */
};

static void run_done(struct run *run)
{
	transport_free(run->transport);
	fetch_file_done(&run->file);
	free(run->validator);
	free(run->at);
	str_done(&run->page);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell_progress(struct run *run, bool always)
{
	int64_t now = now_ms();

	if (!run->fetch->progress || (!always && now - run->shown_ms < PROGRESS_MS))
		return;
	run->shown_ms = now;
	run->fetch->progress(run->fetch->data, run->file.have, run->total);
}

static void forget_validator(struct run *run)
{
	free(run->validator);
	run->validator = NULL;
}

/* Back to an empty file. */
static int start_over(struct run *run)
{
	run->doubtful = false;
	forget_validator(run);
	return fetch_file_empty(&run->file, run->err);
}

/* The bytes are wrong, as err tells: once more from 0 if they may be a patchwork, else over. */
static enum next wrong_bytes(struct run *run)
{
	bool once_more = run->doubtful && !run->again;

	err_mend(run->err, "the file at that URL is not the one that was asked for: check sha256, or "
		 "find out who changed the file");
	run->again = true;
	if (start_over(run) < 0)
		return NEXT_FAIL;
	return once_more ? NEXT_AT_ONCE : NEXT_FAIL;
}

/* The file is complete: is it the right one? */
static enum next check_digest(struct run *run)
{
	char expected[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];
	struct digest digest;

	fetch_file_digest(&run->file, &digest);
	if (digest_equal(&digest, &run->fetch->expected))
		return NEXT_DONE;
	digest_text(&run->fetch->expected, expected);
	digest_text(&digest, got);
	err_set(run->err, ERR_FETCH_DIGEST, "digest differs: expected %s, got %s (%llu bytes)",
		expected, got, (unsigned long long)run->file.have);
	return wrong_bytes(run);
}

static enum next too_long(struct run *run)
{
	if (run->fetch->bytes == 0) {
		(void)start_over(run);
		err_set(run->err, ERR_FETCH, "more than %llu bytes, the most that is fetched",
			(unsigned long long)FETCH_BYTES_MAX);
		err_mend(run->err, "check the URL: its server sends without end");
		return NEXT_FAIL;
	}
	err_set(run->err, ERR_FETCH_DIGEST, "more than the %llu bytes that were expected",
		(unsigned long long)run->fetch->bytes);
	return wrong_bytes(run);
}

/* 206: exactly the bytes that were asked for? */
static enum next begin_part(struct run *run, const struct http_reply *reply)
{
	const char *value = reply->fields[HTTP_CONTENT_RANGE];
	_cleanup_free_ char *validator = http_strong_validator(reply);
	struct http_range range;
	uint64_t length;
	bool right = http_content_range(value, &range) && run->file.have > 0 &&
		     range.first == run->file.have;

	if (right && run->fetch->bytes > 0)
		right = range.last < run->fetch->bytes &&
			(range.total == 0 || range.total == run->fetch->bytes);
	if (right && reply->fields[HTTP_CONTENT_LENGTH])
		right = parse_u64(reply->fields[HTTP_CONTENT_LENGTH], &length) &&
			length == range.last - range.first + 1;
	if (right && run->validator && validator)
		right = !strcmp(run->validator, validator);
	if (!right) {
		_cleanup_free_ char *shown = str_escape(value ? value : "", 80);

		err_set(run->err, ERR_FETCH, "the server sent another part than bytes %llu-: \"%s\"",
			(unsigned long long)run->file.have, shown);
		err_mend(run->err, "%s", mend_server);
		return start_over(run) < 0 ? NEXT_FAIL : NEXT_RETRY;
	}
	run->doubtful = true;
	run->total = range.total;
	return NEXT_UNDECIDED;
}

/* 200: the whole, whatever was asked for. */
static enum next begin_whole(struct run *run, const struct http_reply *reply)
{
	const char *value = reply->fields[HTTP_CONTENT_LENGTH];
	uint64_t length;

	if (run->file.have > 0 && start_over(run) < 0)
		return NEXT_FAIL;
	run->total = 0;
	if (value && parse_u64(value, &length))
		run->total = length;
	else if (!reply->fields[HTTP_TRANSFER_ENCODING])
		run->doubtful = true;
	if (run->total > run->limit)
		return too_long(run);
	forget_validator(run);
	run->validator = http_strong_validator(reply);
	return NEXT_UNDECIDED;
}

static enum next begin(struct run *run, const struct http_reply *reply)
{
	const char *encoding = reply->fields[HTTP_CONTENT_ENCODING];
	enum next next;

	run->begun = true;
	if (reply->status != 200 && reply->status != 206)
		return NEXT_UNDECIDED;
	if (!http_encoding_is_known(encoding)) {
		_cleanup_free_ char *shown = str_escape(encoding, 80);

		err_set(run->err, ERR_FETCH, "the server encoded it as \"%s\", unasked", shown);
		err_mend(run->err, "the server or a proxy before it changes files: use another URL");
		return NEXT_FAIL;
	}
	next = reply->status == 206 ? begin_part(run, reply) : begin_whole(run, reply);
	if (next != NEXT_UNDECIDED)
		return next;
	if (run->total == 0)
		run->total = run->fetch->bytes;
	/* a full disk is met before the network is used for nothing; never on a server's word */
	if (fetch_file_reserve(&run->file, run->fetch->bytes, run->err) < 0)
		return NEXT_FAIL;
	run->wanted = true;
	return NEXT_UNDECIDED;
}

static bool keep_page(struct run *run, const void *bytes, size_t size)
{
	size_t room = FETCH_ERROR_BODY_MAX - run->page.length;

	str_addn(&run->page, bytes, size < room ? size : room);
	return size < room;
}

/* The transport's callback: false ends the request, run->next says why. */
static bool take_body(void *data, const struct http_reply *reply, const void *bytes, size_t size)
{
	struct run *run = data;

	if (!run->begun)
		run->next = begin(run, reply);
	if (run->next != NEXT_UNDECIDED)
		return false;
	if (!run->wanted)
		return keep_page(run, bytes, size);
	if (size > run->limit - run->file.have) {
		run->next = too_long(run);
		return false;
	}
	if (fetch_file_add(&run->file, bytes, size, run->err) < 0) {
		run->next = NEXT_FAIL;
		return false;
	}
	tell_progress(run, false);
	return true;
}

/* 416: nothing behind what is there. It may be the whole file. */
static enum next settle_no_range(struct run *run)
{
	struct digest digest;

	fetch_file_digest(&run->file, &digest);
	if (digest_equal(&digest, &run->fetch->expected))
		return NEXT_DONE;
	return start_over(run) < 0 ? NEXT_FAIL : NEXT_AT_ONCE;
}

static enum next settle_status(struct run *run, const struct http_reply *reply)
{
	unsigned int status = reply->status;

	status_error(status, run->page.length ? run->page.text : NULL, run->err);
	if (status == 416 && run->file.have > 0)
		return settle_no_range(run);
	if (!status_is_passing(status))
		return NEXT_FAIL;
	run->has_retry_after = http_retry_after(reply->fields[HTTP_RETRY_AFTER], time(NULL),
						&run->retry_after_ms);
	return NEXT_RETRY;
}

/* The body is over, or broken off. */
static enum next settle_body(struct run *run, const struct get_result *result)
{
	uint64_t whole = run->fetch->bytes ? run->fetch->bytes : run->total;

	if (result->end == GET_BROKEN || result->end == GET_REFUSED) {
		err_set(run->err, ERR_FETCH, "%s", result->cause);
		err_mend(run->err, "%s", result->mend ? result->mend : mend_server);
		/* a server that makes a mess of ranges is asked for the whole */
		if (result->reply.broken && result->reply.status == 206 && start_over(run) < 0)
			return NEXT_FAIL;
		return result->end == GET_BROKEN ? NEXT_RETRY : NEXT_FAIL;
	}
	if (run->file.have < whole) {
		err_set(run->err, ERR_FETCH, "the server ended after %llu of %llu bytes",
			(unsigned long long)run->file.have, (unsigned long long)whole);
		err_mend(run->err, "%s", mend_server);
		return NEXT_RETRY;
	}
	return check_digest(run);
}

/* The answer is over. */
static enum next settle(struct run *run, const struct get_result *result)
{
	unsigned int status = result->reply.status;

	if (result->end == GET_TOO_LARGE && !run->begun && (status == 200 || status == 206))
		return too_long(run); /* told by libcurl before the head was complete */
	if (result->reply.complete && status >= 200 && !run->begun)
		run->next = begin(run, &result->reply);
	if (run->next != NEXT_UNDECIDED)
		return run->next;
	if (run->begun ? !run->wanted : result->end == GET_TOO_LARGE)
		return settle_status(run, &result->reply);
	return settle_body(run, result);
}

/* Sets run->at to where the answer points. */
static enum next follow(struct run *run, const struct http_reply *reply)
{
	const char *location = reply->fields[HTTP_LOCATION], *why = NULL;
	char *target = location ? url_resolve(run->at, location, &why) : NULL;

	if (!target) {
		_cleanup_free_ char *shown = url_shown(location ? location : "");

		if (location)
			err_set(run->err, ERR_FETCH, "redirected to %s, which %s", shown, why);
		else
			err_set(run->err, ERR_FETCH, "redirected (%u), but not told where to",
				reply->status);
		err_mend(run->err, "duet follows https only: check the URL");
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
		.body = take_body,
		.data = run,
	};

	run->begun = false;
	run->wanted = false;
	run->next = NEXT_UNDECIDED;
	run->page.length = 0;
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
			return settle(run, &result);
		if (redirects == FETCH_REDIRECTS_MAX) {
			err_set(run->err, ERR_FETCH, "more than %d redirects", FETCH_REDIRECTS_MAX);
			err_mend(run->err, "check the URL: the servers send each other in circles");
			return NEXT_FAIL;
		}
		next = follow(run, &result.reply);
		if (next != NEXT_UNDECIDED)
			return next;
		/* who is outside may not point us at what only we can reach */
		only_public = !result.from_local;
	}
}

/* Half of the doubled wait for certain, the other half by lot: clients do not come back in step. */
static uint64_t backoff_ms(const struct run *run)
{
	uint64_t whole = run->fetch->backoff_ms ? run->fetch->backoff_ms : FETCH_BACKOFF_MS;
	uint32_t lot = 0;

	whole <<= run->tries - 1;
	if (whole > FETCH_BACKOFF_MAX_MS)
		whole = FETCH_BACKOFF_MAX_MS;
	if (getrandom(&lot, sizeof(lot), GRND_NONBLOCK) != sizeof(lot))
		lot = (uint32_t)now_ms();
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
		next = try_once(run);
		tell_progress(run, true);
		if (next == NEXT_DONE || next == NEXT_FAIL || run->tries == FETCH_TRIES_MAX)
			return next;
		if (next == NEXT_RETRY)
			wait_ms(run->has_retry_after ? run->retry_after_ms : backoff_ms(run));
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
	return err_wrap(run->err, "fetch %s (%s%s%s%u %s)", url, moved ? "redirected to " : "",
			moved ? at : "", moved ? ", " : "", run->tries,
			run->tries == 1 ? "try" : "tries");
}

/* What an earlier process left in the file: 1 when it is all that is wanted, 0, -1. */
static int take_up(struct run *run)
{
	struct digest digest;

	if (fetch_file_take_up(&run->file, run->fetch->out, run->limit, run->err) < 0)
		return -1;
	run->doubtful = run->file.have > 0;
	if (run->fetch->bytes == 0 || run->file.have < run->fetch->bytes)
		return 0;
	fetch_file_digest(&run->file, &digest);
	if (digest_equal(&digest, &run->fetch->expected))
		return 1;
	return start_over(run);
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

int fetch_run(const struct fetch *fetch, uint64_t *ret_bytes, struct err *err)
{
	_cleanup_(run_done) struct run run = {
		.fetch = fetch,
		.err = err,
		.limit = fetch->bytes ? fetch->bytes : FETCH_BYTES_MAX,
	};
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *why = url_refusal(fetch->url);
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
	return 0;
}
