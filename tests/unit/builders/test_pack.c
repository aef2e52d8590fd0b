/* Making layers: the same input gives the same bytes, and what is made unpacks to what was meant. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "builders/layer/tarwrite.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/select.h"
#include "tests/unit/builders/tarmake.h"

static struct work work;
static struct str tar;
static struct layer_result result;
static struct err err;
static struct layer_pack args;
static struct selection selection;

static void setup(void)
{
	work_init(&work);
	tar = (struct str){ 0 };
	err = (struct err){ 0 };
	args = (struct layer_pack){ .blob = -1, .archive = -1, .to = "/",
				    .selection = &selection };
}

static void teardown(void)
{
	mem_closep(&args.blob);
	mem_closep(&args.archive);
	select_done(&selection);
	work_intact(&work);
	work_done(&work);
	str_done(&tar);
	err_done(&err);
}

static int pack(void)
{
	mem_closep(&args.blob);
	args.blob = memfd_create("layer", MFD_CLOEXEC);
	return layer_pack(&args, &result, &err);
}

/* Packs, then unpacks into work.tree with the digests that packing promised. */
static void pack_and_unpack(void)
{
	struct layer_unpack unpack = { .out = work.tree, .has_expected = true };
	struct layer_result again;

	ck_assert_msg(pack() == 0, "%s", err.msg);
	unpack.blob = args.blob;
	unpack.expected = result.blob;
	unpack.blob_bytes = result.blob_bytes;
	ck_assert(lseek(args.blob, 0, SEEK_SET) == 0);
	ck_assert_msg(layer_unpack(&unpack, &again, &err) == 0, "%s", err.msg);
	ck_assert(digest_equal(&again.diff_id, &result.diff_id));
	ck_assert_uint_eq(again.plain_bytes, result.plain_bytes);
	ck_assert_uint_eq(again.entries, result.entries);
	ck_assert_uint_eq(again.tree_bytes, result.tree_bytes);
}

static void refused(const char *why)
{
	ck_assert_int_eq(pack(), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
	ck_assert_msg(strstr(err.msg, why) != NULL, "\"%s\" not in: %s", why, err.msg);
}

static void file(const char *path, const char *text, mode_t mode)
{
	int fd = openat(work.top, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* work/source with a file, a program, a link and a folder, in an order that is not the names'. */
static void make_source(void)
{
	ck_assert_int_eq(mkdirat(work.top, "source", 0700), 0);
	file("source/z", "zz", 0600);
	file("source/a-b", "ab", 0711);
	ck_assert_int_eq(mkdirat(work.top, "source/a", 0700), 0);
	ck_assert_int_eq(fchmodat(work.top, "source/a", 02770, 0), 0);
	file("source/a/f", "f", 04640);
	ck_assert_int_eq(symlinkat("/etc/shadow", work.top, "source/l"), 0);
	ck_assert_int_eq(fchownat(work.top, "source/z", 7, 8, 0), 0);
	ck_assert_int_eq(linkat(work.top, "source/z", work.top, "source/y", 0), 0);
}

static void open_source(const char *path)
{
	selection = (struct selection){ .sources = xcalloc(1, sizeof(*selection.sources)), .count = 1 };
	selection.sources->name = xstrdup(path);
	selection.sources->fd = openat(work.top, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ck_assert_int_ge(selection.sources->fd, 0);
}

static void assert_entry(const char *path, mode_t mode, uid_t uid, time_t time)
{
	struct stat st;

	ck_assert_msg(fstatat(work.top, path, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", path);
	ck_assert_msg(st.st_mode == mode, "%s: %o", path, st.st_mode);
	ck_assert_msg(st.st_uid == uid && st.st_gid == uid + (uid > 0), "%s: owner", path);
	ck_assert_msg(time == 0 || st.st_mtim.tv_sec == time, "%s: time", path);
}

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
	ck_assert_int_eq(pack(), 0);
	first = result.blob;
	ck_assert_int_eq(layer_digest_source(&selection, false, &digest, &err), 0);
	select_done(&selection);
	ck_assert_int_eq(fs_remove_tree(work.top, "source", &err), 0);
	file("later", "x", 0600);
	make_source();
	ck_assert_int_eq(unlinkat(work.top, "source/y", 0), 0);
	file("source/y", "zz", 0644);
	open_source("source");
	ck_assert_int_eq(pack(), 0);
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

static void open_archive(void (*wrap)(struct str *, const void *, size_t))
{
	struct str packed = { 0 };

	tarmake_end(&tar);
	wrap(&packed, tar.text, tar.length);
	args.archive = tarmake_fd(packed.text, packed.length);
	str_done(&packed);
}

START_TEST(archive)
{
	_cleanup_free_ char *text = NULL;
	struct stat a, b;

	tarmake_put(&tar, '5', "./tool-1.2/", NULL);
	tarmake_put(&tar, '0', "tool-1.2/README", "read");
	tarmake_put(&tar, '0', "top", "dropped");
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "tool-1.2/bin/tool", .data = "#!", .size = 2,
						   .mode = 04755, .uid = 3, .gid = 4, .mtime = 99 });
	tarmake_put(&tar, '1', "tool-1.2/bin/alias", "./tool-1.2/bin/tool");
	tarmake_put(&tar, '2', "tool-1.2/link", "tool-1.2/bin/tool");
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '3', .name = "tool-1.2/null", .major = 1,
						   .minor = 3 });
	open_archive(_i ? tarmake_xz : tarmake_gzip);
	args.to = "/opt/tool";
	args.strip = 1;
	pack_and_unpack();
	ck_assert_uint_eq(result.entries, 4);
	ck_assert_uint_eq(result.devices, 1);
	assert_entry("tree/opt/tool/bin/tool", S_IFREG | 04755, 3, 99);
	ck_assert_uint_eq(work_mode(&work, "tree/opt/tool/top"), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/opt/tool/bin/tool", &a, 0), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/opt/tool/bin/alias", &b, 0), 0);
	ck_assert(a.st_ino == b.st_ino);
	text = work_text(&work, "tree/opt/tool/link");
	ck_assert_str_eq(text, "tool-1.2/bin/tool");
}
END_TEST

START_TEST(archive_refuses)
{
	static const struct {
		char type;
		const char *name, *text, *why;
	} cases[] = {
		{ '0', "a/../../x", "x", "\"..\"" },
		{ '0', "a/.wh.x", "", ".wh." },
		{ '1', "a/h", "gone", "strip" },
		{ '1', "a/h", "../x", "\"..\"" },
	};

	tarmake_put(&tar, cases[_i].type, cases[_i].name, cases[_i].text);
	open_archive(tarmake_gzip);
	args.strip = 1;
	refused(cases[_i].why);
}
END_TEST

START_TEST(archive_digest)
{
	tarmake_put(&tar, '0', "a/b", "x");
	open_archive(tarmake_zstd);
	args.has_expected = true;
	ck_assert_int_eq(pack(), -1);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
}
END_TEST

/* Headers: pax only where ustar cannot say it. */
START_TEST(headers)
{
	static const struct {
		size_t path, target;
		struct tar_entry entry;
		size_t blocks;
	} cases[] = {
		{ 100, 0, { .mode = 07777, .uid = 2097151, .gid = 2097151 }, 1 },
		{ 101, 0, { 0 }, 3 },	/* one component: no place to cut */
		{ 0, 100, { .type = TAR_SYMLINK }, 1 },
		{ 0, 101, { .type = TAR_SYMLINK }, 3 },
		{ 0, 0, { .uid = 2097152 }, 3 },
		{ 0, 0, { .gid = 2097152 }, 3 },
		{ 0, 0, { .size = 077777777777 }, 1 },
		{ 0, 0, { .size = 0100000000000 }, 3 },
		{ 0, 0, { .mtime_s = 077777777777 }, 1 },
		{ 0, 0, { .mtime_s = 0100000000000 }, 3 },
		{ 0, 0, { .mtime_s = -1 }, 3 },
		{ 0, 0, { .mtime_ns = 1 }, 3 },
	};
	_cleanup_(str_done) struct str out = { 0 };
	struct tar_entry entry = cases[_i].entry;
	char path[512], target[512], type;

	memset(path, 'p', sizeof(path));
	memset(target, 't', sizeof(target));
	path[cases[_i].path ? cases[_i].path : 5] = '\0';
	target[cases[_i].target] = '\0';
	entry.path = path;
	entry.target = cases[_i].target ? target : NULL;
	tarwrite_header(&out, &entry);
	ck_assert_uint_eq(out.length, cases[_i].blocks * TARWRITE_BLOCK);
	ck_assert_mem_eq(out.text + out.length - TARWRITE_BLOCK + 257, "ustar\00000", 8);
	type = entry.type == TAR_SYMLINK ? '2' : '0';
	ck_assert_int_eq(out.text[156], cases[_i].blocks == 1 ? type : 'x');
}
END_TEST

START_TEST(split_path)
{
	_cleanup_(str_done) struct str out = { 0 };
	char path[300];
	struct tar_entry entry = { .path = path };

	memset(path, 'p', sizeof(path));
	path[155] = '/';
	path[256] = '\0';
	tarwrite_header(&out, &entry);	/* 155 + "/" + 100 */
	ck_assert_uint_eq(out.length, TARWRITE_BLOCK);
	ck_assert_mem_eq(out.text + 345, path, 155);
	ck_assert_mem_eq(out.text, path + 156, 100);
	str_done(&out);
	path[256] = 'p';
	path[257] = '\0';
	tarwrite_header(&out, &entry);
	ck_assert_uint_eq(out.length, 3 * TARWRITE_BLOCK);
}
END_TEST

#define CASE(test) tcase_add_test(tcase, test)
#define LOOP(test, count) tcase_add_loop_test(tcase, test, 0, count)

int main(void)
{
	Suite *suite = suite_create("pack");
	TCase *tcase = tcase_create("pack");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (geteuid() != 0)
		return 77;
	umask(0);
	tcase_add_checked_fixture(tcase, setup, teardown);
	CASE(copy_folder);
	CASE(copy_mode);
	LOOP(copy_file, 2);
	CASE(copy_link);
	CASE(copy_empty);
	LOOP(copy_refuses, 2);
	CASE(keep);
	CASE(upper);
	LOOP(upper_refuses, 3);
	CASE(deterministic);
	LOOP(digest_source, 7);
	LOOP(archive, 2);
	LOOP(archive_refuses, 4);
	CASE(archive_digest);
	LOOP(headers, 12);
	CASE(split_path);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
