/* Small requests: see call.h. */
#include "builders/worker/registry/call.h"

#include <string.h>
#include <time.h>

#include "builders/worker/fetch.h"
#include "builders/worker/fetch/status.h"
#include "builders/worker/fetch/url.h"
#include "core/mem.h"

#define HEAD_BYTES_MAX INT64_MAX	/* what a HEAD tells of the length is not sent */

/* What arrives. */
struct arrival {
	const struct call *call;
	struct str body;
	bool too_long;
};

static bool is_good(unsigned int status)
{
	return status >= 200 && status <= 299;
}

static void expect(void *data)
{
	struct arrival *arrival = data;

	arrival->body.length = 0;
	str_addn(&arrival->body, "", 0);
	arrival->too_long = false;
}

static bool take(void *data, const struct http_reply *reply, const void *bytes, size_t size)
{
	struct arrival *arrival = data;
	bool good = is_good(reply->status);
	size_t max = good ? arrival->call->body_max : FETCH_ERROR_BODY_MAX;
	size_t room = max - arrival->body.length;

	str_addn(&arrival->body, bytes, size < room ? size : room);
	arrival->too_long = good && size > room;
	return size <= room;
}

static unsigned int stall_s_of(const struct session *session, const struct call *call)
{
	if (session->stall_s > 0)
		return session->stall_s;
	return call->stall_s ? call->stall_s : FETCH_STALL_S;
}

/* One try. NEXT_DONE: there is an answer. */
static enum next try_once(struct try *try, struct arrival *arrival, const struct visit *visit,
			  struct ask_result *result)
{
	const struct call *call = arrival->call;
	bool head = !strcmp(call->method, "HEAD");
	struct ask ask = {
		.method = call->method,
		.url = call->url,
		.user_agent = visit->session->user_agent,
		.content_type = call->content_type,
		.content_range = call->content_range,
		.form = call->form,
		.upload = call->upload,
		.ca_file = visit->session->ca_file,
		.bytes_max = head ? HEAD_BYTES_MAX : call->body_max,
		.stall_s = stall_s_of(visit->session, call),
		.body = take,
		.data = arrival,
	};
	enum next next;

	try->only_public = call->only_public;
	next = try_ask(try, &ask, expect, result);
	if (next != NEXT_UNDECIDED)
		return next;
	if (result->end == ASK_BROKEN || result->end == ASK_REFUSED) {
		status_broken(result, call->authority && !try->away ? call->authority->origin : NULL,
			      "try again later", try->err);
		return result->end == ASK_BROKEN ? NEXT_RETRY : NEXT_FAIL;
	}
	if (arrival->too_long || (result->end == ASK_TOO_LARGE && is_good(result->reply.status))) {
		err_set(try->err, ERR_FETCH, "its answer has more than %zu bytes", call->body_max);
		err_mend(try->err, "ask whoever runs the registry");
		return NEXT_FAIL;
	}
	return NEXT_DONE;
}

/* "METHOD URL (N tries): CAUSE"; `plain`: the cause says where, and the caller what. */
static int fail(const struct call *call, unsigned int tries, bool plain, struct err *err)
{
	_cleanup_free_ char *url = url_shown(call->url);
	_cleanup_free_ char *what = plain ? NULL : xasprintf("%s %s", call->method, url);

	return try_fail(what, tries, err);
}

int call_run(struct visit *visit, const struct call *call, struct call_result *ret, struct err *err)
{
	unsigned int tries_max = call->tries_max ? call->tries_max : FETCH_TRIES_MAX;
	struct try try = { .transport = visit->transport, .authority = call->authority,
			   .err = err };
	struct arrival arrival = { .call = call };

	for (unsigned int tries = 1;; tries++) {
		_cleanup_(ask_result_done) struct ask_result result = { 0 };
		enum next next = try_once(&try, &arrival, visit, &result);
		uint64_t retry_ms;
		bool has_retry;

		if (next == NEXT_DONE && (!status_is_passing(result.reply.status) || tries == tries_max)) {
			err_done(err); /* what earlier tries left */
			*ret = (struct call_result){ .reply = result.reply, .body = arrival.body,
						     .from_local = result.from_local,
						     .at = TAKE_PTR(try.at) };
			result.reply = (struct http_reply){ 0 };
			return 0;
		}
		if (next == NEXT_FAIL || tries >= try_limit(&try, tries_max)) {
			bool plain = try.unreached && url_is_same_origin(try.at, call->url);

			str_done(&arrival.body);
			try_done(&try);
			return fail(call, tries, plain, err);
		}
		has_retry = http_retry_after(result.reply.fields[HTTP_RETRY_AFTER], time(NULL), &retry_ms);
		try_wait(tries, 0, has_retry ? &retry_ms : NULL);
	}
}

int call_refused(const struct call *call, const struct call_result *result, struct err *err)
{
	const struct authority *authority = call->authority;
	const char *page = result->body.length ? result->body.text : NULL;
	unsigned int status = result->reply.status;
	bool own = authority && authority->refused;

	if (own)
		authority->refused(authority->data, url_is_same_origin(result->at, authority->origin),
				   status, page, err);
	else
		status_error(status, page, err);
	return fail(call, 1, own && (status == 401 || status == 403), err);
}

void call_result_done(struct call_result *result)
{
	http_reply_done(&result->reply);
	str_done(&result->body);
	free(result->at);
	*result = (struct call_result){ 0 };
}
