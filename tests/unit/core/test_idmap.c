/* Id maps of real namespaces, as root, as nested root and as ordinary users. Texts: test_idmap_texts.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/jail/idmap.h"
#include "core/mem.h"
#include "core/proc.h"

static void skipped(const char *what, const char *why)
{
	fprintf(stderr, "skipped %s: %s\n", what, why);
}

/* --- namespaces --------------------------------------------------------------------- */

struct waiting {
	pid_t pid;
	int go; /* closing it lets the child end: with 0 when it could become root */
};

static bool start_waiting(struct waiting *ret)
{
	int ready[2], go[2];
	char byte = 0;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
		return false;
	ret->pid = fork();
	if (ret->pid == 0) {
		close(go[1]);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "r", 1) != 1 ||
		    read(go[0], &byte, 1) != 0)
			_exit(1);
		_exit(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0 && getuid() == 0
			  ? 0
			  : 2);
	}
	close(ready[1]);
	close(go[0]);
	ret->go = go[1];
	if (ret->pid > 0 && read(ready[0], &byte, 1) != 1)
		byte = 0;
	close(ready[0]);
	return byte == 'r';
}

static int end_waiting(struct waiting *waiting)
{
	close(waiting->go);
	return proc_wait(waiting->pid);
}

START_TEST(test_vary)
{
	struct idmap map = {
		.kind = IDMAP_SUBIDS, .uid_extents = 2, .gid_extents = 2,
		.uids = { { 0, 1000, 1 }, { 1, 100000, 65536 } },
		.gids = { { 0, 100, 1 }, { 1, 200000, 5 } },
	};
	struct idmap single = { .kind = IDMAP_SINGLE, .uid_extents = 1, .gid_extents = 1,
				.uids = { { 0, 1000, 1 } }, .gids = { { 0, 100, 1 } } };
	uint32_t id;

	ck_assert(idmap_vary(&map));
	ck_assert(idmap_uid_outside(&map, 0, &id) && id == 1000);
	ck_assert(idmap_uid_outside(&map, 1, &id) && id == 132768);
	ck_assert(idmap_uid_outside(&map, 32768, &id) && id == 165535);
	ck_assert(idmap_uid_outside(&map, 32769, &id) && id == 100000);
	ck_assert(idmap_uid_outside(&map, 65536, &id) && id == 132767);
	ck_assert(!idmap_uid_outside(&map, 65537, &id));
	ck_assert(idmap_uid_inside(&map, 132768, &id) && id == 1);
	ck_assert(idmap_uid_inside(&map, 132767, &id) && id == 65536);
	ck_assert(!idmap_uid_inside(&map, 165536, &id));
	ck_assert(idmap_gid_inside(&map, 100, &id) && id == 0);
	ck_assert(!idmap_gid_inside(&map, 99, &id));
	/* an odd number: nobody is lost, nobody stands for two */
	ck_assert(idmap_gid_outside(&map, 1, &id) && id == 200003);
	ck_assert(idmap_gid_outside(&map, 2, &id) && id == 200004);
	ck_assert(idmap_gid_outside(&map, 3, &id) && id == 200000);
	ck_assert(idmap_gid_outside(&map, 5, &id) && id == 200002);
	ck_assert(!idmap_gid_outside(&map, 6, &id));
	ck_assert_ptr_nonnull(strstr(map.id, "map-"));
	ck_assert(!idmap_vary(&single));
	ck_assert_uint_eq(single.uid_extents, 1);
}
END_TEST

/* What /proc/PID/FILE holds, as idmap_text would write it; "" when it cannot be read. */
static void read_map(pid_t pid, const char *file, char ret[512])
{
	unsigned int inside, outside, count;
	char path[64];
	FILE *stream;

	ret[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	stream = fopen(path, "re");
	while (stream && fscanf(stream, "%u %u %u", &inside, &outside, &count) == 3)
		sprintf(ret + strlen(ret), "%u %u %u\n", inside, outside, count);
	if (stream)
		fclose(stream);
}

static bool child_has(pid_t pid, const char *file, const struct idmap_extent *extents,
		      uint32_t count)
{
	_cleanup_free_ char *expected = idmap_text(extents, count);
	char text[512];

	read_map(pid, file, text);
	return strcmp(text, expected) == 0;
}

/* Finds a map, writes it for a child, and compares. 0, or the number of the step that
 * failed. */
static int map_a_child(bool force_single, enum idmap_kind kind, struct idmap *ret,
		       const char **ret_why)
{
	struct err err = { 0 };
	struct waiting child;

	if (idmap_find(ret, force_single, ret_why, &err) < 0 || ret->kind != kind)
		return 11;
	if (!start_waiting(&child))
		return 12;
	if (idmap_write(ret, child.pid, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return 13;
	}
	if (!child_has(child.pid, "uid_map", ret->uids, ret->uid_extents))
		return 14;
	if (!child_has(child.pid, "gid_map", ret->gids, ret->gid_extents))
		return 15;
	return end_waiting(&child) == 0 ? 0 : 16;
}

START_TEST(test_root)
{
	struct idmap map;
	const char *why = "";
	char own[512];

	read_map(getpid(), "uid_map", own);
	if (geteuid() != 0 || strcmp(own, "0 0 4294967295\n") != 0)
		return skipped("as root", "not root of the first user namespace");
	ck_assert_int_eq(map_a_child(false, IDMAP_RANGE, &map, &why), 0);
	ck_assert_ptr_null(why);
	ck_assert_str_eq(map.id, "range");
	ck_assert_uint_eq(map.uids[0].outside, IDMAP_ROOT_BASE);
	ck_assert_uint_eq(map.uids[0].count, 65536);
	ck_assert_int_eq(map_a_child(true, IDMAP_SINGLE, &map, &why), 0);
	ck_assert_ptr_null(why);
	ck_assert_str_eq(map.id, "single-0");
}
END_TEST

/* In a child that is root of a namespace with `count` ids. */
static int as_nested_root(uint32_t count, int (*code)(void))
{
	struct idmap outer = {
		.kind = IDMAP_RANGE,
		.uids = { { 0, IDMAP_ROOT_BASE, count } }, .uid_extents = 1,
		.gids = { { 0, IDMAP_ROOT_BASE, count } }, .gid_extents = 1,
	};
	struct err err = { 0 };
	int ready[2], go[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "r", 1) != 1 ||
		    read(go[0], &byte, 1) != 0 || setresgid(0, 0, 0) < 0 ||
		    setresuid(0, 0, 0) < 0)
			_exit(99);
		prctl(PR_SET_DUMPABLE, 1);
		_exit(code());
	}
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(idmap_write(&outer, pid, &err), 0);
	close(go[1]);
	return proc_wait(pid);
}

static int nested_shares(void)
{
	const char *why = NULL;
	struct idmap map;
	int result = map_a_child(false, IDMAP_SUBIDS, &map, &why);

	if (result != 0)
		return result;
	if (!why || !strstr(why, "fixed range"))
		return 1;
	return strcmp(map.id, "sub-0-1-65535") == 0 ? 0 : 2;
}

static int nested_too_small(void)
{
	const char *why = NULL;
	struct idmap map;
	int result = map_a_child(false, IDMAP_SINGLE, &map, &why);

	if (result != 0)
		return result;
	return why && strstr(why, "fewer than 1000") ? 0 : 1;
}

START_TEST(test_nested_root)
{
	if (geteuid() != 0)
		return skipped("as nested root", "not root");
	ck_assert_int_eq(as_nested_root(65536, nested_shares), 0);
	ck_assert_int_eq(as_nested_root(10, nested_too_small), 0);
}
END_TEST

/* --- ordinary users ----------------------------------------------------------------- */

static char with_subids[32], without_subids[32];
static bool have_users;

/* Runs a program of the host quietly; true when it ended with 0. */
static bool run(const char *name, const char *const *args)
{
	_cleanup_free_ char *path = proc_find_helper(name);
	_cleanup_(strv_done) struct strv argv = { 0 };
	pid_t pid;

	strv_add(&argv, name);
	for (; *args; args++)
		strv_add(&argv, *args);
	pid = path ? fork() : -1;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execv(path, argv.items);
		_exit(127);
	}
	return pid > 0 && proc_wait(pid) == 0;
}

static void make_users(void)
{
	const char *const ordinary[] = { "--no-create-home", with_subids, NULL };
	const char *const system[] = {"--system", "--no-create-home", without_subids,
				      NULL};
	_cleanup_free_ char *newuidmap = proc_find_helper("newuidmap");

	if (geteuid() != 0 || !newuidmap)
		return;
	snprintf(with_subids, sizeof(with_subids), "duet-t%d", (int)getpid());
	snprintf(without_subids, sizeof(without_subids), "duet-s%d", (int)getpid());
	have_users = run("useradd", ordinary) && run("useradd", system);
}

static void remove_users(void)
{
	const char *const first[] = { with_subids, NULL };
	const char *const second[] = { without_subids, NULL };

	if (!with_subids[0])
		return;
	run("userdel", first);
	run("userdel", second);
}

static int as_user(const char *name, int (*code)(void))
{
	const struct passwd *user = getpwnam(name);
	pid_t pid;

	ck_assert_ptr_nonnull(user);
	pid = fork();
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 ||
		    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
		    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0 ||
		    prctl(PR_SET_DUMPABLE, 1) < 0)
			_exit(99);
		_exit(code());
	}
	return proc_wait(pid);
}

static int user_with_subids(void)
{
	const char *why = "";
	struct idmap map;
	int result = map_a_child(false, IDMAP_SUBIDS, &map, &why);

	if (result != 0)
		return result;
	if (why || map.uids[0].outside != getuid() || map.uids[0].count != 1 ||
	    map.uids[1].inside != 1 || map.uids[1].count < 1000)
		return 1;
	return map_a_child(true, IDMAP_SINGLE, &map, &why);
}

/* newuidmap refuses what /etc/subuid does not give: its own words are in the error. */
static int user_asks_too_much(void)
{
	struct idmap map = { .kind = IDMAP_SUBIDS, .uid_extents = 2, .gid_extents = 1 };
	struct err err = { 0 };
	struct waiting child;
	int result = 0;

	map.uids[0] = (struct idmap_extent){ 0, getuid(), 1 };
	map.uids[1] = (struct idmap_extent){ 1, 1, 1 };
	map.gids[0] = (struct idmap_extent){ 0, getgid(), 1 };
	if (!start_waiting(&child))
		return 1;
	if (idmap_write(&map, child.pid, &err) == 0)
		result = 2;
	else if (err.code != ERR_HOST || !strstr(err.msg, "newuidmap") ||
		 !strstr(err.msg, "uid range"))
		result = 3;
	end_waiting(&child);
	/* both helpers were waited for */
	return result						     ? result
	       : waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0
								     : 4;
}

static int single_because(const char *clause)
{
	const char *why = NULL;
	struct idmap map;
	int result = map_a_child(false, IDMAP_SINGLE, &map, &why);

	if (result != 0)
		return result;
	if (!why || !strstr(why, clause) || map.uid_extents != 1 ||
	    map.uids[0].outside != getuid())
		return 1;
	return map.uids[1].count == 0 ? 0 : 2;
}

static int user_without_subids(void)
{
	return single_because("/etc/subuid");
}

static int user_no_new_privs(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return single_because("no_new_privs");
}

START_TEST(test_users)
{
	if (!have_users)
		return skipped("as ordinary users",
			       "not root, or no useradd or newuidmap");
	ck_assert_int_eq(as_user(with_subids, user_with_subids), 0);
	ck_assert_int_eq(as_user(with_subids, user_asks_too_much), 0);
	ck_assert_int_eq(as_user(with_subids, user_no_new_privs), 0);
	ck_assert_int_eq(as_user(without_subids, user_without_subids), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("idmap");
	TCase *spaces = tcase_create("namespaces");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, spaces);
	/* not in the tests' own processes, so that the users go even when a test dies */
	tcase_add_unchecked_fixture(spaces, make_users, remove_users);
	tcase_set_timeout(spaces, 60);
	tcase_add_test(spaces, test_vary);
	tcase_add_test(spaces, test_root);
	tcase_add_test(spaces, test_nested_root);
	tcase_add_test(spaces, test_users);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
