/*
 * EROFS images, as hostile as they like: the reader, and the merged view of two of them. A first byte
 * says what is done to them: the checksum of block 0 is put right (nobody guesses it), the length is
 * made whole blocks.
 */
#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#include "core/erofs_format.h"
#include "core/mem.h"
#include "core/view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/image.h"

#define IMAGE_MAX (1u << 20)
#define AS_IT_IS 0x80u	/* neither checksum nor length are touched */
#define TWO 1u		/* the rest is two images, the first of as many blocks as the next byte says */

/* The image in a file of its own. */
static int make(unsigned int number, struct fuzz_input bytes, bool as_it_is)
{
	size_t size = as_it_is ? bytes.left : (bytes.left + EROFS_BLOCK - 1) & ~(EROFS_BLOCK - 1);
	_cleanup_free_ uint8_t *image = xcalloc(1, size + 1);
	const size_t at = EROFS_SUPER_OFFSET + offsetof(struct erofs_super, checksum);
	uint32_t sum = 0;

	if (bytes.left)
		memcpy(image, bytes.at, bytes.left);
	if (!as_it_is && size > 0) {
		memcpy(image + at, &sum, sizeof(sum));
		sum = htole32(erofs_checksum(UINT32_MAX, image + EROFS_SUPER_OFFSET,
					     EROFS_BLOCK - EROFS_SUPER_OFFSET));
		memcpy(image + at, &sum, sizeof(sum));
	}
	return fuzz_file(number, image, size);
}

static void look(const struct view_layer *layers, size_t count, const char *path)
{
	static struct view_entry entry;

	for (int follow = 0; follow < 2; follow++) {
		struct err err = { 0 };
		int found = view_find(layers, count, path, follow, &entry, &err);

		fuzz_check_err(&err, found);
		if (found != 1)
			continue;
		FUZZ_CHECK(entry.layer < count && !entry.node.whiteout);
		FUZZ_CHECK(entry.path[0] != '/' && strlen(entry.path) <= PATH_LENGTH_MAX);
		FUZZ_CHECK(!follow || !S_ISLNK(entry.node.mode));
		view_node_done(&entry.node);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const fixed[] = { "", "a", "etc/passwd", "a/../b", "loop", "boot",
					      "lib/modules" };
	struct fuzz_input input = { data, size };
	unsigned int flags = fuzz_byte(&input);
	size_t blocks = flags & TWO ? fuzz_byte(&input) : IMAGE_MAX / EROFS_BLOCK;
	struct view_layer layers[2];
	_cleanup_(strv_done) struct strv paths = { 0 };
	struct erofs *images[2] = { NULL, NULL };
	size_t count = 0;

	for (unsigned int i = 0; i < (flags & TWO ? 2 : 1); i++) {
		struct fuzz_input part = fuzz_part(&input, i == 0 ? blocks * EROFS_BLOCK : IMAGE_MAX);

		images[i] = image_open(make(i, part, flags & AS_IT_IS), false);
		if (!images[i])
			continue;
		image_walk(images[i], false, &paths);
		layers[count++] = view_of_erofs(images[i]);
	}
	for (size_t i = 0; count > 0 && i < ARRAY_SIZE(fixed); i++)
		look(layers, count, fixed[i]);
	for (size_t i = 0; i < paths.count; i++)
		look(layers, count, paths.items[i]);
	erofs_free(images[0]);
	erofs_free(images[1]);
	return 0;
}
