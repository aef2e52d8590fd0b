/* passwd.c and rootfs_user.c: who is meant, and what is refused (never root by accident). */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>

#include "core/passwd.h"
#include "core/rootfs.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "# comment\n"
			     "\n"
			     "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
			     "1000:x:0:0::/root:/bin/sh\n"
			     "-1:x:0:0::/root:/bin/sh\n"
			     "0x0:x:0:0::/root:/bin/sh\n"
			     "web:x:33:33::/var/www:/bin/sh\n"
			     "web:x:0:0::/second:/bin/sh\n"
			     "bare:x:40:41:::\n"
			     "+::::::\n";
static const char group[] = "root:x:0:\n"
			    "www:x:33:web\n"
			    "audio:x:29:daemon,web\n"
			    "again:x:29:web\n"
			    "video:x:44:webmaster,xweb,web\n"
			    "5:x:0:web2\n";

static int resolve(const char *user, const char *p, const char *g, struct identity *ret)
{
	struct passwd_text pt = { p, p ? strlen(p) : 0 }, gt = { g, g ? strlen(g) : 0 };
	struct err err = { 0 };
	int result = passwd_identity(user, &pt, &gt, ret, &err);

	if (result < 0) {
		ck_assert_int_eq(err.code, ERR_JOB_USER);
		ck_assert_ptr_nonnull(err.msg);
		for (const char *c = err.msg; *c; c++)
			ck_assert_int_ge((unsigned char)*c, 0x20);
	} else {
		ck_assert_int_eq(err.code, 0);
	}
	err_done(&err);
	return result;
}

static void done(struct identity *identity)
{
	free(identity->home);
	free(identity->name);
	*identity = (struct identity){ 0 };
}

static const struct {
	const char *user;
	uint32_t uid, gid, groups;
	const char *home, *name;
} good[] = {
	{ NULL, 0, 0, 0, "/root", "root" },
	{ "", 0, 0, 0, "/root", "root" },
	{ "root", 0, 0, 0, "/root", "root" },
	{ "web", 33, 33, 2, "/var/www", "web" },
	{ "33", 33, 33, 2, "/var/www", "web" },
	{ "web:www", 33, 33, 0, "/var/www", "web" },
	{ "web:video", 33, 44, 0, "/var/www", "web" },
	{ "web:7", 33, 7, 0, "/var/www", "web" },
	{ "web:5", 33, 5, 0, "/var/www", "web" },	/* digits are an id, not the group "5" */
	{ "1000", 1000, 0, 0, "/", NULL },		/* nor the user "1000", who is uid 0 */
	{ "1000:1000", 1000, 1000, 0, "/", NULL },
	{ "4294967293", 4294967293u, 0, 0, "/", NULL },
	{ "bare", 40, 41, 0, "/", "bare" },
	{ "daemon", 1, 1, 1, "/usr/sbin", "daemon" },
};

START_TEST(test_good)
{
	struct identity who = { 0 };

	ck_assert_int_eq(resolve(good[_i].user, passwd, group, &who), 0);
	ck_assert_uint_eq(who.uid, good[_i].uid);
	ck_assert_uint_eq(who.gid, good[_i].gid);
	ck_assert_uint_eq(who.group_count, good[_i].groups);
	ck_assert_str_eq(who.home, good[_i].home);
	ck_assert_pstr_eq(who.name, good[_i].name);
	done(&who);
}
END_TEST

START_TEST(test_groups_in_order)
{
	struct identity who = { 0 };

	ck_assert_int_eq(resolve("web", passwd, group, &who), 0);
	ck_assert_uint_eq(who.groups[0], 29);
	ck_assert_uint_eq(who.groups[1], 44);
	done(&who);
}
END_TEST

static const char *const bad[] = {
	"4294967294",  "4294967295",
	"4294967296",  "18446744073709551616",
	"-1",	       "+0",
	"0x0",	       " 0",
	"0 ",	       "00",
	"010",	       "1000:",
	":",	       ":0",
	"0:",	       "0:-1",
	"0:0:0",       "web:4294967296",
	"web:www:",    "nobody",
	"web:nogroup", "we\nb",
	"\033[2J",     "0\t",
	"web ",	       "٣",
	".web",	       "-web",
};

START_TEST(test_bad)
{
	struct identity who = { .uid = 77 };

	ck_assert_int_eq(resolve(bad[_i], passwd, group, &who), -1);
	ck_assert_uint_eq(who.uid, 77);
}
END_TEST

/* Each is refused for every user, whichever line is at fault. */
static const char *const bad_files[] = {
	"web:x:33:33::/w:/sh\nx:x::0::/:/sh\n",
	"web:x:33:33::/w:/sh\nx:x:-1:0::/:/sh\n",
	"web:x:33:33::/w:/sh\nx:x:4294967296:0::/:/sh\n",
	"web:x:33:33::/w:/sh\nx:x:1:0x0::/:/sh\n",
	"web:x: 33:33::/w:/sh\n",
	"web:x:033:33::/w:/sh\n",
	"web:x:33:33:/w:/sh\n",
	"web:x:33:33::/w:/sh:more\n",
	"web:x:33:33::relative:/sh\n",
	"web:x:33:33::/w\033[2J:/sh\n",
	"web:x:33:33::/w\r:/sh\n",
	"web\n",
};

START_TEST(test_bad_files)
{
	struct identity who = { 0 };

	ck_assert_int_eq(resolve("web", bad_files[_i], group, &who), -1);
	ck_assert_int_eq(resolve("33", bad_files[_i], group, &who), -1);
}
END_TEST

/* What is behind a NUL is no comment: the line is refused, though what stands before it would do. */
static const struct {
	const char *text;
	size_t size;
} nul_files[] = {
#define WITH_SIZE(text) { text, sizeof(text) - 1 }
	WITH_SIZE("web:x:33:33::/w:\0:x:0:0::/:/sh\n"),
	WITH_SIZE("web:x:33:33::/w:/sh\0\n"),
	WITH_SIZE("web:x:33:33::/w:/sh\nx\0y:x:0:0::/:/sh\n"),
	WITH_SIZE("web:x:33:33::/w:/sh\nx:x:1:1::/:/sh\0root:x:0:0::/:/sh\n"),
};

START_TEST(test_nul)
{
	struct passwd_text text = { nul_files[_i].text, nul_files[_i].size }, none = { NULL, 0 };
	struct identity who = { 0 };
	struct err err = { 0 };

	ck_assert_int_eq(passwd_identity("web", &text, &none, &who, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "a NUL in it"));
	err_done(&err);
}
END_TEST

static const char *const bad_groups[] = {
	"www:x:33:web\nx:x::web\n", "www:x:33:web\nx:x:4294967296:\n", "www:x:33\n",
	"www:x:33:web:\n", "www:x:+33:web\n",
};

START_TEST(test_bad_groups)
{
	struct identity who = { 0 };

	ck_assert_int_eq(resolve("web", passwd, bad_groups[_i], &who), -1);
	ck_assert_int_eq(resolve("web:www", passwd, bad_groups[_i], &who), -1);
	/* nothing has to be looked up in it */
	ck_assert_int_eq(resolve("web:33", passwd, bad_groups[_i], &who), 0);
	done(&who);
}
END_TEST

START_TEST(test_absent)
{
	struct identity who = { 0 };

	ck_assert_int_eq(resolve(NULL, NULL, NULL, &who), 0);
	ck_assert_uint_eq(who.uid, 0);
	ck_assert_str_eq(who.home, "/");
	done(&who);
	ck_assert_int_eq(resolve("root", NULL, NULL, &who), 0);
	ck_assert_uint_eq(who.uid, 0);
	done(&who);
	ck_assert_int_eq(resolve("12:13", NULL, NULL, &who), 0);
	ck_assert_uint_eq(who.uid, 12);
	ck_assert_uint_eq(who.gid, 13);
	done(&who);
	ck_assert_int_eq(resolve("web", NULL, group, &who), -1);
	ck_assert_int_eq(resolve("12:www", passwd, NULL, &who), -1);
	/* a passwd without root is no reason to guess */
	ck_assert_int_eq(resolve("root", "web:x:33:33::/w:/sh\n", group, &who), -1);
}
END_TEST

START_TEST(test_limits)
{
	static char text[PASSWD_LINE_MAX * 2];
	struct identity who = { 0 };
	size_t used = 0;
	int head = snprintf(text, sizeof(text), "web:x:33:33:");

	memset(text + head, 'g', sizeof(text) - (size_t)head);
	memcpy(text + PASSWD_LINE_MAX - 6, ":/w:/s", 7);
	ck_assert_uint_eq(strlen(text), PASSWD_LINE_MAX);
	ck_assert_int_eq(resolve("web", text, NULL, &who), 0);
	done(&who);
	memcpy(text + PASSWD_LINE_MAX - 5, ":/w:/s", 7);
	memset(text + PASSWD_LINE_MAX - 6, 'g', 1);
	ck_assert_uint_eq(strlen(text), PASSWD_LINE_MAX + 1);
	ck_assert_int_eq(resolve("web", text, NULL, &who), -1);

	for (int i = 0; i < JOB_GROUPS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "g%d:x:%d:web\n", i, 100 + i);
	ck_assert_int_eq(resolve("web", passwd, text, &who), 0);
	ck_assert_uint_eq(who.group_count, JOB_GROUPS_MAX);
	done(&who);
	snprintf(text + used, sizeof(text) - used, "last:x:9:web");
	ck_assert_int_eq(resolve("web", passwd, text, &who), -1);
}
END_TEST

/* What rootfs_open gives below: the sizes of the two files; -1: absent, -2: refused. */
static off_t passwd_size, group_size;

int rootfs_open(const struct rootfs *rootfs, const char *path, struct err *err)
{
	bool is_passwd = !strcmp(path, "/etc/passwd");
	off_t size = is_passwd ? passwd_size : group_size;
	int fd;

	(void)rootfs;
	if (size == -1)
		return err_sys(err, ENOENT, "open %s", path);
	if (size == -2)
		return err_sys(err, ELOOP, "open %s", path);
	fd = memfd_create("file", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(write(fd, is_passwd ? passwd : group,
			       strlen(is_passwd ? passwd : group)), 0);
	if (size > 0)
		ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

START_TEST(test_rootfs)
{
	struct identity who = { 0 };
	struct err err = { 0 };

	passwd_size = group_size = 0;
	ck_assert_int_eq(rootfs_identity(NULL, "web", &who, &err), 0);
	ck_assert_uint_eq(who.uid, 33);
	ck_assert_uint_eq(who.group_count, 2);
	done(&who);

	passwd_size = group_size = -1;
	ck_assert_int_eq(rootfs_identity(NULL, "5:6", &who, &err), 0);
	ck_assert_uint_eq(who.gid, 6);
	ck_assert_int_eq(err.code, 0);
	done(&who);

	group_size = -2;
	ck_assert_int_eq(rootfs_identity(NULL, "5:6", &who, &err), -1);
	ck_assert_int_eq(err.code, ERR_JOB_USER);
	err_done(&err);

	group_size = 2ll << 30;
	ck_assert_int_eq(rootfs_identity(NULL, "5:6", &who, &err), -1);
	ck_assert_int_eq(err.code, ERR_JOB_USER);
	err_done(&err);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_good, ARRAY_SIZE(good) }, { test_bad, ARRAY_SIZE(bad) },
		{ test_bad_files, ARRAY_SIZE(bad_files) },
		{ test_nul, ARRAY_SIZE(nul_files) },
		{ test_bad_groups, ARRAY_SIZE(bad_groups) }, { test_groups_in_order, 1 },
		{ test_absent, 1 }, { test_limits, 1 }, { test_rootfs, 1 },
	};
	const struct unit unit = { "passwd" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
