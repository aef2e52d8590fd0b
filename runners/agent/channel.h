/* The host's end of the agent channel: frames in and out. The peer is hostile. */
#ifndef DUET_RUNNERS_AGENT_CHANNEL_H
#define DUET_RUNNERS_AGENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/str.h"
#include "runners/init/proto.h"

struct agent_channel {
	int fd;			/* borrowed; non-blocking */
	bool closed;		/* the peer is gone */
	uint8_t in[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];
	size_t in_used;
	struct str control;	/* control frames that wait */
	uint8_t out[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];	/* one data frame */
	size_t out_start, out_used;
};

/* Takes one whole frame; returns -1 with err to end the conversation. */
typedef int agent_take(void *data, const struct proto_head *head, const uint8_t *payload,
		       struct err *err);

/* A frame that goes before waiting data. */
void agent_channel_queue(struct agent_channel *channel, enum proto_type type,
			 unsigned int session, unsigned int stream, const void *payload,
			 size_t length);
/* Sends what waits; true when everything is out, so that a data frame may be made. */
bool agent_channel_flush(struct agent_channel *channel);
/* Makes a data frame of `length` bytes that the caller has put behind the head in channel->out. */
void agent_channel_data(struct agent_channel *channel, unsigned int session, unsigned int stream,
			size_t length);
/* Reads what is there and hands on every whole frame. ERR_AGENT when a frame is malformed. */
int agent_channel_read(struct agent_channel *channel, agent_take *take, void *data,
		       struct err *err);

#endif
