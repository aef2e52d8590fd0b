/* The user's configuration file: what it says of hosts, and what it is refused for. */
#include <check.h>
#include <string.h>

#include "core/config.h"
#include "core/ref.h"
#include "tests/unit/unit.h"

static struct err err;

static int parse(struct config *config, const char *text)
{
	err_done(&err);
	return config_parse(config, "config.yaml", text, strlen(text), &err);
}

START_TEST(test_registries)
{
	_cleanup_(config_done) struct config config = { 0 };
	const struct config_registry *local, *hub;

	ck_assert_int_eq(parse(&config, "allow: [seccomp, caches=npm]\n"
					"registries:\n"
					"  \"127.0.0.1:5000\": {plain_http: true}\n"
					"  Registry-1.docker.io:\n"
					"    mirrors: [Mirror.example.org, \"localhost:5001\"]\n"), 0);
	ck_assert(config.allowed.kinds[OUTSIDE_SECCOMP]);
	ck_assert(!config.allowed.kinds[OUTSIDE_CACHE] && config.allowed.caches.count == 1);
	ck_assert_str_eq(config.allowed.caches.items[0], "npm");
	local = config_registry(&config, "127.0.0.1:5000");
	hub = config_registry(&config, "docker.io");
	ck_assert(local && local->plain_http && local->mirrors.count == 0);
	ck_assert(hub && !hub->plain_http && hub->mirrors.count == 2);
	ck_assert_str_eq(hub->mirrors.items[0], "mirror.example.org");
	ck_assert_str_eq(hub->mirrors.items[1], "localhost:5001");
	ck_assert_ptr_null(config_registry(&config, "127.0.0.1:5001"));
	ck_assert_ptr_null(config_registry(&config, "127.0.0.1"));
}
END_TEST

static const struct {
	const char *text, *path;
	bool is_global;
} allows[] = {
	{ "allow: seccomp\n", NULL, true },
	{ "allow: [paths=/srv, seccomp]\n", "/srv", true },
	{ "allow: {/tmp: paths=../lib}\n", "/tmp/../lib", false },
	{ "allow: {/tmp: [seccomp, paths=x]}\n", "/tmp/x", false },
	{ "allow: [seccomp, {/tmp: paths=/x, /usr: mounts}, {/var: paths}]\n", "/x", true },
};

START_TEST(test_allow)
{
	_cleanup_(config_done) struct config config = { 0 };
	struct allowed tmp = { 0 }, var = { 0 };
	const struct strv *paths = &tmp.paths[OUTSIDE_PATH];

	ck_assert_int_eq(parse(&config, allows[_i].text), 0);
	config_allowed(&config, "/tmp", &tmp);
	config_allowed(&config, "/var", &var);
	ck_assert_uint_eq(paths->count, allows[_i].path ? 1 : 0);
	if (allows[_i].path)
		ck_assert_str_eq(paths->items[0], allows[_i].path);
	ck_assert(var.kinds[OUTSIDE_SECCOMP] == allows[_i].is_global);
	ck_assert(!tmp.kinds[OUTSIDE_PATH] && !tmp.kinds[OUTSIDE_MOUNT]);
	ck_assert(var.kinds[OUTSIDE_PATH] == (_i == 4));
	allowed_done(&tmp);
	allowed_done(&var);
}
END_TEST

static const struct {
	const char *text, *place, *message, *mend;
	int code;
} refused[] = {
	{ "allow: {tmp: paths}\n", "config.yaml:1:9", "allow: expected the folder of a project", NULL,
	  ERR_SPEC_VALUE },
	{ "allow: {/tmp: {paths: [x]}}\n", "config.yaml:1:15", "allow: expected a list of words", NULL,
	  ERR_SPEC_TYPE },
	{ "allow: [paths=lib]\n", "config.yaml:1:9", "allow: `paths=lib` is nothing that can be allowed",
	  NULL, ERR_USAGE },
	{ "allow: [seccomp=/x]\n", "config.yaml:1:9",
	  "allow: `seccomp=/x` is nothing that can be allowed", NULL, ERR_USAGE },
	{ "registry: {}\n", "config.yaml:1:1", "unknown key \"registry\"",
	  "did you mean \"registries\"?", ERR_SPEC_UNKNOWN_KEY },
	{ "x: 1\n", "config.yaml:1:1", "unknown key \"x\"", "known here: allow, registries",
	  ERR_SPEC_UNKNOWN_KEY },
	{ "registries:\n  a.example: {insecure: true}\n", "config.yaml:2:15",
	  "unknown key \"insecure\"", "known here: plain_http, mirrors", ERR_SPEC_UNKNOWN_KEY },
	{ "registries:\n  a.example: {plain_http: yes}\n", "config.yaml:2:27",
	  "plain_http: expected true or false", NULL, ERR_SPEC_TYPE },
	{ "registries:\n  a.example: {plain_http: \"true\"}\n", "config.yaml:2:27",
	  "plain_http: expected true or false", NULL, ERR_SPEC_TYPE },
	{ "registries:\n  a.example: plain\n", "config.yaml:2:14", "a.example: expected a map", NULL,
	  ERR_SPEC_TYPE },
	{ "registries: [a.example]\n", "config.yaml:1:13", "registries: expected a map of hosts",
	  NULL, ERR_SPEC_TYPE },
	{ "registries:\n  http://a.example: {}\n", "config.yaml:2:3",
	  "\"http://a.example\" is no host of a registry", NULL, ERR_SPEC_VALUE },
	{ "registries:\n  example: {}\n", "config.yaml:2:3", "\"example\" is no host of a registry",
	  NULL, ERR_SPEC_VALUE },
	{ "registries:\n  a.example: {mirrors: [b.example/x]}\n", "config.yaml:2:25",
	  "\"b.example/x\" is no host of a registry", NULL, ERR_SPEC_VALUE },
	{ "registries:\n  a.example: {mirrors: b.example}\n", "config.yaml:2:24",
	  "mirrors: expected a list of hosts", NULL, ERR_SPEC_TYPE },
	{ "registries:\n  docker.io: {}\n  index.docker.io: {}\n", "config.yaml:3:3",
	  "registries: docker.io stands there twice", NULL, ERR_SPEC_VALUE },
	{ "registries:\n  A.example: {}\n  a.example: {}\n", "config.yaml:3:3",
	  "registries: a.example stands there twice", NULL, ERR_SPEC_VALUE },
	{ "allow: [nothing]\n", "config.yaml:1:9", "allow: `nothing` is nothing that can be allowed",
	  NULL, ERR_USAGE },
	{ "allow: [caches=../x]\n", "config.yaml:1:9",
	  "allow: `caches=../x` is nothing that can be allowed", NULL, ERR_USAGE },
};

START_TEST(test_refused)
{
	struct config config = { 0 };

	ck_assert_int_eq(parse(&config, refused[_i].text), -1);
	ck_assert_int_eq(err.code, refused[_i].code);
	ck_assert_str_eq(err.msg, refused[_i].message);
	ck_assert_str_eq(err.place, refused[_i].place);
	if (refused[_i].mend)
		ck_assert_str_eq(err.mend, refused[_i].mend);
	ck_assert_uint_eq(config.registry_count, 0);
	err_done(&err);
}
END_TEST

START_TEST(test_too_many_mirrors)
{
	for (int count = CONFIG_MIRRORS_MAX; count <= CONFIG_MIRRORS_MAX + 1; count++) {
		_cleanup_(config_done) struct config config = { 0 };
		char text[1024] = "registries: {a.example: {mirrors: [";

		for (int i = 0; i < count; i++)
			strcat(text, i ? ", m.example" : "m.example");
		strcat(text, "]}}\n");
		ck_assert_int_eq(parse(&config, text), count > CONFIG_MIRRORS_MAX ? -1 : 0);
	}
	ck_assert_int_eq(err.code, ERR_SPEC_LIMIT);
	err_done(&err);
}
END_TEST

START_TEST(test_host)
{
	static const char *const none[] = { "", "alpine", "a/b.c", "a.b/", "a.b:0", "a.b:99999",
					    "a.b:5000:1", "a.b@x", "http://a.b", "a b.c", "-a.b" };
	static const char *const hosts[][2] = {
		{ "A.B", "a.b" }, { "localhost", "localhost" }, { "a:5000", "a:5000" },
		{ "[::1]:5000", "[::1]:5000" }, { "index.docker.io", "docker.io" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		ck_assert_msg(!ref_host(none[i]), "%s", none[i]);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		_cleanup_free_ char *host = ref_host(hosts[i][0]);

		ck_assert_str_eq(host, hosts[i][1]);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_registries, 1 }, { test_allow, ARRAY_SIZE(allows) }, { test_refused, (int)ARRAY_SIZE(refused) },
		{ test_too_many_mirrors, 1 }, { test_host, 1 },
	};
	const struct unit unit = { "config" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
