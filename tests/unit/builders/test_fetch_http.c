/* http.c and status.c: heads of answers, and what their values mean. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "builders/worker/fetch.h"
#include "builders/worker/fetch/http.h"
#include "builders/worker/fetch/status.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define NOW 784111777ll	/* Sun, 06 Nov 1994 08:49:37 GMT: RFC 9110's own example */

static void add(struct http_reply *reply, const char *line)
{
	http_reply_line(reply, line, strlen(line));
}

START_TEST(test_head)
{
	_cleanup_(http_reply_done) struct http_reply reply = { 0 };

	add(&reply, "HTTP/1.1 103 Early Hints\r\n");
	add(&reply, "Location: /early\r\n");
	add(&reply, "\r\n");
	ck_assert(reply.complete);
	ck_assert_uint_eq(reply.status, 103);
	add(&reply, "HTTP/2 206 \r\n");
	ck_assert(!reply.complete);
	add(&reply, "content-RANGE: \t bytes 1-2/3 \t\r\n");
	add(&reply, "ETag:\"a\"\r\n");
	add(&reply, "X-ETag: \"b\"\r\n");
	add(&reply, "no colon\r\n");
	add(&reply, "ETag: \"a\"\r\n");
	add(&reply, "Retry-After:\r\n");
	add(&reply, "\r\n");
	ck_assert(reply.complete);
	ck_assert_uint_eq(reply.status, 206);
	ck_assert_str_eq(reply.fields[HTTP_CONTENT_RANGE], "bytes 1-2/3");
	ck_assert_str_eq(reply.fields[HTTP_ETAG], "\"a\"");
	ck_assert_str_eq(reply.fields[HTTP_RETRY_AFTER], "");
	ck_assert_ptr_null(reply.fields[HTTP_LOCATION]);
	/* trailers change nothing, whatever they look like */
	add(&reply, "Location: /late\r\n");
	add(&reply, "HTTP/1.1 404 No\r\n");
	add(&reply, "ETag: \"other\"\r\n");
	ck_assert_ptr_null(reply.fields[HTTP_LOCATION]);
	ck_assert_uint_eq(reply.status, 206);
	ck_assert_ptr_null(reply.broken);
}
END_TEST

START_TEST(test_challenges)
{
	_cleanup_(http_reply_done) struct http_reply reply = { 0 };
	_cleanup_free_ char *long_one = xmalloc(HTTP_VALUE_MAX + 64);

	add(&reply, "HTTP/1.1 401 Unauthorized");
	add(&reply, "WWW-Authenticate: Basic realm=\"a\"");
	add(&reply, "www-authenticate: Bearer realm=\"b\"");
	ck_assert_ptr_null(reply.broken);
	ck_assert_str_eq(reply.fields[HTTP_WWW_AUTHENTICATE],
			 "Basic realm=\"a\", Bearer realm=\"b\"");
	snprintf(long_one, HTTP_VALUE_MAX, "WWW-Authenticate: %*s", HTTP_VALUE_MAX - 40, "x");
	add(&reply, long_one);
	add(&reply, "WWW-Authenticate: y");
	memset(long_one + 18, 'x', HTTP_VALUE_MAX - 40);
	add(&reply, long_one);
	ck_assert_ptr_nonnull(reply.broken);
}
END_TEST

static const char *const status_lines[] = {
	"HTTP/1.1",    "HTTP/1.1 ",	  "HTTP/1.1 2",
	"HTTP/1.1 20", "HTTP/1.1 2x0 OK", "HTTP/1.1 -20",
};

START_TEST(test_bad_status)
{
	_cleanup_(http_reply_done) struct http_reply reply = { 0 };

	add(&reply, status_lines[_i]);
	ck_assert_ptr_nonnull(reply.broken);
}
END_TEST

START_TEST(test_broken)
{
	_cleanup_(http_reply_done) struct http_reply twice = { 0 }, nul = { 0 },
						     large = { 0 };
	_cleanup_(http_reply_done) struct http_reply endless = { 0 };
	_cleanup_free_ char *line = xmalloc(HTTP_VALUE_MAX + 20);
	int head = sprintf(line, "ETag:");

	add(&twice, "HTTP/1.1 302 Found\r\n");
	add(&twice, "Location: /a\r\n");
	ck_assert_ptr_null(twice.broken);
	add(&twice, "Location: /b\r\n");
	ck_assert_ptr_nonnull(twice.broken);

	add(&nul, "HTTP/1.1 302 Found\r\n");
	http_reply_line(&nul, "Location: /a\0b", 14);
	ck_assert_ptr_nonnull(nul.broken);

	memset(line + head, 'x', HTTP_VALUE_MAX + 1);
	add(&large, "HTTP/1.1 200 OK\r\n");
	http_reply_line(&large, line, (size_t)head + HTTP_VALUE_MAX);
	ck_assert_ptr_null(large.broken);
	http_reply_done(&large);
	add(&large, "HTTP/1.1 200 OK\r\n");
	http_reply_line(&large, line, (size_t)head + HTTP_VALUE_MAX + 1);
	ck_assert_ptr_nonnull(large.broken);

	for (size_t i = 0; i < HTTP_HEAD_MAX / 5; i++)
		add(&endless, i % 3 ? "\r\n" : "HTTP/1.1 100 Continue\r\n");
	ck_assert_str_eq(endless.broken, "endless headers");
}
END_TEST

START_TEST(test_content_range)
{
	static const struct {
		const char *value;
		bool good;
		struct http_range want;
	} rows[] = {
		{ "bytes 0-0/1", true, { 0, 0, 1 } },
		{ "bytes 5-9/10", true, { 5, 9, 10 } },
		{ "Bytes 5-9/*", true, { 5, 9, 0 } },
		{ "bytes  5-9/10", true, { 5, 9, 10 } },
		{ "bytes 0-18446744073709551614/*", true, { 0, UINT64_MAX - 1, 0 } },
		{ "bytes 0-18446744073709551615/*", false, { 0 } },
		{ "bytes 0-18446744073709551616/*", false, { 0 } },
		{ "bytes 5-9/9", false, { 0 } },
		{ "bytes 9-5/10", false, { 0 } },
		{ "bytes -5/10", false, { 0 } },
		{ "bytes 5-/10", false, { 0 } },
		{ "bytes 5-9", false, { 0 } },
		{ "bytes 5-9/", false, { 0 } },
		{ "bytes 5-9/-1", false, { 0 } },
		{ "bytes 5-9/10 ", false, { 0 } },
		{ "bytes 5 -9/10", false, { 0 } },
		{ "bytes +5-9/10", false, { 0 } },
		{ "bytes 0x5-9/10", false, { 0 } },
		{ "bytes 5-9,11-12/20", false, { 0 } },
		{ "bytes=5-9/10", false, { 0 } },
		{ "bytes5-9/10", false, { 0 } },
		{ "bytes */10", false, { 0 } },
		{ "bytes 5/9-10", false, { 0 } },
		{ "bytes 111111111111111111111111111111-9/10", false, { 0 } },
		{ "lines 5-9/10", false, { 0 } },
		{ "bytes", false, { 0 } },
		{ "", false, { 0 } },
		{ NULL, false, { 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_range range = { 7, 7, 7 };

		ck_assert_msg(http_content_range(rows[i].value, &range) == rows[i].good,
			      "%s", rows[i].value);
		if (!rows[i].good)
			continue;
		ck_assert_uint_eq(range.first, rows[i].want.first);
		ck_assert_uint_eq(range.last, rows[i].want.last);
		ck_assert_uint_eq(range.total, rows[i].want.total);
	}
}
END_TEST

START_TEST(test_date)
{
	static const struct {
		const char *value;
		int64_t want;	/* 0: refused */
	} rows[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", NOW },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", NOW },
		{ "Sun Nov  6 08:49:37 1994", NOW },
		{ "Thu, 29 Feb 2024 23:59:60 GMT", 1709251200 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
		{ "Sunday, 06-Nov-44 08:49:37 GMT", 2362034977 },	/* 2044: 50 years ahead */
		{ "Sunday, 06-Nov-45 08:49:37 GMT", -762189023 },	/* 1945: 51 would be */
		{ "Sun, 06 Nov 1994 08:49:37 CET", 0 },
		{ "Sun, 06 Nov 1994 08:49:37", 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT x", 0 },
		{ "Sun, 32 Nov 1994 08:49:37 GMT", 0 },
		{ "Sun, 00 Nov 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 Nox 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 ovD 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 Nov 1994 24:49:37 GMT", 0 },
		{ "Sun, 06 Nov 1994 08:60:37 GMT", 0 },
		{ "Sun, 06 Nov 1994 08:49:-1 GMT", 0 },
		{ "Sun, 06 Nov -199 08:49:37 GMT", 0 },
		{ "1994-11-06T08:49:37Z", 0 },
		{ "784111777", 0 },
		{ "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t date = 0;
		bool good = http_date(rows[i].value, NOW, &date);

		ck_assert_msg(good == (rows[i].want != 0), "%s", rows[i].value);
		ck_assert_int_eq(date, rows[i].want);
	}
}
END_TEST

START_TEST(test_retry_after)
{
	static const struct {
		const char *value;
		int64_t want_ms;	/* -1: counts as not sent */
	} rows[] = {
		{ "0", 0 },
		{ "1", 1000 },
		{ "59", 59000 },
		{ "60", 60000 },
		{ "61", 60000 },
		{ "1000000000", 60000 },
		{ "18446744073709551616", 60000 },
		{ "99999999999999999999999999999999999999", 60000 },
		{ "Sun, 06 Nov 1994 08:49:38 GMT", 1000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
		{ "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
		{ "Mon, 06 Nov 2094 08:49:37 GMT", 60000 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ "1.5", -1 },
		{ "1 ", -1 },
		{ "007", -1 },
		{ "soon", -1 },
		{ "", -1 },
		{ NULL, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t ms = 12345;
		bool good = http_retry_after(rows[i].value, NOW, &ms);

		ck_assert_msg(good == (rows[i].want_ms >= 0), "%s", rows[i].value);
		if (good)
			ck_assert_int_eq((int64_t)ms, rows[i].want_ms);
		else
			ck_assert_uint_eq(ms, 12345);
	}
}
END_TEST

START_TEST(test_validator)
{
	static const struct {
		const char *etag, *modified, *date, *want;
	} rows[] = {
		{ "\"a\"", NULL, NULL, "\"a\"" },
		{ "\"\"", NULL, NULL, "\"\"" },
		{ "W/\"a\"", NULL, NULL, NULL },
		{ "w/\"a\"", NULL, NULL, NULL },
		{ "a", NULL, NULL, NULL },
		{ "\"", NULL, NULL, NULL },
		{ "\"a", NULL, NULL, NULL },
		{ "\"a\"b\"", NULL, NULL, NULL },
		{ "\"a b\"", NULL, NULL, NULL },
		{ "\"a\rX: y\"", NULL, NULL, NULL },
		{ NULL, NULL, NULL, NULL },
		/* a weak tag tells that the date is no better */
		{ "W/\"a\"", "Sun, 06 Nov 1994 08:49:37 GMT",
		  "Sun, 06 Nov 1994 09:49:37 GMT", NULL },
		{ NULL, "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT",
		  "Sun, 06 Nov 1994 08:49:37 GMT" },
		{ NULL, "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:36 GMT",
		  NULL },
		{ NULL, "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 07:50:36 GMT",
		  NULL },
		{ NULL, "Sun, 06 Nov 1994 08:49:37 GMT", NULL, NULL },
		{ NULL, "yesterday", "Sun, 06 Nov 1994 08:50:37 GMT", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_reply reply = { .fields = {
			[HTTP_ETAG] = (char *)rows[i].etag,
			[HTTP_LAST_MODIFIED] = (char *)rows[i].modified,
			[HTTP_DATE] = (char *)rows[i].date,
		} };
		_cleanup_free_ char *validator = http_strong_validator(&reply);

		ck_assert_pstr_eq(validator, rows[i].want);
	}
}
END_TEST

START_TEST(test_encoding)
{
	ck_assert(http_encoding_is_known(NULL));
	ck_assert(http_encoding_is_known("Identity"));
	ck_assert(http_encoding_is_known("x-gzip"));
	ck_assert(!http_encoding_is_known("br"));
	ck_assert(!http_encoding_is_known("gzip, gzip"));
	ck_assert(!http_encoding_is_known("gzipped"));
}
END_TEST

START_TEST(test_status)
{
	_cleanup_(err_done) struct err err = { 0 };
	char page[4000];

	ck_assert(status_is_redirect(301) && status_is_redirect(308));
	ck_assert(!status_is_redirect(300) && !status_is_redirect(304) &&
		  !status_is_redirect(305));
	ck_assert(!status_is_redirect(306) && !status_is_redirect(200));
	ck_assert(status_is_passing(408) && status_is_passing(429) &&
		  status_is_passing(599));
	ck_assert(!status_is_passing(404) && !status_is_passing(600) &&
		  !status_is_passing(200));

	ck_assert_int_eq(status_error(404, NULL, &err), -1);
	ck_assert_str_eq(err.msg, "not found (404)");
	ck_assert_ptr_nonnull(err.mend);
	memset(page, '\033', sizeof(page) - 1);
	page[sizeof(page) - 1] = '\0';
	status_error(418, page, &err);
	ck_assert_int_eq(err.code, ERR_FETCH);
	ck_assert_uint_lt(strlen(err.msg), FETCH_ERROR_SHOWN_MAX + 100);
	ck_assert_ptr_null(strchr(err.msg, '\033'));
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_head, 1 }, { test_bad_status, ARRAY_SIZE(status_lines) },
		{ test_broken, 1 }, { test_challenges, 1 }, { test_content_range, 1 },
		{ test_date, 1 }, { test_retry_after, 1 }, { test_validator, 1 },
		{ test_encoding, 1 }, { test_status, 1 },
	};
	const struct unit unit = { "fetch_http" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
