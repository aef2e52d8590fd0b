/* challenge.c: what a server wants, and headers that are not believed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builders/oci/challenge.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

static const struct {
	const char *header;
	enum challenge_kind kind;
	const char *realm, *service, *scope, *error;
} good[] = {
	{ "Basic realm=\"r\"", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ "Basic", CHALLENGE_BASIC, NULL, NULL, NULL, NULL },
	{ "bAsIc ReAlM=r", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a/b:pull,push\"",
	  CHALLENGE_BEARER, "https://a/t", "s", "repository:a/b:pull,push", NULL },
	{ "Bearer  realm = \"https://a/t\" ,\tservice=s , error=insufficient_scope",
	  CHALLENGE_BEARER, "https://a/t", "s", NULL, "insufficient_scope" },
	{ "Bearer realm=\"a\\\"b\\\\c\"", CHALLENGE_BEARER, "a\"b\\c", NULL, NULL, NULL },
	{ "Bearer realm=\"a, Basic realm=b\"", CHALLENGE_BEARER, "a, Basic realm=b", NULL, NULL, NULL },
	{ "Basic realm=\"r\", Bearer realm=\"https://a\"", CHALLENGE_BEARER, "https://a", NULL, NULL,
	  NULL },
	{ "Bearer realm=\"https://a\", Basic realm=\"r\"", CHALLENGE_BEARER, "https://a", NULL, NULL,
	  NULL },
	{ "Negotiate, Basic realm=\"r\"", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ "Negotiate abc+/==, Basic realm=\"r\"", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ "Newauth realm=\"x\", type=1, title=\"a \\\"b\\\"\", Basic realm=\"r\"", CHALLENGE_BASIC, "r",
	  NULL, NULL, NULL },
	{ "Bearer service=s, Basic realm=r", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ ", ,Basic realm=\"\",,", CHALLENGE_BASIC, "", NULL, NULL, NULL },
	{ "Basic realm=\"r\", charset=\"UTF-8\"", CHALLENGE_BASIC, "r", NULL, NULL, NULL },
	{ "Bearer realm=\"a\", Bearer realm=\"b\"", CHALLENGE_BEARER, "a", NULL, NULL, NULL },
};

static const char *const bad[] = {
	"", " ", ",", "Negotiate", "Digest realm=\"r\"", "Bearer", "Bearer realm=\"\"",
	"Bearer realm=\"https://a", "Bearer realm=\"https://a\\", "Bearer realm=\"a\" service=\"b\"",
	"Bearer realm=\"a\"b", "Bearer realm=", "Bearer realm=\"a\", realm=\"b\"", "=", "Bearer =x",
	"Bearer realm=\"a\x01\"", "Bearer realm=\"a\r\nX: y\"", "Bearer realm=\"a\x7f\"",
	"Bearer realm=a b", "\"Basic\"", "Basic, realm=x", "Basic\trealm=x",
	"Basic realm=\"r\", Bearer realm=\"unclosed", "Bearer abc def", "Bearer realm=https://a/b",
};

static void is(const char *got, const char *wanted)
{
	ck_assert_pstr_eq(got, wanted);
}

START_TEST(test_good)
{
	struct challenge challenge = { 0 };

	ck_assert_msg(challenge_parse(good[_i].header, &challenge), "%s", good[_i].header);
	ck_assert_int_eq(challenge.kind, good[_i].kind);
	is(challenge.realm, good[_i].realm);
	is(challenge.service, good[_i].service);
	is(challenge.scope, good[_i].scope);
	is(challenge.error, good[_i].error);
	challenge_done(&challenge);
}
END_TEST

START_TEST(test_bad)
{
	struct challenge challenge = { 0 };

	ck_assert_msg(!challenge_parse(bad[_i], &challenge), "%s", bad[_i]);
	ck_assert_int_eq(challenge.kind, CHALLENGE_NONE);
}
END_TEST

/* Cut anywhere, no header of the table does harm, and none is read past its end. */
START_TEST(test_cut)
{
	for (size_t i = 0; i < strlen(good[_i].header); i++) {
		_cleanup_free_ char *cut = xstrndup(good[_i].header, i);
		struct challenge challenge = { 0 };

		(void)challenge_parse(cut, &challenge);
		challenge_done(&challenge);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_good, ARRAY_SIZE(good) }, { test_bad, ARRAY_SIZE(bad) },
		{ test_cut, ARRAY_SIZE(good) },
	};
	const struct unit unit = { "challenge" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
