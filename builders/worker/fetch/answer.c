/*
 * One answer: see run.h. In this order:
 *
 *	begin		the head is there: is its body wanted, and where does it go?
 *	answer_take	bytes go into the file and its hash (fetch_file)
 *	answer_settle	the file is right, or what to do next
 */
#include <string.h>
#include <time.h>

#include "builders/worker/fetch/http.h"
#include "builders/worker/fetch/run.h"
#include "builders/worker/fetch/status.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/parse.h"

#define PROGRESS_MS 100
#define SHOWN_MAX 80	/* bytes of a header in a message */

static const char mend_server[] =
	"try again later, or use another URL: the server is at fault";

void run_tell_progress(struct run *run, bool always)
{
	int64_t now = clock_ms();

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

int run_start_over(struct run *run)
{
	run->doubtful = false;
	forget_validator(run);
	if (run->fetch->grown)
		run->fetch->grown(run->fetch->data, 0);
	return fetch_file_empty(&run->file, run->err);
}

bool run_is_right(struct run *run)
{
	fetch_file_digest(&run->file, &run->digest);
	return run->fetch->any_digest || digest_equal(&run->digest, &run->fetch->expected);
}

/* The bytes are wrong, as err tells: once more from 0 if they may be a patchwork. */
static enum next wrong_bytes(struct run *run)
{
	bool once_more = run->doubtful && !run->again;

	err_mend(run->err, "the file at that URL is not the one that was asked for: "
			   "check sha256, or "
			   "find out who changed the file");
	run->again = true;
	if (run_start_over(run) < 0)
		return NEXT_FAIL;
	return once_more ? NEXT_AT_ONCE : NEXT_FAIL;
}

/* The file is complete: is it the right one? */
static enum next check_digest(struct run *run)
{
	char expected[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];

	if (run_is_right(run))
		return NEXT_DONE;
	digest_text(&run->fetch->expected, expected);
	digest_text(&run->digest, got);
	err_set(run->err, ERR_FETCH_DIGEST,
		"digest differs: expected %s, got %s (%llu bytes)", expected, got,
		(unsigned long long)run->file.have);
	return wrong_bytes(run);
}

static enum next too_long(struct run *run)
{
	if (run->fetch->bytes == 0) {
		(void)run_start_over(run);
		err_set(run->err, ERR_FETCH,
			"more than %llu bytes, the most that is fetched",
			(unsigned long long)run->limit);
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
		_cleanup_free_ char *shown = str_escape(value ? value : "", SHOWN_MAX);

		err_set(run->err, ERR_FETCH,
			"the server sent another part than bytes %llu-: \"%s\"",
			(unsigned long long)run->file.have, shown);
		err_mend(run->err, "%s", mend_server);
		return run_start_over(run) < 0 ? NEXT_FAIL : NEXT_RETRY;
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

	if (run->file.have > 0 && run_start_over(run) < 0)
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
		_cleanup_free_ char *shown = str_escape(encoding, SHOWN_MAX);

		err_set(run->err, ERR_FETCH, "the server encoded it as \"%s\", unasked",
			shown);
		err_mend(
			run->err,
			"the server or a proxy before it changes files: use another URL");
		return NEXT_FAIL;
	}
	next = reply->status == 206 ? begin_part(run, reply) : begin_whole(run, reply);
	if (next != NEXT_UNDECIDED)
		return next;
	if (run->total == 0)
		run->total = run->fetch->bytes;
	/* a full disk is met before the bytes are sent; never on a server's word */
	if (fetch_file_reserve(&run->file, run->fetch->bytes, run->err) < 0)
		return NEXT_FAIL;
	run->wanted = true;
	if (run->fetch->head)
		run->fetch->head(run->fetch->data, reply);
	return NEXT_UNDECIDED;
}

static bool keep_page(struct run *run, const void *bytes, size_t size)
{
	size_t room = FETCH_ERROR_BODY_MAX - run->page.length;

	str_addn(&run->page, bytes, size < room ? size : room);
	return size < room;
}

void answer_expect(struct run *run)
{
	run->begun = false;
	run->wanted = false;
	run->next = NEXT_UNDECIDED;
	run->page.length = 0;
}

bool answer_take(void *data, const struct http_reply *reply, const void *bytes,
		 size_t size)
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
	if (run->fetch->grown)
		run->fetch->grown(run->fetch->data, run->file.have);
	run_tell_progress(run, false);
	return true;
}

/* 416: nothing behind what is there. It may be the whole file. */
static enum next settle_no_range(struct run *run)
{
	if (run_is_right(run))
		return NEXT_DONE;
	return run_start_over(run) < 0 ? NEXT_FAIL : NEXT_AT_ONCE;
}

static void explain(struct run *run, unsigned int status, const char *page)
{
	const struct authority *authority = run->fetch->authority;

	if (!authority || !authority->refused) {
		status_error(status, page, run->err);
		return;
	}
	authority->refused(authority->data, !run->try.away, status, page, run->err);
	run->said = !run->try.away && (status == 401 || status == 403 || status == 404);
}

static enum next settle_status(struct run *run, const struct http_reply *reply)
{
	unsigned int status = reply->status;

	explain(run, status, run->page.length ? run->page.text : NULL);
	if (status == 416 && run->file.have > 0)
		return settle_no_range(run);
	if (!status_is_passing(status))
		return NEXT_FAIL;
	run->has_retry_after = http_retry_after(reply->fields[HTTP_RETRY_AFTER],
						time(NULL), &run->retry_after_ms);
	return NEXT_RETRY;
}

/* The body is over, or broken off. */
static enum next settle_body(struct run *run, const struct ask_result *result)
{
	uint64_t whole = run->fetch->bytes ? run->fetch->bytes : run->total;

	if (result->end == ASK_BROKEN || result->end == ASK_REFUSED) {
		const struct authority *authority = run->fetch->authority;

		status_broken(result, authority && !run->try.away ? authority->origin : NULL,
			      mend_server, run->err);
		/* a server that makes a mess of ranges is asked for the whole */
		if (result->reply.broken && result->reply.status == 206 &&
		    run_start_over(run) < 0)
			return NEXT_FAIL;
		return result->end == ASK_BROKEN ? NEXT_RETRY : NEXT_FAIL;
	}
	if (run->file.have < whole) {
		err_set(run->err, ERR_FETCH, "the server ended after %llu of %llu bytes",
			(unsigned long long)run->file.have, (unsigned long long)whole);
		err_mend(run->err, "%s", mend_server);
		return NEXT_RETRY;
	}
	return check_digest(run);
}

enum next answer_settle(struct run *run, const struct ask_result *result)
{
	unsigned int status = result->reply.status;

	if (result->end == ASK_TOO_LARGE && !run->begun &&
	    (status == 200 || status == 206))
		return too_long(run); /* told by libcurl before the head was complete */
	if (result->reply.complete && status >= 200 && !run->begun)
		run->next = begin(run, &result->reply);
	if (run->next != NEXT_UNDECIDED)
		return run->next;
	if (run->begun ? !run->wanted : result->end == ASK_TOO_LARGE)
		return settle_status(run, &result->reply);
	return settle_body(run, result);
}
