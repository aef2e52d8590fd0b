/* core/lock: the same content has the same bytes, and what is not a lock is refused with its place. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "core/lock.h"
#include "core/str.h"
#include "tests/unit/unit.h"

#define HEX_A "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HEX_B "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
#define MADE_BY "\"made_by\": {\"duet_init\": \"sha256:" HEX_A "\", \"plan\": \"p\", " \
		"\"layer\": \"l\", \"erofs\": \"e\"}"

static struct digest a, b;

static void setup(void)
{
	ck_assert(digest_parse_hex(HEX_A, &a) && digest_parse_hex(HEX_B, &b));
}

static const struct lock_maker maker = { .plan = "p", .layer = "l", .erofs = "e" };

/* One entry of each kind, made in this order or in the other. */
static void fill(struct lock *lock, bool backwards)
{
	struct digest layers[] = { a, b };
	struct lock_image image = { .index = a, .has_index = true, .manifest = b, .config = a,
				    .layers = layers, .layer_count = 2 };
	struct lock_archive archive = { .sha256 = a, .bytes = 4711 };
	struct lock_kernel kernel = { .id = a, .release = "6.1.0-1-cloud-amd64", .package = b };
	struct lock_debian debian = { .in_release = a, .date_s = 1700000000 };

	strv_add(&debian.packages, "apt 2.6.1 amd64 " HEX_A);
	strv_add(&debian.packages, "tzdata 1:2024a-0+deb12u1 all " HEX_B);
	lock_list_digest(&debian.packages, &debian.list);
	for (int i = 0; i < 5; i++)
		switch (backwards ? 4 - i : i) {
		case 0:
			lock_image_set(lock, "docker.io/library/alpine:3.20 linux/amd64", &image);
			break;
		case 1:
			lock_archive_set(lock, "https://h/a.tar", &archive);
			break;
		case 2:
			lock_archive_set(lock, "https://h/b.tar", &archive);
			break;
		case 3:
			lock_debian_set(lock, "bookworm minbase", &debian);
			break;
		case 4:
			lock_kernel_set(lock, "debian bookworm amd64 cloud", &kernel);
			break;
		}
	strv_done(&debian.packages);
}

static char *text_of(bool backwards)
{
	struct lock lock = { .maker = maker };
	char *text;

	fill(&lock, backwards);
	text = lock_text(&lock);
	lock.maker = (struct lock_maker){ 0 };
	lock_done(&lock);
	return text;
}

START_TEST(test_same_bytes)
{
	_cleanup_free_ char *one = text_of(false), *other = text_of(true), *again = NULL;
	struct err err = { 0 };
	struct lock lock;

	ck_assert_str_eq(one, other);
	ck_assert(str_has_suffix(one, "}\n"));
	ck_assert_ptr_nonnull(strstr(one, "      \"date\": \"2023-11-14T22:13:20Z\",\n"));
	ck_assert_ptr_nonnull(strstr(one, "        \"apt 2.6.1 amd64 " HEX_A "\",\n"));
	ck_assert_int_eq(lock_parse(&lock, "x.lock", one, strlen(one), &err), 0);
	ck_assert_ptr_null(lock.change);
	again = lock_text(&lock);
	ck_assert_str_eq(again, one);
	/* the same once more is no change; it has all been asked for now */
	fill(&lock, false);
	ck_assert_ptr_null(lock.change);
	lock_drop_unused(&lock, ~0u);
	ck_assert_uint_eq(lock.count, 5);
	lock_done(&lock);
}
END_TEST

START_TEST(test_get_and_set)
{
	struct lock_archive archive = { .sha256 = b, .bytes = 1 };
	struct lock lock = { .file = xstrdup("/d/duet.lock") };
	struct lock_image image;
	struct err err = { 0 };

	ck_assert_int_eq(lock_image_get(NULL, "x", &image), 0);
	lock_archive_set(NULL, "x", &archive);
	fill(&lock, false);
	ck_assert_str_eq(lock.change, "add image docker.io/library/alpine:3.20 linux/amd64");
	ck_assert_int_eq(lock_image_get(&lock, "docker.io/library/alpine:3.20 linux/arm64", &image), 0);
	ck_assert_int_eq(lock_image_get(&lock, "docker.io/library/alpine:3.20 linux/amd64", &image), 1);
	ck_assert_uint_eq(image.layer_count, 2);
	ck_assert(digest_equal(&image.layers[1], &b));
	/* what it gave may be given back */
	image.has_index = false;
	lock_image_set(&lock, "docker.io/library/alpine:3.20 linux/amd64", &image);
	ck_assert_int_eq(lock_image_get(&lock, "docker.io/library/alpine:3.20 linux/amd64", &image), 1);
	ck_assert(!image.has_index && image.layer_count == 2 && digest_equal(&image.layers[0], &a));
	ck_assert_int_eq(lock_refuse_missing(&lock, LOCK_ARCHIVE, "https://h/c\033.tar", &err), -1);
	ck_assert_int_eq(err.code, ERR_LOCK);
	ck_assert_str_eq(err.msg, "/d/duet.lock has no entry for archive https://h/c\\x1b.tar");
	err_done(&err);
	lock_done(&lock);
}
END_TEST

START_TEST(test_drop)
{
	static const struct {
		const char *name;
		size_t left;	/* of five */
	} rows[] = {
		{ NULL, 0 }, { "alpine", 4 }, { "alpine:3.20", 4 }, { "docker.io/library/alpine", 4 },
		{ "docker.io/library/alpine:3.20 linux/amd64", 4 }, { "archive", 3 },
		{ "https://h/b.tar", 4 }, { "debian", 4 }, { "kernel", 4 },
		/* nothing that is merely like it */
		{ "alpine:3.2", 5 }, { "alpin", 5 }, { "https://h/", 5 }, { "bookworm", 5 }, { "", 5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct lock lock = { .file = xstrdup("x.lock") };
		struct err err = { 0 };

		fill(&lock, false);
		ck_assert_msg(lock_drop(&lock, rows[i].name, &err) == (rows[i].left == 5 ? -1 : 0),
			      "%s", rows[i].name);
		ck_assert_msg(lock.count == rows[i].left, "%s: %zu", rows[i].name, lock.count);
		if (rows[i].left == 5)
			ck_assert_ptr_nonnull(strstr(err.mend, "`https://h/a.tar`"));
		err_done(&err);
		lock_done(&lock);
	}
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "read x.lock: " },
		{ "[]", "version: not a number" },
		{ "{\"version\": 2, \"new\": 1}", "it is 2, this duet knows 1" },
		{ "{\"version\": 1}", "made_by: value: not a map" },
		{ "{\"version\": 1, " MADE_BY ", \"image\": {}}", "image: this duet does not know" },
		{ "{\"version\": 1, " MADE_BY ", " MADE_BY "}", "duplicate" },
		{ "{\"version\": 1, " MADE_BY ", \"images\": []}", "images: not a map" },
		{ "{\"version\": 1, " MADE_BY ", \"images\": {\"i\": {\"manifest\": \"sha256:1\"}}}",
		  "images: i: manifest: not a digest" },
		{ "{\"version\": 1, " MADE_BY ", \"archives\": {\"u\\u001b\": {\"sha256\": \"" HEX_A
		  "\", \"bytes\": -1}}}", "archives: u\\x1b: bytes: not a number" },
		{ "{\"version\": 1, " MADE_BY ", \"archives\": {\"u\": {\"sha256\": \"" HEX_A
		  "\", \"bytes\": 1, \"sha1\": 2}}}", "archives: u: sha1: this duet does not know" },
		{ "{\"version\": 1, " MADE_BY ", \"debian\": {\"d\": {\"in_release\": \"sha256:" HEX_A
		  "\", \"date\": \"2024-01-02T03:04:05Z\", \"list\": \"sha256:" HEX_A
		  "\", \"packages\": []}}}", "debian: d: list: not the digest" },
		{ "{\"version\": 1, " MADE_BY ", \"debian\": {\"d\": {\"in_release\": \"sha256:" HEX_A
		  "\", \"date\": \"2024-01-02T03:04:05Z\", \"list\": \"sha256:" HEX_A
		  "\", \"packages\": [\"a /b all " HEX_A "\"]}}}", "debian: d: packages: not a sorted" },
		{ "{\"version\": 1, " MADE_BY ", \"debian\": {\"d\": {\"in_release\": \"sha256:" HEX_A
		  "\", \"date\": \"today\", \"list\": \"sha256:" HEX_A "\", \"packages\": []}}}",
		  "debian: d: date: not a time" },
		{ "{\"version\": 1, " MADE_BY ", \"kernels\": {\"k\": {\"id\": \"sha256:" HEX_A
		  "\", \"package\": \"sha256:" HEX_A "\", \"release\": 6}}}",
		  "kernels: k: release: not a text" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = { 0 };
		struct lock lock;

		ck_assert_int_eq(lock_parse(&lock, "x.lock", rows[i].text, strlen(rows[i].text), &err),
				 -1);
		ck_assert_int_eq(err.code, ERR_LOCK);
		ck_assert_msg(strstr(err.msg, rows[i].why) != NULL, "%zu: %s", i, err.msg);
		ck_assert_ptr_nonnull(err.mend);
		err_done(&err);
	}
}
END_TEST

START_TEST(test_file)
{
	char folder[] = "/tmp/duet-lock.XXXXXX";
	struct err err = { 0 };
	_cleanup_free_ char *file = NULL, *link = NULL;
	struct stat before, after;
	struct lock lock;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	file = xasprintf("%s/duet.lock", folder);
	ck_assert_int_eq(lock_read(&lock, file, &err), 0);
	ck_assert(!lock.exists);
	/* nothing to lock: no file */
	ck_assert_int_eq(lock_write(&lock, &maker, &err), 0);
	ck_assert_int_eq(stat(file, &before), -1);
	fill(&lock, false);
	ck_assert_int_eq(lock_write(&lock, &maker, &err), 0);
	lock_done(&lock);
	ck_assert_int_eq(stat(file, &before), 0);
	ck_assert_uint_eq(before.st_mode & 07777, 0644);
	/* nothing changed: the same file */
	ck_assert_int_eq(lock_read(&lock, file, &err), 0);
	ck_assert(lock.exists && lock.count == 5);
	fill(&lock, true);
	ck_assert_int_eq(lock_write(&lock, &maker, &err), 0);
	ck_assert_int_eq(stat(file, &after), 0);
	ck_assert(before.st_ino == after.st_ino);
	/* nobody asks any more: the entries go, the file stays */
	lock_done(&lock);
	ck_assert_int_eq(lock_read(&lock, file, &err), 0);
	lock_drop_unused(&lock, ~0u & ~(1u << LOCK_KERNEL));
	ck_assert_uint_eq(lock.count, 1);
	ck_assert_int_eq(lock_write(&lock, &maker, &err), 0);
	lock_done(&lock);
	ck_assert_int_eq(lock_read(&lock, file, &err), 0);
	ck_assert_uint_eq(lock.count, 1);
	lock_done(&lock);
	/* a lock that is good, but through a link */
	link = xasprintf("%s/other.lock", folder);
	ck_assert_int_eq(symlink("duet.lock", link), 0);
	ck_assert_int_eq(lock_read(&lock, link, &err), -1);
	ck_assert_int_eq(err.code, ERR_LOCK);
	err_done(&err);
	ck_assert_int_eq(fs_remove_tree(-100 /* AT_FDCWD */, folder, &err), 0);
}
END_TEST

START_TEST(test_path)
{
	static const char *const rows[][2] = {
		{ "/a/duet.yaml", "/a/duet.lock" }, { "/a/web.yaml", "/a/web.lock" },
		{ "/a.b/duet", "/a.b/duet.lock" }, { "/a/.duet.yaml", "/a/.duet.lock" },
		{ "/a/.yaml", "/a/.yaml.lock" }, { "x.y.yml", "x.y.lock" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *path = lock_path(rows[i][0]);

		ck_assert_str_eq(path, rows[i][1]);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_same_bytes, 1 }, { test_get_and_set, 1 }, { test_drop, 1 },
		{ test_refused, 1 }, { test_file, 1 }, { test_path, 1 },
	};
	const struct unit unit = { "lock", .setup = setup };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
