/* Bytes of one file, however they are held; and a part of a file as compressed input. */
#ifndef DUET_BUILDERS_KERNEL_BYTES_H
#define DUET_BUILDERS_KERNEL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/layer/inflate.h"
#include "core/err.h"

struct bytes {
	const uint8_t *data;
	size_t size;
	void *heap;	/* owned; or NULL */
	void *map;	/* owned; of `size` bytes; or NULL */
};

/* Maps a regular file for reading. */
int bytes_map(int fd, size_t max, struct bytes *ret, struct err *err);
/* What is packed (gzip, zstd, xz), unpacked; what is not, as it is, taken over. */
int bytes_unpack(struct bytes *bytes, size_t max, struct err *err);
void bytes_done(struct bytes *bytes);

/* The struct inflate_source's `read` over a struct bytes_source. */
struct bytes_source {
	const uint8_t *data;	/* borrowed */
	size_t size;
};
int bytes_source_read(void *data, const uint8_t **ret, size_t *ret_size, struct err *err);

/* The same over `left` bytes of a file from `offset` on. */
#define FILE_SOURCE_CHUNK (256 * 1024)
struct file_source {
	int fd;
	uint64_t offset, left;
	uint8_t chunk[FILE_SOURCE_CHUNK];
};
int file_source_read(void *data, const uint8_t **ret, size_t *ret_size, struct err *err);

static inline uint16_t le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t le32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t le64(const uint8_t *at)
{
	return le32(at) | (uint64_t)le32(at + 4) << 32;
}

#endif
