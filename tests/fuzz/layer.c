/*
 * A tar stream into an EROFS file. What was taken must be a sound image; so must what comes of the same
 * layer above itself, and of the two merged. The same bytes give the same image, in whatever pieces.
 */
#include <errno.h>
#include <string.h>

#include "builders/layer/layer.h"
#include "core/fs.h"
#include "core/mem.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image.h"
#include "tests/fuzz/stream.h"

/* Into an empty file: 0 or -1. A sound image comes of it, or an error that is one of a layer's. */
static int unpack(int out, const int *lower, size_t lower_count)
{
	struct layer_unpack args = { .form = LAYER_EROFS, .out = out, .lower = lower,
				     .lower_count = lower_count };
	struct layer_result result = { 0 };
	struct err err = { 0 };
	int unpacked = layer_unpack(&args, &result, &err);
	struct erofs *erofs;

	/* what a kernel refuses in a tree (an ACL that is none) has its errno here too */
	FUZZ_CHECK(unpacked == 0 || err.code == ERR_LAYER || err.code == ERR_LAYER_LIMIT ||
		   err.code < 0);
	fuzz_check_err(&err, unpacked);
	if (unpacked < 0)
		return -1;
	erofs = image_open(out, true);
	image_walk(erofs, true, NULL);
	erofs_free(erofs);
	return 0;
}

static void merge(const int *lower, size_t count, int out)
{
	struct layer_result result = { 0 };
	struct err err = { 0 };
	int merged = layer_merge(lower, count, out, &result, &err);
	struct erofs *erofs;

	FUZZ_CHECK(merged == 0 || err.code == -EFBIG || err.code == ERR_LAYER_LIMIT);
	fuzz_check_err(&err, merged);
	if (merged < 0)
		return;
	erofs = image_open(out, true);
	image_walk(erofs, true, NULL);
	erofs_free(erofs);
}

static void check_equal(int a, int b)
{
	_cleanup_free_ char *left = NULL, *right = NULL;
	size_t left_size, right_size;
	struct err err = { 0 };

	FUZZ_CHECK(fs_read_fd(a, "one", FUZZ_FILE_MAX, &left, &left_size, &err) == 0);
	FUZZ_CHECK(fs_read_fd(b, "other", FUZZ_FILE_MAX, &right, &right_size, &err) == 0);
	FUZZ_CHECK(left_size == right_size && !memcmp(left, right, left_size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	unsigned int small = fuzz_byte(&input);
	int files[2] = { fuzz_file(0, NULL, 0), fuzz_file(1, NULL, 0) };

	stream_set(input, 1 << 16);
	if (unpack(files[0], NULL, 0) < 0)
		return 0;
	stream_set(input, small + 1);
	FUZZ_CHECK(unpack(files[1], NULL, 0) == 0);
	check_equal(files[0], files[1]);
	if (unpack(fuzz_file(1, NULL, 0), files, 1) == 0)
		merge(files, 2, fuzz_file(2, NULL, 0));
	return 0;
}
