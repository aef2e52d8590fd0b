/*
 * One output of the job on its way to the caller: a ring of one window, so that memory is bounded
 * whatever the job prints. What was handed on is `owed` until its credit is given back.
 */
#ifndef DUET_RUNNERS_AGENT_SPOUT_H
#define DUET_RUNNERS_AGENT_SPOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "runners/init/proto.h"

struct spout {
	int fd;			/* borrowed: the caller's stream, or `own` */
	int own;		/* owned; a pipe of the caller opened again, non-blocking; or -1 */
	bool any_amount;	/* a write never blocks, whatever its size */
	bool broken;		/* nobody reads it any more */
	uint32_t start, used;
	uint32_t owed;		/* handed on, credit not given back yet */
	uint8_t ring[PROTO_WINDOW];
};

/* `spout` comes zeroed. */
void spout_init(struct spout *spout, int fd);
void spout_done(struct spout *spout);
/* Takes what init sent; false when it is more than the credit that it had. */
bool spout_take(struct spout *spout, const uint8_t *data, uint32_t size);
/* Hands on what the caller takes now. Call it when the stream polls writable. */
void spout_write(struct spout *spout);

#endif
