/*
 * Damaged EROFS images: whatever stands in one, reading it ends, with an error or without, and
 * touches nothing outside (the build with sanitizers tells). Bits are turned and the image is cut;
 * block 0's checksum is made right again, else it would keep the rest from being read.
 */
#include <check.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/erofs.h"
#include "core/erofs_format.h"
#include "core/mem.h"
#include "core/view.h"
#include "tests/unit/builders/forms.h"
#include "tests/unit/builders/tarmake.h"
#include "tests/unit/unit.h"

#define ROUNDS 20
#define MUTATIONS 100	/* in each round, of each kind */

static struct str good;	/* an image with some of everything */

static void put_xattrs(struct str *tar, const char *name, size_t size)
{
	_cleanup_free_ char *value = xcalloc(1, size);
	struct str pax = { 0 };

	tarmake_record(&pax, "SCHILY.xattr.user.a", value, size);
	tarmake_record(&pax, "SCHILY.xattr.user.b", "value", 5);
	tarmake_record(&pax, "SCHILY.acl.access", "user::rwx,user:5:r-x,group::r--,mask::rwx,other::--x",
		       52);
	tarmake_add(tar, &(struct tarmake_entry){ .type = strchr(name, '/') ? '5' : '0',
						  .name = name, .pax = &pax });
	str_done(&pax);
}

static void make_good(void)
{
	_cleanup_free_ char *bytes = xcalloc(1, 9000);
	struct str tar = { 0 };
	struct layer_result result;
	struct err err = { 0 };
	int fd;

	put_xattrs(&tar, "./", 3000);	/* shared ones */
	put_xattrs(&tar, "x", 20);
	put_xattrs(&tar, "big", 5000);
	put_xattrs(&tar, "d/", 30);
	for (int i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d/folder/%d-of-many-names", i);
		tarmake_put(&tar, '0', name, "text");
	}
	tarmake_put(&tar, '2', "d/link", "folder/1-of-many-names");
	tarmake_put(&tar, '2', "up", "d/../d/link");
	tarmake_put(&tar, '1', "hard", "d/folder/2-of-many-names");
	tarmake_put(&tar, '6', "fifo", NULL);
	tarmake_put(&tar, '0', "d/.wh.gone", "");
	tarmake_put(&tar, '0', "d/folder/.wh..wh..opq", "");
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "blocks", .data = bytes, .size = 9000 });
	tarmake_end(&tar);
	fd = forms_erofs(&tar, NULL, 0, &result, &err);
	ck_assert_msg(fd >= 0, "%s", err.msg);
	forms_bytes(fd, &good);
	close(fd);
	str_done(&tar);
}

static void sign(char *image)
{
	const size_t at = EROFS_SUPER_OFFSET + offsetof(struct erofs_super, checksum);
	uint32_t sum;

	memset(image + at, 0, sizeof(sum));
	sum = htole32(erofs_checksum(UINT32_MAX, image + EROFS_SUPER_OFFSET,
				     EROFS_BLOCK - EROFS_SUPER_OFFSET));
	memcpy(image + at, &sum, sizeof(sum));
}

/* How many of the ways to read it gave no error. */
static int read_all(const char *bytes, size_t size)
{
	_cleanup_close_ int fd = tarmake_fd(bytes, size), out = memfd_create("out", MFD_CLOEXEC);
	_cleanup_close_ int above = -1;
	struct str list = { 0 }, tar = { 0 };
	struct layer_result result;
	struct view_entry entry;
	struct erofs *erofs;
	struct err err = { 0 };
	int fine = 0, found;

	fine += forms_list_erofs(fd, &list, &err) == 0;
	ck_assert(fine == 1 || err.code == ERR_STORE);
	err_done(&err);
	str_done(&list);
	if (erofs_new(fd, &erofs, &err) == 0) {
		struct view_layer layer = view_of_erofs(erofs);

		found = view_find(&layer, 1, "up", true, &entry, &err);
		fine += found == 1;
		ck_assert(found >= 0 || err.code != 0);
		erofs_free(erofs);
	}
	err_done(&err);
	fine += layer_merge(&fd, 1, out, &result, &err) == 0;
	err_done(&err);
	tarmake_put(&tar, '0', "d/folder/new/name", "x");
	tarmake_put(&tar, '0', "up/name", "x");
	tarmake_end(&tar);
	above = forms_erofs(&tar, &fd, 1, &result, &err);
	fine += above >= 0;
	err_done(&err);
	str_done(&tar);
	return fine;
}

START_TEST(undamaged)
{
	make_good();
	ck_assert_int_eq(read_all(good.text, good.length), 4);
	str_done(&good);
}
END_TEST

START_TEST(bits)
{
	unsigned int seed = (unsigned int)_i + 1;
	int whole = 0, damaged = 0;

	make_good();
	for (int i = 0; i < MUTATIONS; i++) {
		_cleanup_free_ char *image = xmemdup(good.text, good.length);
		int count = 1 + rand_r(&seed) % 4;

		for (int j = 0; j < count; j++) {
			size_t at = (size_t)rand_r(&seed) % good.length;

			/* mostly where something stands, and mostly in numbers */
			for (int tries = 0; tries < 20 && image[at] == 0; tries++)
				at = (size_t)rand_r(&seed) % good.length;
			if (rand_r(&seed) % 3)
				image[at] ^= (char)(1 << rand_r(&seed) % 8);
			else
				image[at] = (char)rand_r(&seed);
		}
		sign(image);
		*(read_all(image, good.length) >= 4 ? &whole : &damaged) += 1;
	}
	ck_assert_int_gt(whole, 0);
	ck_assert_int_gt(damaged, 0);
	str_done(&good);
}
END_TEST

/* Fields of inodes and names take values at the borders. */
START_TEST(fields)
{
	static const uint32_t values[] = { 0, 1, 11, 12, 13, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
					   0x80000000, 0xffffffff, 36, 4095, 4096, 4097 };
	unsigned int seed = (unsigned int)_i + 1000;
	int damaged = 0;

	make_good();
	for (int i = 0; i < MUTATIONS; i++) {
		_cleanup_free_ char *image = xmemdup(good.text, good.length);
		uint32_t value = htole32(values[(size_t)rand_r(&seed) % ARRAY_SIZE(values)]);
		size_t size = rand_r(&seed) % 2 ? 2 : 4;
		size_t at = (size_t)rand_r(&seed) % (good.length / 2 - 2) * 2;

		for (int tries = 0; tries < 50 && image[at] == 0; tries++)
			at = (size_t)rand_r(&seed) % (good.length / 2 - 2) * 2;
		memcpy(image + at, &value, size);
		sign(image);
		damaged += read_all(image, good.length) < 4;
	}
	ck_assert_int_gt(damaged, 0);
	str_done(&good);
}
END_TEST

START_TEST(cut)
{
	make_good();
	for (size_t size = 0; size < good.length; size += size % 4096 == 0 ? 1 : 4095) {
		struct str list = { 0 };
		struct err err = { 0 };
		int fd = tarmake_fd(good.text, size);

		ck_assert_int_eq(forms_list_erofs(fd, &list, &err), -1);
		ck_assert_int_eq(err.code, ERR_STORE);
		err_done(&err);
		str_done(&list);
		close(fd);
	}
	str_done(&good);
}
END_TEST

/* Cut while it is being read. */
START_TEST(cut_later)
{
	struct erofs_inode root, inode;
	struct erofs *erofs;
	struct err err = { 0 };
	char buffer[9000];
	int fd;

	make_good();
	fd = tarmake_fd(good.text, good.length);
	ck_assert_int_eq(erofs_new(fd, &erofs, &err), 0);
	ck_assert_int_eq(erofs_root(erofs, &root, &err), 0);
	ck_assert_int_eq(erofs_lookup(erofs, &root, "blocks", &inode, &err), 1);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(erofs_read(erofs, &inode, buffer, sizeof(buffer), 0, &err), -1);
	ck_assert_int_eq(err.code, ERR_STORE);
	err_done(&err);
	erofs_free(erofs);
	close(fd);
	str_done(&good);
}
END_TEST

START_TEST(checksum)
{
	struct erofs *erofs;
	struct err err = { 0 };
	int fd;

	make_good();
	good.text[EROFS_SUPER_OFFSET + offsetof(struct erofs_super, uuid)] ^= 1;
	fd = tarmake_fd(good.text, good.length);
	ck_assert_int_eq(erofs_new(fd, &erofs, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "checksum"));
	err_done(&err);
	close(fd);
	str_done(&good);
}
END_TEST

/* The nid of an entry of the root, to be changed. */
static void change_nid(char *image, const char *name, uint64_t nid)
{
	const size_t from = EROFS_ROOT_NID * EROFS_SLOT;
	uint64_t value = htole64(nid);
	struct erofs_disk_inode root;
	struct erofs_dirent first, entry;
	char *names;

	memcpy(&root, image + from, sizeof(root));
	names = image + from + sizeof(root) + erofs_xattr_bytes(le16toh(root.xattr_count));
	memcpy(&first, names, sizeof(first));
	for (int i = 0; i < le16toh(first.name_offset) / 12; i++) {
		memcpy(&entry, names + i * 12, sizeof(entry));
		if (!strncmp(names + le16toh(entry.name_offset), name, strlen(name))) {
			memcpy(names + i * 12, &value, sizeof(value));
			sign(image);
			return;
		}
	}
	ck_abort_msg("no %s in the root", name);
}

/* A folder that holds itself, by a whole image of it: reading it comes to an end. */
START_TEST(folder_in_itself)
{
	_cleanup_close_ int fd = -1, out = memfd_create("out", MFD_CLOEXEC);
	struct layer_result result;
	struct view_entry entry;
	struct view_layer layer;
	struct erofs *erofs;
	struct err err = { 0 };

	make_good();
	change_nid(good.text, "d", EROFS_ROOT_NID);
	fd = tarmake_fd(good.text, good.length);
	ck_assert_int_eq(layer_merge(&fd, 1, out, &result, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "in two places"));
	err_done(&err);
	ck_assert_int_eq(erofs_new(fd, &erofs, &err), 0);
	layer = view_of_erofs(erofs);
	ck_assert_int_eq(view_find(&layer, 1, "d/d/d/d/x", true, &entry, &err), 1);
	erofs_free(erofs);
	str_done(&good);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ undamaged, 1 }, { bits, ROUNDS }, { fields, ROUNDS }, { cut, 1 },
		{ cut_later, 1 }, { checksum, 1 }, { folder_in_itself, 1 },
	};
	const struct unit unit = { "damaged EROFS", .timeout_s = 120 };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
