/*
 * LZ4's legacy frames: a magic number, then blocks, each its packed size (32 bits, little-endian) and
 * its bytes; each unpacks to 8 MiB, the last one to less. A block is a row of sequences: a token (high
 * half: literals, low half: match length less 4; 15 means that bytes to add follow), the literals,
 * a 16-bit distance back to the match. The last sequence has literals only.
 */
#include <string.h>

#include "builders/kernel/image.h"
#include "core/mem.h"

#define LZ4_MAGIC 0x184c2102u
#define BLOCK_PLAIN (8u << 20)
#define MATCH_MIN 4u

struct block {
	const uint8_t *in, *in_end;
	uint8_t *out;		/* BLOCK_PLAIN bytes */
	size_t size;		/* so many are filled */
};

/* A length whose first half byte is `length`. */
static bool read_length(struct block *block, size_t *length)
{
	uint8_t more = 255;

	if (*length < 15)
		return true;
	while (more == 255) {
		if (block->in == block->in_end || *length > BLOCK_PLAIN)
			return false;
		more = *block->in++;
		*length += more;
	}
	return true;
}

static bool copy_literals(struct block *block, size_t length)
{
	if (length > (size_t)(block->in_end - block->in) || length > BLOCK_PLAIN - block->size)
		return false;
	memcpy(block->out + block->size, block->in, length);
	block->in += length;
	block->size += length;
	return true;
}

static bool copy_match(struct block *block, size_t length)
{
	size_t distance;

	if (block->in_end - block->in < 2)
		return false;
	distance = le16(block->in);
	block->in += 2;
	if (!read_length(block, &length))
		return false;
	length += MATCH_MIN;
	if (distance == 0 || distance > block->size || length > BLOCK_PLAIN - block->size)
		return false;
	if (distance >= length) {
		memcpy(block->out + block->size, block->out + block->size - distance, length);
		block->size += length;
		return true;
	}
	/* it overlaps what it makes: byte by byte */
	for (; length > 0; length--, block->size++)
		block->out[block->size] = block->out[block->size - distance];
	return true;
}

static bool unpack_block(struct block *block)
{
	while (block->in < block->in_end) {
		uint8_t token = *block->in++;
		size_t literals = token >> 4;

		if (!read_length(block, &literals) || !copy_literals(block, literals))
			return false;
		if (block->in == block->in_end)
			return true;
		if (!copy_match(block, token & 15))
			return false;
	}
	return false;
}

int lz4_unpack(const uint8_t *data, size_t size, image_sink *sink, void *to, struct err *err)
{
	_cleanup_free_ uint8_t *plain = xmalloc(BLOCK_PLAIN);
	size_t at = 0;

	if (size < 4 || le32(data) != LZ4_MAGIC)
		return err_set(err, ERR_KERNEL, "lz4: not a legacy frame");
	for (at = 4; at < size;) {
		struct block block = { .out = plain };
		uint32_t packed;

		if (size - at < 4)
			return err_set(err, ERR_KERNEL, "lz4: it is cut off");
		packed = le32(data + at);
		at += 4;
		if (packed == LZ4_MAGIC)
			continue; /* another frame */
		if (packed == 0 || packed > size - at)
			return err_set(err, ERR_KERNEL, "lz4: a block is cut off");
		block.in = data + at;
		block.in_end = block.in + packed;
		at += packed;
		if (!unpack_block(&block))
			return err_set(err, ERR_KERNEL, "lz4: a block is damaged");
		if (sink(to, plain, block.size, err) < 0)
			return -1;
	}
	return 0;
}
