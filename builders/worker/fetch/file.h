/*
 * The file that fetch fills. Its bytes, their number and their hash move together, so that they
 * agree at whatever byte a connection breaks.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_FILE_H
#define DUET_BUILDERS_WORKER_FETCH_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

#include "builders/layer/hash.h"

struct fetch_file {
	int fd;			/* borrowed; a regular file, O_RDWR */
	uint64_t have;		/* bytes in it, all of them in `hash` */
	struct hash hash;	/* of the bytes in it */
};

/*
 * Begins with what the file holds, hashed from byte 0; more than `limit` bytes are thrown away.
 * Errors, here and below: -errno, with a mend for a full disk.
 */
int fetch_file_take_up(struct fetch_file *file, int fd, uint64_t limit, struct err *err);
/* Room for `bytes` in all, where the file system can say so beforehand. */
int fetch_file_reserve(const struct fetch_file *file, uint64_t bytes, struct err *err);
/* Appends. */
int fetch_file_add(struct fetch_file *file, const void *data, size_t size, struct err *err);
/* Back to an empty file. */
int fetch_file_empty(struct fetch_file *file, struct err *err);
/* The digest of the file; nothing can be added afterwards but after fetch_file_empty. */
void fetch_file_digest(struct fetch_file *file, struct digest *ret);
void fetch_file_done(struct fetch_file *file);

#endif
