/*
 * A bounded ring of buffers between threads: one writer, up to two readers that each see every
 * buffer. Nothing is copied: a reader works in the buffer and gives it back.
 */
#ifndef DUET_BUILDERS_LAYER_RING_H
#define DUET_BUILDERS_LAYER_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define RING_SLOTS 8
#define RING_SLOT_BYTES (256 * 1024)
#define RING_READERS_MAX 2

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *memory;	/* owned; RING_SLOTS buffers */
	size_t sizes[RING_SLOTS];
	uint64_t put;		/* buffers written so far */
	uint64_t taken[RING_READERS_MAX];	/* buffers given back; UINT64_MAX: that reader left */
	unsigned int readers;
	bool ended, stopped;
	int code;		/* why the writer failed: err.code, or 0 */
	char *msg;		/* owned; its text */
};

void ring_init(struct ring *ring, unsigned int readers);
void ring_done(struct ring *ring);

/*
 * A free buffer of RING_SLOT_BYTES, borrowed; waits for one. NULL when every reader has left
 * or the ring was stopped.
 */
uint8_t *ring_room(struct ring *ring);
/* Publishes the buffer that ring_room gave, `size` bytes of it. */
void ring_put(struct ring *ring, size_t size);
/* No more will come; with `why` because the writer failed. Only the first call counts. */
void ring_end(struct ring *ring, const struct err *why);

/* The next buffer, borrowed: 1; 0 at the end; -1 with the writer's error in err. */
int ring_take(struct ring *ring, unsigned int reader, const uint8_t **ret, size_t *ret_size,
	      struct err *err);
/* Gives back the oldest buffer that ring_take gave to this reader. */
void ring_give_back(struct ring *ring, unsigned int reader);
/* Ends it for writer and readers alike, wherever they are: no room, nothing to take. */
void ring_stop(struct ring *ring);
/* This reader wants nothing more. Called by that reader's thread. */
void ring_leave(struct ring *ring, unsigned int reader);

#endif
