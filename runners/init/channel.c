/* duet-init: frames over the channel. A broken channel or a host that speaks nonsense ends all. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "runners/init/init.h"

void channel_queue(struct init *init, enum proto_type type, unsigned int session,
		   unsigned int stream, const void *payload, size_t length)
{
	struct proto_head head = { .length = (uint32_t)length, .type = (uint8_t)type,
				   .session = (uint8_t)session, .stream = (uint8_t)stream };

	/* bounded: each session has at most one of each control frame waiting, CREDIT is batched */
	if (init->control_used + sizeof(head) + length > sizeof(init->control))
		init_end(1);
	memcpy(init->control + init->control_used, &head, sizeof(head));
	init->control_used += sizeof(head);
	if (length)
		memcpy(init->control + init->control_used, payload, length);
	init->control_used += length;
}

bool channel_has_room(const struct init *init)
{
	return init->control_used < sizeof(init->control) / 2;
}

static size_t put(struct init *init, const uint8_t *data, size_t size)
{
	ssize_t done = write(init->channel, data, size);

	if (done >= 0)
		return (size_t)done;
	if (errno != EAGAIN && errno != EINTR)
		init_end(1);
	return 0;
}

bool channel_flush(struct init *init)
{
	/* a frame that has begun must end before another begins */
	if (init->out_start < init->out_used) {
		init->out_start += put(init, init->out + init->out_start,
				       init->out_used - init->out_start);
		if (init->out_start < init->out_used)
			return false;
	}
	init->out_start = init->out_used = 0;
	if (init->control_used > 0) {
		size_t done = put(init, init->control, init->control_used);

		init->control_used -= done;
		memmove(init->control, init->control + done, init->control_used);
	}
	return init->control_used == 0;
}

void channel_read(struct init *init,
		  void (*take)(struct init *, const struct proto_head *, const uint8_t *))
{
	ssize_t got = read(init->channel, init->in + init->in_used,
			   sizeof(init->in) - init->in_used);
	size_t at = 0;

	if (got == 0)
		init_end(0);
	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			init_end(1);
		return;
	}
	init->in_used += (size_t)got;
	while (init->in_used - at >= sizeof(struct proto_head)) {
		struct proto_head head;

		memcpy(&head, init->in + at, sizeof(head));
		if (head.length > PROTO_PAYLOAD_MAX || head.session >= PROTO_SESSIONS_MAX ||
		    head.stream >= PROTO_STREAMS || head.zero != 0)
			init_end(1);
		if (init->in_used - at < sizeof(head) + head.length)
			break;
		take(init, &head, init->in + at + sizeof(head));
		at += sizeof(head) + head.length;
	}
	init->in_used -= at;
	memmove(init->in, init->in + at, init->in_used);
}
