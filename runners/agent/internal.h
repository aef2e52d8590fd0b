/* The host side of the agent: what its files share. */
#ifndef DUET_RUNNERS_AGENT_INTERNAL_H
#define DUET_RUNNERS_AGENT_INTERNAL_H

#include <termios.h>

#include "runners/agent.h"
#include "runners/agent/channel.h"
#include "runners/agent/spout.h"

enum phase { PHASE_HELLO, PHASE_START, PHASE_RUNNING, PHASE_DONE };

struct agent {
	const struct agent_run *run;
	const struct job *job;
	struct agent_channel channel;
	struct spout spouts[PROTO_STREAMS];	/* [PROTO_STDOUT], [PROTO_STDERR] */
	enum phase phase;
	uint8_t nonce[16];
	bool stdin_open;
	bool stdin_ready;	/* what poll said */
	uint32_t stdin_credit;
	int signals;
	int watch_fds[AGENT_WATCHES_MAX];	/* -1: none, or it has ended */
	unsigned int forced;
	uint64_t deadline_ms;	/* 0: none */
	int code;
	bool has_terminal;
	struct termios terminal;
};

/* take.c: sends WELCOME, and once SETUP and START. -1 when the job does not fit a frame. */
int agent_welcome(struct agent *agent, struct err *err);
/* take.c: one frame of duet-init (an agent_take). */
int agent_take_frame(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err);
/* take.c: as above, while nothing but HELLO is expected; the phase is PHASE_DONE after it. */
int agent_take_hello(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err);

#endif
