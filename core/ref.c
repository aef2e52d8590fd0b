/* References of OCI images: see ref.h. */
#include "core/ref.h"

#include <ctype.h>
#include <string.h>

#include "core/mem.h"
#include "core/str.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define LETTERS LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define HUB "docker.io"
#define MESSAGE_TEXT_MAX 100

/* Letters and digits, between them one of "." "_" "__" or any number of "-". */
static bool is_component(const char *text, size_t length)
{
	size_t at = 0;

	for (;;) {
		size_t part = strspn(text + at, LOWER DIGITS);

		if (part == 0)
			return false;
		at += part;
		if (at >= length)
			return at == length;
		if (text[at] == '.')
			at += 1;
		else if (text[at] == '_')
			at += text[at + 1] == '_' ? 2 : 1;
		else if (text[at] == '-')
			at += strspn(text + at, "-");
		else
			return false;
	}
}

bool ref_is_repository(const char *text)
{
	if (strlen(text) > REF_HOST_MAX)
		return false;
	for (;;) {
		size_t length = strcspn(text, "/");

		if (!is_component(text, length))
			return false;
		if (!text[length])
			return true;
		text += length + 1;
	}
}

bool ref_is_tag(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= REF_TAG_MAX && !strchr(".-", text[0]) &&
	       text[strspn(text, LETTERS DIGITS "_.-")] == '\0';
}

/* NAME[:PORT] or [IPV6][:PORT] */
static bool is_host(const char *text)
{
	size_t length = text[0] == '[' ? strcspn(text, "]") : strcspn(text, ":");
	const char *port;

	if (text[0] == '[') {
		if (!text[length] || strspn(text + 1, DIGITS "abcdefABCDEF:.") != length - 1)
			return false;
		length++;
	} else if (length == 0 || strspn(text, LETTERS DIGITS ".-") != length ||
		   text[0] == '-' || text[0] == '.' || text[length - 1] == '-') {
		return false;
	}
	if (!text[length])
		return true;
	port = text + length + 1;
	return text[length] == ':' && *port >= '1' && *port <= '9' && strlen(port) <= 5 &&
	       port[strspn(port, DIGITS)] == '\0' && atoi(port) <= 65535;
}

/* The first part is a host when it looks like one: Docker's rule. */
static bool begins_with_host(const char *text, size_t length)
{
	return text[length] == '/' &&
	       (memchr(text, '.', length) || memchr(text, ':', length) || text[0] == '[' ||
		(length == 9 && !strncmp(text, "localhost", 9)));
}

/* Takes "@DIGEST" off the end of `text`. */
static const char *take_digest(char *text, struct ref *ret)
{
	char *at = strchr(text, '@');

	if (!at)
		return NULL;
	*at++ = '\0';
	ret->has_digest = digest_parse(at, &ret->digest);
	if (ret->has_digest)
		return NULL;
	return str_has_prefix(at, "sha256:") ? "a digest that is not sha256: and 64 lower-case "
					       "hexadecimal digits"
					     : "a digest of an algorithm that duet does not know "
					       "(it knows sha256)";
}

static const char *take_tag(char *text, struct ref *ret)
{
	char *colon = strrchr(text, ':'), *slash = strrchr(text, '/');

	if (!colon || (slash && colon < slash))
		return NULL;
	*colon++ = '\0';
	if (!ref_is_tag(colon))
		return "a tag that is none (1 to 128 letters, digits, \"_\", \".\" and \"-\")";
	ret->tag = xstrdup(colon);
	return NULL;
}

static const char *take_name(const char *text, struct ref *ret)
{
	size_t first = strcspn(text, "/");
	bool hub = true;

	if (begins_with_host(text, first)) {
		ret->host = xstrndup(text, first);
		if (!is_host(ret->host))
			return "a host that is none";
		for (char *at = ret->host; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		text += first + 1;
		hub = !strcmp(ret->host, HUB) || !strcmp(ret->host, "index.docker.io") ||
		      !strcmp(ret->host, "registry-1.docker.io");
	}
	if (hub) {
		free(ret->host);
		ret->host = xstrdup(HUB);
	}
	if (!*text)
		return "no repository";
	ret->repository = hub && !strchr(text, '/') ? xasprintf("library/%s", text)
						    : xstrdup(text);
	if (!ref_is_repository(ret->repository))
		return "a repository that is none (lower-case letters and digits, with \"/\", "
		       "\".\", \"_\" and \"-\" between them)";
	if (strlen(ret->host) + 1 + strlen(ret->repository) > REF_HOST_MAX)
		return "a name that is too long";
	return NULL;
}

static const char *parse(struct ref *ret, const char *text)
{
	_cleanup_free_ char *rest = xstrndup(text, REF_LENGTH_MAX);
	const char *bad;

	if (strlen(text) > REF_LENGTH_MAX)
		return "a name that is too long";
	bad = take_digest(rest, ret);
	if (!bad)
		bad = take_tag(rest, ret);
	if (!bad)
		bad = take_name(rest, ret);
	if (!bad && !ret->tag && !ret->has_digest)
		ret->tag = xstrdup("latest");
	return bad;
}

const char *ref_refusal(const char *text)
{
	_cleanup_(ref_done) struct ref ref = { 0 };

	return parse(&ref, text);
}

int ref_parse(struct ref *ret, const char *text, struct err *err)
{
	_cleanup_(ref_done) struct ref ref = { 0 };
	const char *bad = parse(&ref, text);
	_cleanup_free_ char *shown = NULL;

	if (!bad) {
		*ret = ref;
		ref = (struct ref){ 0 };
		return 0;
	}
	shown = str_escape(text, MESSAGE_TEXT_MAX);
	err_set(err, ERR_USAGE, "%s is no reference of an image: %s", shown, bad);
	return err_mend(err, "write NAME, HOST/NAME, with :TAG or @sha256:HEX behind it");
}

void ref_copy(struct ref *to, const struct ref *from)
{
	*to = *from;
	to->host = xstrdup(from->host);
	to->repository = xstrdup(from->repository);
	to->tag = from->tag ? xstrdup(from->tag) : NULL;
}

void ref_done(struct ref *ref)
{
	free(ref->host);
	free(ref->repository);
	free(ref->tag);
	*ref = (struct ref){ 0 };
}

char *ref_text(const struct ref *ref)
{
	char digest[DIGEST_TEXT_SIZE] = "";

	if (ref->has_digest)
		digest_text(&ref->digest, digest);
	return xasprintf("%s/%s%s%s%s%s", ref->host, ref->repository, ref->tag ? ":" : "",
			 ref->tag ? ref->tag : "", ref->has_digest ? "@" : "", digest);
}

char *ref_host(const char *text)
{
	_cleanup_free_ char *whole = xasprintf("%s/x", text);
	_cleanup_(ref_done) struct ref ref = { 0 };

	/* a text without a dot, a port or brackets would be a part of a repository of docker.io */
	if (strchr(text, '/') || !begins_with_host(whole, strlen(text)) || parse(&ref, whole))
		return NULL;
	return TAKE_PTR(ref.host);
}

const char *ref_api_host(const struct ref *ref)
{
	return strcmp(ref->host, HUB) ? ref->host : "registry-1.docker.io";
}
