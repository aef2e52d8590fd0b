/* WWW-Authenticate: see challenge.h. */
#include "builders/oci/challenge.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "core/str.h"

static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char token68_chars[] = "-._~+/0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* Between the members of a list: blanks and commas, of which some may be empty members. */
static const char *skip_commas(const char *at)
{
	return at + strspn(at, " \t,");
}

static bool ends_member(const char *at)
{
	at = skip_blanks(at);
	return *at == '\0' || *at == ',';
}

/* A quoted string: behind it, with its text in *ret; NULL when it is malformed. */
static const char *take_quoted(const char *at, char **ret)
{
	struct str text = { 0 };

	str_addn(&text, "", 0);
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
			break;
		str_addn(&text, at, 1);
	}
	if (*at != '"') {
		str_done(&text);
		return NULL;
	}
	*ret = text.text;
	return at + 1;
}

/* The field of a parameter that is read, or NULL. */
static char **field_of(struct challenge *challenge, const char *name, size_t length)
{
	const struct {
		const char *name;
		char **field;
	} fields[] = {
		{ "realm", &challenge->realm },
		{ "service", &challenge->service },
		{ "scope", &challenge->scope },
		{ "error", &challenge->error },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strlen(fields[i].name) == length && !strncasecmp(fields[i].name, name, length))
			return fields[i].field;
	return NULL;
}

/* "NAME = VALUE": behind it; NULL when it is malformed, or a second one of its name. */
static const char *take_parameter(struct challenge *challenge, const char *at)
{
	size_t length = strspn(at, token_chars);
	char **field = field_of(challenge, at, length);
	_cleanup_free_ char *value = NULL;

	at = skip_blanks(at + length);
	if (length == 0 || *at != '=')
		return NULL;
	at = skip_blanks(at + 1);
	if (*at == '"') {
		at = take_quoted(at, &value);
	} else {
		length = strspn(at, token_chars);
		value = xstrndup(at, length);
		at = length > 0 ? at + length : NULL;
	}
	if (!at || !ends_member(at) || (field && *field))
		return NULL;
	if (field)
		*field = TAKE_PTR(value);
	return at;
}

/* Is "NAME =" and a value here, or does another challenge begin? */
static bool is_parameter(const char *at)
{
	size_t length = strspn(at, token_chars);

	at = skip_blanks(at + length);
	if (length == 0 || *at != '=')
		return false;
	at = skip_blanks(at + 1);
	return *at == '"' || strspn(at, token_chars) > 0;
}

/* One challenge: behind it; NULL when it is malformed. */
static const char *take_challenge(struct challenge *ret, const char *at)
{
	size_t length = strspn(at, token_chars), token68;

	if (length == 0)
		return NULL;
	if (length == 6 && !strncasecmp(at, "bearer", 6))
		ret->kind = CHALLENGE_BEARER;
	else if (length == 5 && !strncasecmp(at, "basic", 5))
		ret->kind = CHALLENGE_BASIC;
	at += length;
	if (ends_member(at)) {
		at = skip_commas(at);
		if (!is_parameter(at))
			return at;
		/* "Basic, realm=x": of no grammar */
		return NULL;
	}
	if (*at != ' ')
		return NULL;
	at = skip_blanks(at);
	if (!is_parameter(at)) {
		token68 = strspn(at, token68_chars);
		token68 += strspn(at + token68, "=");
		return token68 > 0 && ends_member(at + token68) ? at + token68 : NULL;
	}
	while (at && is_parameter(at)) {
		at = take_parameter(ret, at);
		if (at)
			at = skip_commas(at);
	}
	return at;
}

bool challenge_parse(const char *header, struct challenge *ret)
{
	struct challenge best = { 0 };
	const char *at = skip_commas(header);

	while (at && *at) {
		struct challenge one = { 0 };

		at = take_challenge(&one, at);
		if (at)
			at = skip_commas(at);
		if (one.kind == CHALLENGE_BEARER && !(one.realm && *one.realm))
			one.kind = CHALLENGE_NONE;
		if (one.kind > best.kind) {
			challenge_done(&best);
			best = one;
		} else {
			challenge_done(&one);
		}
	}
	if (!at || best.kind == CHALLENGE_NONE) {
		challenge_done(&best);
		return false;
	}
	*ret = best;
	return true;
}

void challenge_done(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	free(challenge->error);
	*challenge = (struct challenge){ 0 };
}
