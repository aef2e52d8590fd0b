/* Packing with zstd, single threaded: the same bytes for the same input and library. */
#ifndef DUET_BUILDERS_LAYER_ZSTD_H
#define DUET_BUILDERS_LAYER_ZSTD_H

#include <stdbool.h>
#include <stddef.h>

#define ZSTD_PACK_LEVEL 3

/* Where packed bytes go: 0 or -1. */
typedef int zstd_sink(void *data, const void *bytes, size_t size);

void *zstd_pack_new(void);
/* Packs `size` bytes; with `end` the frame is closed. 0, or -1 when the sink failed. */
int zstd_pack(void *state, const void *bytes, size_t size, bool end, zstd_sink *sink, void *data);
void zstd_pack_free(void *state);

#endif
