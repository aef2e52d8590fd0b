/* Inflating: formats, members, pieces of every size that lie apart in memory, both gzip decoders. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "builders/layer/inflate.h"
#include "core/mem.h"
#include "tests/unit/builders/tarmake.h"
#include "tests/unit/unit.h"

static struct str plain, packed;

/* Gives pieces of `piece` bytes, each in memory of its own with nothing readable beside it. */
struct pieces {
	const struct str *from;
	size_t at, piece;
	uint8_t *last;	/* owned */
};

static int give(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct pieces *pieces = data;
	size_t size = pieces->from->length - pieces->at;

	(void)err;
	if (pieces->last) {
		memset(pieces->last, 0xa5, pieces->piece); /* who looks back sees garbage */
		free(pieces->last);
	}
	pieces->last = NULL;
	if (size > pieces->piece)
		size = pieces->piece;
	if (size == 0)
		return 0;
	pieces->last = xmalloc(pieces->piece);
	memcpy(pieces->last, pieces->from->text + pieces->at, size);
	pieces->at += size;
	*ret = pieces->last;
	*ret_size = size;
	return 1;
}

static int inflate_text(const struct str *from, size_t piece, size_t room, unsigned int flags,
			struct str *ret, struct err *err)
{
	struct pieces pieces = { .from = from, .piece = piece };
	const struct inflate_source source = { give, &pieces };
	_cleanup_free_ char *buffer = xmalloc(room);
	struct inflate *inflate = NULL;
	ssize_t got = -1;

	if (inflate_new(&source, flags, &inflate, err) == 0)
		while ((got = inflate_read(inflate, buffer, room, err)) > 0)
			str_addn(ret, buffer, (size_t)got);
	inflate_free(inflate);
	free(pieces.last);
	return (int)got;
}

static void setup(void)
{
	unsigned int seed = 3;

	plain = packed = (struct str){ 0 };
	for (int i = 0; i < 40000; i++) {
		char word[4] = { (char)rand_r(&seed), 'x', 'y', (char)(i >> 8) };

		str_addn(&plain, word, sizeof(word));
	}
}

static void teardown(void)
{
	str_done(&plain);
	str_done(&packed);
}

static void check_same(size_t piece, size_t room, unsigned int flags)
{
	_cleanup_(str_done) struct str out = { 0 };
	struct err err = { 0 };
	int got = inflate_text(&packed, piece, room, flags, &out, &err);

	ck_assert_msg(got == 0, "piece %zu room %zu: %s", piece, room, err.msg ? err.msg : "");
	ck_assert_uint_eq(out.length, plain.length);
	ck_assert_mem_eq(out.text, plain.text, plain.length);
}

static void (*const packers[])(struct str *, const void *, size_t) = { tarmake_gzip, tarmake_zstd,
									tarmake_xz };

/* Several members, a short, an empty and a long one, with zero bytes behind them. */
static void pack_members(int kind)
{
	packers[kind](&packed, plain.text, 3);
	packers[kind](&packed, "", 0);
	packers[kind](&packed, plain.text + 3, 70000);
	packers[kind](&packed, plain.text + 70003, 1);
	packers[kind](&packed, plain.text + 70004, plain.length - 70004);
	str_addn(&packed, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
}

START_TEST(pieces_of_every_size)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 8, 9, 17, 100, 4096, 1 << 20 };
	unsigned int flags = INFLATE_XZ | (_i >= 3 ? INFLATE_ZLIB : 0);

	pack_members(_i % 3);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		check_same(sizes[i], 1 << 16, flags);
		check_same(1 << 16, sizes[i], flags);
	}
	check_same(1, 1, flags);
}
END_TEST

/* Both gzip decoders have the same opinion of damage. */
START_TEST(mutated)
{
	unsigned int seed = (unsigned int)_i;
	int verdicts[2];

	plain.length = 3000;
	tarmake_gzip(&packed, plain.text, 1500);
	tarmake_gzip(&packed, plain.text + 1500, 1500);
	for (int i = 0; i < 3; i++)
		packed.text[(size_t)rand_r(&seed) % packed.length] ^= (char)(1 << rand_r(&seed) % 8);
	for (int i = 0; i < 2; i++) {
		_cleanup_(str_done) struct str out = { 0 };
		struct err err = { 0 };

		verdicts[i] = inflate_text(&packed, 100, 1000, i ? INFLATE_ZLIB : 0, &out, &err);
		ck_assert(verdicts[i] == 0 || err.code == ERR_LAYER);
		/* without the magic it is not packed at all */
		ck_assert(verdicts[i] != 0 || out.length == 3000 ||
			  memcmp(packed.text, "\x1f\x8b\x08", 3));
		err_done(&err);
	}
	ck_assert_int_eq(verdicts[0], verdicts[1]);
}
END_TEST

/* Only zero bytes behind the last member, and no other format there. */
START_TEST(trailing)
{
	_cleanup_(str_done) struct str out = { 0 };
	struct err err = { 0 };

	packers[_i % 3](&packed, plain.text, 1000);
	if (_i < 3)
		str_addn(&packed, "\0\0\0\0\0\0\0x", 8);
	else
		packers[(_i + 1) % 3](&packed, plain.text, 1000);
	ck_assert_int_eq(inflate_text(&packed, 4096, 4096, INFLATE_XZ, &out, &err), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
	err_done(&err);
}
END_TEST

START_TEST(not_packed)
{
	_cleanup_(str_done) struct str out = { 0 };
	struct err err = { 0 };

	ck_assert_int_eq(inflate_text(&plain, (size_t)_i + 1, 77, 0, &out, &err), 0);
	ck_assert_uint_eq(out.length, plain.length);
	ck_assert_mem_eq(out.text, plain.text, plain.length);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ pieces_of_every_size, 4 }, { mutated, 200 }, { trailing, 6 },
		{ not_packed, 8 },
	};
	const struct unit unit = { "inflate", .timeout_s = 60, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
