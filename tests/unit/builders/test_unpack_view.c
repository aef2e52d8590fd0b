/*
 * A layer above others: whiteouts, opaque folders, parents that the tar leaves out; and type flips
 * against a model (THREATS T14, T15).
 */
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/mem.h"
#include "tests/unit/builders/layer_fixture.h"
#include "tests/unit/unit.h"

static void below_folder(const char *path, mode_t mode, uid_t uid, time_t time)
{
	_cleanup_free_ char *at = xasprintf("lower/%s", path);
	const struct timespec times[2] = { { time, 0 }, { time, 123456789 } };

	ck_assert_int_eq(mkdirat(work.top, at, 0700), 0);
	ck_assert_int_eq(fchownat(work.top, at, uid, uid, 0), 0);
	ck_assert_int_eq(fchmodat(work.top, at, mode, 0), 0);
	ck_assert_int_eq(utimensat(work.top, at, times, 0), 0);
}

static bool is_whiteout(const char *path)
{
	struct stat st;

	return fstatat(work.top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", work.path, path);
	char value = 0;

	return getxattr(full, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

START_TEST(whiteouts)
{
	put('5', "d/", NULL);
	put('0', "d/.wh.gone", "");
	put('0', "d/.wh..wh.plnk", "");
	put('0', "never/was/.wh.here", "");	/* hides nothing */
	put('0', ".wh..wh.aufs", "");
	put('0', "f", "f");
	put('0', ".wh.f", "");	/* hides the lower f, not the one beside it */
	put('5', "s/", NULL);
	put('0', "s/kept", "kept");
	put('0', ".wh.s", "");
	put('0', ".wh.t", "");
	put('0', "t/inside", "x");
	put('0', ".wh.u", "");
	put('0', "u", "file");
	unpacked(true);
	ck_assert(is_whiteout("tree/d/gone"));
	ck_assert_uint_eq(work_mode(&work, "tree/d/.wh..wh.plnk"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/.wh..wh.aufs"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/never"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/f"), S_IFREG | 0644);
	ck_assert(is_opaque("tree/s") && !is_opaque("tree/d"));
	ck_assert_uint_eq(work_mode(&work, "tree/s/kept"), S_IFREG | 0644);
	ck_assert(is_opaque("tree/t"));
	ck_assert_uint_eq(work_mode(&work, "tree/t/inside"), S_IFREG | 0644);
	ck_assert_uint_eq(work_mode(&work, "tree/u"), S_IFREG | 0644);
}
END_TEST

/* An opaque mark says the same wherever it stands in the tar. */
START_TEST(opaque)
{
	if (_i == 0)
		put('0', "d/.wh..wh..opq", "");
	put('5', "d/", NULL);
	put('0', "d/f", "x");
	put('5', "d/sub/", NULL);
	if (_i == 1)
		put('0', "d/.wh..wh..opq", "");
	put('0', "d/g", "x");
	unpacked(false);
	ck_assert(is_opaque("tree/d") && !is_opaque("tree/d/sub"));
	ck_assert_uint_eq(work_mode(&work, "tree/d/f"), S_IFREG | 0644);
	ck_assert_uint_eq(work_mode(&work, "tree/d/g"), S_IFREG | 0644);
}
END_TEST

START_TEST(opaque_root)
{
	put('0', ".wh..wh..opq", "");
	unpacked(false);
	ck_assert(is_opaque("tree"));
}
END_TEST

/* A folder where the layer had a file before: what lies below must not come back. */
START_TEST(file_becomes_folder)
{
	put('0', "d", "x");
	put('5', "d", NULL);
	unpacked(_i == 1);
	/* the lowest layer of all needs no mark */
	ck_assert_int_eq(is_opaque("tree/d"), _i == 1);
}
END_TEST

/* T15: parents that are left out are what they are below. */
START_TEST(implied_parents)
{
	struct stat st;
	_cleanup_free_ char *path = xasprintf("%s/lower/tmp", work.path);
	char value[8];

	below_folder("tmp", 01777, 5, 1111);
	ck_assert_int_eq(setxattr(path, "user.note", "hi", 2, 0), 0);
	ck_assert_int_eq(setxattr(path, "user.overlay.x", "no", 2, 0), 0);
	put('0', "tmp/made/f", "x");
	unpacked(true);
	ck_assert(result.needs_lower);
	ck_assert_int_eq(fstatat(work.top, "tree/tmp", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 01777);
	ck_assert(st.st_uid == 5 && st.st_mtim.tv_sec == 1111 &&
		  st.st_mtim.tv_nsec == 123456789);
	free(TAKE_PTR(path));
	path = xasprintf("%s/tree/tmp", work.path);
	ck_assert_int_eq(getxattr(path, "user.note", value, sizeof(value)), 2);
	ck_assert_int_lt(getxattr(path, "user.overlay.x", value, sizeof(value)), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/tmp/made", &st, 0), 0);
	ck_assert(st.st_mode == (S_IFDIR | 0755) && st.st_uid == 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, LAYER_TIME);
}
END_TEST

START_TEST(listed_parents)
{
	put('5', "a/", NULL);
	put('0', "a/f", "x");
	unpacked(true);
	ck_assert(!result.needs_lower);
}
END_TEST

START_TEST(lower_link)
{
	below_folder("usr", 0755, 0, 7);
	below_folder("usr/lib", 0751, 3, 8);
	ck_assert_int_eq(symlinkat("usr/lib", work.top, "lower/lib"), 0);
	ck_assert_int_eq(symlinkat("/lib", work.top, "lower/usr/lib64"), 0);
	put('0', "lib/x", "x");
	put('0', "usr/lib64/y", "y");
	put('1', "lib/z", "lib/x");
	put('5', "lib/sub", NULL);
	unpacked(true);
	ck_assert(result.needs_lower);
	ck_assert_uint_eq(work_mode(&work, "tree/lib"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib64"), 0);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib"), S_IFDIR | 0751);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib/x"), S_IFREG | 0644);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib/y"), S_IFREG | 0644);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib/z"), S_IFREG | 0644);
	ck_assert_uint_eq(work_mode(&work, "tree/usr/lib/sub"), S_IFDIR | 0755);
}
END_TEST

START_TEST(lower_link_out)
{
	_cleanup_free_ char *target = xasprintf("%s/victim", work.path);
	_cleanup_free_ char *inside = xasprintf("tree%s/pwn", target);

	ck_assert_int_eq(symlinkat(target, work.top, "lower/l"), 0);
	put('0', "l/pwn", "x");
	unpacked(true);
	ck_assert_uint_eq(work_mode(&work, inside), S_IFREG | 0644);
}
END_TEST

/* What this layer has removed is not there to be a parent's model. */
START_TEST(removed_parent)
{
	below_folder("d", 01777, 5, 1111);
	put('0', ".wh.d", "");
	put('0', "d/f", "x");
	unpacked(true);
	ck_assert_uint_eq(work_mode(&work, "tree/d"), S_IFDIR | 0755);
	ck_assert(is_opaque("tree/d"));
}
END_TEST

START_TEST(lower_file_is_no_parent)
{
	ck_assert_int_eq(mknodat(work.top, "lower/d", S_IFREG | 0600, 0), 0);
	put('0', "d/f", "x");
	unpacked(true);
	ck_assert_uint_eq(work_mode(&work, "tree/d"), S_IFDIR | 0755);
}
END_TEST

START_TEST(own_file_is_no_parent)
{
	put('0', "d", "x");
	put('0', "d/f", "x");
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
}
END_TEST

/* Folder over folder keeps what is in it and takes the new metadata; setgid is not inherited. */
START_TEST(folders)
{
	struct stat st;

	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .mode = 02770,
						   .gid = 9, .mtime = 5 });
	put('0', "d/f", "x");
	put('5', "d/sub", NULL);
	put('2', "d/l", "f");
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .mode = 02570,
						   .gid = 9, .uid = 4, .mtime = 6 });
	put('0', "d/g", "x");
	unpacked(false);
	ck_assert_int_eq(fstatat(work.top, "tree/d", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 02570);
	ck_assert(st.st_uid == 4 && st.st_gid == 9 && st.st_mtim.tv_sec == 6);
	ck_assert_int_eq(fstatat(work.top, "tree/d/f", &st, 0), 0);
	ck_assert_uint_eq(st.st_gid, 0);
	ck_assert_int_eq(fstatat(work.top, "tree/d/l", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_gid, 0);
	ck_assert_uint_eq(work_mode(&work, "tree/d/sub"), S_IFDIR | 0755);
	ck_assert(!is_opaque("tree/d"));
}
END_TEST

START_TEST(times)
{
	static const struct {
		const char *text;
		int64_t s;
		long ns;
	} cases[] = { { "1.5", 1, 500000000 },	      { "-1.5", -2, 500000000 },
		      { "-3", -3, 0 },		      { "1700000000.123456789", 1700000000, 123456789 },
		      { "5000000000", 5000000000, 0 } };
	struct str pax = { 0 };
	struct stat st;

	tarmake_record(&pax, "mtime", cases[_i].text, strlen(cases[_i].text));
	tarmake_record(&pax, "atime", "77", 2);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .pax = &pax });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = "d", .pax = &pax });
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '2', .name = "l", .link = "x",
						   .pax = &pax });
	put('0', "d/later", "x");
	unpacked(false);
	str_done(&pax);
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *path = xasprintf("tree/%c", "fdl"[i]);

		ck_assert_int_eq(fstatat(work.top, path, &st, AT_SYMLINK_NOFOLLOW), 0);
		ck_assert_int_eq(st.st_mtim.tv_sec, cases[_i].s);
		ck_assert_int_eq(st.st_mtim.tv_nsec, cases[_i].ns);
		ck_assert_int_ne(st.st_atim.tv_sec, 77);
	}
}
END_TEST

/* Bytes that are no UTF-8, and a name in decomposed form, stay as they are in every locale. */
START_TEST(byte_names)
{
	static const char *const names[] = { "nfd-e\xcc\x81", "bad-\xff\xfe", "nfc-\xc3\xa9", "a\nb",
					     "back\\slash" };
	_cleanup_free_ char *path = xasprintf("tree/%s", names[_i / 2]);
	_cleanup_free_ char *link = xasprintf("tree/link-%s", names[_i / 2]);
	struct str pax = { 0 }, link_pax = { 0 };

	setlocale(LC_ALL, _i % 2 ? "C.UTF-8" : "C");
	tarmake_record(&pax, "path", names[_i / 2], strlen(names[_i / 2]));
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "short", .pax = &pax });
	tarmake_record(&link_pax, "path", link + 5, strlen(link + 5));
	tarmake_record(&link_pax, "linkpath", names[_i / 2], strlen(names[_i / 2]));
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '2', .name = "l", .link = "l",
						   .pax = &link_pax });
	unpacked(false);
	str_done(&pax);
	str_done(&link_pax);
	ck_assert_uint_eq(work_mode(&work, path), S_IFREG | 0644);
	free(TAKE_PTR(path));
	path = work_text(&work, link);
	ck_assert_str_eq(path, names[_i / 2]);
}
END_TEST

START_TEST(owners)
{
	const struct layer_unpack args = { .blob = -1, .out = work.tree, .single_uid = true };
	struct layer_unpack single = args;
	struct stat st;

	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .uid = 33, .gid = 33 });
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "g" });
	tarmake_end(&tar);
	single.blob = tarmake_fd(tar.text, tar.length);
	ck_assert_msg(layer_unpack(&single, &result, &err) == 0, "%s", err.msg);
	close(single.blob);
	ck_assert_uint_eq(result.owners_lost, 1);
	ck_assert_int_eq(fstatat(work.top, "tree/f", &st, 0), 0);
	ck_assert(st.st_uid == 0 && st.st_gid == 0);
}
END_TEST

/* T14: what is unpacked over and over is what a plain table says. Names a, b, a/a ... b/b. */
#define MODEL_NAMES 6

static const char *const model_names[MODEL_NAMES] = { "a", "b", "a/a", "a/b", "b/a", "b/b" };

static void model_put(char model[MODEL_NAMES], int name, char type)
{
	bool was_folder = model[name] == 'd';

	model[name] = type;
	if (name < 2 && !(was_folder && type == 'd'))
		for (int i = 2 + 2 * name; i < 4 + 2 * name; i++)
			model[i] = 0;
}

static char seen_type(const char *path)
{
	uint32_t mode = work_mode(&work, path);

	return S_ISREG(mode) ? 'f' : S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : 0;
}

START_TEST(type_flips)
{
	char model[MODEL_NAMES] = { 0 };
	unsigned int seed = (unsigned int)_i;

	for (int i = 0; i < 12; i++) {
		int name = rand_r(&seed) % MODEL_NAMES, kind = rand_r(&seed) % 3;

		if (name >= 2 && model[name / 2 - 1] && model[name / 2 - 1] != 'd')
			continue; /* not a folder: another test */
		if (name >= 2 && !model[name / 2 - 1])
			model_put(model, name / 2 - 1, 'd');
		model_put(model, name, "fdl"[kind]);
		put("052"[kind], model_names[name], kind == 1 ? NULL : "x");
	}
	unpacked(false);
	for (int i = 0; i < MODEL_NAMES; i++) {
		_cleanup_free_ char *path = xasprintf("tree/%s", model_names[i]);

		ck_assert_msg(seen_type(path) == model[i], "seed %d: %s", _i, path);
	}
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ whiteouts, 1 }, { opaque, 2 }, { opaque_root, 1 },
		{ file_becomes_folder, 2 }, { implied_parents, 1 }, { listed_parents, 1 },
		{ lower_link, 1 }, { lower_link_out, 1 }, { removed_parent, 1 },
		{ lower_file_is_no_parent, 1 }, { own_file_is_no_parent, 1 }, { folders, 1 },
		{ times, 5 }, { byte_names, 10 }, { owners, 1 }, { type_flips, 300 },
	};
	const struct unit unit = { "unpack above others", .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
