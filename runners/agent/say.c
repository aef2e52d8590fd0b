/*
 * What the host says to duet-init (runners/init/proto.h). A peer that asks without end and reads
 * nothing makes nothing grow: what it asks for is owed once, and becomes frames when those before have
 * left.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "core/mem.h"
#include "core/str.h"
#include "runners/agent/internal.h"

#define CREDIT_BATCH (PROTO_WINDOW / 4)	/* bytes handed on before credit is given back */

/* ---- the start of the job -------------------------------------------------------------------- */

/* The START payload, or an error when the job does not fit one frame. */
static int start_payload(struct agent *agent, struct str *out, struct err *err)
{
	const struct job *job = agent->job;
	struct proto_start start = {
		.flags = (job->tty ? PROTO_START_TTY : 0) |
			 (agent->run->in >= 0 ? PROTO_START_STDIN : 0) |
			 (job->step ? PROTO_START_GAIN : 0) |
			 (job->one_output ? PROTO_START_ONE_OUTPUT : 0),
		.uid = job->identity.uid,
		.gid = job->identity.gid,
		.umask = job->umask,
		.argc = (uint32_t)job->argv.count,
		.envc = (uint32_t)job->environment.count,
		.group_count = job->identity.group_count,
		.capabilities = job->capabilities,
	};
	struct winsize size;
	size_t length = strlen(job->workdir) + 1;

	for (size_t i = 0; i < job->argv.count; i++)
		length += strlen(job->argv.items[i]) + 1;
	for (size_t i = 0; i < job->environment.count; i++)
		length += strlen(job->environment.items[i]) + 1;
	if (length + sizeof(start) + sizeof(job->identity.groups) > PROTO_START_MAX)
		return err_set(err, ERR_USAGE,
			       "start the job: command and environment take %zu bytes, more than %d",
			       length, PROTO_START_MAX);
	start.strings_length = (uint32_t)length;
	memcpy(start.nonce, agent->nonce, sizeof(start.nonce));
	if (job->tty && ioctl(agent->run->in, TIOCGWINSZ, &size) == 0) {
		start.rows = size.ws_row;
		start.columns = size.ws_col;
	}
	str_addn(out, (const char *)&start, sizeof(start));
	for (size_t i = 0; i < job->argv.count; i++)
		str_addn(out, job->argv.items[i], strlen(job->argv.items[i]) + 1);
	for (size_t i = 0; i < job->environment.count; i++)
		str_addn(out, job->environment.items[i], strlen(job->environment.items[i]) + 1);
	str_addn(out, job->workdir, strlen(job->workdir) + 1);
	str_addn(out, (const char *)job->identity.groups,
		 job->identity.group_count * sizeof(job->identity.groups[0]));
	return 0;
}

static int queue_setup(struct agent *agent, struct err *err)
{
	_cleanup_(str_done) struct str payload = { 0 };

	if (!agent->run->setup)
		return 0;
	agent->run->setup(agent->run->setup_data, &payload);
	if (payload.length > PROTO_PAYLOAD_MAX)
		return err_set(err, ERR_USAGE, "start the job: its mounts take %zu bytes, more than %d",
			       payload.length, PROTO_PAYLOAD_MAX);
	memcpy(payload.text, agent->nonce, sizeof(agent->nonce)); /* struct proto_setup begins so */
	return agent_channel_queue(&agent->channel, PROTO_SETUP, 0, payload.text, payload.length,
				   err);
}

static int queue_welcome(struct agent *agent, struct err *err)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	memcpy(hello.nonce, agent->nonce, sizeof(hello.nonce));
	return agent_channel_queue(&agent->channel, PROTO_WELCOME, 0, &hello, sizeof(hello), err);
}

int agent_welcome(struct agent *agent, struct err *err)
{
	_cleanup_(str_done) struct str start = { 0 };

	agent->phase = PHASE_START;
	if (queue_welcome(agent, err) < 0 || queue_setup(agent, err) < 0 ||
	    start_payload(agent, &start, err) < 0)
		return -1;
	return agent_channel_queue(&agent->channel, PROTO_START, 0, start.text, start.length, err);
}

/* ---- while the job runs ---------------------------------------------------------------------- */

static int say_credit(struct agent *agent, unsigned int stream, struct err *err)
{
	struct spout *spout = &agent->spouts[stream];
	uint32_t credit = spout->owed;

	if (credit < CREDIT_BATCH || agent->phase != PHASE_RUNNING)
		return 0;
	spout->owed = 0;
	return agent_channel_queue(&agent->channel, PROTO_CREDIT, stream, &credit, sizeof(credit),
				   err);
}

static int say_signals(struct agent *agent, uint64_t signals, struct err *err)
{
	for (uint32_t sig = 1; signals >> sig; sig++)
		if (signals >> sig & 1 && agent_channel_queue(&agent->channel, PROTO_SIGNAL, 0,
							      &sig, sizeof(sig), err) < 0)
			return -1;
	return 0;
}

static int say_resize(struct agent *agent, struct err *err)
{
	struct winsize size;
	uint16_t cells[2];

	if (!agent->job->tty || ioctl(agent->run->in, TIOCGWINSZ, &size) < 0)
		return 0;
	cells[0] = size.ws_row;
	cells[1] = size.ws_col;
	return agent_channel_queue(&agent->channel, PROTO_RESIZE, 0, cells, sizeof(cells), err);
}

int agent_say_owed(struct agent *agent, struct err *err)
{
	struct agent_channel *channel = &agent->channel;
	const struct owed owed = agent->owed;

	if (channel->control_used > 0)
		return 0;
	agent->owed = (struct owed){ 0 };
	if (owed.welcome && queue_welcome(agent, err) < 0)
		return -1;
	for (unsigned int i = 1; i < PROTO_STREAMS; i++)
		if (say_credit(agent, i, err) < 0)
			return -1;
	if (say_signals(agent, owed.signals, err) < 0 ||
	    (owed.resize && say_resize(agent, err) < 0) ||
	    (owed.eof &&
	     agent_channel_queue(channel, PROTO_EOF, PROTO_STDIN, NULL, 0, err) < 0))
		return -1;
	return owed.exit_ack ? agent_channel_queue(channel, PROTO_EXIT_ACK, 0, NULL, 0, err) : 0;
}
