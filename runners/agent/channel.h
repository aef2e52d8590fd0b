/* The host's end of the agent channel: frames in and out. The peer is hostile. */
#ifndef DUET_RUNNERS_AGENT_CHANNEL_H
#define DUET_RUNNERS_AGENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "runners/init/proto.h"

/*
 * Bytes of control frames that wait: SETUP and START, each as large as a frame can be, and some small
 * ones. What a peer can ask for again and again is not queued but owed: see internal.h.
 */
#define AGENT_CONTROL_MAX (2 * (sizeof(struct proto_head) + PROTO_PAYLOAD_MAX) + 4096)

struct agent_channel {
	int fd;			/* borrowed; non-blocking */
	bool closed;		/* the peer is gone */
	uint8_t in[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];
	size_t in_used;
	uint8_t control[AGENT_CONTROL_MAX];	/* control frames that wait */
	size_t control_used;
	uint8_t out[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];	/* one data frame */
	size_t out_start, out_used;
};

/* Takes one whole frame; returns -1 with err to end the conversation. */
typedef int agent_take(void *data, const struct proto_head *head, const uint8_t *payload,
		       struct err *err);

/*
 * A frame of session 0 that goes before waiting data; `length`: bytes of payload. ERR_AGENT when
 * AGENT_CONTROL_MAX is met: the peer reads nothing.
 */
int agent_channel_queue(struct agent_channel *channel, enum proto_type type, unsigned int stream,
			const void *payload, size_t length, struct err *err);
/* Sends what waits; true when everything is out, so that a data frame may be made. */
bool agent_channel_flush(struct agent_channel *channel);
/* Makes a data frame of `length` bytes that the caller has put behind the head in channel->out. */
void agent_channel_data(struct agent_channel *channel, unsigned int session, unsigned int stream,
			size_t length);
/*
 * Reads once, at most one frame's bytes, and hands on every whole frame: who polls goes back to its
 * poll between two reads, however much is there. ERR_AGENT when a frame is malformed.
 */
int agent_channel_read(struct agent_channel *channel, agent_take *take, void *data,
		       struct err *err);

#endif
