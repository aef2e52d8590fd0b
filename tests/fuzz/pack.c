/*
 * An archive into a layer (builders/layer/pack_archive.c): what comes of it is a layer that unpacks into
 * a sound image, everything below `to`. Sparse files are left out: their holes are written, which is slow.
 */
#include <errno.h>
#include <string.h>

#include "builders/layer/inflate.h"
#include "builders/layer/layer.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image.h"
#include "tests/fuzz/stream.h"

#define CHUNK (1u << 16)
#define TAR_BLOCK 512u
#define TAR_TYPE 156u	/* offset of an entry's type in its header */

static bool may_be_sparse(struct fuzz_input input)
{
	for (size_t at = TAR_TYPE; at < input.left; at += TAR_BLOCK)
		if (input.at[at] == 'S')
			return true;
	return input.left > 0 && (memmem(input.at, input.left, "GNU.sparse", 10) ||
				  memmem(input.at, input.left, "SUN.holesdata", 13));
}

static int give(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct fuzz_input *left = data, part = fuzz_part(left, CHUNK);

	(void)err;
	*ret = part.at;
	*ret_size = part.left;
	return part.left > 0;
}

/* The plain bytes of the layer. */
static void inflate_all(struct fuzz_input packed, struct str *ret)
{
	const struct inflate_source source = { give, &packed };
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	struct inflate *inflate;
	struct err err = { 0 };
	ssize_t got;

	FUZZ_CHECK(inflate_new(&source, 0, &inflate, &err) == 0);
	while ((got = inflate_read(inflate, chunk, CHUNK, &err)) > 0)
		str_addn(ret, chunk, (size_t)got);
	FUZZ_CHECK(got == 0);
	inflate_free(inflate);
}

static void check_layer(struct fuzz_input packed, const struct layer_result *made)
{
	struct layer_unpack args = { .form = LAYER_EROFS, .out = fuzz_file(1, NULL, 0) };
	_cleanup_(str_done) struct str tar = { 0 };
	struct layer_result result = { 0 };
	struct digest digest;
	struct err err = { 0 };
	struct erofs *erofs;
	int unpacked;

	inflate_all(packed, &tar);
	digest_of(tar.text, tar.length, &digest);
	FUZZ_CHECK(digest_equal(&digest, &made->diff_id) && tar.length == made->plain_bytes);
	stream_set((struct fuzz_input){ (uint8_t *)tar.text, tar.length }, CHUNK);
	unpacked = layer_unpack(&args, &result, &err);
	/* links that lead nowhere are met only now, as are too many components */
	FUZZ_CHECK(unpacked == 0 || err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT ||
		   err.code < 0);
	FUZZ_CHECK(unpacked < 0 || result.entries == made->entries);
	fuzz_check_err(&err, unpacked);
	if (unpacked < 0)
		return;
	erofs = image_open(args.out, true);
	image_walk(erofs, true, NULL);
	erofs_free(erofs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const to[] = { "/", "/opt/a", "/a/", "/usr" };
	struct fuzz_input input = { data, size };
	unsigned int flags = fuzz_byte(&input);
	struct layer_pack args = { .blob = fuzz_file(0, NULL, 0), .to = to[flags & 3],
				   .strip = flags >> 2 & 3, .archive = 0 };
	_cleanup_free_ char *packed = NULL;
	struct layer_result result = { 0 };
	size_t packed_size;
	struct err err = { 0 };
	int made;

	if (may_be_sparse(input))
		return 0;
	stream_set(input, CHUNK);
	made = layer_pack(&args, &result, &err);
	FUZZ_CHECK(made == 0 || err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT ||
		   err.code == -EFBIG);
	fuzz_check_err(&err, made);
	if (made < 0)
		return 0;
	FUZZ_CHECK(fs_read_fd(args.blob, "layer", FUZZ_FILE_MAX, &packed, &packed_size, &err) == 0);
	FUZZ_CHECK(packed_size == result.blob_bytes);
	check_layer((struct fuzz_input){ (uint8_t *)packed, packed_size }, &result);
	return 0;
}
