/*
 * What duet-init says to the host's side, and what the host answers. The peer is hostile: every length
 * and every order is checked, and a frame that is out of place ends the conversation.
 */
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "runners/agent/internal.h"

static int take_hello(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		      struct err *err)
{
	struct proto_hello hello;

	if (head->length != sizeof(hello))
		return err_set(err, ERR_AGENT, "malformed hello from duet-init");
	memcpy(&hello, payload, sizeof(hello));
	if (hello.version != PROTO_VERSION)
		return err_set(err, ERR_AGENT, "duet-init speaks version %u, duet %u",
			       hello.version, PROTO_VERSION);
	/* the first one: as long again for the start; the others put nothing off */
	if (agent->phase == PHASE_HELLO)
		agent->deadline_ms = (uint64_t)clock_ms() + agent->run->hello_ms;
	if (agent->run->eager)
		return 0;
	if (agent->phase == PHASE_HELLO)
		return agent_welcome(agent, err);
	agent->owed.welcome = true;
	return 0;
}

static int take_failed(const struct proto_head *head, const uint8_t *payload, struct err *err)
{
	struct proto_failed failed;
	_cleanup_free_ char *text = NULL, *shown = NULL;

	if (head->length < sizeof(failed))
		return err_set(err, ERR_AGENT, "malformed failure from duet-init");
	memcpy(&failed, payload, sizeof(failed));
	text = xstrndup((const char *)payload + sizeof(failed), head->length - sizeof(failed));
	shown = str_escape(text, 256);
	if (failed.error > 4095)
		failed.error = EIO;
	if (failed.step == PROTO_STEP_EXEC) {
		bool missing = failed.error == ENOENT || failed.error == ENOTDIR;

		err_sys_as(err, missing ? ERR_JOB_NOT_FOUND : ERR_JOB_NOT_EXEC, (int)failed.error,
			   "exec %s", shown);
		if (failed.error == ENOEXEC)
			return err_mend(err, "a script needs a first line such as #!/bin/sh, a "
					"program must be built for this machine");
		return missing ? err_mend(err, "it must be in the image, at that path or in $PATH "
					  "(its interpreter and libraries too)") : -1;
	}
	if (failed.step == PROTO_STEP_WORKDIR)
		return err_sys_as(err, ERR_JOB_START, (int)failed.error, "enter workdir %s", shown);
	return err_sys_as(err, ERR_JOB_START, (int)failed.error, "%s", shown);
}

static int take_data(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	if (head->stream == PROTO_STDIN ||
	    !spout_take(&agent->spouts[head->stream], payload, head->length))
		return err_set(err, ERR_AGENT, "duet-init sent more than its credit");
	if (agent->run->printed)
		agent->run->printed(agent->run->printed_data, payload, head->length);
	return 0;
}

static int take_credit(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		       struct err *err)
{
	uint32_t value;

	if (head->length != sizeof(value) || head->stream != PROTO_STDIN)
		return err_set(err, ERR_AGENT, "malformed credit from duet-init");
	memcpy(&value, payload, sizeof(value));
	if (value > PROTO_WINDOW - agent->stdin_credit)
		return err_set(err, ERR_AGENT, "duet-init gave more credit than was used");
	agent->stdin_credit += value;
	return 0;
}

static int take_exit(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	struct proto_exit status;

	if (head->length != sizeof(status))
		return err_set(err, ERR_AGENT, "malformed exit status from duet-init");
	memcpy(&status, payload, sizeof(status));
	if (memcmp(status.nonce, agent->nonce, sizeof(agent->nonce)) || status.code > 255 ||
	    status.signal > 64 || (status.flags & ~PROTO_EXIT_FULL))
		return err_set(err, ERR_AGENT, "malformed exit status from duet-init");
	if (agent->run->full && (status.flags & PROTO_EXIT_FULL))
		*agent->run->full = true;
	agent->code = status.signal ? 128 + (int)status.signal : (int)status.code;
	agent->phase = PHASE_DONE;
	agent->ack_ms = (uint64_t)clock_ms() + AGENT_ACK_MS;
	agent->owed.exit_ack = true;
	return 0;
}

int agent_take_frame(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	struct agent *agent = data;

	if (agent->run->heard)
		*agent->run->heard = true;
	if (head->session != 0)
		return err_set(err, ERR_AGENT, "duet-init speaks of a session that was not started");
	if (head->type == PROTO_HELLO)
		return take_hello(agent, head, payload, err);
	if (agent->phase == PHASE_START && head->type == PROTO_FAILED)
		return take_failed(head, payload, err);
	if (agent->phase == PHASE_START && head->type == PROTO_STARTED) {
		agent->phase = PHASE_RUNNING;
		agent->deadline_ms = 0;
		if (agent->job->timeout_ms)
			agent->deadline_ms = (uint64_t)clock_ms() + agent->job->timeout_ms;
		return 0;
	}
	if (agent->phase == PHASE_DONE)
		return 0; /* EXIT was repeated before the acknowledgement arrived */
	if (agent->phase != PHASE_RUNNING)
		return err_set(err, ERR_AGENT, "duet-init sent frame %u out of order", head->type);
	switch (head->type) {
	case PROTO_DATA:
		return take_data(agent, head, payload, err);
	case PROTO_EOF:
		return 0; /* the caller's streams are its own to close */
	case PROTO_CREDIT:
		return take_credit(agent, head, payload, err);
	case PROTO_EXIT:
		return take_exit(agent, head, payload, err);
	default:
		return err_set(err, ERR_AGENT, "duet-init sent frame %u out of order", head->type);
	}
}

int agent_take_hello(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	struct agent *agent = data;
	struct proto_hello hello;

	if (head->type != PROTO_HELLO || head->length != sizeof(hello))
		return err_set(err, ERR_AGENT, "duet-init sent frame %u out of order", head->type);
	memcpy(&hello, payload, sizeof(hello));
	if (hello.version != PROTO_VERSION)
		return err_set(err, ERR_AGENT, "duet-init speaks version %u, duet %u",
			       hello.version, PROTO_VERSION);
	agent->phase = PHASE_DONE;
	return 0;
}
