/* Logins: which file, which key and which helper gives them, and what ends the search. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/oci/login_file.h"
#include "builders/oci/registry.h"
#include "core/base64.h"
#include "core/fs.h"
#include "core/json.h"
#include "tests/unit/unit.h"

static char top[64];
static struct err err;

static void write_file(const char *path, const char *text, mode_t mode)
{
	_cleanup_free_ char *folder = xasprintf("%s/%s", top, path);
	_cleanup_close_ int dir = -1;
	char *slash = strrchr(folder, '/');

	*slash = '\0';
	ck_assert_int_eq(fs_make_dirs(folder, 0700, &err), 0);
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(fs_replace_file(dir, slash + 1, text, strlen(text), mode, &err), 0);
}

static void set_folder(const char *variable, const char *folder)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", top, folder);

	setenv(variable, full, 1);
}

static void begin(void)
{
	snprintf(top, sizeof(top), "/tmp/duet-test-access.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	set_folder("HOME", "home");
	set_folder("XDG_RUNTIME_DIR", "run");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("DOCKER_CONFIG");
	unsetenv("REGISTRY_AUTH_FILE");
}

static void end(void)
{
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, top, &err), 0);
	err_done(&err);
}

/* A file with one entry: USER:s at `key`. */
static void write_login(const char *path, const char *key, const char *user)
{
	_cleanup_free_ char *plain = xasprintf("%s:s", user);
	_cleanup_free_ char *auth = base64_encode(plain, strlen(plain));
	_cleanup_free_ char *text = xasprintf("{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}", key, auth);

	write_file(path, text, 0600);
}

/* The user, "<none>", "<token>", or "<error>" with err; constant or in a static buffer. */
static const char *user_of(const char *host, const char *repository)
{
	_cleanup_(registry_access_done) struct registry_access access = { 0 };
	static char user[100];

	err_done(&err);
	if (registry_access_find(host, repository, &access, &err) < 0)
		return "<error>";
	if (access.identity_token)
		return "<token>";
	ck_assert_int_eq(!access.user, !access.secret);
	snprintf(user, sizeof(user), "%s", access.user ? access.user : "<none>");
	return user;
}

START_TEST(test_order)
{
	set_folder("XDG_CONFIG_HOME", "config");
	set_folder("DOCKER_CONFIG", "docker");
	ck_assert_str_eq(user_of("r.example", "a"), "<none>");
	write_login("home/.docker/config.json", "r.example", "not-asked");
	write_login("home/.config/containers/auth.json", "r.example", "not-asked");
	ck_assert_str_eq(user_of("r.example", "a"), "<none>");
	write_login("docker/config.json", "r.example", "third");
	ck_assert_str_eq(user_of("r.example", "a"), "third");
	write_login("config/containers/auth.json", "r.example", "second");
	ck_assert_str_eq(user_of("r.example", "a"), "second");
	write_login("run/containers/auth.json", "r.example", "first");
	ck_assert_str_eq(user_of("r.example", "a"), "first");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("DOCKER_CONFIG");
	write_file("run/containers/auth.json", "{}", 0600);
	write_login("home/.config/containers/auth.json", "r.example", "home-second");
	ck_assert_str_eq(user_of("r.example", "a"), "home-second");
	write_file("home/.config/containers/auth.json", "{\"auths\": null}", 0600);
	write_login("home/.docker/config.json", "r.example", "home-third");
	ck_assert_str_eq(user_of("r.example", "a"), "home-third");
	set_folder("REGISTRY_AUTH_FILE", "named.json");
	ck_assert_str_eq(user_of("r.example", "a"), "<error>");
	ck_assert_int_eq(err.code, ERR_AUTH);
	write_login("named.json", "other.example", "named");
	ck_assert_str_eq(user_of("r.example", "a"), "<none>");
	ck_assert_str_eq(user_of("other.example", "a"), "named");
}
END_TEST

static const struct {
	const char *key, *host, *repository;
	bool found;
} keys[] = {
	{ "r.example", "r.example", "a/b", true },
	{ "r.example/a", "r.example", "a/b", true },
	{ "r.example/a/b", "r.example", "a/b", true },
	{ "r.example/a/b", "r.example", "a/c", false },
	{ "r.example/a", "r.example", "ab", false },
	{ "r.example/a/b/c", "r.example", "a/b", false },
	{ "r.example:5000", "r.example", "a", false },
	{ "r.example", "r.example:5000", "a", false },
	{ "example", "r.example", "a", false },
	{ "https://r.example/v1/", "r.example", "a", true },
	{ "https://r.example", "r.example", "a", true },
	{ "https://r.example.org/v1/", "r.example", "a", false },
	{ "docker.io", "docker.io", "library/a", true },
	{ "docker.io/library", "docker.io", "library/a", true },
	{ "https://index.docker.io/v1/", "docker.io", "library/a", true },
	{ "https://index.docker.io/v1/", "r.example", "library/a", false },
	{ "docker.io", "r.example", "a", false },
};

START_TEST(test_key)
{
	write_login("run/containers/auth.json", keys[_i].key, "u");
	ck_assert_str_eq(user_of(keys[_i].host, keys[_i].repository), keys[_i].found ? "u" : "<none>");
}
END_TEST

START_TEST(test_most_specific)
{
	write_file("run/containers/auth.json",
		   "{\"auths\": {\"r.example\": {\"auth\": \"aG9zdDpz\"},"
		   " \"r.example/a\": {\"auth\": \"YTpz\"},"
		   " \"r.example/a/b\": {\"identitytoken\": \"t\", \"auth\": \"dTo=\"}}}", 0600);
	ck_assert_str_eq(user_of("r.example", "z"), "host");
	ck_assert_str_eq(user_of("r.example", "a"), "a");
	ck_assert_str_eq(user_of("r.example", "a/c/d"), "a");
	ck_assert_str_eq(user_of("r.example", "a/b"), "<token>");
	ck_assert_str_eq(user_of("r.example", "a/b/c"), "<token>");
}
END_TEST

/* Each of them ends the search, though a later file has a login. */
static const char *const broken[] = {
	"", " ", "{", "{\"auths\": {\"r.example\": {\"auth\": \"dTpz", "[]", "null", "{} {}",
	"{\"auths\": []}", "{\"credHelpers\": 1}", "{\"credsStore\": {}}",
	"{\"auths\": {\"r.example\": \"dTpz\"}}", "{\"auths\": {\"r.example\": {\"auth\": 1}}}",
	"{\"auths\": {\"r.example\": {\"auth\": \"dTpz*\"}}}",
	"{\"auths\": {\"r.example\": {\"auth\": \"dTpz=\"}}}",
	"{\"auths\": {\"r.example\": {\"auth\": \"dQ==\"}}}",
	"{\"auths\": {\"r.example\": {\"auth\": \"OnM=\"}}}",
	"{\"auths\": {\"r.example\": {\"auth\": \"dTpzAHQ=\"}}}",
	"{\"auths\": {\"r.example\": {\"registrytoken\": \"t\"}}}",
	"{\"auths\": {}, \"auths\": {}}",
	"{\"credsStore\": \"../../bin/sh\"}", "{\"credsStore\": \"-x\"}",
	"{\"credsStore\": \"of-nobody-at-all\"}",
	"{\"credHelpers\": {\"r.example\": \"of-nobody-at-all\"}}",
};

START_TEST(test_broken)
{
	write_login("home/.docker/config.json", "r.example", "later");
	ck_assert_str_eq(user_of("r.example", "a"), "later");
	write_file("run/containers/auth.json", broken[_i], 0600);
	ck_assert_str_eq(user_of("r.example", "a"), "<error>");
	ck_assert_int_eq(err.code, ERR_AUTH);
	ck_assert_ptr_nonnull(err.msg);
}
END_TEST

START_TEST(test_not_broken)
{
	/* what docker writes when a helper keeps the login, and NULs behind a secret */
	write_file("run/containers/auth.json",
		   "{\"auths\": {\"r.example\": {}, \"n.example\": {\"auth\": \"dTpzAAA=\"}},"
		   " \"credsStore\": \"\", \"credHelpers\": {\"o.example\": \"of-nobody\"},"
		   " \"detachKeys\": \"ctrl-a\", \"proxies\": {\"x\": [1, 2.5, true, null]}}", 0600);
	ck_assert_str_eq(user_of("r.example", "a"), "<none>");
	ck_assert_str_eq(user_of("n.example", "a"), "u");
	ck_assert_str_eq(user_of("o.example", "a"), "<error>");
}
END_TEST

START_TEST(test_access)
{
	_cleanup_(registry_access_done) struct registry_access access = { 0 };
	_cleanup_free_ char *path = xasprintf("%s/run/containers/auth.json", top);

	write_login("run/containers/auth.json", "r.example", "u");
	write_file("home/.config/duet/config.yaml",
		   "registries: {r.example: {plain_http: true, mirrors: [m.example]}}", 0600);
	ck_assert_int_eq(registry_access_find("r.example", "a", &access, &err), 0);
	ck_assert(access.plain_http);
	ck_assert_uint_eq(access.mirrors.count, 1);
	ck_assert_str_eq(access.secret, "s");
	ck_assert_str_eq(access.found_in, path);
	registry_access_done(&access);
	/* a mirror has its own word and its own login: none */
	ck_assert_int_eq(registry_access_find("m.example", "a", &access, &err), 0);
	ck_assert(!access.plain_http && !access.user && !access.found_in);
	write_file("home/.config/duet/config.yaml", "registries: {", 0600);
	ck_assert_int_eq(registry_access_find("m.example", "a", &access, &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_SYNTAX);
}
END_TEST

START_TEST(test_base64)
{
	static const char *const none[] = { "Z", "Zg=", "Zm9v=", "Zm9vY", "Z g=", "Zg==\n", "Zg===",
					    "=", "Zg==Zg==", "-_==" };
	size_t size;

	for (size_t length = 0; length < 100; length++) {
		_cleanup_free_ char *text = NULL, *back = NULL;
		unsigned char data[100];

		for (size_t i = 0; i < length; i++)
			data[i] = (unsigned char)(i * 37 + length * 101);
		text = base64_encode(data, length);
		ck_assert_uint_eq(strlen(text), (length + 2) / 3 * 4);
		back = base64_decode(text, &size);
		ck_assert(back && size == length && !memcmp(back, data, length));
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		ck_assert_msg(!base64_decode(none[i], &size), "%s", none[i]);
}
END_TEST

START_TEST(test_json_with)
{
	static const char text[] = "{\"z\": [1, {\"y\": null}], \"auths\": {\"a.b\": {\"auth\": \"x\"}}}";
	const char *const there[] = { "auths", "a.b", NULL };
	const char *const fresh[] = { "auths", "c.d", "auth", NULL };
	const char *const wrong[] = { "z", "c.d", NULL };
	_cleanup_free_ char *without = json_with(text, strlen(text), there, NULL);
	_cleanup_free_ char *with = json_with(without, strlen(without), fresh, "n");
	_cleanup_free_ char *value = NULL;

	ck_assert_int_eq(json_seek(without, strlen(without), there, NULL), JSON_FOUND_NOTHING);
	ck_assert_int_eq(json_seek(with, strlen(with), fresh, &value), JSON_FOUND_TEXT);
	ck_assert_str_eq(value, "n");
	ck_assert_ptr_nonnull(strstr(with, "\"y\": null"));
	ck_assert_ptr_null(json_with(text, strlen(text), wrong, "n"));
	ck_assert_ptr_null(json_with("{", 1, fresh, "n"));
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_order, 1 }, { test_key, (int)ARRAY_SIZE(keys) },
		{ test_most_specific, 1 }, { test_broken, (int)ARRAY_SIZE(broken) },
		{ test_not_broken, 1 }, { test_access, 1 }, { test_base64, 1 },
		{ test_json_with, 1 },
	};
	const struct unit unit = { "access", .setup = begin, .teardown = end };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
