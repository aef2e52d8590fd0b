/* The ground library: errors, strings, values, paths, digests. Pure. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"
#include "tests/unit/unit.h"

START_TEST(test_err)
{
	struct err err = { 0 }, other = { 0 };

	ck_assert_int_eq(err_sys(&err, ENOSPC, "write %s", "etc/passwd"), -1);
	ck_assert_int_eq(err.code, -ENOSPC);
	ck_assert_str_eq(err.msg, "write etc/passwd: No space left on device");
	err_wrap(&err, "layer %d", 3);
	ck_assert_str_eq(err.msg, "layer 3: write etc/passwd: No space left on device");
	err_mend(&err, "make room");
	err_place(&err, "duet.yaml", 7, 3);
	err_move(&other, &err);
	ck_assert_int_eq(err.code, 0);
	ck_assert_str_eq(other.place, "duet.yaml:7:3");
	ck_assert_str_eq(other.mend, "make room");
	/* a second err_set forgets place and mend of the first */
	err_set(&other, ERR_SPEC_TYPE, "expected a list");
	ck_assert_ptr_null(other.place);
	ck_assert_ptr_null(other.mend);
	ck_assert_str_eq(err_class(other.code), "spec.type");
	ck_assert_str_eq(err_class(-EIO), "host.system");
	for (int code = ERR_USAGE; code < ERR_CODE_END; code++)
		ck_assert_ptr_nonnull(err_class(code));
	err_done(&other);
}
END_TEST

START_TEST(test_strv)
{
	struct strv env = { 0 };

	strv_setenv(&env, "A", "1");
	strv_setenv(&env, "AB", "2");
	strv_setenv(&env, "A", "3");
	ck_assert_uint_eq(env.count, 2);
	ck_assert_str_eq(env.items[0], "A=3");
	ck_assert_str_eq(strv_getenv(&env, "AB"), "2");
	ck_assert_ptr_null(strv_getenv(&env, "B"));
	ck_assert_ptr_null(env.items[2]);
	strv_done(&env);
}
END_TEST

START_TEST(test_escape)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "plain text", "plain text" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "a\033]52;c\007b", "a\\x1b]52;c\\x07b" },
		{ "a\rb\n", "a\\x0db\\x0a" },
		{ "back\\slash", "back\\\\slash" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc2\x9b", "\\u{009b}" },		/* C1: CSI */
		{ "\xe2\x80\xae", "\\u{202e}" },	/* right-to-left override */
		{ "\xc0\xaf", "\\xc0\\xaf" },		/* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },	/* a surrogate */
		{ "\x7f", "\\x7f" },
		{ "\xe2\x81\xa0", "\\u{2060}" },	/* a word joiner: nothing to be seen */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = str_escape(rows[i].in, 100);

		ck_assert_str_eq(got, rows[i].out);
	}
	_cleanup_free_ char *cut = str_escape("0123456789", 4);

	ck_assert_str_eq(cut, "01234...");
	_cleanup_free_ char *whole = str_visible("a\\x1b \033[m\nb\tc\xc2\x9b\xff", STR_LINES);

	ck_assert_str_eq(whole, "a\\x1b \\x1b[m\nb\\x09c\\u{009b}\\xff");
}
END_TEST

START_TEST(test_visible)
{
	static const struct {
		const char *in;
		unsigned int flags;
		const char *out;
	} rows[] = {
		{ "caf\xc3\xa9 \\x1b", 0, "caf\xc3\xa9 \\x1b" },	/* escaped before: stays */
		{ "\033[2J\r\n", 0, "\\x1b[2J\\x0d\\x0a" },
		{ "\033[2J\r\n", STR_LINES, "\\x1b[2J\\x0d\n" },
		{ "\x9b\xc2\x9b", 0, "\\x9b\\u{009b}" },
		{ "\x7f\xe2\x80\xae\n", STR_LINES | STR_JSON, "\\u007f\\u202e\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = str_visible(rows[i].in, rows[i].flags);
		_cleanup_free_ char *again = str_visible(got, rows[i].flags);

		ck_assert_str_eq(got, rows[i].out);
		ck_assert_str_eq(again, rows[i].out);
	}
}
END_TEST

START_TEST(test_nearest)
{
	static const char *const words[] = { "environment", "workdir", "user", "command", NULL };

	ck_assert_str_eq(str_nearest("enviroment", words), "environment");
	ck_assert_str_eq(str_nearest("USER", words), "user");
	ck_assert_str_eq(str_nearest("comand", words), "command");
	ck_assert_ptr_null(str_nearest("ports", words));
	ck_assert_ptr_null(str_nearest("", words));
}
END_TEST

START_TEST(test_numbers)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "01", "1e3",
					   "18446744073709551616" };
	uint64_t value = 7;
	uint32_t id = 7;

	ck_assert(parse_u64("18446744073709551615", &value));
	ck_assert_uint_eq(value, UINT64_MAX);
	value = 7;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!parse_u64(bad[i], &value), "%s", bad[i]);
	ck_assert_uint_eq(value, 7);
	ck_assert(parse_id("4294967293", &id));
	ck_assert(!parse_id("4294967294", &id));
	ck_assert(!parse_id("4294967296", &id));
	ck_assert(parse_mode("01777", &id));
	ck_assert_uint_eq(id, 01777);
	ck_assert(!parse_mode("11777", &id));
	ck_assert(!parse_mode("688", &id));
	ck_assert(!parse_mode("", &id));
}
END_TEST

START_TEST(test_sizes)
{
	uint64_t value;

	ck_assert(parse_size("64M", &value));
	ck_assert_uint_eq(value, 64u << 20);
	ck_assert(parse_size("1KiB", &value));
	ck_assert_uint_eq(value, 1024);
	ck_assert(parse_size("10gb", &value));
	ck_assert_uint_eq(value, 10ull << 30);
	ck_assert(!parse_size("10X", &value));
	ck_assert(!parse_size("M", &value));
	ck_assert(!parse_size("99999999999T", &value));
	ck_assert(!parse_size("1.5G", &value));
	ck_assert(parse_duration_ms("1h30m", &value));
	ck_assert_uint_eq(value, 90 * 60000);
	ck_assert(parse_duration_ms("10", &value));
	ck_assert_uint_eq(value, 10000);
	ck_assert(!parse_duration_ms("30m1h", &value));
	ck_assert(!parse_duration_ms("0s", &value));
	ck_assert(!parse_duration_ms("31d", &value));
	ck_assert(!parse_duration_ms("5 s", &value));
}
END_TEST

START_TEST(test_names)
{
	static const char *const bad[] = { "", "../x", "a/b", ".x", "-x", "a b", "a\n" };

	ck_assert(parse_is_name("web-1.2_x"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!parse_is_name(bad[i]), "%s", bad[i]);
	ck_assert(parse_is_hostname("web.example"));
	ck_assert(!parse_is_hostname("-web"));
	ck_assert(!parse_is_hostname("web_1"));
	ck_assert(!parse_is_hostname("x init=/bin/sh"));
	ck_assert(!parse_is_env_name("A=B"));
}
END_TEST

START_TEST(test_paths)
{
	static const struct {
		const char *in, *out;
	} rows[] = { { "/a//b/./c/", "a/b/c" }, { ".", "" },	{ "/", "" },
		     { "a/../b", NULL },	{ "..", NULL }, { "...", "..." },
		     { "./.hidden", ".hidden" } };
	char out[PATH_LENGTH_MAX + 1], longer[400];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(path_clean(rows[i].in, out), rows[i].out != NULL);
		if (rows[i].out)
			ck_assert_str_eq(out, rows[i].out);
	}
	memset(longer, 'x', sizeof(longer));
	longer[PATH_NAME_MAX] = '\0';
	ck_assert(path_clean(longer, out));
	longer[PATH_NAME_MAX] = 'x';
	longer[PATH_NAME_MAX + 1] = '\0';
	ck_assert(!path_clean(longer, out));
	ck_assert(path_is_below("/a/b", "/a"));
	ck_assert(path_is_below("/a", "/a"));
	ck_assert(path_is_below("/x", "/"));
	ck_assert(!path_is_below("/ab", "/a"));
}
END_TEST

START_TEST(test_digests)
{
	/* FIPS 180-4 examples */
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	struct digest digest, parsed;
	char hex[DIGEST_HEX_SIZE], text[DIGEST_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		digest_of(rows[i].text, strlen(rows[i].text), &digest);
		digest_hex(&digest, hex);
		ck_assert_str_eq(hex, rows[i].hex);
		digest_text(&digest, text);
		ck_assert(digest_parse(text, &parsed));
		ck_assert(digest_equal(&digest, &parsed));
	}
	text[10] = 'A';
	ck_assert(!digest_parse(text, &parsed));
	ck_assert(!digest_parse("sha256:../../../etc/passwd", &parsed));
	ck_assert(!digest_parse("md5:d41d8cd98f00b204e9800998ecf8427e", &parsed));
	text[70] = '\0';
	ck_assert(!digest_parse(text, &parsed));
}
END_TEST

START_TEST(test_sha256_pieces)
{
	unsigned char data[1000];
	struct digest whole, pieces;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	digest_of(data, sizeof(data), &whole);
	for (size_t step = 1; step < 130; step++) {
		struct sha256 hash;

		sha256_init(&hash);
		for (size_t at = 0; at < sizeof(data); at += step)
			sha256_add(&hash, data + at,
				   sizeof(data) - at < step ? sizeof(data) - at : step);
		sha256_end(&hash, &pieces);
		ck_assert(digest_equal(&whole, &pieces));
	}
}
END_TEST

START_TEST(test_chain)
{
	struct digest a, b, chain, expected;
	char text[2 * DIGEST_TEXT_SIZE];

	digest_of("a", 1, &a);
	digest_of("b", 1, &b);
	digest_chain(NULL, &a, &chain);
	ck_assert(digest_equal(&chain, &a));
	digest_chain(&a, &b, &chain);
	digest_text(&a, text);
	text[71] = ' ';
	digest_text(&b, text + 72);
	digest_of(text, strlen(text), &expected);
	ck_assert(digest_equal(&chain, &expected));
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_err, 1 }, { test_strv, 1 }, { test_escape, 1 }, { test_visible, 1 },
		{ test_nearest, 1 }, { test_numbers, 1 }, { test_sizes, 1 }, { test_names, 1 },
		{ test_paths, 1 }, { test_digests, 1 }, { test_sha256_pieces, 1 },
		{ test_chain, 1 },
	};
	const struct unit unit = { "ground" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
