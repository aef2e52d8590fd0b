/* Unpacking what is hostile: THREATS 2.1. Each row leaves the victim as it was. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/mem.h"
#include "tests/unit/builders/layer_fixture.h"
#include "tests/unit/unit.h"

/* A path of the victim, from outside, as an archive would name it. */
static char *victim(const char *name)
{
	return xasprintf("%s/victim%s", work.path, name);
}

static void refused(const char *why)
{
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
	ck_assert_msg(err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT, "%s", err.msg);
	ck_assert_msg(strstr(err.msg, why) != NULL, "\"%s\" not in: %s", why, err.msg);
}

static void assert_text(const char *path, const char *expected)
{
	_cleanup_free_ char *text = work_text(&work, path);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, expected);
}

/* What stands in the layer below. */
static void below(const char *path, mode_t mode, const char *link)
{
	_cleanup_free_ char *at = xasprintf("lower/%s", path);

	if (link)
		ck_assert_int_eq(symlinkat(link, work.top, at), 0);
	else if (S_ISDIR(mode))
		ck_assert_int_eq(mkdirat(work.top, at, 0700), 0);
	else
		ck_assert_int_eq(mknodat(work.top, at, S_IFREG, 0), 0);
	if (!link)
		ck_assert_int_eq(fchmodat(work.top, at, mode & 07777, 0), 0);
}

/* T1: the root may only be a folder. */
START_TEST(root_link)
{
	static const char *const names[] = { ".", "./", "/", "//." };
	static const char kinds[] = { '2', '0', '1', '6' };
	_cleanup_free_ char *target = victim("");

	tarmake_add(&tar, &(struct tarmake_entry){ .name = names[_i / 4], .link = target,
						   .type = kinds[_i % 4], .mode = 0777 });
	put('0', "pwn", "x");
	if (kinds[_i % 4] == '0' && names[_i / 4][strlen(names[_i / 4]) - 1] == '/') {
		/* a file whose name ends in "/" is a folder: old tars wrote them so */
		unpacked(false);
		assert_text("tree/pwn", "x");
		return;
	}
	refused("root");
	ck_assert_uint_eq(work_mode(&work, "tree"), S_IFDIR | 0755);
}
END_TEST

START_TEST(root_metadata)
{
	struct stat st;

	put('0', "f", "x");
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "./", .type = '5', .mode = 01750,
						   .uid = 7, .gid = 8, .mtime = 99 });
	unpacked(false);
	ck_assert_int_eq(fstatat(work.top, "tree", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 01750);
	ck_assert(st.st_uid == 7 && st.st_gid == 8 && st.st_mtim.tv_sec == 99);
}
END_TEST

/* T2: "..", and names that begin with a slash. */
START_TEST(dotdot)
{
	static const char *const names[] = { "../victim/dotdot", "/../victim/x", "a/../../v", "..",
					     "a/..", "./../victim/hello" };

	put('0', names[_i], "pwned");
	refused("\"..\"");
}
END_TEST

START_TEST(absolute)
{
	_cleanup_free_ char *name = victim("/hello"), *inside = xasprintf("tree%s", name);

	put('0', name, "inside");
	unpacked(false);
	assert_text(inside, "inside");
}
END_TEST

/* T3: writing through a link lands inside, whatever the link says. */
START_TEST(through_link)
{
	_cleanup_free_ char *target = victim(""), *inside = xasprintf("tree%s/pwn", target);

	put('2', "l", target);
	put('0', "l/pwn", "inside");
	unpacked(false);
	assert_text(inside, "inside");
	assert_text("tree/l", target);
}
END_TEST

START_TEST(through_relative_link)
{
	put('2', "l", "../../../victim");
	put('0', "l/pwn", "inside");
	unpacked(false);
	assert_text("tree/victim/pwn", "inside");
}
END_TEST

START_TEST(link_loop)
{
	put('2', "a", "b");
	put('2', "b", "a");
	put('0', "a/x", "x");
	refused("links");
}
END_TEST

START_TEST(last_link_is_replaced)
{
	_cleanup_free_ char *target = victim("/hello");

	put('2', "l", target);
	put('0', "l", "OWNED");
	unpacked(false);
	assert_text("tree/l", "OWNED");
	ck_assert_uint_eq(work_mode(&work, "tree/l"), S_IFREG | 0644);
}
END_TEST

/* T4: hard links to the outside, and to the folder where we run. */
START_TEST(hardlink_outside)
{
	_cleanup_free_ char *full = victim("/hello");
	const char *const targets[] = { "../victim/hello", full, "hello", "", "/", "a/../hello" };

	ck_assert_int_eq(fchdir(work.top), 0);
	ck_assert_int_eq(chdir("victim"), 0);
	put('1', "h", targets[_i]);
	refused("");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/h"), 0);
}
END_TEST

START_TEST(hardlink_to_folder)
{
	put('5', "d", NULL);
	put('1', "h", "d");
	refused("folder");
}
END_TEST

START_TEST(hardlink_to_whiteout)
{
	put('0', ".wh.gone", "");
	put('1', "h", "gone");
	refused("not in this layer");
}
END_TEST

START_TEST(hardlink_to_lower)
{
	below("f", S_IFREG | 0600, NULL);
	put('1', "h", "f");
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, true, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
}
END_TEST

START_TEST(hardlink_to_itself)
{
	put('0', "f", "kept");
	put('1', "f", "./f");
	put('1', "g", "/f");
	unpacked(false);
	assert_text("tree/f", "kept");
	assert_text("tree/g", "kept");
}
END_TEST

/* T5: a hard link to a link is the link itself; a name is unlinked before it is written. */
START_TEST(hardlink_to_symlink)
{
	_cleanup_free_ char *target = victim("/hello");

	put('2', "s", target);
	put('1', "h", "s");
	put('0', "h", "OWNED");
	put('1', "i", "s");
	unpacked(false);
	assert_text("tree/h", "OWNED");
	assert_text("tree/s", target);
	assert_text("tree/i", target);
}
END_TEST

START_TEST(hardlink_is_not_written_through)
{
	put('0', "a", "first");
	put('1', "b", "a");
	put('0', "b", "second");
	unpacked(false);
	assert_text("tree/a", "first");
	assert_text("tree/b", "second");
}
END_TEST

START_TEST(hardlink_through_links)
{
	_cleanup_free_ char *target = victim("");

	put('2', "d", target);
	put('1', "h", "d/hello");
	refused("not in this layer");
}
END_TEST

/* T6: mode and owner of a link that took a file's place. */
START_TEST(mode_of_link)
{
	_cleanup_free_ char *target = victim("/hello");
	struct stat st;

	put('0', "f", "x");
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '2', .name = "f", .link = target,
						   .mode = 06777, .uid = 5, .gid = 6, .mtime = 7 });
	unpacked(false);
	ck_assert_int_eq(fstatat(work.top, "tree/f", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISLNK(st.st_mode) && st.st_uid == 5 && st.st_gid == 6);
	ck_assert_int_eq(st.st_mtim.tv_sec, 7);
}
END_TEST

/* T7: what is set at the end does not follow what took the folder's place. */
START_TEST(folder_becomes_link)
{
	_cleanup_free_ char *target = victim("");

	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d/", .mode = 02500,
						   .mtime = 1 });
	put('0', "d/f", "x");
	put('2', "d", target);
	unpacked(false);
	assert_text("tree/d", target);
}
END_TEST

START_TEST(parent_becomes_link)
{
	_cleanup_free_ char *target = victim("");

	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "a", .mode = 0500,
						   .mtime = 1 });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "a/victim", .mode = 02511,
						   .mtime = 1 });
	put('2', "a", work.path);
	unpacked(false);
	ck_assert(S_ISLNK(work_mode(&work, "tree/a")));
}
END_TEST

/* T9: devices are counted, not made; 0:0 is refused. */
START_TEST(devices)
{
	struct stat st;

	tarmake_add(&tar, &(struct tarmake_entry){ .type = '3', .name = "dev/mem", .major = 1,
						   .minor = 1 });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '4', .name = "dev/sda", .major = 8 });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '6', .name = "dev/fifo", .mode = 0622,
						   .uid = 3 });
	unpacked(false);
	ck_assert_uint_eq(result.devices, 2);
	ck_assert_uint_eq(work_mode(&work, "tree/dev/mem"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/dev/sda"), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/dev/fifo", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(st.st_mode == (S_IFIFO | 0622) && st.st_uid == 3);
}
END_TEST

START_TEST(device_whiteout)
{
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '3', .name = "etc" });
	refused("0:0");
	ck_assert_uint_eq(work_mode(&work, "tree/etc"), 0);
}
END_TEST

/* T11: attributes that speak to the overlay or to the kernel's other machinery. */
START_TEST(xattrs)
{
	static const char *const dropped[] = {
		"user.overlay.redirect", "user.overlay.opaque", "user.overlay.metacopy",
		"trusted.overlay.opaque", "trusted.x", "security.selinux", "security.ima",
		"system.nfs4_acl",
	};
	struct str pax = { 0 };
	char names[1024], value[16];
	ssize_t length;

	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++) {
		_cleanup_free_ char *key = xasprintf("SCHILY.xattr.%s", dropped[i]);

		tarmake_record(&pax, key, "y", 1);
	}
	tarmake_record(&pax, "SCHILY.xattr.user.kept", "a\0b", 3);
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .pax = &pax });
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .pax = &pax });
	unpacked(false);
	str_done(&pax);
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *path = xasprintf("%s/tree/%s", work.path, i ? "d" : "f");

		length = listxattr(path, names, sizeof(names));
		ck_assert_int_eq(length, sizeof("user.kept"));
		ck_assert_str_eq(names, "user.kept");
		ck_assert_int_eq(getxattr(path, "user.kept", value, sizeof(value)), 3);
		ck_assert_mem_eq(value, "a\0b", 3);
	}
}
END_TEST

/* T12: whiteouts of nothing that has a name. */
START_TEST(bad_whiteouts)
{
	static const char *const names[] = { ".wh.", ".wh..", ".wh...", ".wh.a/b", "a/.wh.", "a/.wh..",
					     "a/.wh...", ".wh..wh.", ".wh..wh..opq/x",
					     ".wh..wh" };

	if (!strcmp(names[_i], ".wh..wh")) {
		put('0', names[_i], ""); /* of a file called ".wh": odd, and possible */
		unpacked(false);
		return;
	}
	put('0', names[_i], "");
	refused("whiteout");
}
END_TEST

START_TEST(opaque_behind_link)
{
	put('5', "real", NULL);
	put('2', "l", "real");
	put('0', "l/.wh..wh..opq", "");
	refused("opaque");
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ root_link, 16 }, { root_metadata, 1 }, { dotdot, 6 }, { absolute, 1 },
		{ through_link, 1 }, { through_relative_link, 1 }, { link_loop, 1 },
		{ last_link_is_replaced, 1 }, { hardlink_outside, 6 },
		{ hardlink_to_folder, 1 }, { hardlink_to_whiteout, 1 },
		{ hardlink_to_lower, 1 }, { hardlink_to_itself, 1 },
		{ hardlink_to_symlink, 1 }, { hardlink_is_not_written_through, 1 },
		{ hardlink_through_links, 1 }, { mode_of_link, 1 },
		{ folder_becomes_link, 1 }, { parent_becomes_link, 1 }, { devices, 1 },
		{ device_whiteout, 1 }, { xattrs, 1 }, { bad_whiteouts, 10 },
		{ opaque_behind_link, 1 },
	};
	const struct unit unit = { "unpack", .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
