/* Making layers: the same input gives the same bytes, and what is made unpacks to what was meant. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/select.h"
#include "tests/unit/builders/pack_fixture.h"
#include "tests/unit/unit.h"

START_TEST(copy_folder)
{
	make_source();
	open_source("source");
	args.to = "/var/www";
	args.owner_uid = 33;
	args.owner_gid = 34;
	pack_and_unpack();
	ck_assert_uint_eq(result.entries, 6);
	assert_entry("tree/var/www/z", S_IFREG | 0644, 33, LAYER_TIME);
	assert_entry("tree/var/www/y", S_IFREG | 0644, 33, LAYER_TIME);
	assert_entry("tree/var/www/a-b", S_IFREG | 0755, 33, LAYER_TIME);
	assert_entry("tree/var/www/a", S_IFDIR | 0755, 33, LAYER_TIME);
	assert_entry("tree/var/www/a/f", S_IFREG | 0644, 33, LAYER_TIME);
	assert_entry("tree/var/www/l", S_IFLNK | 0777, 33, LAYER_TIME);
}
END_TEST

START_TEST(copy_mode)
{
	make_source();
	open_source("source");
	args.has_mode = true;
	args.mode = 0640;
	pack_and_unpack();
	assert_entry("tree/a-b", S_IFREG | 0640, 0, LAYER_TIME);
	assert_entry("tree/a", S_IFDIR | 0750, 0, LAYER_TIME);
}
END_TEST

START_TEST(copy_file)
{
	_cleanup_free_ char *text = NULL;

	make_source();
	open_source("source/z");
	selection.into = _i;
	args.to = _i ? "/etc/conf.d/" : "/etc/renamed";
	pack_and_unpack();
	ck_assert_uint_eq(result.entries, 1);
	text = work_text(&work, _i ? "tree/etc/conf.d/z" : "tree/etc/renamed");
	ck_assert_str_eq(text, "zz");
}
END_TEST

START_TEST(copy_link)
{
	_cleanup_free_ char *text = NULL;

	make_source();
	open_source("source/l");
	args.to = "/l";
	pack_and_unpack();
	text = work_text(&work, "tree/l");
	ck_assert_str_eq(text, "/etc/shadow");
}
END_TEST

START_TEST(copy_empty)
{
	ck_assert_int_eq(mkdirat(work.top, "empty", 0700), 0);
	open_source("empty");
	args.to = "/srv/empty";
	pack_and_unpack();
	assert_entry("tree/srv/empty", S_IFDIR | 0755, 0, LAYER_TIME);
}
END_TEST

START_TEST(copy_refuses)
{
	make_source();
	if (_i == 0)
		ck_assert_int_eq(mkfifoat(work.top, "source/bad", 0600), 0);
	else
		file("source/.wh.bad", "", 0600); /* T13 */
	open_source("source");
	refused("bad");
}
END_TEST

START_TEST(keep)
{
	_cleanup_free_ char *from = xasprintf("%s/source/z", work.path);
	const struct timespec times[2] = { { -2, 5 }, { -2, 500000000 } };
	struct stat st, other;
	char value[8];

	make_source();
	ck_assert_int_eq(setxattr(from, "user.note", "hi", 2, 0), 0);
	ck_assert_int_eq(utimensat(work.top, "source/z", times, 0), 0);
	ck_assert_int_eq(mkfifoat(work.top, "source/p", 0622), 0);
	ck_assert_int_eq(mknodat(work.top, "source/dev", S_IFCHR | 0666, 0x103), 0);
	ck_assert_int_eq(fchmodat(work.top, "source", 0711, 0), 0);
	open_source("source");
	args.keep = true;
	pack_and_unpack();
	ck_assert_uint_eq(result.devices, 1);
	assert_entry("tree", S_IFDIR | 0711, 0, 0);
	assert_entry("tree/a", S_IFDIR | 02770, 0, 0);
	assert_entry("tree/a/f", S_IFREG | 04640, 0, 0);
	assert_entry("tree/p", S_IFIFO | (0622 & (work_mode(&work, "source/p") & 07777)), 0, 0);
	ck_assert_int_eq(fstatat(work.top, "tree/y", &st, 0), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/z", &other, 0), 0);
	ck_assert(st.st_ino == other.st_ino && st.st_nlink == 2);
	ck_assert(st.st_uid == 7 && st.st_gid == 8 && st.st_mode == (S_IFREG | 0600));
	ck_assert(st.st_mtim.tv_sec == -2 && st.st_mtim.tv_nsec == 500000000);
	free(TAKE_PTR(from));
	from = xasprintf("%s/tree/z", work.path);
	ck_assert_int_eq(getxattr(from, "user.note", value, sizeof(value)), 2);
}
END_TEST

#define CLAMP 1000000000

/* An overlay's upper: whiteouts, an opaque folder, times after the clamp, what is left out. */
START_TEST(upper)
{
	_cleanup_free_ char *opaque = xasprintf("%s/source/a", work.path);
	_cleanup_free_ char *noted = xasprintf("%s/source/z", work.path);
	_cleanup_free_ char *back = xasprintf("%s/tree/a", work.path);
	const struct timespec early[2] = { { 5, 0 }, { 5, 0 } };
	struct stat st, other;
	char value[8];

	make_source();
	ck_assert_int_eq(fchmodat(work.top, "source", 0755, 0), 0);
	ck_assert_int_eq(mknodat(work.top, "source/gone", S_IFCHR, 0), 0);
	ck_assert_int_eq(mknodat(work.top, "source/socket", S_IFSOCK | 0600, 0), 0);
	ck_assert_int_eq(setxattr(opaque, "user.overlay.opaque", "y", 1, 0), 0);
	ck_assert_int_eq(setxattr(noted, "user.overlay.origin", "x", 1, 0), 0);
	ck_assert_int_eq(setxattr(noted, "user.note", "hi", 2, 0), 0);
	ck_assert_int_eq(utimensat(work.top, "source/z", early, 0), 0);
	open_source("source");
	args.upper = true;
	args.time_s = CLAMP;
	pack_and_unpack();
	/* a, .wh..wh..opq, a/f, a-b, .wh.gone, l, y, z: the plain root is not in it, nor the socket */
	ck_assert_uint_eq(result.entries, 8);
	assert_entry("tree/a", S_IFDIR | 02770, 0, CLAMP);
	assert_entry("tree/a/f", S_IFREG | 04640, 0, CLAMP);
	assert_entry("tree/z", S_IFREG | 0600, 7, 5);
	ck_assert_int_eq(fstatat(work.top, "tree/gone", &st, 0), 0);
	ck_assert(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	ck_assert_int_eq(getxattr(back, "user.overlay.opaque", value, sizeof(value)), 1);
	free(TAKE_PTR(back));
	back = xasprintf("%s/tree/z", work.path);
	ck_assert_int_eq(getxattr(back, "user.note", value, sizeof(value)), 2);
	ck_assert_int_eq(getxattr(back, "user.overlay.origin", value, sizeof(value)), -1);
	ck_assert_int_eq(fstatat(work.top, "tree/y", &st, 0), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/z", &other, 0), 0);
	ck_assert(st.st_ino == other.st_ino && st.st_nlink == 2);
	ck_assert_int_eq(fstatat(work.top, "tree/socket", &st, 0), -1);
}
END_TEST

/* A name that means something else in a layer; one that would be removed; a file of somebody else. */
START_TEST(upper_refuses)
{
	static const char *const whys[] = { "pack /.wh.name: a name that begins with \".wh.\"",
					    "cannot be removed by a layer",
					    "it has another name outside" };

	make_source();
	if (_i == 0)
		file("source/.wh.name", "", 0600);
	if (_i == 1)
		ck_assert_int_eq(mknodat(work.top, "source/.wh.x", S_IFCHR, 0), 0);
	if (_i == 2)
		ck_assert_int_eq(linkat(work.top, "source/z", work.top, "outside", 0), 0);
	open_source("source");
	args.upper = true;
	args.time_s = CLAMP;
	refused(whys[_i]);
}
END_TEST

/* The same files, made in another order at another time: the same bytes. */
START_TEST(deterministic)
{
	struct digest first, digest, other;

	make_source();
	open_source("source");
	ck_assert_int_eq(pack_layer(), 0);
	first = result.blob;
	ck_assert_int_eq(layer_digest_source(&selection, false, &digest, &err), 0);
	select_done(&selection);
	ck_assert_int_eq(fs_remove_tree(work.top, "source", &err), 0);
	file("later", "x", 0600);
	make_source();
	ck_assert_int_eq(unlinkat(work.top, "source/y", 0), 0);
	file("source/y", "zz", 0644);
	open_source("source");
	ck_assert_int_eq(pack_layer(), 0);
	ck_assert(digest_equal(&result.blob, &first));
	ck_assert_int_eq(layer_digest_source(&selection, false, &other, &err), 0);
	ck_assert(digest_equal(&digest, &other));
}
END_TEST

/* What changes the layer changes the digest of the source. */
START_TEST(digest_source)
{
	struct digest before, after, kept_before, kept_after;
	const struct timespec times[2] = { { 5, 5 }, { 5, 5 } };
	bool seen = _i < 5;

	make_source();
	open_source("source");
	ck_assert_int_eq(layer_digest_source(&selection, false, &before, &err), 0);
	ck_assert_int_eq(layer_digest_source(&selection, true, &kept_before, &err), 0);
	if (_i == 0)
		file("source/a/f", "g", 0640);
	else if (_i == 1)
		ck_assert_int_eq(fchmodat(work.top, "source/z", 0700, 0), 0);
	else if (_i == 2)
		ck_assert_int_eq(renameat(work.top, "source/z", work.top, "source/zz"), 0);
	else if (_i == 3)
		ck_assert(unlinkat(work.top, "source/l", 0) == 0 &&
			  symlinkat("x", work.top, "source/l") == 0);
	else if (_i == 4)
		ck_assert_int_eq(mkdirat(work.top, "source/new", 0755), 0);
	else if (_i == 5)
		ck_assert_int_eq(fchmodat(work.top, "source/z", 0604, 0), 0);
	else
		ck_assert_int_eq(utimensat(work.top, "source/z", times, 0), 0);
	ck_assert_int_eq(layer_digest_source(&selection, false, &after, &err), 0);
	ck_assert_int_eq(layer_digest_source(&selection, true, &kept_after, &err), 0);
	ck_assert(digest_equal(&before, &after) == !seen);
	ck_assert(!digest_equal(&kept_before, &kept_after));
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ copy_folder, 1 }, { copy_mode, 1 }, { copy_file, 2 }, { copy_link, 1 },
		{ copy_empty, 1 }, { copy_refuses, 2 }, { keep, 1 }, { upper, 1 },
		{ upper_refuses, 3 }, { deterministic, 1 }, { digest_source, 7 },
	};
	const struct unit unit = { "pack", .takes_root = true, .setup = pack_setup, .teardown = pack_teardown };

	umask(0);
	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
