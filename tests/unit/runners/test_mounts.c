/* The mount list of a container against its golden files. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "runners/mounts.h"
#include "tests/unit/unit.h"

static void compare(const struct job *job, bool single_uid, const char *golden)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = xasprintf("%s/tests/golden/mounts/%s",
					      srcdir ? srcdir : ".", golden);
	_cleanup_free_ char *wanted = NULL, *got = NULL;
	struct mount_list list;
	struct err err = { 0 };

	ck_assert_msg(fs_read_file(AT_FDCWD, path, 65536, &wanted, NULL, &err) == 0, "%s",
		      err.msg);
	mounts_plan(job, single_uid, &list);
	got = mounts_text(&list);
	mounts_done(&list);
	ck_assert_str_eq(got, wanted);
}

START_TEST(test_default)
{
	struct job job = { .hostname = "box" };

	compare(&job, false, "default.txt");
}
END_TEST

START_TEST(test_everything)
{
	struct mount mounts[] = {
		{ .kind = MOUNT_BIND, .source = "/home/a/src", .target = "/src" },
		{ .kind = MOUNT_BIND, .source = "/home/a/o\033k", .target = "/ok", .read_only = true },
		{ .kind = MOUNT_TMPFS, .target = "/tmp", .size_bytes = 1 << 20, .mode = 01777 },
		{ .kind = MOUNT_TMPFS, .target = "/run", .mode = 0755 },
	};
	struct job job = { .hostname = "box", .mounts = mounts, .mount_count = ARRAY_SIZE(mounts),
			   .read_only = true, .machine_id = "0123456789abcdef0123456789abcdef" };

	compare(&job, true, "everything.txt");
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_default, 1 }, { test_everything, 1 },
	};
	const struct unit unit = { "mounts" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
