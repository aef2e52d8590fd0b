/* Paths of the host that a spec names: what is beneath the project, what is allowed, what is neither. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/host_path.h"
#include "core/path.h"
#include "tests/unit/unit.h"

static char top[] = "/tmp/duet-host-path.XXXXXX";
static struct host_paths *host;
static struct allowed allowed;
static struct err err;

static void make(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void set_up(void)
{
	_cleanup_free_ char *dir = NULL, *inside = NULL;

	strcpy(top + strlen(top) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(chdir(top), 0);
	ck_assert_int_eq(mkdir("p", 0755) | mkdir("p/sub", 0755) | mkdir("out", 0755), 0);
	make("p/file", "in");
	make("out/file", "out");
	inside = path_join(top, "p/file");
	ck_assert_int_eq(symlink(inside, "p/absolute"), 0);
	ck_assert_int_eq(symlink("../file", "p/sub/up"), 0);
	ck_assert_int_eq(symlink("../out", "p/way"), 0);
	ck_assert_int_eq(symlink("../out/file", "p/link"), 0);
	ck_assert_int_eq(symlink("file", "out/link"), 0);
	ck_assert_int_eq(symlink("../out/missing", "p/dangling"), 0);
	ck_assert_int_eq(symlink("/proc/self/root", "p/magic"), 0);
	dir = path_join(top, "p");
	host = host_paths_new(dir, &err);
	ck_assert_ptr_nonnull(host);
	host->allowed = &allowed;
}

static void tear_down(void)
{
	host_paths_free(host);
	allowed_done(&allowed);
	err_done(&err);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, top, &err), 0);
}

static void allow(const char *name)
{
	_cleanup_free_ char *path = path_join(top, name), *word = xasprintf("paths=%s", path);

	ck_assert_int_eq(allowed_add(&allowed, word, NULL, &err), 0);
}

/* 0 when it has this text, else the error's code. `name` is relative to the project. */
static int read_of(const char *name, const char *text)
{
	_cleanup_free_ char *path = path_join(host->dir, name), *got = NULL;
	size_t size;

	err_done(&err);
	if (host_path_read(host, "key", path, 100, &got, &size, &err) < 0)
		return err.code;
	ck_assert_str_eq(got, text);
	return 0;
}

START_TEST(test_project)
{
	ck_assert_int_eq(read_of("file", "in"), 0);
	ck_assert_int_eq(read_of("sub/../file", "in"), 0);
	ck_assert_int_eq(read_of("sub/up", "in"), 0);
	ck_assert_int_eq(read_of("../p/file", "in"), 0);
	ck_assert_int_eq(read_of("way/../p/file", "in"), 0);
	ck_assert_int_eq(read_of("absolute", "in"), 0);
	ck_assert_int_eq(read_of("missing", ""), -ENOENT);
	ck_assert_int_eq(read_of("sub/../missing", ""), -ENOENT);
	ck_assert_int_eq(read_of("sub", ""), -EINVAL);
}
END_TEST

/* whether it is there or not: who may not read it is not told */
static const char *const outside[] = {
	"../out/file", "../out/missing", "/etc/hostname", "/etc/missing", "way/file", "way/missing", "link",
	"sub/../../out/file", "magic/etc/hostname", "..", "../px/file", "dangling", "../out/x/y/../z",
};

START_TEST(test_outside)
{
	ck_assert_int_eq(read_of(outside[_i], ""), ERR_ALLOW);
	/* less than it takes, a name's beginning, another kind */
	allow("out/other");
	allow("ou");
	ck_assert_int_eq(allowed_add(&allowed, "mounts,seccomp", NULL, &err), 0);
	ck_assert_int_eq(read_of(outside[_i], ""), ERR_ALLOW);
	ck_assert_ptr_nonnull(strstr(err.mend, "--allow 'paths=/"));
}
END_TEST

START_TEST(test_allowed)
{
	allow("out");
	ck_assert_int_eq(read_of("../out/file", "out"), 0);
	ck_assert_int_eq(read_of("way/file", "out"), 0);
	ck_assert_int_eq(read_of("link", "out"), 0);
	ck_assert_int_eq(read_of("../out/link", "out"), 0);
	ck_assert_int_eq(read_of("../out/missing", ""), -ENOENT);
	ck_assert_int_eq(read_of("way/missing/x", ""), -ENOENT);
	ck_assert_int_eq(read_of("/etc/hostname", ""), ERR_ALLOW);
	/* a link in an allowed folder gets no more than that folder */
	ck_assert_int_eq(symlink("/etc/hostname", "out/etc"), 0);
	ck_assert_int_eq(read_of("../out/etc", ""), ERR_ALLOW);
}
END_TEST

START_TEST(test_allowed_file)
{
	allow("out/file");
	ck_assert_int_eq(read_of("../out/file", "out"), 0);
	ck_assert_int_eq(read_of("link", "out"), 0);
	make("out/other", "other");
	ck_assert_int_eq(read_of("../out/other", ""), ERR_ALLOW);
	ck_assert_int_eq(allowed_add(&allowed, "paths", NULL, &err), 0);
	ck_assert_int_eq(read_of("../out/other", "other"), 0);
}
END_TEST

/* What is copied is the link itself. */
START_TEST(test_no_follow)
{
	_cleanup_free_ char *link = path_join(host->dir, "link"), *far = path_join(top, "out/link");
	struct stat st;
	int fd = host_path_open(host, "copy", link, O_PATH | O_NOFOLLOW, &err);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	close(fd);
	ck_assert_int_eq(host_path_open(host, "copy", far, O_PATH | O_NOFOLLOW, &err), -1);
	ck_assert_int_eq(err.code, ERR_ALLOW);
	allow("out/link");
	fd = host_path_open(host, "copy", far, O_PATH | O_NOFOLLOW, &err);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	close(fd);
}
END_TEST

START_TEST(test_no_project)
{
	ck_assert_int_eq(host_path_open(NULL, "copy", "/etc/hostname", O_PATH, &err), -1);
	ck_assert_int_eq(err.code, ERR_ALLOW);
}
END_TEST

static const struct {
	const char *path, *normal;
	bool is_out;	/* of /p, by its text */
} texts[] = {
	{ "/p", "/p", false }, { "/p/a/../b", "/p/b", false }, { "/p/../p/a", "/p/a", false },
	{ "/p/..", "/", true }, { "/p/../../..", "/", true }, { "/p/../q", "/q", true },
	{ "/px", "/px", true }, { "//p//./a/", "/p/a", false }, { "/", "/", true },
};

START_TEST(test_texts)
{
	_cleanup_free_ char *normal = path_normal(texts[_i].path);

	ck_assert_str_eq(normal, texts[_i].normal);
	ck_assert(host_path_leads_out(NULL, "/p", texts[_i].path, 0) == texts[_i].is_out);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_project, 1 },	   { test_outside, ARRAY_SIZE(outside) },
		{ test_allowed, 1 },	   { test_allowed_file, 1 },
		{ test_no_follow, 1 },	   { test_no_project, 1 },
		{ test_texts, ARRAY_SIZE(texts) },
	};
	const struct unit unit = { "host paths", .setup = set_up, .teardown = tear_down };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
