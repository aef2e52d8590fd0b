/* The host's end of the agent channel: see channel.h. */
#include "runners/agent/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int agent_channel_queue(struct agent_channel *channel, enum proto_type type, unsigned int stream,
			const void *payload, size_t length, struct err *err)
{
	struct proto_head head = { .length = (uint32_t)length, .type = (uint8_t)type,
				   .stream = (uint8_t)stream };
	size_t room = sizeof(channel->control) - channel->control_used;

	if (room < sizeof(head) || room - sizeof(head) < length)
		return err_set(err, ERR_AGENT, "duet-init takes nothing: %zu bytes wait for it",
			       channel->control_used);
	memcpy(channel->control + channel->control_used, &head, sizeof(head));
	channel->control_used += sizeof(head);
	if (length)
		memcpy(channel->control + channel->control_used, payload, length);
	channel->control_used += length;
	return 0;
}

static size_t put(struct agent_channel *channel, const void *data, size_t size)
{
	ssize_t done = send(channel->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (done >= 0)
		return (size_t)done;
	if (errno != EAGAIN && errno != EINTR)
		channel->closed = true;
	return 0;
}

bool agent_channel_flush(struct agent_channel *channel)
{
	if (channel->closed)
		return false;
	if (channel->out_start < channel->out_used) {
		channel->out_start += put(channel, channel->out + channel->out_start,
					  channel->out_used - channel->out_start);
		if (channel->out_start < channel->out_used)
			return false;
	}
	channel->out_start = channel->out_used = 0;
	if (channel->control_used > 0) {
		size_t done = put(channel, channel->control, channel->control_used);

		channel->control_used -= done;
		memmove(channel->control, channel->control + done, channel->control_used);
	}
	return channel->control_used == 0;
}

void agent_channel_data(struct agent_channel *channel, unsigned int session, unsigned int stream,
			size_t length)
{
	struct proto_head head = { .length = (uint32_t)length, .type = PROTO_DATA,
				   .session = (uint8_t)session, .stream = (uint8_t)stream };

	memcpy(channel->out, &head, sizeof(head));
	channel->out_start = 0;
	channel->out_used = sizeof(head) + length;
}

int agent_channel_read(struct agent_channel *channel, agent_take *take, void *data,
		       struct err *err)
{
	ssize_t got = recv(channel->fd, channel->in + channel->in_used,
			   sizeof(channel->in) - channel->in_used, MSG_DONTWAIT);
	size_t at = 0;

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		channel->closed = true;
	if (got <= 0)
		return 0;
	channel->in_used += (size_t)got;
	while (channel->in_used - at >= sizeof(struct proto_head)) {
		struct proto_head head;

		memcpy(&head, channel->in + at, sizeof(head));
		if (head.length > PROTO_PAYLOAD_MAX || head.type == 0 ||
		    head.type >= PROTO_TYPE_END || head.session >= PROTO_SESSIONS_MAX ||
		    head.stream >= PROTO_STREAMS || head.zero != 0)
			return err_set(err, ERR_AGENT, "malformed frame from duet-init");
		if (channel->in_used - at < sizeof(head) + head.length)
			break;
		if (take(data, &head, channel->in + at + sizeof(head), err) < 0)
			return -1;
		at += sizeof(head) + head.length;
	}
	channel->in_used -= at;
	memmove(channel->in, channel->in + at, channel->in_used);
	return 0;
}
