/*
 * Maps of holes without end (THREATS T21): a few KiB of layer that name millions of holes, in each form
 * in which tar has such maps. Each is refused before the list of them takes memory. A member of gzip, or a
 * frame of zstd, that repeats makes a map of any length out of one piece.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "tests/unit/builders/tarmake.h"
#include "tests/unit/unit.h"

#define PIECE (1u << 20)	/* holes in a piece of a map */
#define ADDRESSES_MAX (1ul << 30)
/* the sanitizer keeps what was freed, 256 MiB of it */
#ifdef __SANITIZE_ADDRESS__
#define PEAK_KIB_MAX (512l * 1024)
#else
#define PEAK_KIB_MAX (160l * 1024)
#endif
#define OLD_HOLES 21		/* in a block of GNU's old format */
#define OLD_HOLES_AT 386	/* in a header */
#define OLD_MORE_AT 482		/* "more blocks follow", in a header; in such a block at OLD_NEXT_AT */
#define OLD_NEXT_AT 504
#define AT_ONCE 4
#define LEGAL_HOLES 80000
#define LEGAL_STEP 4096

static struct work work;
static struct str tar, blob;
static struct layer_result result;
static struct err err;

/* A list that has no end ends the test, not the machine. The sanitizer takes all addresses for itself. */
static void limit_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	const struct rlimit limit = { ADDRESSES_MAX, ADDRESSES_MAX };

	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

static void setup(void)
{
	limit_memory();
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

static void check_peak(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	ck_assert_int_lt(usage.ru_maxrss, PEAK_KIB_MAX);
}

static void check_refused(void)
{
	ck_assert_int_eq(work_unpack(&work, &blob, false, &result, &err), -1);
	ck_assert_msg(err.code == ERR_LAYER_LIMIT && strstr(err.msg, "map of holes"), "%d: %s",
		      err.code, err.msg);
	check_peak();
}

static void (*const wraps[])(struct str *, const void *, size_t) = { tarmake_gzip, tarmake_zstd };

/* What `tar` has as one member, then a text so often as one each. */
static void pack(int kind, const char *text, size_t size, unsigned int times)
{
	struct str member = { 0 };

	wraps[kind](&blob, tar.text, tar.length);
	wraps[kind](&member, text, size);
	for (unsigned int i = 0; i < times; i++)
		str_addn(&blob, member.text, member.length);
	str_done(&member);
}

/* The head of a file whose content begins with its map (GNU's pax format 1.0). */
static void put_head(uint64_t size, const char *real_size)
{
	_cleanup_free_ char *field = xasprintf("%011llo", (unsigned long long)size);
	struct str pax = { 0 };

	tarmake_record(&pax, "GNU.sparse.major", "1", 1);
	tarmake_record(&pax, "GNU.sparse.minor", "0", 1);
	tarmake_record(&pax, "GNU.sparse.name", "f", 1);
	tarmake_record(&pax, "GNU.sparse.realsize", real_size, strlen(real_size));
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .size_field = field, .pax = &pax });
	str_done(&pax);
}

/* 16, 64 and 256 million holes of no size at offset 0, gzip and zstd; a hole in four bytes and in two. */
START_TEST(before_content)
{
	static const unsigned int millions[] = { 16, 64, 256 };
	static const char *const holes[] = { "0\n0\n", "\n\n" };
	unsigned int count = millions[_i / 4];
	const char *hole = holes[_i / 2 % 2];
	_cleanup_free_ char *number = xasprintf("%u\n", count * PIECE);
	struct str piece = { 0 };

	put_head(strlen(number) + (uint64_t)count * PIECE * strlen(hole), "0");
	str_add(&tar, number);
	for (unsigned int i = 0; i < PIECE; i++)
		str_add(&piece, hole);
	pack(_i % 2, piece.text, piece.length, count);
	str_done(&piece);
	check_refused();
}
END_TEST

/* Headers of GNU's old format that say of each block that one more follows. */
START_TEST(in_blocks)
{
	static const char hole[24] = "00000000000\00000000000000";
	char block[512] = "";
	uint8_t *head;
	unsigned int sum = 0;

	tarmake_put(&tar, 'S', "f", "");
	head = (uint8_t *)tar.text;
	memcpy(head + 257, "ustar  ", 8);
	memcpy(head + OLD_HOLES_AT, hole, sizeof(hole));
	head[OLD_MORE_AT] = 1;
	memset(head + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += head[i];
	snprintf((char *)head + 148, 7, "%06o", sum);
	for (int i = 0; i < OLD_HOLES; i++)
		memcpy(block + (size_t)i * sizeof(hole), hole, sizeof(hole));
	block[OLD_NEXT_AT] = 1;
	pack(_i, block, sizeof(block), 200000);
	check_refused();
}
END_TEST

/* pax headers one after the other, each with a map of half a MiB (GNU's formats 0.0 and 0.1). */
START_TEST(in_headers)
{
	struct str records = { 0 }, map = { 0 };

	if (_i / 2) {
		for (int i = 0; i < 1 << 17; i++)
			str_add(&map, i ? ",0,0" : "0,0");
		tarmake_record(&records, "GNU.sparse.map", map.text, map.length);
	} else {
		while (records.length < 1 << 19) {
			tarmake_record(&records, "GNU.sparse.offset", "0", 1);
			tarmake_record(&records, "GNU.sparse.numbytes", "0", 1);
		}
	}
	for (int i = 0; i < 20; i++)
		tarmake_add(&tar, &(struct tarmake_entry){ .name = "pax", .type = 'x',
							   .data = records.text,
							   .size = records.length });
	tarmake_put(&tar, '0', "f", "");
	tarmake_end(&tar);
	pack(_i % 2, "", 0, 0);
	str_done(&records);
	str_done(&map);
	check_refused();
}
END_TEST

/* A map as long as a large file has one, and more content than may be in headers. */
START_TEST(legal)
{
	struct str map = { 0 };
	_cleanup_free_ char *text = NULL;
	struct stat st;

	str_addf(&map, "%d\n", LEGAL_HOLES);
	for (int i = 0; i < LEGAL_HOLES; i++)
		str_addf(&map, "%d\n1\n", i * LEGAL_STEP);
	while (map.length % 512)
		str_addn(&map, "", 1);
	ck_assert_uint_gt(map.length, PIECE / 2);
	put_head(map.length + LEGAL_HOLES, "327680000");
	str_addn(&tar, map.text, map.length);
	for (int i = 0; i < LEGAL_HOLES; i++)
		str_addn(&tar, "x", 1);
	while (tar.length % 512)
		str_addn(&tar, "", 1);
	text = xcalloc(3, PIECE);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "g", .data = text, .size = 3 * PIECE });
	tarmake_put(&tar, '0', "h", "end");
	tarmake_end(&tar);
	pack(0, "", 0, 0);
	str_done(&map);
	ck_assert_msg(work_unpack(&work, &blob, false, &result, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(fstatat(work.tree, "f", &st, 0), 0);
	ck_assert_int_eq(st.st_size, 327680000);
	ck_assert_uint_eq(result.entries, 3);
}
END_TEST

/* As a pull does: each in a process of its own. */
START_TEST(several)
{
	char piece[4 * 1024];
	pid_t pids[AT_ONCE];
	int status;

	for (size_t i = 0; i < sizeof(piece); i += 4)
		memcpy(piece + i, "0\n0\n", 4);
	put_head(9 + 4ull * 16 * PIECE, "0");
	str_add(&tar, "16777216\n");
	pack(_i, piece, sizeof(piece), 16 * 1024);
	work.trees_only = true;
	for (int i = 0; i < AT_ONCE; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct rusage usage;
			int refused = work_unpack(&work, &blob, false, &result, &err);

			getrusage(RUSAGE_SELF, &usage);
			_exit(refused == 0 || err.code != ERR_LAYER_LIMIT ||
			      usage.ru_maxrss >= PEAK_KIB_MAX);
		}
	}
	for (int i = 0; i < AT_ONCE; i++)
		ck_assert(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ before_content, 12 }, { in_blocks, 2 }, { in_headers, 4 }, { legal, 1 },
		{ several, 2 },
	};

	const struct unit unit = { "unpack sparse", .timeout_s = 120, .takes_root = true,
				   .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
