/*
 * What a server can send: redirects, heads, and bodies that are cut, too long or other parts than were
 * asked for. No network: an answer is what libcurl would hand on.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "builders/worker/fetch/http.h"
#include "builders/worker/fetch/run.h"
#include "builders/worker/fetch/url.h"
#include "core/fs.h"
#include "core/mem.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S 1790000000
#define ANSWERS_MAX 4
#define BYTES 6u	/* of the file, where it is known */

static void urls(struct fuzz_input *input)
{
	_cleanup_free_ char *url = fuzz_rest(input), *shown = url_shown(url);
	const char *strict = url_refusal(url, false), *loose = url_refusal(url, true);

	fuzz_check_shown(shown);
	fuzz_check_shown(strict);
	FUZZ_CHECK(strict || !loose);
	if (!loose) {
		FUZZ_CHECK(url_is_plain_http(url) == (strict != NULL));
		FUZZ_CHECK(strlen(url) <= URL_LENGTH_MAX && !strpbrk(url, " \t\r\n\\"));
	}
	(void)url_host_is_local(url);
}

static void addresses(struct fuzz_input *input)
{
	struct sockaddr_in6 address = { .sin6_family = fuzz_byte(input) & 1 ? AF_INET6 : AF_INET };
	struct fuzz_input part = fuzz_part(input, sizeof(address.sin6_addr));

	if (part.left)
		memcpy(address.sin6_family == AF_INET6 ?
			       (void *)&address.sin6_addr :
			       (void *)&((struct sockaddr_in *)&address)->sin_addr,
		       part.at,
		       address.sin6_family == AF_INET6 || part.left < 4 ? part.left : 4);
	(void)url_address_is_local((const struct sockaddr *)&address);
}

static void redirects(struct fuzz_input *input)
{
	_cleanup_free_ char *base = fuzz_word(input), *location = fuzz_rest(input), *url = NULL;
	const char *why = NULL;

	if (url_refusal(base, true))
		return;
	url = url_resolve(base, location, &why);
	FUZZ_CHECK((url == NULL) == (why != NULL) || url);
	if (!url)
		return;
	FUZZ_CHECK(!url_refusal(url, url_is_plain_http(base)));
	FUZZ_CHECK(!strchr(url, '#'));
	fuzz_check_shown(url);
}

/* The lines of a head up to its empty one. */
static void take_head(struct fuzz_input *input, struct http_reply *reply)
{
	while (input->left > 0 && !reply->complete) {
		const uint8_t *end = memchr(input->at, '\n', input->left);
		size_t length = end ? (size_t)(end - input->at) + 1 : input->left;
		struct fuzz_input line = fuzz_part(input, length);

		http_reply_line(reply, (const char *)line.at, line.left);
	}
}

static void heads(struct fuzz_input *input)
{
	struct http_reply reply = { 0 };
	_cleanup_free_ char *validator = NULL;

	take_head(input, &reply);
	take_head(input, &reply);
	FUZZ_CHECK(reply.status < 1000);
	for (size_t i = 0; i < HTTP_FIELD_COUNT; i++)
		FUZZ_CHECK(!reply.fields[i] || strlen(reply.fields[i]) <= HTTP_VALUE_MAX);
	validator = http_strong_validator(&reply);
	FUZZ_CHECK(!validator || !strpbrk(validator, "\r\n"));
	http_reply_done(&reply);
}

static void values(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	struct http_range range;
	uint64_t number;
	int64_t date;

	if (http_content_range(text, &range))
		FUZZ_CHECK(range.first <= range.last && (!range.total || range.last < range.total));
	(void)http_unsatisfied_range(text, &number);
	(void)http_date(text, NOW_S, &date);
	FUZZ_CHECK(!http_retry_after(text, NOW_S, &number) || number <= HTTP_RETRY_AFTER_MAX_MS);
	(void)http_encoding_is_known(text);
}

/* ---- answers --------------------------------------------------------------------------------- */

#define KNOWN_BYTES 1u
#define ANY_DIGEST 2u
#define HAS_SOME 4u	/* of the file, from before */

/* One answer: how it ends, the size of pieces, its length, its head and its body. */
static enum next answer(struct run *run, struct fuzz_input *input)
{
	static char cause[] = "the connection broke";
	struct ask_result result = { .end = (enum ask_end)(fuzz_byte(input) % (ASK_REFUSED + 1)) };
	size_t piece = 1 + fuzz_byte(input);
	struct fuzz_input part = fuzz_part(input, fuzz_short(input)), bytes;
	enum next next;

	result.cause = cause;
	take_head(&part, &result.reply);
	answer_expect(run);
	while (part.left > 0 && result.reply.complete) {
		bytes = fuzz_part(&part, piece);
		if (!answer_take(run, &result.reply, bytes.at, bytes.left)) {
			result.end = ASK_STOPPED;
			break;
		}
		FUZZ_CHECK(run->file.have <= run->limit && run->page.length <= FETCH_ERROR_BODY_MAX);
	}
	/* libcurl stops only where it is told to */
	if (result.end == ASK_STOPPED && run->next == NEXT_UNDECIDED && run->begun && run->wanted)
		result.end = ASK_COMPLETE;
	next = answer_settle(run, &result);
	http_reply_done(&result.reply);
	return next;
}

static void answers(struct fuzz_input *input)
{
	unsigned int flags = fuzz_byte(input);
	struct fetch fetch = { .url = "https://h/f", .any_digest = flags & ANY_DIGEST,
			       .bytes = flags & KNOWN_BYTES ? BYTES : 0 };
	int file = fuzz_file(0, "abc", flags & HAS_SOME ? 3 : 0);
	struct err err = { 0 };
	struct run run = { .fetch = &fetch, .err = &err, .limit = fetch.bytes ? BYTES : 4096 };
	enum next next = NEXT_RETRY;

	digest_of("abcdef", BYTES, &fetch.expected);
	FUZZ_CHECK(fetch_file_take_up(&run.file, file, run.limit, &err) == 0);
	for (int i = 0; i < ANSWERS_MAX && (next == NEXT_RETRY || next == NEXT_AT_ONCE); i++) {
		next = answer(&run, input);
		FUZZ_CHECK(next != NEXT_UNDECIDED);
		FUZZ_CHECK(next != NEXT_RETRY || !run.has_retry_after ||
			   run.retry_after_ms <= HTTP_RETRY_AFTER_MAX_MS);
		FUZZ_CHECK(next != NEXT_FAIL || err.code);
		fuzz_check_shown(err.msg);
		fuzz_check_shown(err.mend);
	}
	if (next == NEXT_DONE && !fetch.any_digest) {
		_cleanup_free_ char *text = NULL;
		struct digest digest;
		size_t size;

		FUZZ_CHECK(fs_read_fd(file, "file", FUZZ_FILE_MAX, &text, &size, &err) == 0);
		digest_of(text, size, &digest);
		FUZZ_CHECK(digest_equal(&digest, &fetch.expected));
	}
	fetch_file_done(&run.file);
	free(run.validator);
	str_done(&run.page);
	err_done(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = { urls,  addresses, redirects,
							       heads, values,	answers };
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
