/*
 * The blocks of an EROFS file that is being written in one pass: content goes to its end, in whole
 * blocks, as it arrives; inodes with their inline tails go into a few blocks that are kept open until
 * they are full, so that little is wasted and memory does not grow with the layer. Block 0, which
 * makes it an image, is kept back until everything else stands.
 */
#ifndef DUET_BUILDERS_LAYER_EROFS_BLOCKS_H
#define DUET_BUILDERS_LAYER_EROFS_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "core/erofs_format.h"
#include "core/err.h"

#define BLOCKS_OPEN 32

struct blocks {
	int fd;			/* borrowed; read and written */
	uint64_t written;	/* where the buffer begins in the file */
	uint8_t *buffer;	/* owned; what was appended last */
	size_t used;
	struct blocks_open {
		uint64_t offset;	/* 0: none */
		size_t used;
		uint8_t bytes[EROFS_BLOCK];
	} *open;		/* owned; BLOCKS_OPEN of them */
	uint8_t first[EROFS_BLOCK];	/* block 0 */
};

void blocks_init(struct blocks *blocks, int fd);
void blocks_done(struct blocks *blocks);

/* Where the next bytes go. */
uint64_t blocks_end(const struct blocks *blocks);
int blocks_append(struct blocks *blocks, const void *data, size_t size, struct err *err);
/* Zero bytes; long runs become holes of the file. */
int blocks_zeros(struct blocks *blocks, uint64_t size, struct err *err);
/* Zero bytes up to a whole block. */
int blocks_fill(struct blocks *blocks, struct err *err);

/*
 * Finds a place for `size` bytes, not 0, at a multiple of EROFS_SLOT: inside one block when they fit
 * one, else in blocks of their own. They are zero until blocks_patch writes them.
 */
int blocks_place(struct blocks *blocks, size_t size, uint64_t *ret_offset, struct err *err);
/* Replaces and reads bytes that were placed or appended, wherever they are now. */
int blocks_patch(struct blocks *blocks, uint64_t offset, const void *data, size_t size,
		 struct err *err);
int blocks_read(struct blocks *blocks, uint64_t offset, void *data, size_t size,
		struct err *err);

/* Writes everything but block 0, and gives the file its size. */
int blocks_finish(struct blocks *blocks, struct err *err);
/* Writes block 0. */
int blocks_seal(struct blocks *blocks, struct err *err);

#endif
