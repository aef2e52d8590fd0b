/* token.c: where a token server may be, and which of them is told the user's secrets. */
#include <check.h>
#include <stdlib.h>

#include "builders/worker/registry/auth.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

static const struct {
	const char *realm, *base;
	bool allowed, trusted;
} servers[] = {
	{ "https://r.example.org/token", "https://r.example.org/v2/a", true, true },
	{ "https://R.Example.ORG:443/token", "https://r.example.org/v2/a", true, true },
	{ "https://r.example.org:5001/token", "https://r.example.org:5000/v2/a", true, true },
	{ "https://gitlab.com/jwt/auth", "https://registry.gitlab.com/v2/a", true, true },
	{ "https://auth.example.org/t", "https://registry.example.org/v2/a", true, true },
	{ "https://auth.docker.io/token", "https://registry-1.docker.io/v2/a", true, true },
	{ "https://evil.docker.io/token", "https://registry-1.docker.io/v2/a", true, false },
	{ "https://evil.org/token", "https://registry.example.org/v2/a", true, false },
	{ "https://evilexample.org/token", "https://registry.example.org/v2/a", true, false },
	{ "https://example.org.evil.net/t", "https://registry.example.org/v2/a", true, false },
	{ "https://b.org/token", "https://a.org/v2/a", true, false },
	{ "https://a.org/token", "https://localhost/v2/a", true, false },
	{ "https://127.0.0.1:5001/token", "https://127.0.0.1:5000/v2/a", true, false },
	{ "https://198.51.100.8/token", "https://198.51.100.7/v2/a", true, false },
	{ "https://[2001:db8::1]:1/token", "https://[2001:db8::1]:2/v2/a", true, false },
	{ "https://127.0.0.1:5000/token", "https://127.0.0.1:5000/v2/a", true, true },
	{ "http://127.0.0.1:5000/token", "http://127.0.0.1:5000/v2/a", true, true },
	{ "http://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/a", false, false },
	{ "https://127.0.0.1:5001/token", "http://127.0.0.1:5000/v2/a", true, false },
	{ "http://r.example.org/token", "https://r.example.org/v2/a", false, false },
	{ "http://evil.org/token", "http://r.example.org/v2/a", false, false },
	{ "https://169.254.169.254/token", "https://r.example.org/v2/a", false, false },
	{ "https://127.1/token", "https://r.example.org/v2/a", false, false },
	{ "https://2130706433/token", "https://r.example.org/v2/a", false, false },
	{ "https://0x7f.1/token", "https://r.example.org/v2/a", false, false },
	{ "https://[::1]/token", "https://r.example.org/v2/a", false, false },
	{ "https://[::ffff:10.0.0.1]/token", "https://r.example.org/v2/a", false, false },
	{ "https://u:p@r.example.org/token", "https://r.example.org/v2/a", false, false },
	{ "https://r.example.org/token#x", "https://r.example.org/v2/a", false, false },
	{ "/token", "https://r.example.org/v2/a", false, false },
	{ "file:///etc/passwd", "https://r.example.org/v2/a", false, false },
	{ "", "https://r.example.org/v2/a", false, false },
};

START_TEST(test_servers)
{
	const char *why = token_realm_refusal(servers[_i].realm, servers[_i].base);

	ck_assert_msg(!why == servers[_i].allowed, "%s: %s", servers[_i].realm, why ? why : "allowed");
	if (!why)
		ck_assert_msg(token_server_is_trusted(servers[_i].realm, servers[_i].base) ==
				      servers[_i].trusted, "%s", servers[_i].realm);
}
END_TEST

START_TEST(test_basic)
{
	/* RFC 4648, 10, behind a user's name */
	static const char *const pairs[][3] = {
		{ "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
		{ "", "", "Basic Og==" },
		{ "f", "", "Basic Zjo=" },
		{ "f", "o", "Basic Zjpv" },
		{ "\xc3\xa4", "\xff", "Basic w6Q6/w==" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_free_ char *text = auth_basic(pairs[i][0], pairs[i][1]);

		ck_assert_str_eq(text, pairs[i][2]);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_servers, ARRAY_SIZE(servers) }, { test_basic, 1 },
	};
	const struct unit unit = { "token servers" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
