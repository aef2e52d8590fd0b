/* store_check: each damage of each kind of file is found and named, and the next build mends it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "store_fixture.h"
#include "tests/unit/unit.h"

static struct fixture fx;
static struct digest seed_digest;
static char seed_hex[DIGEST_HEX_SIZE];

/* Every test finds "seed" published: its blob, tree, step, image. */
static void begin(void)
{
	fixture_begin(&fx);
	digest_of("seed", 4, &seed_digest);
	digest_hex(&seed_digest, seed_hex);
	ck_assert_int_eq(put_all(&fx.store, "seed", &fx.err), 0);
}

static void end(void)
{
	fixture_end(&fx);
}

/* One damage of one file; `text`: what the report must hold. */
static const struct {
	const char *command;	/* in v1/, with $HEX, $TREE (the tree's folder) and $BLOB */
	const char *text;
} damages[] = {
	{ "printf S | dd of=$BLOB conv=notrunc status=none", "digest differs" },
	{ "truncate -s 3 $BLOB", "digest differs" },
	{ "truncate -s 0 $BLOB", "digest differs" },
	{ "truncate -s 99 $BLOB", "digest differs" },
	{ "rm $BLOB", "missing" },
	{ "rm $BLOB; mkdir $BLOB", "not a file" },
	{ ": > blobs/sha256/stray", "blobs/sha256/stray: not a folder of blobs" },
	{ ": > blobs/sha256/$(echo $HEX | cut -c1-2)/stray", "not a blob" },
	{ "truncate -s 0 $TREE/tree/etc/passwd", "etc/passwd: size 0, recorded 22" },
	{ "truncate -s 5 $TREE/tree/etc/passwd", "etc/passwd: size 5, recorded 22" },
	{ "rm $TREE/tree/etc/passwd", "etc/passwd: missing" },
	{ "rm $TREE/tree/bin/ash", "bin/ash: missing" },
	{ "rm -r $TREE/tree/etc", "etc: missing" },
	{ "rm -r $TREE/tree", "folder is missing" },
	{ ": > $TREE/tree/new", "new: not recorded" },
	{ "chmod 4755 $TREE/tree/bin/sh", "bin/ash: mode 4755, recorded 755" },
	{ "chmod 777 $TREE/tree", ".: mode 777, recorded 755" },
	{ "ln -sfn /bin $TREE/tree/sbin", "sbin: size 4, recorded 3" },
	{ "ln -sfn etc $TREE/tree/sbin", "sbin: target etc, recorded bin" },
	{ "rm $TREE/tree/etc/pipe; : > $TREE/tree/etc/pipe", "etc/pipe: type f, recorded p" },
	{ "touch $TREE/tree/etc/a\\ b", "etc/a\\20b: time" },
	{ "truncate -s -1 $TREE/ok", "record is not whole" },
	{ "rm $TREE/ok", "record is not whole" },
	{ "printf x | dd of=$TREE/ok bs=1 seek=40 conv=notrunc status=none", "record is not whole" },
	{ "truncate -s -1 $TREE/list", "list is not whole" },
	{ "rm $TREE/list", "list is missing" },
	{ "truncate -s 20 $TREE/sum", "sum is not whole" },
	{ "truncate -s 20 steps/$HEX", "record is not whole" },
	{ "printf x | dd of=steps/$HEX bs=1 seek=99 conv=notrunc status=none",
	  "record is not whole" },
	{ "truncate -s 20 images/web", "record is not whole" },
	/* equal size and time: only the sums of the first check tell */
	{ "cp -p $TREE/tree/bin/sh ref; printf D | dd of=$TREE/tree/bin/sh conv=notrunc status=none;"
	  " touch -r ref $TREE/tree/bin/sh; rm ref", "bin/ash: content differs" },
};

START_TEST(damage_is_found_and_heals)
{
	const char *first;
	size_t count;

	ck_assert_uint_eq(check_store(&fx.store, &first), 0); /* writes the sums */
	shell("cd %s && HEX=%s TREE=trees/%s/%s BLOB=blobs/sha256/%.2s/%s && "
	      "chmod u+w $BLOB steps/* images/* $TREE/ok $TREE/list $TREE/sum && %s",
	      fixture_path(&fx, "."), seed_hex, fx.map.id, seed_hex, seed_hex, seed_hex,
	      damages[_i].command);
	count = check_store(&fx.store, &first);
	ck_assert_msg(count == 1 && strstr(first, damages[_i].text), "%zu: %s (%s)", count, first,
		      damages[_i].command);
	ck_assert_int_eq(put_all(&fx.store, "seed", &fx.err), 0);
	ck_assert_int_eq(has_all(&fx.store, "seed", &fx.err), 1);
	ck_assert_uint_eq(check_store(&fx.store, &first), 0);
	ck_assert_uint_eq(count_entries(fixture_path(&fx, "tmp")), 0);
}
END_TEST

START_TEST(damaged_in_use)
{
	_cleanup_close_ int tree = -1, use = -1;
	const char *first;

	ck_assert_int_eq(store_tree_open(&fx.store, &seed_digest, NULL, &tree, &use, &fx.err), 1);
	shell("truncate -s 0 %s",
	      fixture_path(&fx, "trees/%s/%s/tree/etc/passwd", fx.map.id, seed_hex));
	ck_assert_uint_eq(check_store(&fx.store, &first), 1);
	ck_assert_ptr_nonnull(strstr(first, "in use"));
	ck_assert_int_eq(faccessat(tree, "bin/sh", F_OK, 0), 0);
	close(TAKE_FD(use));
	ck_assert_uint_eq(check_store(&fx.store, &first), 1);
	ck_assert_ptr_null(strstr(first, "in use"));
	ck_assert_int_eq(store_tree_open(&fx.store, &seed_digest, NULL, &tree, &use, &fx.err), 0);
}
END_TEST

static int unreadable_blob(int fd, struct digest *ret, struct err *err)
{
	(void)fd, (void)ret;
	return err_sys(err, EIO, "read");
}

static int no_worker(int fd, struct digest *ret, struct err *err)
{
	(void)fd, (void)ret;
	return err_set(err, ERR_WORKER, "start the worker");
}

/* A worker that does not start condemns no blob; a disk that cannot be read does. */
START_TEST(hash_failures)
{
	const char *blob = fixture_path(&fx, "blobs/sha256/%.2s/%s", seed_hex, seed_hex);
	struct store_damage *items;
	size_t count;

	ck_assert_int_eq(store_check(&fx.store, no_worker, &items, &count, &fx.err), -1);
	ck_assert_int_eq(fx.err.code, ERR_WORKER);
	ck_assert_int_eq(access(blob, F_OK), 0);
	ck_assert_int_eq(store_check(&fx.store, unreadable_blob, &items, &count, &fx.err), 0);
	ck_assert_uint_ge(count, 1);
	ck_assert_int_eq(access(blob, F_OK), -1);
	store_damage_free(items, count);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ damage_is_found_and_heals, ARRAY_SIZE(damages) }, { damaged_in_use, 1 },
		{ hash_failures, 1 },
	};
	const struct unit unit = { "store check", .timeout_s = 120, .setup = begin, .teardown = end };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
