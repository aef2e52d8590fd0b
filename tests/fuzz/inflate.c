/*
 * Compressed streams: gzip, zstd, xz, in pieces. Two readings of one stream with pieces of other sizes
 * come to the same. What ISA-L takes, zlib takes, with the same bytes; what ISA-L refuses, zlib may take
 * (stream.c tries again).
 */
#include <string.h>

#include "builders/layer/inflate.h"
#include "core/mem.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"

#define PLAIN_MAX (1u << 20)	/* bytes of a plain stream; the rest is not looked at */

struct pieces {
	struct fuzz_input input;
	size_t piece;
	uint8_t *last;	/* owned; nothing readable is beside it */
};

static int give(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct pieces *pieces = data;
	struct fuzz_input part = fuzz_part(&pieces->input, pieces->piece);

	(void)err;
	free(pieces->last);
	pieces->last = NULL;
	if (part.left == 0)
		return 0;
	pieces->last = xmemdup(part.at, part.left);
	*ret = pieces->last;
	*ret_size = part.left;
	return 1;
}

struct outcome {
	struct str plain;
	int result;
	bool may_retry;
};

static void unpack(struct fuzz_input input, size_t piece, size_t room, unsigned int flags,
		   struct outcome *ret)
{
	struct pieces pieces = { input, piece, NULL };
	const struct inflate_source source = { give, &pieces };
	_cleanup_free_ char *buffer = xmalloc(room);
	struct inflate *inflate = NULL;
	struct err err = { 0 };
	ssize_t got = -1;

	*ret = (struct outcome){ 0 };
	if (inflate_new(&source, flags, &inflate, &err) == 0)
		while ((got = inflate_read(inflate, buffer, room, &err)) > 0 &&
		       ret->plain.length < PLAIN_MAX)
			str_addn(&ret->plain, buffer, (size_t)got);
	FUZZ_CHECK(got >= 0 || err.code == ERR_LAYER);
	ret->result = got < 0 ? -1 : 0;
	ret->may_retry = inflate_may_retry(inflate);
	fuzz_check_err(&err, ret->result);
	inflate_free(inflate);
	free(pieces.last);
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	/* where one stopped, the other may have met damage that is behind it */
	if (a->plain.length >= PLAIN_MAX || b->plain.length >= PLAIN_MAX)
		return;
	FUZZ_CHECK(a->result == b->result);
	FUZZ_CHECK(a->result < 0 ||
		   (a->plain.length == b->plain.length &&
		    (a->plain.length == 0 ||
		     !memcmp(a->plain.text, b->plain.text, a->plain.length))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	unsigned int flags = fuzz_byte(&input) & INFLATE_XZ;
	size_t piece = 1 + fuzz_byte(&input) * 16u, room = 1 + fuzz_byte(&input) * 16u;
	struct outcome one, two, zlib, small;

	unpack(input, 1 << 16, 1 << 16, flags, &one);
	unpack(input, piece, room, flags, &two);
	unpack(input, 1 << 16, 1 << 16, flags | INFLATE_ZLIB, &zlib);
	unpack(input, piece, room, flags | INFLATE_ZLIB, &small);
	check_same(&one, &two);
	check_same(&zlib, &small);
	if (!one.may_retry)
		check_same(&one, &zlib);
	str_done(&one.plain);
	str_done(&two.plain);
	str_done(&zlib.plain);
	str_done(&small.plain);
	return 0;
}
