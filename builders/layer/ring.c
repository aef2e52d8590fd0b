/* A bounded ring of buffers between threads: see ring.h. */
#include "builders/layer/ring.h"

#include <string.h>

#include "core/mem.h"

#define READER_LEFT UINT64_MAX

void ring_init(struct ring *ring, unsigned int readers)
{
	*ring = (struct ring){ .readers = readers };
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->changed, NULL);
	ring->memory = xmalloc((size_t)RING_SLOTS * RING_SLOT_BYTES);
}

void ring_done(struct ring *ring)
{
	if (!ring->memory)
		return;
	pthread_cond_destroy(&ring->changed);
	pthread_mutex_destroy(&ring->lock);
	free(ring->memory);
	free(ring->msg);
	ring->memory = NULL;
}

/* Of the readers that are left, the one furthest behind; READER_LEFT when there is none. */
static uint64_t slowest(const struct ring *ring)
{
	uint64_t least = READER_LEFT;

	for (unsigned int i = 0; i < ring->readers; i++)
		if (ring->taken[i] < least)
			least = ring->taken[i];
	return least;
}

uint8_t *ring_room(struct ring *ring)
{
	uint8_t *room = NULL;
	uint64_t least = READER_LEFT;

	pthread_mutex_lock(&ring->lock);
	while (!ring->stopped && (least = slowest(ring)) != READER_LEFT &&
	       ring->put - least >= RING_SLOTS)
		pthread_cond_wait(&ring->changed, &ring->lock);
	if (!ring->stopped && least != READER_LEFT)
		room = ring->memory + ring->put % RING_SLOTS * RING_SLOT_BYTES;
	pthread_mutex_unlock(&ring->lock);
	return room;
}

void ring_put(struct ring *ring, size_t size)
{
	pthread_mutex_lock(&ring->lock);
	ring->sizes[ring->put % RING_SLOTS] = size;
	ring->put++;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

void ring_end(struct ring *ring, const struct err *why)
{
	pthread_mutex_lock(&ring->lock);
	if (!ring->ended && why && why->code) {
		ring->code = why->code;
		ring->msg = xstrdup(why->msg);
	}
	ring->ended = true;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

int ring_take(struct ring *ring, unsigned int reader, const uint8_t **ret, size_t *ret_size,
	      struct err *err)
{
	int result = 0;

	pthread_mutex_lock(&ring->lock);
	while (!ring->stopped && ring->put == ring->taken[reader] && !ring->ended)
		pthread_cond_wait(&ring->changed, &ring->lock);
	if (!ring->stopped && ring->put != ring->taken[reader]) {
		size_t slot = ring->taken[reader] % RING_SLOTS;

		*ret = ring->memory + slot * RING_SLOT_BYTES;
		*ret_size = ring->sizes[slot];
		result = 1;
	} else if (!ring->stopped && ring->code) {
		result = err_set(err, ring->code, "%s", ring->msg);
	}
	pthread_mutex_unlock(&ring->lock);
	return result;
}

void ring_give_back(struct ring *ring, unsigned int reader)
{
	pthread_mutex_lock(&ring->lock);
	ring->taken[reader]++;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

void ring_stop(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->stopped = true;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}

void ring_leave(struct ring *ring, unsigned int reader)
{
	pthread_mutex_lock(&ring->lock);
	ring->taken[reader] = READER_LEFT;
	pthread_cond_broadcast(&ring->changed);
	pthread_mutex_unlock(&ring->lock);
}
