/* Blocks of an EROFS file: see blocks.h. */
#include "builders/layer/erofs/blocks.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"

#define BUFFER_BYTES (1024u * 1024)
#define DIRECT_BYTES (128u * 1024)	/* pieces from here on are written without being copied */
#define HOLE_BYTES (64u * 1024)		/* runs of zero bytes from here on are not written */
#define END_MAX ((uint64_t)UINT32_MAX * EROFS_BLOCK)

void blocks_init(struct blocks *blocks, int fd)
{
	*blocks = (struct blocks){ .fd = fd, .written = EROFS_BLOCK };
	blocks->buffer = xmalloc(BUFFER_BYTES);
	blocks->open = xcalloc(BLOCKS_OPEN, sizeof(*blocks->open));
}

void blocks_done(struct blocks *blocks)
{
	free(blocks->buffer);
	free(blocks->open);
	*blocks = (struct blocks){ .fd = -1 };
}

uint64_t blocks_end(const struct blocks *blocks)
{
	return blocks->written + blocks->used;
}

static int write_at(const struct blocks *blocks, const void *data, size_t size, uint64_t offset,
		    struct err *err)
{
	return fs_pwrite_all(blocks->fd, data, size, offset) < 0 ? err_sys(err, errno, "write it") : 0;
}

static int flush(struct blocks *blocks, struct err *err)
{
	if (write_at(blocks, blocks->buffer, blocks->used, blocks->written, err) < 0)
		return -1;
	blocks->written += blocks->used;
	blocks->used = 0;
	return 0;
}

static int check_end(const struct blocks *blocks, uint64_t more, struct err *err)
{
	if (more <= END_MAX - blocks_end(blocks))
		return 0;
	return err_set(err, -EFBIG, "write it: an EROFS file of more than %llu bytes",
		       (unsigned long long)END_MAX);
}

int blocks_append(struct blocks *blocks, const void *data, size_t size, struct err *err)
{
	const uint8_t *at = data;

	if (check_end(blocks, size, err) < 0)
		return -1;
	if (size >= DIRECT_BYTES) {
		if (flush(blocks, err) < 0 || write_at(blocks, at, size, blocks->written, err) < 0)
			return -1;
		blocks->written += size;
		return 0;
	}
	while (size > 0) {
		size_t part = BUFFER_BYTES - blocks->used;

		part = size < part ? size : part;
		memcpy(blocks->buffer + blocks->used, at, part);
		blocks->used += part;
		at += part;
		size -= part;
		if (blocks->used == BUFFER_BYTES && flush(blocks, err) < 0)
			return -1;
	}
	return 0;
}

int blocks_zeros(struct blocks *blocks, uint64_t size, struct err *err)
{
	static const uint8_t zeros[EROFS_BLOCK];

	if (check_end(blocks, size, err) < 0)
		return -1;
	if (size >= HOLE_BYTES) {
		if (flush(blocks, err) < 0)
			return -1;
		blocks->written += size;
		return 0;
	}
	for (; size > EROFS_BLOCK; size -= EROFS_BLOCK)
		if (blocks_append(blocks, zeros, EROFS_BLOCK, err) < 0)
			return -1;
	return blocks_append(blocks, zeros, (size_t)size, err);
}

int blocks_fill(struct blocks *blocks, struct err *err)
{
	return blocks_zeros(blocks, -blocks_end(blocks) % EROFS_BLOCK, err);
}

/* ---- places in open blocks ------------------------------------------------------------------- */

/* Bytes that were appended before. */
static int patch_appended(struct blocks *blocks, uint64_t offset, const uint8_t *data, size_t size,
			  struct err *err)
{
	if (offset < blocks->written) {
		size_t part = blocks->written - offset < size ?
				      (size_t)(blocks->written - offset) : size;

		if (write_at(blocks, data, part, offset, err) < 0)
			return -1;
		offset += part;
		data += part;
		size -= part;
	}
	if (size > 0)
		memcpy(blocks->buffer + (offset - blocks->written), data, size);
	return 0;
}

static int close_block(struct blocks *blocks, struct blocks_open *open, struct err *err)
{
	uint64_t offset = open->offset;

	open->offset = 0;
	return patch_appended(blocks, offset, open->bytes, sizeof(open->bytes), err);
}

/* The open block with the least room that is enough, else the one to be given up for a new one. */
static struct blocks_open *choose(struct blocks *blocks, size_t size, bool *ret_fits)
{
	struct blocks_open *fit = NULL, *full = NULL;

	for (size_t i = 0; i < BLOCKS_OPEN; i++) {
		struct blocks_open *open = &blocks->open[i];

		if (open->offset == 0) {
			/* an unused one is better to give up than any */
			if (!full || full->offset != 0)
				full = open;
			continue;
		}
		if (EROFS_BLOCK - open->used >= size && (!fit || open->used > fit->used))
			fit = open;
		if (!full || (full->offset != 0 && open->used > full->used))
			full = open;
	}
	*ret_fits = fit != NULL;
	return fit ? fit : full;
}

int blocks_place(struct blocks *blocks, size_t size, uint64_t *ret_offset, struct err *err)
{
	struct blocks_open *open;
	bool fits;

	size = (size + EROFS_SLOT - 1) / EROFS_SLOT * EROFS_SLOT;
	if (size > EROFS_BLOCK) {
		*ret_offset = blocks_end(blocks);
		if (blocks_zeros(blocks, size, err) < 0)
			return -1;
		return blocks_fill(blocks, err);
	}
	open = choose(blocks, size, &fits);
	if (!fits) {
		if (open->offset != 0 && close_block(blocks, open, err) < 0)
			return -1;
		memset(open, 0, sizeof(*open));
		open->offset = blocks_end(blocks);
		if (blocks_zeros(blocks, EROFS_BLOCK, err) < 0)
			return -1;
	}
	*ret_offset = open->offset + open->used;
	open->used += size;
	if (open->used == EROFS_BLOCK)
		return close_block(blocks, open, err);
	return 0;
}

/* The bytes of an open block or of block 0; NULL when they are elsewhere. */
static uint8_t *held(struct blocks *blocks, uint64_t offset)
{
	if (offset < EROFS_BLOCK)
		return blocks->first + offset;
	for (size_t i = 0; i < BLOCKS_OPEN; i++) {
		struct blocks_open *open = &blocks->open[i];

		if (open->offset != 0 && offset - open->offset < EROFS_BLOCK)
			return open->bytes + (offset - open->offset);
	}
	return NULL;
}

int blocks_patch(struct blocks *blocks, uint64_t offset, const void *data, size_t size,
		 struct err *err)
{
	uint8_t *place = held(blocks, offset);

	if (!place)
		return patch_appended(blocks, offset, data, size, err);
	memcpy(place, data, size);
	return 0;
}

int blocks_read(struct blocks *blocks, uint64_t offset, void *data, size_t size,
		struct err *err)
{
	const uint8_t *place = held(blocks, offset);
	uint8_t *at = data;

	if (place) {
		memcpy(data, place, size);
		return 0;
	}
	while (size > 0 && offset < blocks->written) {
		size_t part = blocks->written - offset < size ?
				      (size_t)(blocks->written - offset) : size;
		ssize_t got = pread(blocks->fd, at, part, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "read what was written");
		if (got == 0) {
			/* a hole at the end */
			memset(at, 0, part);
			got = (ssize_t)part;
		}
		at += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	if (size > 0)
		memcpy(at, blocks->buffer + (offset - blocks->written), size);
	return 0;
}

int blocks_finish(struct blocks *blocks, struct err *err)
{
	for (size_t i = 0; i < BLOCKS_OPEN; i++)
		if (blocks->open[i].offset != 0 &&
		    close_block(blocks, &blocks->open[i], err) < 0)
			return -1;
	if (flush(blocks, err) < 0)
		return -1;
	/* the end may be a hole */
	if (ftruncate(blocks->fd, (off_t)blocks->written) < 0)
		return err_sys(err, errno, "write it");
	return 0;
}

int blocks_seal(struct blocks *blocks, struct err *err)
{
	return write_at(blocks, blocks->first, sizeof(blocks->first), 0, err);
}
