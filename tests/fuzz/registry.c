/*
 * What a registry can say beside bytes: challenges, token servers, places to send an upload to, pages of
 * errors.
 */
#include <stdlib.h>
#include <string.h>

#include "builders/oci/challenge.h"
#include "builders/worker/fetch/url.h"
#include "builders/worker/registry/auth.h"
#include "builders/worker/registry/session.h"
#include "core/mem.h"
#include "tests/fuzz/fuzz.h"

#define BASE "https://registry.example.org:5000/v2/a"

static bool has_controls(const char *text)
{
	for (; text && *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

static void challenges(struct fuzz_input *input)
{
	_cleanup_free_ char *header = fuzz_rest(input);
	struct challenge challenge = { 0 };

	if (!challenge_parse(header, &challenge)) {
		FUZZ_CHECK(challenge.kind == CHALLENGE_NONE && !challenge.realm && !challenge.service);
		return;
	}
	FUZZ_CHECK(challenge.kind == CHALLENGE_BASIC || (challenge.realm && *challenge.realm));
	FUZZ_CHECK(!has_controls(challenge.realm) && !has_controls(challenge.service) &&
		   !has_controls(challenge.scope) && !has_controls(challenge.error));
	if (challenge.realm && !token_realm_refusal(challenge.realm, BASE)) {
		_cleanup_free_ char *host = url_host(challenge.realm);

		FUZZ_CHECK(!url_refusal(challenge.realm, false));
		FUZZ_CHECK(!token_server_is_trusted(challenge.realm, BASE) ||
			   !strcmp(host, "example.org") ||
			   (strlen(host) > 12 && !strcmp(host + strlen(host) - 12, ".example.org")));
	}
	challenge_done(&challenge);
}

/* A place, and another that it leads to: who is still at the origin? */
static void places(struct fuzz_input *input)
{
	_cleanup_free_ char *base = fuzz_word(input), *location = fuzz_rest(input), *url = NULL,
			    *host = NULL, *other = NULL;
	const char *why;

	if (url_refusal(base, true))
		return;
	FUZZ_CHECK(url_is_same_origin(base, base));
	url = url_resolve(base, location, &why);
	if (!url)
		return;
	host = url_host(base);
	other = url_host(url);
	FUZZ_CHECK(url_is_same_origin(base, url) == url_is_same_origin(url, base));
	FUZZ_CHECK(!url_is_same_origin(base, url) || !strcmp(host, other));
	FUZZ_CHECK(*location != '/' || location[1] == '/' || url_is_same_origin(base, url));
}

static void pages(struct fuzz_input *input)
{
	static const struct worker_request requests[] = {
		{ .op = WORKER_GET_MANIFEST, .text = "latest" },
		{ .op = WORKER_GET_BLOB },
		{ .op = WORKER_PUT_BLOB },
	};
	struct session session = { .host = (char *)"h", .repository = (char *)"r" };
	struct visit visit = { .session = &session };
	unsigned int flags = fuzz_byte(input), status = 400 + fuzz_short(input) % 200;
	_cleanup_free_ char *page = fuzz_rest(input);
	struct err err = { 0 };

	visit.request = &requests[flags / 2 % ARRAY_SIZE(requests)];
	FUZZ_CHECK(visit_refused(&visit, flags & 1, status, page, &err) == -1);
	FUZZ_CHECK(strlen(err.msg) < 1200);
	fuzz_check_err(&err, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = { challenges, places, pages };
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
