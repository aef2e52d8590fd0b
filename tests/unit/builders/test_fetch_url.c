/* url.c: which URLs are followed, and what a redirect points to. */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "builders/worker/fetch/url.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

static const char *const good[] = {
	"https://example.org", "https://example.org/", "HTTPS://Example.org/a?b=c#d",
	"https://example.org:443/", "https://example.org:65535/", "https://127.0.0.1/x",
	"https://[::1]/x", "https://[::1]:8443/x", "https://a-b.c_d/%20", "https://h?q@r",
	"https://h/user@place",
};

static const char *const bad[] = {
	"",
	"example.org",
	"http://example.org/",
	"file:///etc/passwd",
	"https:/example.org",
	"https:example.org",
	"https://",
	"https:///path",
	"https://?q",
	"https://user@host/",
	"https://user:password@host/",
	"https://@host/",
	"https://host:0/",
	"https://host:65536/",
	"https://host:/",
	"https://host:8o/",
	"https://host:+1/",
	"https://host:01/",
	"https://host\\evil/",
	"https://host/a b",
	"https://host/a\tb",
	"https://host/a\r\nX: y",
	"https://host/\x7f",
	"https://h\xc3\xb6st/",
	"https://[::1/",
	"https://[]/",
	"https://[::1]x/",
	"https://[fe80::1%25eth0]/",
	"https://ho%73t/",
	"https://-o/",
	"https://.h/",
	"https://a b/",
	" https://host/",
	"gopher://host/",
	"https//host",
};

START_TEST(test_good)
{
	ck_assert_pstr_eq(url_refusal(good[_i], false), NULL);
}
END_TEST

START_TEST(test_bad)
{
	ck_assert_ptr_nonnull(url_refusal(bad[_i], false));
}
END_TEST

START_TEST(test_length)
{
	char url[URL_LENGTH_MAX + 2] = "https://h/";

	memset(url + 10, 'x', sizeof(url) - 11);
	url[sizeof(url) - 1] = '\0';
	ck_assert_str_eq(url_refusal(url, false), "is too long");
	url[URL_LENGTH_MAX] = '\0';
	ck_assert_ptr_null(url_refusal(url, false));
}
END_TEST

/* The first block is RFC 3986, 5.4, with https for its scheme. */
static const struct {
	const char *base, *location, *want;
} resolved[] = {
	{ "https://a/b/c/d;p?q", "g", "https://a/b/c/g" },
	{ "https://a/b/c/d;p?q", "./g", "https://a/b/c/g" },
	{ "https://a/b/c/d;p?q", "g/", "https://a/b/c/g/" },
	{ "https://a/b/c/d;p?q", "/g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "//g", "https://g" },
	{ "https://a/b/c/d;p?q", "?y", "https://a/b/c/d;p?y" },
	{ "https://a/b/c/d;p?q", "g?y", "https://a/b/c/g?y" },
	{ "https://a/b/c/d;p?q", "#s", "https://a/b/c/d;p?q" },
	{ "https://a/b/c/d;p?q", "g#s", "https://a/b/c/g" },
	{ "https://a/b/c/d;p?q", "g?y#s", "https://a/b/c/g?y" },
	{ "https://a/b/c/d;p?q", ";x", "https://a/b/c/;x" },
	{ "https://a/b/c/d;p?q", "", "https://a/b/c/d;p?q" },
	{ "https://a/b/c/d;p?q", ".", "https://a/b/c/" },
	{ "https://a/b/c/d;p?q", "./", "https://a/b/c/" },
	{ "https://a/b/c/d;p?q", "..", "https://a/b/" },
	{ "https://a/b/c/d;p?q", "../g", "https://a/b/g" },
	{ "https://a/b/c/d;p?q", "../..", "https://a/" },
	{ "https://a/b/c/d;p?q", "../../g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "../../../g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "../../../../g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "/./g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "/../g", "https://a/g" },
	{ "https://a/b/c/d;p?q", "g.", "https://a/b/c/g." },
	{ "https://a/b/c/d;p?q", "..g", "https://a/b/c/..g" },
	{ "https://a/b/c/d;p?q", "./../g", "https://a/b/g" },
	{ "https://a/b/c/d;p?q", "./g/.", "https://a/b/c/g/" },
	{ "https://a/b/c/d;p?q", "g/./h", "https://a/b/c/g/h" },
	{ "https://a/b/c/d;p?q", "g/../h", "https://a/b/c/h" },
	{ "https://a/b/c/d;p?q", "g;x=1/../y", "https://a/b/c/y" },
	{ "https://a/b/c/d;p?q", "g?y/../x", "https://a/b/c/g?y/../x" },
	{ "https://a/b/c/d;p?q", "g#s/../x", "https://a/b/c/g" },
	/* and what else happens */
	{ "https://a", "g", "https://a/g" },
	{ "https://a", "?y", "https://a/?y" },
	{ "https://a?q", "g", "https://a/g" },
	{ "https://a?q", "", "https://a/?q" },
	{ "https://a:81/b#f", "c", "https://a:81/c" },
	{ "https://a/b?x#f", "", "https://a/b?x" },
	{ "https://a/b#f?x", "", "https://a/b" },
	{ "https://a/b", "https://c:444/d?e", "https://c:444/d?e" },
	{ "https://a/b", "HTTPS://c/", "HTTPS://c/" },
	{ "https://a/b", "//c:444/d", "https://c:444/d" },
	{ "https://a/b", "/d e/\xc3\xb6?f g", "https://a/d%20e/%C3%B6?f%20g" },
	{ "https://a/b//c", "d", "https://a/b//d" },
	{ "https://a/b", "/c:d", "https://a/c:d" },
	{ "https://a/b", "http://c/", NULL },
	{ "https://a/b", "file:///etc/passwd", NULL },
	{ "https://a/b", "javascript:x", NULL },
	{ "https://a/b", "c:d", NULL },
	{ "https://a/b", "https:c", NULL },
	{ "https://a/b", "https:/c", NULL },
	{ "https://a/b", "https://u@c/", NULL },
	{ "https://a/b", "//u:p@c/", NULL },
	{ "https://a/b", "///c", NULL },
	{ "https://a/b", "\\\\c\\d", NULL },
	{ "https://a/b", "/\\c", NULL },
	{ "https://a/b", "/c\x01", NULL },
	{ "https://a/b", "/c\r\nX: y", NULL },
	{ "https://a/b", "//c d/", NULL },
	{ "https://a/b", " http://c/", "https://a/%20http://c/" },
	/* from http, which was allowed then, also to http */
	{ "http://a/b", "c", "http://a/c" },
	{ "http://a/b", "/c?d", "http://a/c?d" },
	{ "http://a/b", "//c/d", "http://c/d" },
	{ "http://a/b", "http://c/", "http://c/" },
	{ "http://a/b", "https://c/", "https://c/" },
	{ "http://a/b", "file:///etc/passwd", NULL },
	{ "http://a/b", "ftp://c/", NULL },
	{ "http://a/b", "http://u@c/", NULL },
};

START_TEST(test_resolve)
{
	const char *why = NULL;
	_cleanup_free_ char *url = url_resolve(resolved[_i].base, resolved[_i].location,
					       &why);

	ck_assert_pstr_eq(url, resolved[_i].want);
	ck_assert(!url == (why != NULL));
	if (url)
		ck_assert_ptr_null(url_refusal(url, url_is_plain_http(resolved[_i].base)));
}
END_TEST

START_TEST(test_plain_http)
{
	ck_assert_ptr_null(url_refusal("http://example.org/", true));
	ck_assert_ptr_null(url_refusal("HTTP://example.org:80/a", true));
	ck_assert_ptr_null(url_refusal("https://example.org/", true));
	ck_assert_ptr_nonnull(url_refusal("http://user@example.org/", true));
	ck_assert_ptr_nonnull(url_refusal("http:///a", true));
	ck_assert_ptr_nonnull(url_refusal("file:///etc/passwd", true));
	ck_assert_ptr_nonnull(url_refusal("ftp://example.org/", true));
	ck_assert(url_is_plain_http("http://a"));
	ck_assert(!url_is_plain_http("https://a"));
	ck_assert(!url_is_plain_http("http:a"));
}
END_TEST

START_TEST(test_shown)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{ "https://h/p?token=x", "https://h/p" },
		{ "https://h/p#f", "https://h/p" },
		{ "https://u:p@h/q", "https://h/q" },
		{ "https://u:p@x@h/q", "https://h/q" },
		{ "https://h/a@b", "https://h/a@b" },
		{ "file:///etc/passwd", "file:///etc/passwd" },
		{ "https://h/\033[2J", "https://h/\\x1b[2J" },
		{ "u:p@h/q?r", "h/q" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *shown = url_shown(rows[i].url);

		ck_assert_str_eq(shown, rows[i].want);
	}
}
END_TEST

START_TEST(test_local)
{
	static const char *const local[] = {
		"127.0.0.1",
		"127.255.255.255",
		"0.0.0.0",
		"10.1.2.3",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.1.1",
		"169.254.169.254",
		"100.64.0.1",
		"224.0.0.1",
		"255.255.255.255",
		"::1",
		"::",
		"fe80::1",
		"fd00::1",
		"fc00::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::127.0.0.1",
		"64:ff9b::a00:1",
		"2002:7f00:1::1",
		"fec0::1",
	};
	static const char *const not_local[] = {
		"8.8.8.8",
		"172.15.255.255",
		"172.32.0.1",
		"192.167.1.1",
		"192.169.0.1",
		"11.0.0.1",
		"126.255.255.255",
		"128.0.0.1",
		"169.253.1.1",
		"100.63.0.1",
		"100.128.0.1",
		"223.255.255.255",
		"2001:db8::1",
		"2606:4700::1",
		"::ffff:8.8.8.8",
		"64:ff9b::808:808",
		"2002:808:808::1",
		"host",
		"",
		"127.0.0.1.example",
	};

	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		ck_assert_msg(url_host_is_local(local[i]), "%s", local[i]);
	for (size_t i = 0; i < ARRAY_SIZE(not_local); i++)
		ck_assert_msg(!url_host_is_local(not_local[i]), "%s", not_local[i]);
}
END_TEST

START_TEST(test_origin)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "https://h/x?y", "https://h:443", true },
		{ "https://H.x/", "HTTPS://h.X:443/y", true },
		{ "http://h/", "http://h:80/", true },
		{ "https://[::1]:5/x", "https://[::1]:5/y", true },
		{ "https://h/", "http://h/", false },
		{ "https://h:443/", "http://h:443/", false },
		{ "https://h/", "https://h:444/", false },
		{ "https://h/", "https://h.x/", false },
		{ "https://h/", "https://hh/", false },
		{ "https://[::1]/", "https://[::2]/", false },
	};
	_cleanup_free_ char *host = url_host("https://Example.ORG:5000/v2"),
			    *six = url_host("https://[::A]:1/"), *bare = url_host("http://h?q");

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		ck_assert_msg(url_is_same_origin(pairs[i].a, pairs[i].b) == pairs[i].same, "%s %s",
			      pairs[i].a, pairs[i].b);
	ck_assert_str_eq(host, "example.org");
	ck_assert_str_eq(six, "::a");
	ck_assert_str_eq(bare, "h");
}
END_TEST

START_TEST(test_address)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	inet_pton(AF_INET, "192.168.0.9", &four.sin_addr);
	ck_assert(url_address_is_local((struct sockaddr *)&four));
	inet_pton(AF_INET, "9.9.9.9", &four.sin_addr);
	ck_assert(!url_address_is_local((struct sockaddr *)&four));
	inet_pton(AF_INET6, "::1", &six.sin6_addr);
	ck_assert(url_address_is_local((struct sockaddr *)&six));
	inet_pton(AF_INET6, "2620:fe::fe", &six.sin6_addr);
	ck_assert(!url_address_is_local((struct sockaddr *)&six));
	ck_assert(url_address_is_local((struct sockaddr *)&name));
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_good, ARRAY_SIZE(good) }, { test_bad, ARRAY_SIZE(bad) },
		{ test_resolve, ARRAY_SIZE(resolved) }, { test_length, 1 },
		{ test_plain_http, 1 }, { test_shown, 1 }, { test_local, 1 },
		{ test_address, 1 }, { test_origin, 1 },
	};
	const struct unit unit = { "fetch_url" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
