/*
 * The initramfs, taken apart by a reader of our own, by its bytes, and by bsdtar where there is one.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "runners/init/proto.h"
#include "runners/vm/initrd.h"
#include "tests/unit/unit.h"

#define HEAD 110	/* bytes of a newc head */
#define FIELDS 13

enum field { INODE, MODE, UID, GID, LINKS, MTIME, SIZE, DEV_MAJOR, DEV_MINOR, RDEV_MAJOR, RDEV_MINOR,
	     NAME_SIZE, SUM };

struct entry {
	unsigned long fields[FIELDS];
	const char *name, *data;
};

/* Takes the entry at *at apart and goes on behind it. */
static void take(const struct str *archive, size_t *at, struct entry *ret)
{
	ck_assert_uint_eq(*at % 4, 0);
	ck_assert_uint_le(*at + HEAD, archive->length);
	ck_assert_int_eq(memcmp(archive->text + *at, "070701", 6), 0);
	for (int i = 0; i < FIELDS; i++) {
		char hex[9] = { 0 }, *end;

		memcpy(hex, archive->text + *at + 6 + 8 * i, 8);
		ret->fields[i] = strtoul(hex, &end, 16);
		ck_assert_ptr_eq(end, hex + 8);
	}
	ret->name = archive->text + *at + HEAD;
	ck_assert_uint_le(*at + HEAD + ret->fields[NAME_SIZE], archive->length);
	ck_assert_uint_eq(strlen(ret->name) + 1, ret->fields[NAME_SIZE]);
	*at = (*at + HEAD + ret->fields[NAME_SIZE] + 3) / 4 * 4;
	ret->data = archive->text + *at;
	ck_assert_uint_le(*at + ret->fields[SIZE], archive->length);
	*at = (*at + ret->fields[SIZE] + 3) / 4 * 4;
}

static const char modules[] = "070701 an archive of its own, not looked at";
static const char init[] = "\177ELF\0duet-init\0\n";

static void make(size_t modules_size, const void *program, size_t size, struct str *ret)
{
	struct str mounts = { 0 };

	str_addn(&mounts, "mounts\0of\0all", 13);
	initrd_make(&(struct initrd){ modules, modules_size, program, size, &mounts }, ret);
	str_done(&mounts);
}

/* For every length of what comes before, since that decides about the padding. */
START_TEST(test_structure)
{
	size_t modules_size = (size_t)_i % 5, init_size = 1 + (size_t)_i / 5;
	static const struct {
		const char *name;
		unsigned long mode, major, minor;
	} wanted[] = {
		{ "dev", S_IFDIR | 0755 },	   { "dev/console", S_IFCHR | 0600, 5, 1 },
		{ "init", S_IFREG | 0755 },	   { "mounts", S_IFREG | 0444 },
		{ "TRAILER!!!" },
	};
	struct str archive = { 0 };
	size_t at = (modules_size + 3) / 4 * 4;

	make(modules_size, init, init_size, &archive);
	ck_assert_int_eq(memcmp(archive.text, modules, modules_size), 0);
	for (size_t i = modules_size; i < at; i++)
		ck_assert_int_eq(archive.text[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct entry entry;

		take(&archive, &at, &entry);
		ck_assert_str_eq(entry.name, wanted[i].name);
		ck_assert_uint_eq(entry.fields[INODE], i + 1);
		ck_assert_uint_eq(entry.fields[MODE], wanted[i].mode);
		ck_assert_uint_eq(entry.fields[UID] + entry.fields[GID] + entry.fields[MTIME], 0);
		ck_assert_uint_eq(entry.fields[LINKS], 1);
		ck_assert_uint_eq(entry.fields[RDEV_MAJOR], wanted[i].major);
		ck_assert_uint_eq(entry.fields[RDEV_MINOR], wanted[i].minor);
		if (i == 2) {
			ck_assert_uint_eq(entry.fields[SIZE], init_size);
			ck_assert_int_eq(memcmp(entry.data, init, init_size), 0);
		} else if (i == 3) {
			ck_assert_uint_eq(entry.fields[SIZE], 13);
			ck_assert_int_eq(memcmp(entry.data, "mounts\0of\0all", 13), 0);
		} else {
			ck_assert_uint_eq(entry.fields[SIZE], 0);
		}
	}
	ck_assert_uint_eq(at, archive.length);
	str_done(&archive);
}
END_TEST

START_TEST(test_deterministic)
{
	struct str one = { 0 }, two = { 0 };

	make(sizeof(modules), init, sizeof(init), &one);
	make(sizeof(modules), init, sizeof(init), &two);
	ck_assert_uint_eq(one.length, two.length);
	ck_assert_int_eq(memcmp(one.text, two.text, one.length), 0);
	str_done(&one);
	str_done(&two);
}
END_TEST

/* As it is, with megabytes in it. */
START_TEST(test_large)
{
	size_t size = (3 << 20) + 1, at = 0;
	_cleanup_free_ char *program = xmalloc(size);
	struct str archive = { 0 };
	struct entry entry;

	for (size_t i = 0; i < size; i++)
		program[i] = (char)(i * 7);
	make(0, program, size, &archive);
	for (int i = 0; i < 3; i++)
		take(&archive, &at, &entry);
	ck_assert_str_eq(entry.name, "init");
	ck_assert_uint_eq(entry.fields[SIZE], size);
	ck_assert_int_eq(memcmp(entry.data, program, size), 0);
	str_done(&archive);
}
END_TEST

/* Another program's eyes; bsdtar knows newc. */
START_TEST(test_bsdtar)
{
	char path[] = "/tmp/duet-test-XXXXXX", line[256];
	int fd = mkstemp(path);
	_cleanup_free_ char *command = xasprintf("bsdtar -tvf %s 2>&1", path);
	struct str archive = { 0 }, listed = { 0 };
	FILE *list;

	ck_assert_int_ge(fd, 0);
	if (access("/usr/bin/bsdtar", X_OK) == 0) {
		make(0, init, sizeof(init), &archive);
		ck_assert_int_eq(fs_write_all(fd, archive.text, archive.length), 0);
		list = popen(command, "re");
		ck_assert_ptr_nonnull(list);
		while (fgets(line, sizeof(line), list))
			str_add(&listed, line);
		ck_assert_msg(pclose(list) == 0, "%s", listed.text);
		ck_assert_ptr_nonnull(strstr(listed.text, "drwxr-xr-x"));
		ck_assert_ptr_nonnull(strstr(listed.text, "crw-------"));
		ck_assert_ptr_nonnull(strstr(listed.text, "5,1"));
		ck_assert_ptr_nonnull(strstr(listed.text, " dev/console\n"));
		ck_assert_ptr_nonnull(strstr(listed.text, "-rwxr-xr-x"));
		ck_assert_ptr_nonnull(strstr(listed.text, " init\n"));
		ck_assert_ptr_nonnull(strstr(listed.text, " mounts\n"));
	}
	unlink(path);
	close(fd);
	str_done(&archive);
	str_done(&listed);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_structure, 5 * (int)sizeof(init) }, { test_deterministic, 1 },
		{ test_large, 1 }, { test_bsdtar, 1 },
	};
	const struct unit unit = { "initrd" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
