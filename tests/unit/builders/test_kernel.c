/* builders/kernel, duet's side: versions, control files, mirrors, InRelease, packages, signatures. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "builders/debian/control.h"
#include "builders/kernel/debian.h"
#include "builders/debian/gpgv.h"
#include "builders/debian/mirror.h"
#include "builders/debian/release.h"
#include "builders/kernel/take.h"
#include "builders/debian/version.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

/* ---- versions -------------------------------------------------------------------------------- */

/* Each row: `a` is older than, equal to, newer than `b`. */
static const struct {
	const char *a;
	int order;
	const char *b;
} orders[] = {
	{ "1", 0, "1" },
	{ "1", -1, "2" },
	{ "1.9", -1, "1.10" },
	{ "6.1.0-9", -1, "6.1.0-56" },
	{ "6.1.192-2", 1, "6.1.99-1" },
	{ "6.1.192-1", -1, "6.1.192-2" },
	{ "1.0~rc1", -1, "1.0" },
	{ "1.0~rc1-1", -1, "1.0~rc1-2" },
	{ "1.0~~", -1, "1.0~" },
	{ "1.0~~a", -1, "1.0~" },
	{ "1.0~", -1, "1.0" },
	{ "1.0", -1, "1.0a" },
	{ "1.0a", -1, "1.0+" },
	{ "1.0a", -1, "1.0b" },
	{ "1.0Z", -1, "1.0a" },
	{ "1:0.1", 1, "9.9" },
	{ "0:1", 0, "1" },
	{ "1:1", -1, "10:1" },
	{ "1-1", 1, "1" },
	{ "1-0", 0, "1" },
	{ "1.0-1-1", 1, "1.0-1" },
	{ "001", 0, "1" },
	{ "1.00", 0, "1.0" },
	{ "1.01", 0, "1.1" },
	{ "1.2.", 1, "1.2" },
	{ "99999999999999999999999998", -1, "99999999999999999999999999" },
	{ "12345678901234567890123", 1, "1234567890123456789012" },
	{ "1.0+deb12u1", -1, "1.0+deb12u10" },
	{ "1.0+deb11u9", -1, "1.0+deb12u1" },
	{ "1.0-1~bpo12+1", -1, "1.0-1" },
	{ "", -1, "1" },
	{ "", 1, "~" },
};

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

START_TEST(test_order)
{
	ck_assert_int_eq(sign(version_compare(orders[_i].a, orders[_i].b)), orders[_i].order);
	ck_assert_int_eq(sign(version_compare(orders[_i].b, orders[_i].a)), -orders[_i].order);
}
END_TEST

START_TEST(test_valid_version)
{
	static const char *const good[] = { "1", "1:2.3-4", "6.1.192-2", "1.0~rc1+dfsg-1~bpo12+1" };
	static const char *const bad[] = { "", "a1", ":1", "x:1", "1 2", "1/2", "1\n", "-1", "1_2" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert(version_is_valid(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert(!version_is_valid(bad[i]));
}
END_TEST

START_TEST(test_release_name)
{
	static const char *const bad[] = { "", ".", "..", "-v", "a/b", "a b", "a\n", "../x" };
	char longest[KERNEL_RELEASE_MAX + 2] = "";

	ck_assert(kernel_release_is_valid("6.1.0-56-cloud-amd64"));
	ck_assert(kernel_release_is_valid("5.10.0_rc1+~x"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert(!kernel_release_is_valid(bad[i]));
	memset(longest, '1', KERNEL_RELEASE_MAX);
	ck_assert(kernel_release_is_valid(longest));
	longest[KERNEL_RELEASE_MAX] = '1';
	ck_assert(!kernel_release_is_valid(longest));
}
END_TEST

/* ---- control files --------------------------------------------------------------------------- */

START_TEST(test_stanzas)
{
	static const char text[] = "\n# a comment\nA: 1\nB: two words  \n cont\n .\n\n \t\nA: 2\n#x\nc:3";
	struct control control = { text, strlen(text) };
	_cleanup_free_ char *a = NULL, *b = NULL, *second = NULL, *c = NULL;
	struct stanza stanza;

	ck_assert(control_next(&control, &stanza));
	a = stanza_get(&stanza, "a");
	b = stanza_get(&stanza, "B");
	ck_assert_str_eq(a, "1");
	ck_assert_str_eq(b, "two words\ncont\n.");
	ck_assert_ptr_null(stanza_get(&stanza, "C"));
	ck_assert(control_next(&control, &stanza));
	second = stanza_get(&stanza, "A");
	c = stanza_get(&stanza, "C");
	ck_assert_str_eq(second, "2");
	ck_assert_str_eq(c, "3");
	ck_assert(!control_next(&control, &stanza));
}
END_TEST

START_TEST(test_odd_stanzas)
{
	static const char twice[] = "A: 1\nA: 2\n", zero[] = "A: 1\nB: \0\n", only[] = " x\n";
	_cleanup_free_ char *empty = NULL;
	struct stanza stanza = { twice, sizeof(twice) - 1 };

	ck_assert_ptr_null(stanza_get(&stanza, "A"));
	stanza = (struct stanza){ zero, sizeof(zero) - 1 };
	ck_assert_ptr_null(stanza_get(&stanza, "A"));
	stanza = (struct stanza){ only, sizeof(only) - 1 };
	ck_assert_ptr_null(stanza_get(&stanza, "A"));
	stanza = (struct stanza){ "A:", 2 };
	empty = stanza_get(&stanza, "A");
	ck_assert_str_eq(empty, "");
	ck_assert_ptr_null(stanza_get(&stanza, "AB"));
}
END_TEST

START_TEST(test_words)
{
	ck_assert(control_has_word("a main,b", "main"));
	ck_assert(control_has_word("main", "main"));
	ck_assert(!control_has_word("maine", "main"));
	ck_assert(!control_has_word("", "main"));
	ck_assert(!control_has_word("a", ""));
}
END_TEST

/* ---- mirrors --------------------------------------------------------------------------------- */

static const struct {
	const char *text, *want;
} lists[] = {
	{ "deb http://a/debian bookworm main", "http://a/debian" },
	{ "# deb http://a/debian bookworm main\ndeb http://b/d/ bookworm contrib main\n",
	  "http://b/d" },
	{ "deb-src http://a/debian bookworm main", NULL },
	{ "deb [arch=amd64 signed-by=/k.gpg] http://a/debian bookworm main", "http://a/debian" },
	{ "deb [ arch=amd64 ] https://a/debian bookworm main # yes", "https://a/debian" },
	{ "deb http://a/debian bookworm-updates main", NULL },
	{ "deb http://a/debian bookworm contrib", NULL },
	{ "deb http://a/debian bookworm", NULL },
	{ "deb cdrom:[x]/ bookworm main\ndeb file:///m bookworm main", "file:///m" },
	{ "deb [arch=amd64 http://a/debian bookworm main", NULL },
	{ "deb", NULL },
	{ "", NULL },
};

START_TEST(test_list)
{
	_cleanup_free_ char *mirror = mirror_in_list(lists[_i].text, "bookworm");

	ck_assert_pstr_eq(mirror, lists[_i].want);
}
END_TEST

static const struct {
	const char *text, *want;
} sources[] = {
	{ "Types: deb\nURIs: http://a/debian\nSuites: bookworm bookworm-updates\nComponents: main\n",
	  "http://a/debian" },
	{ "Types: deb deb-src\n# x\nURIs: http://a/debian/ http://b\nSuites: bookworm\n"
	  "Components: main contrib\nSigned-By:\n -----BEGIN\n .\n x\n", "http://a/debian" },
	{ "Types: deb\nURIs: mirror+file:/etc/m\n http://b/x\nSuites: bookworm\nComponents: main\n",
	  "http://b/x" },
	{ "Types: deb\nEnabled: no\nURIs: http://a\nSuites: bookworm\nComponents: main\n\n"
	  "Types: deb\nURIs: https://b\nSuites: bookworm\nComponents: main\n", "https://b" },
	{ "Types: deb-src\nURIs: http://a\nSuites: bookworm\nComponents: main\n", NULL },
	{ "Types: deb\nURIs: http://a\nSuites: trixie\nComponents: main\n", NULL },
	{ "Types: deb\nURIs: http://a\nSuites: bookworm\n", NULL },
	{ "Types: deb\nSuites: bookworm\nComponents: main\n", NULL },
	{ "", NULL },
};

START_TEST(test_sources)
{
	_cleanup_free_ char *mirror = mirror_in_deb822(sources[_i].text, "bookworm");

	ck_assert_pstr_eq(mirror, sources[_i].want);
}
END_TEST

/* ---- InRelease ------------------------------------------------------------------------------- */

#define BEGIN "-----BEGIN PGP SIGNED MESSAGE-----\n"
#define SIGNATURE "-----BEGIN PGP SIGNATURE-----\nabc\n"
#define END "-----END PGP SIGNATURE-----\n"

static const struct {
	const char *text;
	bool good;
} frames[] = {
	{ BEGIN "Hash: SHA256\n\nA: 1\n" SIGNATURE END, true },
	{ BEGIN "Hash: SHA256\n\n- -----BEGIN PGP SIGNED MESSAGE-----\n" SIGNATURE END "\n", true },
	{ "\n" BEGIN "\nA: 1\n" SIGNATURE END, true },
	{ "", false },
	{ "A: 1\n", false },
	{ "<html>" BEGIN "\nA: 1\n" SIGNATURE END, false },
	{ "A: 1\n" BEGIN "\nA: 1\n" SIGNATURE END, false },
	{ BEGIN "\nA: 1\n" SIGNATURE END "A: 2\n", false },
	{ BEGIN "\nA: 1\n" SIGNATURE END BEGIN "\nA: 2\n" SIGNATURE END, false },
	{ BEGIN "\nA: 1\n" BEGIN "\nA: 2\n" SIGNATURE END, false },
	{ BEGIN "\nA: 1\n" SIGNATURE SIGNATURE END, false },
	{ BEGIN "\nA: 1\n" SIGNATURE, false },
	{ BEGIN "\nA: 1\n", false },
	{ "-----BEGIN PGP MESSAGE-----\n" SIGNATURE END, false },
	{ BEGIN "\n-----x\n" SIGNATURE END, false },
};

START_TEST(test_frame)
{
	const char *why = NULL;

	ck_assert_int_eq(release_frame(frames[_i].text, strlen(frames[_i].text), &why),
			 frames[_i].good);
	ck_assert(frames[_i].good == (why == NULL));
}
END_TEST

START_TEST(test_frame_zero)
{
	static const char text[] = BEGIN "\nA: \0\n" SIGNATURE END;
	const char *why;

	ck_assert(!release_frame(text, sizeof(text) - 1, &why));
}
END_TEST

#define HEX "9e0b5aabb2465b3d2e7a7fe27f9913846277833f7a2826e7767acccff5b588c5"
#define PATH "main/binary-amd64/Packages.xz"
#define NOW 1000000000	/* 2001-09-09T01:46:40Z */

static const struct {
	const char *text, *says;	/* NULL: good */
} releases[] = {
	{ "Suite: oldstable\nCodename: bookworm\nSHA256:\n " HEX " 8790396 " PATH "\n", NULL },
	{ "Suite: bookworm\nMD5Sum:\n x 1 " PATH "\nSHA256:\n " HEX " 1 other\n " HEX "\t8790396   "
	  PATH, NULL },
	{ "Codename: bookworm\nValid-Until: Sun, 09 Sep 2001 01:46:40 UTC\nSHA256:\n " HEX
	  " 8790396 " PATH "\n", NULL },
	{ "Codename: bookworm\nValid-Until: Sun, 09 Sep 2001 01:46:39 UTC\nSHA256:\n " HEX
	  " 8790396 " PATH "\n", "expired" },
	{ "Codename: bookworm\nValid-Until: soon\nSHA256:\n " HEX " 8790396 " PATH "\n",
	  "malformed Valid-Until" },
	{ "Codename: trixie\nSHA256:\n " HEX " 8790396 " PATH "\n", "of trixie, not of bookworm" },
	{ "SHA256:\n " HEX " 8790396 " PATH "\n", "of no suite" },
	{ "Codename: bookworm\n", "no SHA256" },
	{ "Codename: bookworm\nSHA256:\n " HEX " 8790396 x" PATH "\n", "has no main/" },
	{ "Codename: bookworm\nSHA256:\n " HEX " 8790396\n", "has no main/" },
	{ "Codename: bookworm\nSHA256:\n 9e0b 8790396 " PATH "\n", "malformed line" },
	{ "Codename: bookworm\nSHA256:\n " HEX " -5 " PATH "\n", "malformed line" },
	{ "Codename: bookworm\nSHA256:\n " HEX " 99999999999999999999 " PATH "\n",
	  "malformed line" },
	{ "Codename: bookworm\nSHA256:\n " HEX " 1 " PATH " x\n", "malformed line" },
	{ "Codename: bookworm\nCodename: bookworm\nSHA256:\n " HEX " 1 " PATH "\n", "of no suite" },
	{ "Codename: bookworm\n\nSHA256:\n " HEX " 1 " PATH "\n", "more than one stanza" },
	{ "Codename: bookworm\nSHA256:\n " HEX " 1 " PATH "\nSHA256:\n " HEX " 1 " PATH "\n",
	  "no SHA256" },
	{ "", "empty" },
};

START_TEST(test_release)
{
	const char *text = releases[_i].text, *says = releases[_i].says;
	_cleanup_(err_done) struct err err = { 0 };
	struct release_file file;
	int result = release_parse(text, strlen(text), "bookworm", PATH, NOW, &file, &err);
	char hex[DIGEST_HEX_SIZE];

	if (says) {
		ck_assert_int_eq(result, -1);
		ck_assert_int_eq(err.code, ERR_SIGNATURE);
		ck_assert_msg(strstr(err.msg, says) != NULL, "%s", err.msg);
		return;
	}
	ck_assert_int_eq(result, 0);
	digest_hex(&file.sha256, hex);
	ck_assert_str_eq(hex, HEX);
	ck_assert_uint_eq(file.bytes, 8790396);
	ck_assert(!file.by_hash);
}
END_TEST

START_TEST(test_date)
{
	static const char *const bad[] = {
		"", "Sun, 29 Nov 2026 19:58:56", "Sun, 29 Nov 2026 19:58:56 CET",
		"Sun, 32 Nov 2026 19:58:56 UTC", "Sun, 29 Foo 2026 19:58:56 UTC",
		"Sun, 29 Nov 2026 24:58:56 UTC", "Sun, 29 Nov 2026 19:58:56 UTC x",
		"29 Nov 2026 19:58:56 UTC", "Sun, 29 Nov 1926 19:58:56 UTC",
	};
	int64_t s;

	ck_assert(release_date("Sun, 29 Nov 2026 19:58:56 UTC", &s) && s == 1795982336);
	ck_assert(release_date("Thu, 01 Jan 1970 00:00:00 +0000", &s) && s == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert(!release_date(bad[i], &s));
}
END_TEST

/* ---- packages -------------------------------------------------------------------------------- */

#define STANZA(name, version, more) \
	"Package: " name "\nVersion: " version "\nArchitecture: amd64\nSHA256: " HEX "\n" more "\n"
#define FILE_AND_SIZE "Filename: pool/main/l/x_1_amd64.deb\nSize: 7\n"

START_TEST(test_packages)
{
	static const char list[] =
		STANZA("a", "1.9-1", FILE_AND_SIZE "Depends: old\n")
		STANZA("a", "1.10-1", FILE_AND_SIZE "Depends: new\n")
		STANZA("a", "1.2-1", FILE_AND_SIZE)
		STANZA("a", "9-1", "Filename: ../../etc/passwd\nSize: 7\n")
		STANZA("a", "9-1", "Filename: /etc/passwd\nSize: 7\n")
		STANZA("a", "9-1", "Filename: pool/a?b\nSize: 7\n")
		STANZA("a", "9-1", "Filename: pool/a\nSize: 0\n")
		STANZA("a", "9-1", "Filename: pool/a\n")
		STANZA("a", "9 1", FILE_AND_SIZE)
		STANZA("b", "99", FILE_AND_SIZE)
		"Package: a\nVersion: 9\nArchitecture: arm64\nSHA256: " HEX "\n" FILE_AND_SIZE "\n"
		"Package: a\nVersion: 9\nArchitecture: amd64\nSHA256: 12\n" FILE_AND_SIZE "\n";
	struct debian_package package = { 0 };
	_cleanup_free_ char *depends = NULL;

	ck_assert_int_eq(debian_find_package(list, sizeof(list) - 1, "a", NULL, &package, &depends), 1);
	ck_assert_str_eq(package.version, "1.10-1");
	ck_assert_str_eq(package.path, "pool/main/l/x_1_amd64.deb");
	ck_assert_uint_eq(package.bytes, 7);
	ck_assert_str_eq(depends, "new");
	debian_package_done(&package);
	ck_assert_int_eq(debian_find_package(list, sizeof(list) - 1, "a", "1.2-1", &package, NULL), 1);
	ck_assert_str_eq(package.version, "1.2-1");
	debian_package_done(&package);
	ck_assert_int_eq(debian_find_package(list, sizeof(list) - 1, "a", "3", &package, NULL), 0);
	ck_assert_int_eq(debian_find_package(list, sizeof(list) - 1, "c", NULL, &package, NULL), 0);
	ck_assert_int_eq(debian_find_package("", 0, "a", NULL, &package, NULL), 0);
}
END_TEST

static const struct {
	const char *depends, *name, *version;
} dependencies[] = {
	{ "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)", "linux-image-6.1.0-56-cloud-amd64",
	  "6.1.192-2" },
	{ "kmod, linux-image-6-cloud-amd64, x", "linux-image-6-cloud-amd64", NULL },
	{ "kmod (>= 1),\n linux-image-6-cloud-amd64(=1)", "linux-image-6-cloud-amd64", "1" },
	{ "linux-image-6-cloud-amd64 (>= 6)", "linux-image-6-cloud-amd64", NULL },
	{ "linux-image-6-cloud-amd64 | x", NULL, NULL },
	{ "linux-image-cloud-amd64", NULL, NULL },
	{ "linux-image-6-cloud-amd64x", NULL, NULL },
	{ "linux-image-6\033[31m-cloud-amd64", NULL, NULL },
	{ "linux-image-6-cloud-amd64 (= 1\033[31m)", NULL, NULL },
	{ "linux-image-6-cloud-amd64 (= ), linux-image-7-cloud-amd64", "linux-image-7-cloud-amd64",
	  NULL },
	{ "", NULL, NULL },
	{ ",,,", NULL, NULL },
};

START_TEST(test_depends)
{
	_cleanup_free_ char *name = NULL, *version = NULL;

	ck_assert_int_eq(debian_parse_depends(dependencies[_i].depends, &name, &version),
			 dependencies[_i].name != NULL);
	ck_assert_pstr_eq(name, dependencies[_i].name);
	ck_assert_pstr_eq(version, dependencies[_i].version);
}
END_TEST

/* ---- signatures ------------------------------------------------------------------------------ */

#define S "[GNUPG:] "
#define GOOD S "GOODSIG 6ED0E7B82643E131 Somebody <a@b>\n"
#define VALID S "VALIDSIG 4CB5 2026-07-11 1783765031 0 4 0 1 8 01 B8B8\n"
#define WEAK S "VALIDSIG 4CB5 2026-07-11 1783765031 0 4 0 1 2 01 B8B8\n"

static const struct {
	const char *status;
	int code;
	const char *says;	/* NULL: good */
} verdicts[] = {
	{ S "NEWSIG\n" GOOD VALID, 0, NULL },
	{ GOOD VALID GOOD VALID, 0, NULL },
	{ GOOD VALID S "ERRSIG 1 1 8 01 1 9 -\n" S "NO_PUBKEY 1\n", 2, NULL },
	{ GOOD VALID S "EXPKEYSIG 1 x\n" VALID, 2, NULL },
	{ GOOD VALID, 2, "no good signature" },
	{ GOOD VALID S "BADSIG 1 x\n", 1, "wrong" },
	{ GOOD VALID S "BADSIG 1 x\n", 0, "wrong" },
	{ GOOD VALID S "REVKEYSIG 1 x\n", 0, "wrong" },
	{ GOOD VALID S "NODATA 1\n", 0, "wrong" },
	{ GOOD, 0, "no good signature" },
	{ VALID, 0, "no good signature" },
	{ GOOD WEAK, 0, "weak hash" },
	{ GOOD S "VALIDSIG 4CB5 2026-07-11 1783765031 0 4 0 1 8 00 B8B8\n", 0, "weak hash" },
	{ S "EXPKEYSIG 1 x\n" VALID, 0, "expired" },
	{ S "ERRSIG 1 1 8 01 1 9 -\n" S "NO_PUBKEY 1\n", 2, "none of the keys" },
	{ "gpgv: GOODSIG\n" "GOODSIG\nVALIDSIG\n", 0, "no good signature" },
	{ "x " GOOD "x " VALID, 0, "no good signature" },
	{ "", 0, "no good signature" },
	{ "", 2, "no good signature" },
};

START_TEST(test_judge)
{
	_cleanup_(err_done) struct err err = { 0 };
	int result = gpgv_judge(verdicts[_i].status, verdicts[_i].code, &err);

	ck_assert_int_eq(result, verdicts[_i].says ? -1 : 0);
	if (verdicts[_i].says) {
		ck_assert_int_eq(err.code, ERR_SIGNATURE);
		ck_assert_msg(strstr(err.msg, verdicts[_i].says) != NULL, "%s", err.msg);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_order, ARRAY_SIZE(orders) }, { test_valid_version, 1 },
		{ test_release_name, 1 }, { test_stanzas, 1 }, { test_odd_stanzas, 1 },
		{ test_words, 1 }, { test_list, ARRAY_SIZE(lists) },
		{ test_sources, ARRAY_SIZE(sources) }, { test_frame, ARRAY_SIZE(frames) },
		{ test_frame_zero, 1 }, { test_release, ARRAY_SIZE(releases) },
		{ test_date, 1 }, { test_packages, 1 },
		{ test_depends, ARRAY_SIZE(dependencies) },
		{ test_judge, ARRAY_SIZE(verdicts) },
	};
	const struct unit unit = { "kernel" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
