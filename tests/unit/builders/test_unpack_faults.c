/*
 * Broken, excessive and ambiguous layers (THREATS T16 to T18): each is refused with a reason, within
 * bounds; and what is the same tar in another wrapping has the same diff-id.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "tests/unit/builders/tarmake.h"
#include "tests/unit/unit.h"

static struct work work;
static struct str tar, blob;
static struct layer_result result;
static struct err err;

static void setup(void)
{
	work_init(&work);
	tar = blob = (struct str){ 0 };
	err = (struct err){ 0 };
}

static void teardown(void)
{
	work_intact(&work);
	work_done(&work);
	str_done(&tar);
	str_done(&blob);
	err_done(&err);
}

/* Some files with content that does not pack to nothing. */
static void make_sample(void)
{
	unsigned int seed = 1;
	char data[9000];

	for (int i = 0; i < 60; i++) {
		_cleanup_free_ char *name = xasprintf("file-%d", i);

		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = (char)(j % 3 ? rand_r(&seed) : 'a');
		tarmake_add(&tar, &(struct tarmake_entry){ .name = name, .data = data,
							   .size = sizeof(data) });
	}
	tarmake_end(&tar);
}

static void refused(const struct str *bytes, int code, const char *why)
{
	ck_assert_int_eq(work_unpack(&work, bytes, false, &result, &err), -1);
	ck_assert_msg(err.code == code, "%d: %s", err.code, err.msg);
	ck_assert_msg(strstr(err.msg, why) != NULL, "\"%s\" not in: %s", why, err.msg);
}

static void (*const wraps[])(struct str *, const void *, size_t) = { NULL, tarmake_gzip,
								      tarmake_zstd, tarmake_xz };

static void wrap(int kind, const struct str *bytes)
{
	if (wraps[kind])
		wraps[kind](&blob, bytes->text, bytes->length);
	else
		str_addn(&blob, bytes->text, bytes->length);
}

START_TEST(same_diff_id)
{
	struct layer_unpack args = { .out = work.tree, .allow_xz = true };
	struct digest plain, packed;

	make_sample();
	wrap(_i, &tar);
	digest_of(tar.text, tar.length, &plain);
	digest_of(blob.text, blob.length, &packed);
	args.blob = tarmake_fd(blob.text, blob.length);
	args.blob_bytes = blob.length;
	args.has_expected = true;
	args.expected = packed;
	ck_assert_msg(layer_unpack(&args, &result, &err) == 0, "%s", err.msg);
	close(args.blob);
	ck_assert(digest_equal(&result.diff_id, &plain) && digest_equal(&result.blob, &packed));
	ck_assert_uint_eq(result.plain_bytes, tar.length);
	ck_assert_uint_eq(result.blob_bytes, blob.length);
	ck_assert_uint_eq(result.entries, 60);
	ck_assert_uint_eq(result.tree_bytes, 60 * 9000);
}
END_TEST

START_TEST(xz_is_for_archives)
{
	make_sample();
	wrap(3, &tar);
	refused(&blob, ERR_LAYER, "xz");
}
END_TEST

/* Cut anywhere, it is refused: 3 wrappings, 8 places. */
START_TEST(truncated)
{
	make_sample();
	wrap(_i % 3, &tar);
	blob.length = blob.length * (size_t)(_i / 3) / 8;
	ck_assert_int_eq(work_unpack(&work, &blob, false, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
}
END_TEST

/* A wrong byte in each quarter of what is packed; the checksums inside tell. */
START_TEST(corrupted)
{
	make_sample();
	wrap(1 + _i % 2, &tar);
	blob.text[blob.length / 8 + blob.length / 4 * (size_t)(_i / 2)] ^= 0x55;
	if (_i % 2) {
		/* made by the one-call function: no checksum of the content; the digest tells */
		struct layer_unpack args = { .out = work.tree, .has_expected = true };

		args.blob = tarmake_fd(blob.text, blob.length);
		ck_assert_int_eq(layer_unpack(&args, &result, &err), -1);
		close(args.blob);
		ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
		return;
	}
	/* the checksum stands at the end: a header of the tar may break before */
	refused(&blob, ERR_LAYER, "");
}
END_TEST

START_TEST(wrong_digest)
{
	struct layer_unpack args = { .out = work.tree, .has_expected = true };

	make_sample();
	wrap(_i, &tar);
	args.blob = tarmake_fd(blob.text, blob.length);
	digest_of("other", 5, &args.expected);
	ck_assert_int_eq(layer_unpack(&args, &result, &err), -1);
	close(args.blob);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	ck_assert_ptr_nonnull(strstr(err.msg, "digest differs"));
}
END_TEST

START_TEST(wrong_size)
{
	struct layer_unpack args = { .out = work.tree };

	make_sample();
	args.blob = tarmake_fd(tar.text, tar.length);
	args.blob_bytes = _i ? tar.length + 1 : tar.length - 1;
	ck_assert_int_eq(layer_unpack(&args, &result, &err), -1);
	close(args.blob);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	ck_assert_ptr_nonnull(strstr(err.msg, _i ? "fewer" : "more"));
}
END_TEST

/* T18: behind the end, zero bytes only, packed or not. */
START_TEST(trailing)
{
	make_sample();
	wrap(_i % 3, &tar);
	if (_i < 3) {
		str_addn(&blob, "\0\0\0\0\0\0\0\0", 8);
		ck_assert_msg(work_unpack(&work, &blob, false, &result, &err) == 0, "%s", err.msg);
		return;
	}
	str_addn(&blob, _i < 6 ? "garbage!" : "\0\0\0\0x\0\0\0", 8);
	refused(&blob, ERR_LAYER, _i % 3 == 0 ? "after the end of the archive" : "");
}
END_TEST

START_TEST(two_tars)
{
	struct str two = { 0 };

	make_sample();
	str_addn(&two, tar.text, tar.length);
	str_addn(&two, tar.text, tar.length);
	wrap(_i, &two);
	str_done(&two);
	refused(&blob, ERR_LAYER, "after the end of the archive");
}
END_TEST

/* Members and frames follow each other: the diff-id is over all that comes out. */
START_TEST(members)
{
	struct digest plain;
	size_t half;

	make_sample();
	half = tar.length / 2 + 13;
	if (_i)
		str_addn(&blob, "\x5a\x2a\x4d\x18\x03\0\0\0abc", 11); /* a skippable frame */
	wraps[1 + _i](&blob, tar.text, half);
	if (_i)
		str_addn(&blob, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
	wraps[1 + _i](&blob, "", 0);
	wraps[1 + _i](&blob, tar.text + half, tar.length - half);
	digest_of(tar.text, tar.length, &plain);
	ck_assert_msg(work_unpack(&work, &blob, false, &result, &err) == 0, "%s", err.msg);
	ck_assert(digest_equal(&result.diff_id, &plain));
}
END_TEST

/* A tar of no byte is a layer when its digest is known, however it is wrapped; else it may be cut. */
START_TEST(no_byte)
{
	struct layer_unpack args = { .out = work.tree, .has_expected = true };

	wrap(_i, &tar);
	digest_of(blob.text, blob.length, &args.expected);
	args.blob = tarmake_fd(blob.text, blob.length);
	args.blob_bytes = blob.length;
	ck_assert_msg(layer_unpack(&args, &result, &err) == 0, "%s", err.msg);
	close(args.blob);
	ck_assert_uint_eq(result.entries, 0);
	if (_i > 0)
		refused(&blob, ERR_LAYER, "archive");
}
END_TEST

START_TEST(nothing)
{
	if (_i == 0) {
		refused(&(struct str){ .text = (char *)"" }, ERR_LAYER, "archive");
		return;
	}
	tarmake_end(&tar); /* the empty layer of many images */
	wrap(_i % 3, &tar);
	ck_assert_msg(work_unpack(&work, &blob, false, &result, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(result.entries, 0);
}
END_TEST

/* T16: numbers and lengths out of range. */
START_TEST(bad_sizes)
{
	static const char *const fields[] = {
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",	/* -1 in base 256 */
		"\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff",	/* 2^63 - 1 */
		"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",	/* 2^64 */
		"77777777777\0", "-1         \0",
	};

	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .size_field = fields[_i] });
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
	ck_assert(err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT);
}
END_TEST

START_TEST(bad_pax)
{
	static const char *const records[] = {
		"999999999 path=x\n", "0 path=x\n", "-5 path=x\n", "11 path=x\n", "9 path=x",
		"18 size=-1234567\n", "30 size=99999999999999999999999\n", "path=x\n", "11 uid=-77\n",
	};
	struct str pax = { .text = (char *)records[_i], .length = strlen(records[_i]) };

	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .pax = &pax });
	tarmake_end(&tar);
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
	ck_assert(err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT);
}
END_TEST

static char *repeated(const char *text, size_t count)
{
	struct str out = { 0 };

	for (size_t i = 0; i < count; i++)
		str_add(&out, text);
	return out.text;
}

static void put_pax(const char *key, const char *value, size_t size)
{
	struct str pax = { 0 };

	tarmake_record(&pax, key, value, size);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .pax = &pax });
	tarmake_end(&tar);
	str_done(&pax);
}

/* LAYER_DEPTH_MAX, and one more. */
START_TEST(depth)
{
	_cleanup_free_ char *path = repeated("d/", LAYER_DEPTH_MAX - 1 + (size_t)_i);
	_cleanup_free_ char *file = xasprintf("%sf", path);

	put_pax("path", file, strlen(file));
	if (_i == 0)
		ck_assert_msg(work_unpack(&work, &tar, false, &result, &err) == 0, "%s", err.msg);
	else
		refused(&tar, ERR_LAYER_LIMIT, "components");
}
END_TEST

START_TEST(long_paths)
{
	static const size_t lengths[] = { 255, 256, 4096, 1 << 20, 3 << 20 };
	_cleanup_free_ char *name = repeated("x", lengths[_i]);

	put_pax("path", name, lengths[_i]);
	if (_i == 0) {
		ck_assert_msg(work_unpack(&work, &tar, false, &result, &err) == 0, "%s", err.msg);
		return;
	}
	ck_assert_int_eq(work_unpack(&work, &tar, false, &result, &err), -1);
	ck_assert(err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT);
}
END_TEST

/* LAYER_XATTRS_MAX counts what is dropped, too. */
START_TEST(large_xattrs)
{
	static const char key[] = "SCHILY.xattr.trusted.x";
	size_t size = LAYER_XATTRS_MAX - strlen("trusted.x") + (size_t)_i;
	_cleanup_free_ char *value = repeated("x", size);

	put_pax(key, value, size);
	if (_i == 0)
		ck_assert_msg(work_unpack(&work, &tar, false, &result, &err) == 0, "%s", err.msg);
	else
		refused(&tar, ERR_LAYER_LIMIT, "extended attributes");
}
END_TEST

/* A NUL in a path ends it: what is behind it is not a second opinion. */
START_TEST(nul_in_path)
{
	put_pax("path", "seen\0/../../victim/x", 20);
	if (work_unpack(&work, &tar, false, &result, &err) == 0)
		ck_assert_uint_eq(work_mode(&work, "tree/seen"), S_IFREG | 0644);
	else
		ck_assert_int_eq(err.code, ERR_LAYER);
}
END_TEST

/* A file of LAYER_BYTES_MAX and one of a byte more, with holes (GNU's pax format 0.1). */
START_TEST(file_size)
{
	_cleanup_free_ char *size = xasprintf("%llu", LAYER_BYTES_MAX + (unsigned long long)_i);
	struct str pax = { 0 };

	tarmake_record(&pax, "GNU.sparse.size", size, strlen(size));
	tarmake_record(&pax, "GNU.sparse.numblocks", "1", 1);
	tarmake_record(&pax, "GNU.sparse.map", "0,1", 3);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .data = "x", .size = 1, .pax = &pax });
	tarmake_end(&tar);
	str_done(&pax);
	if (_i == 0)
		ck_assert_msg(work_unpack(&work, &tar, false, &result, &err) == 0, "%s", err.msg);
	else
		refused(&tar, ERR_LAYER_LIMIT, "larger");
}
END_TEST

/* LAYER_ENTRIES_MAX, met by entries that make nothing, in 10,000 members of gzip. */
START_TEST(entries)
{
	struct str member = { 0 };

	for (int i = 0; i < 1000; i++)
		tarmake_put(&tar, '0', ".wh..wh.x", "");
	tarmake_gzip(&member, tar.text, tar.length);
	for (int i = 0; i < (int)(LAYER_ENTRIES_MAX / 1000); i++)
		str_addn(&blob, member.text, member.length);
	tar.length = 0;
	tarmake_put(&tar, '0', ".wh..wh.x", "");
	tarmake_end(&tar);
	tarmake_gzip(&blob, tar.text, tar.length);
	str_done(&member);
	work.trees_only = true; /* both would count alike, and it takes a while */
	refused(&blob, ERR_LAYER_LIMIT, "entries");
}
END_TEST

/* LAYER_RATIO_MAX: zero bytes, which zstd packs 20,000 times smaller, in what the tar ignores. */
START_TEST(bomb)
{
	size_t piece = 64u << 20;
	_cleanup_free_ char *zeros = xcalloc(1, piece);
	struct rusage usage;

	tarmake_end(&tar);
	tarmake_zstd(&blob, tar.text, tar.length);
	for (int i = 0; i < 40; i++)
		tarmake_zstd(&blob, zeros, piece);
	refused(&blob, ERR_LAYER_LIMIT, "times the size");
	getrusage(RUSAGE_SELF, &usage);
	ck_assert_int_lt(usage.ru_maxrss, 256 * 1024);
}
END_TEST

/* A window of more than LAYER_ZSTD_WINDOW_LOG_MAX: only the header is needed (RFC 8878, 3.1.1.1). */
START_TEST(zstd_window)
{
	char header[] = { 0x28, (char)0xb5, 0x2f, (char)0xfd, 0x00, 0x00, 0x03, 0x00, 0x00 };

	header[5] = (char)((LAYER_ZSTD_WINDOW_LOG_MAX - 10 + _i) << 3);
	str_addn(&blob, header, sizeof(header)); /* one empty last block */
	refused(&blob, ERR_LAYER, _i ? "memory" : "");
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ same_diff_id, 4 }, { xz_is_for_archives, 1 }, { truncated, 24 },
		{ corrupted, 8 }, { wrong_digest, 4 }, { wrong_size, 2 }, { trailing, 9 },
		{ two_tars, 3 }, { members, 2 }, { no_byte, 3 }, { nothing, 4 },
		{ bad_sizes, 5 }, { bad_pax, 9 }, { depth, 2 }, { long_paths, 5 },
		{ large_xattrs, 2 }, { nul_in_path, 1 }, { file_size, 2 }, { entries, 1 },
		{ bomb, 1 }, { zstd_window, 2 },
	};
	const struct unit unit = { "unpack faults", .timeout_s = 120, .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
