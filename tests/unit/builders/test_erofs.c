/*
 * Layers as EROFS files. That an EROFS file of a layer equals its tree is looked at in every test of
 * test_unpack*.c, too (work_unpack); here are the cases that its layout makes hard, what a tree
 * cannot hold, and that the bytes depend on nothing but the tar.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/erofs.h"
#include "core/mem.h"
#include "tests/unit/builders/forms.h"
#include "tests/unit/builders/layer_fixture.h"
#include "tests/unit/unit.h"

/* A file with one attribute of `size` bytes, and content. */
static void put_xattr(char type, const char *name, size_t size, size_t content)
{
	_cleanup_free_ char *bytes = pattern(size > content ? size : content);
	struct str pax = { 0 };

	tarmake_record(&pax, "SCHILY.xattr.user.big", bytes, size);
	tarmake_add(&tar, &(struct tarmake_entry){ .type = type, .name = name, .pax = &pax,
						   .data = content ? bytes : NULL, .size = content });
	str_done(&pax);
}

static void open_image(int fd, struct erofs **erofs, struct erofs_inode *root)
{
	ck_assert_msg(erofs_new(fd, erofs, &err) == 0, "%s", err.msg);
	ck_assert_msg(erofs_root(*erofs, root, &err) == 0, "%s", err.msg);
}

/* ---- sizes and shapes ------------------------------------------------------------------------ */

START_TEST(sizes)
{
	static const size_t cases[] = { 0, 1, 4000, 4031, 4032, 4033, 4095, 4096, 4097, 8127, 8128,
					8129, 8191, 8192, 8193, 12287, 65536, 131072, 131073,
					262144, 1048576, 1100000, 3000001 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%zu", cases[i]);
		put_sized(name, cases[i]);
	}
	unpacked(false);
}
END_TEST

/* Zero bytes in every place of a file; they may become holes. */
START_TEST(zeros)
{
	size_t size = 600000;
	_cleanup_free_ char *bytes = xcalloc(1, size);

	for (int i = 0; i < 4; i++) {
		char name[2] = { (char)('a' + i), 0 };

		if (i > 0)
			bytes[(size_t)i * 199999] = 1;
		tarmake_add(&tar, &(struct tarmake_entry){ .name = name, .data = bytes, .size = size });
	}
	unpacked(false);
}
END_TEST

START_TEST(names)
{
	char longest[256], target[4001];
	struct str pax = { 0 }, link = { 0 };

	memset(longest, 'n', 255);
	longest[255] = '\0';
	memset(target, 't', 4000);
	target[4000] = '\0';
	tarmake_record(&pax, "path", longest, 255);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "x", .pax = &pax });
	for (size_t length = 4000; length > 3900; length -= 33) {
		char name[32];

		snprintf(name, sizeof(name), "link%zu", length);
		link.length = 0;
		tarmake_record(&link, "linkpath", target, length);
		tarmake_add(&tar, &(struct tarmake_entry){ .type = '2', .name = name, .link = "l",
							   .pax = &link });
	}
	/* before "." in the order of the bytes, and between "." and ".." */
	put('0', "!bang", "1");
	put('0', "-dash", "1");
	put('0', ".-", "1");
	put('0', "..a", "1");
	put('0', "\xff\xfe", "1");
	put('5', "!d", NULL);
	unpacked(false);
	str_done(&pax);
	str_done(&link);
}
END_TEST

START_TEST(kinds)
{
	static const char *const times[] = { "-315619198.5", "5680281600", "0.000000001",
					     "-1", "1700000000.999999999" };
	static const uint32_t modes[] = { 04755, 02755, 01777, 06000, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char file[8], folder[8];
		struct str pax = { 0 };

		snprintf(file, sizeof(file), "f%zu", i);
		snprintf(folder, sizeof(folder), "d%zu", i);
		tarmake_record(&pax, "mtime", times[i], strlen(times[i]));
		tarmake_add(&tar, &(struct tarmake_entry){ .name = file, .pax = &pax,
							   .mode = modes[i], .uid = 1000000, .gid = 7 });
		tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = folder, .pax = &pax,
							   .mode = modes[i], .uid = 3, .gid = 70000 });
		str_done(&pax);
	}
	put('6', "fifo", NULL);
	put('1', "fifo2", "fifo");
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '3', .name = "null", .major = 1,
						   .minor = 3 });
	put('2', "l", "f0");
	put('1', "l2", "l");
	unpacked(false);
	ck_assert_uint_eq(result.devices, 1);
}
END_TEST

/* Hard links, and what becomes of their number when names go or are replaced. */
START_TEST(hard_links)
{
	put('0', "a", "one");
	put('1', "b", "a");
	put('5', "d/", NULL);
	put('1', "d/c", "b");
	put('1', "d/e", "d/c");
	put('1', "a", "a");
	put('0', "b", "another");
	put('1', "b2", "b");
	put('2', "d", "x");
	put('1', "f", "a");
	put('0', "g", "gone");
	put('1', "h", "g");
	put('0', "g", "new");
	put('0', "h", "new");
	unpacked(false);
}
END_TEST

START_TEST(folder_of_20000)
{
	struct erofs_inode root, folder, found;
	struct erofs *erofs;
	int fd;

	for (int i = 0; i < 20000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d/%d-name", i * 7919 % 20000);
		put('0', name, "");
	}
	fd = image();
	open_image(fd, &erofs, &root);
	ck_assert_int_eq(erofs_lookup(erofs, &root, "d", &folder, &err), 1);
	for (int i = 0; i < 20000; i += 13) {
		char name[64];

		snprintf(name, sizeof(name), "%d-name", i);
		ck_assert_int_eq(erofs_lookup(erofs, &folder, name, &found, &err), 1);
		strcat(name, "x");
		ck_assert_int_eq(erofs_lookup(erofs, &folder, name, &found, &err), 0);
	}
	ck_assert_int_eq(erofs_lookup(erofs, &found, "x", &root, &err), 0);
	erofs_free(erofs);
	close(fd);
}
END_TEST

/* Folders in folders, and many beside each other. */
START_TEST(many_folders)
{
	char path[600] = "";

	for (int i = 0; i < 250; i++) {
		strcat(path, "d/");
		put('5', path, NULL);
	}
	for (int i = 0; i < 700; i++) {
		snprintf(path, sizeof(path), "side%d/", i);
		put('5', path, NULL);
	}
	unpacked(false);
}
END_TEST

/* ---- attributes ------------------------------------------------------------------------------ */

START_TEST(xattrs)
{
	static const size_t cases[] = { 1, 100, 3000, 3500 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%zu", cases[i]);
		put_xattr('0', name, cases[i], cases[i]);
		snprintf(name, sizeof(name), "d%zu/", cases[i]);
		put_xattr('5', name, cases[i], 0);
	}
	/* a second time: what it does not name stays */
	put('5', "d100/", NULL);
	unpacked(false);
}
END_TEST

struct wanted {
	size_t size;
	int found;
};

static int is_big(void *data, const char *name, const void *value, size_t size, struct err *e)
{
	struct wanted *wanted = data;
	_cleanup_free_ char *bytes = pattern(wanted->size);

	(void)e;
	if (strcmp(name, "user.big"))
		return 0;
	ck_assert_uint_eq(size, wanted->size);
	/* put_xattr made it for the larger of two sizes */
	ck_assert_int_eq(memcmp(value, bytes, size), 0);
	wanted->found++;
	return 0;
}

/* Larger than ext4 holds, up to the limit; of the root, too, whose inode lies in block 0. */
START_TEST(big_xattrs)
{
	static const size_t cases[] = { 2850, 2870, 3900, 4010, 4020, 4096, 10000, 65000 };
	static const struct {
		const char *name;
		char type;
	} owners[] = { { "f", '0' }, { "d/", '5' }, { "./", '5' } };
	struct wanted wanted = { cases[_i / 3], 0 };
	struct erofs_inode root, inode;
	struct erofs *erofs;
	char text[5] = "";
	int fd;

	put_xattr(owners[_i % 3].type, owners[_i % 3].name, wanted.size, 0);
	put('0', "after", "text");
	fd = image();
	open_image(fd, &erofs, &root);
	inode = root;
	if (_i % 3 < 2)
		ck_assert_int_eq(erofs_lookup(erofs, &root, _i % 3 ? "d" : "f", &inode, &err), 1);
	ck_assert_msg(erofs_each_xattr(erofs, &inode, is_big, &wanted, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(wanted.found, 1);
	ck_assert_int_eq(erofs_lookup(erofs, &root, "after", &inode, &err), 1);
	ck_assert_int_eq(erofs_read(erofs, &inode, text, 4, 0, &err), 4);
	ck_assert_str_eq(text, "text");
	erofs_free(erofs);
	close(fd);
}
END_TEST

/* Folders' attributes stay in memory until the end: there is a bound on all of them. */
START_TEST(too_many_xattrs)
{
	for (int i = 0; i < 1700; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d/", i);
		put_xattr('5', name, 60000, 0);
	}
	tarmake_end(&tar);
	ck_assert_int_eq(forms_erofs(&tar, NULL, 0, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_LAYER_LIMIT);
	ck_assert_ptr_nonnull(strstr(err.msg, "too many folders"));
}
END_TEST

/* What the kernel makes of modes and ACLs that are set one after the other. */
START_TEST(acls)
{
	static const struct {
		const char *access, *fallback;
		uint32_t mode;
	} cases[] = {
		{ "user::rwx,user:5:r-x,group::r--,mask::rwx,other::--x", NULL, 0640 },
		{ "user::r--,group::rw-,other::---", NULL, 0777 },
		{ "user::rw-,group::r--,group:7:rwx,mask::r--,other::r--", NULL, 06754 },
		{ NULL, "user::rwx,group::r-x,other::r-x", 01777 },
		{ "user::rwx,user:9:---,group::---,mask::rwx,other::---",
		  "user::rwx,user:9:rwx,group::r-x,mask::rwx,other::---", 02500 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char file[8], folder[8];
		struct str pax = { 0 };

		snprintf(file, sizeof(file), "f%zu", i);
		snprintf(folder, sizeof(folder), "d%zu", i);
		if (cases[i].access)
			tarmake_record(&pax, "SCHILY.acl.access", cases[i].access,
				       strlen(cases[i].access));
		if (cases[i].fallback)
			tarmake_record(&pax, "SCHILY.acl.default", cases[i].fallback,
				       strlen(cases[i].fallback));
		tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = folder, .pax = &pax,
							   .mode = cases[i].mode });
		pax.length = 0;
		if (cases[i].access)
			tarmake_record(&pax, "SCHILY.acl.access", cases[i].access,
				       strlen(cases[i].access));
		tarmake_add(&tar, &(struct tarmake_entry){ .name = file, .pax = &pax,
							   .mode = cases[i].mode });
		str_done(&pax);
		if (i % 2)
			continue;
		/* again, without an ACL: it follows the mode */
		tarmake_add(&tar, &(struct tarmake_entry){ .type = '5', .name = folder,
							   .mode = 0751 });
	}
	unpacked(false);
}
END_TEST

/* Refused by the kernel for a tree, and so for an EROFS file, in the same words. */
START_TEST(bad_xattrs)
{
	static const struct {
		const char *key, *value;
		size_t size;
		char type;
	} cases[] = {
		{ "SCHILY.xattr.security.capability", "short", 5, '0' },
		{ "SCHILY.xattr.system.posix_acl_access", "\2\0\0\0x", 5, '0' },
		{ "SCHILY.xattr.system.posix_acl_access", "\3\0\0\0", 4, '0' },
		{ "SCHILY.xattr.system.posix_acl_access", "\2\0\0\0\4\0\7\0\0\0\0\0", 12, '5' },
		{ "SCHILY.xattr.system.posix_acl_access",
		  "\2\0\0\0\1\0\7\0\0\0\0\0\4\0\7\0\0\0\0\0\x20\0\7\0\0\0\0", 27, '0' },
		{ "SCHILY.xattr.user.", "x", 1, '0' },
		{ "SCHILY.xattr.user.x", "x", 1, '6' },
	};
	struct str pax = { 0 };

	tarmake_record(&pax, cases[_i].key, cases[_i].value, cases[_i].size);
	tarmake_add(&tar, &(struct tarmake_entry){ .type = cases[_i].type, .name = "x",
						   .pax = &pax });
	str_done(&pax);
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ sizes, 1 }, { zeros, 1 }, { names, 1 }, { kinds, 1 }, { hard_links, 1 },
		{ folder_of_20000, 1 }, { many_folders, 1 }, { xattrs, 1 },
		{ big_xattrs, 24 }, { too_many_xattrs, 1 }, { acls, 1 }, { bad_xattrs, 7 },
	};
	const struct unit unit = { "EROFS", .timeout_s = 60, .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
