/*
 * Pulls plain bytes out of a compressed stream. The format is told by its magic: gzip (RFC 1952,
 * several members), zstd (RFC 8878, several frames, skippable ones skipped), xz where it is
 * allowed, else the bytes as they are. Behind the last member only zero bytes may follow.
 */
#ifndef DUET_BUILDERS_LAYER_INFLATE_H
#define DUET_BUILDERS_LAYER_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

struct inflate;

/* Where compressed bytes come from: 1 and a piece (valid until the next call), 0 at the end, -1. */
struct inflate_source {
	int (*read)(void *data, const uint8_t **ret, size_t *ret_size, struct err *err);
	void *data;	/* borrowed */
};

#define INFLATE_XZ 1u		/* xz is allowed */
#define INFLATE_ZLIB 2u		/* gzip by zlib even where ISA-L is there */

int inflate_new(const struct inflate_source *source, unsigned int flags, struct inflate **ret,
		struct err *err);
/* Fills `room` bytes, fewer only at the end (0: nothing is left); -1 with ERR_LAYER. */
ssize_t inflate_read(struct inflate *inflate, void *out, size_t room, struct err *err);
/* Did ISA-L refuse the stream? zlib may know better: ISA-L has had errors at block borders. */
bool inflate_may_retry(const struct inflate *inflate);
void inflate_free(struct inflate *inflate);

/* What a decoder works on; it moves the pointers on. */
struct inflate_io {
	const uint8_t *in;
	size_t in_size;
	uint8_t *out;
	size_t out_room;
};

enum inflate_step { INFLATE_MORE, INFLATE_END, INFLATE_BROKEN };

/* One decoder; see inflate.c for the table. `error` tells what INFLATE_BROKEN was about. */
struct inflate_decoder {
	const char *name;
	void *(*start)(void);		/* NULL: not built in */
	enum inflate_step (*step)(void *state, struct inflate_io *io, const char **error);
	void (*again)(void *state);	/* before the next member */
	void (*stop)(void *state);
};

extern const struct inflate_decoder inflate_isal, inflate_zlib, inflate_zstd, inflate_xz;

#endif
