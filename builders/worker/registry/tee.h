/*
 * A file that is being fetched, read by others while it comes: each pipe gets its bytes from the
 * first on, by a thread of its own, out of the page cache. A slow reader holds up nobody else, the
 * network least of all.
 */
#ifndef DUET_BUILDERS_WORKER_REGISTRY_TEE_H
#define DUET_BUILDERS_WORKER_REGISTRY_TEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEE_PIPES_MAX 2

struct tee;

/* `file` is borrowed; `pipes` are taken over, and closed when their reader has all, or is gone. */
struct tee *tee_new(int file, const int *pipes, size_t count);
/*
 * So many bytes are there to read. With 0 the file is about to be started over: pipes that got
 * bytes already cannot go on and are closed.
 */
void tee_grown(struct tee *tee, uint64_t bytes);
/* `complete`: waits until the readers have all of it; else they are left where they are. */
void tee_end(struct tee *tee, bool complete);

#endif
