/* The host side of the agent: what its files share. */
#ifndef DUET_RUNNERS_AGENT_INTERNAL_H
#define DUET_RUNNERS_AGENT_INTERNAL_H

#include <termios.h>

#include "runners/agent.h"
#include "runners/agent/channel.h"
#include "runners/agent/spout.h"

#define AGENT_ACK_MS 2000	/* a peer that does not take EXIT_ACK meanwhile does without */

enum phase { PHASE_HELLO, PHASE_START, PHASE_RUNNING, PHASE_DONE };

/*
 * What is to be said to duet-init once what was said before has left: each thing once, however often
 * the peer or the caller asks for it. Credit is owed by the spouts.
 */
struct owed {
	bool welcome;		/* HELLO came again */
	bool eof;		/* of the job's standard input */
	bool resize;
	bool exit_ack;
	uint64_t signals;	/* bit N: signal N */
};

struct agent {
	const struct agent_run *run;
	const struct job *job;
	struct agent_channel channel;
	struct spout spouts[PROTO_STREAMS];	/* [PROTO_STDOUT], [PROTO_STDERR] */
	struct owed owed;
	enum phase phase;
	uint8_t nonce[16];
	bool stdin_open;
	uint32_t stdin_credit;
	int signals;
	int watch_fds[AGENT_WATCHES_MAX];	/* -1: none, or it has ended */
	unsigned int forced;
	uint64_t deadline_ms;	/* 0: none */
	uint64_t ack_ms;	/* in PHASE_DONE: EXIT_ACK is given up at this time */
	int code;
	bool has_terminal;
	struct termios terminal;
};

/* say.c: queues WELCOME, SETUP and START, once. -1 when the job does not fit a frame. */
int agent_welcome(struct agent *agent, struct err *err);
/* say.c: queues all that is owed where no control frame waits. ERR_AGENT. */
int agent_say_owed(struct agent *agent, struct err *err);
/* take.c: one frame of duet-init (an agent_take). */
int agent_take_frame(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err);
/* take.c: as above, while nothing but HELLO is expected; the phase is PHASE_DONE after it. */
int agent_take_hello(void *data, const struct proto_head *head, const uint8_t *payload,
		     struct err *err);

#endif
