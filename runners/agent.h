/*
 * The host side of the agent protocol (runners/init/proto.h): one job's streams, signals, time-out
 * and exit status. Knows nothing of containers and VMs: both hand it a connected descriptor.
 */
#ifndef DUET_RUNNERS_AGENT_H
#define DUET_RUNNERS_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/job.h"
#include "core/str.h"

#define AGENT_WATCHES_MAX 3

/* Something else of the instance that is to be read while the job runs: a console, a monitor. */
struct agent_watch {
	int fd;			/* borrowed; -1: none */
	/* Called when it is readable or its end is closed; false: it is not looked at any more. */
	bool (*ready)(void *data);
	void *data;
};

struct agent_run {
	int channel;		/* borrowed; a stream socket to duet-init */
	int in, out, errors;	/* borrowed; the caller's standard streams */
	int peer_death;		/* borrowed; readable when the instance is gone (a pidfd), or -1 */
	uint64_t hello_ms;	/* how long to wait for the first HELLO, and then for STARTED */
	/*
	 * The channel loses nothing (a socketpair), or the peer has said HELLO long ago (a saved state):
	 * WELCOME and START are sent at once, without waiting for HELLO, which saves a round trip.
	 */
	bool eager;
	/*
	 * For a guest: makes the payload of SETUP (its nonce is put in by the agent), sent between
	 * WELCOME and START. NULL: none.
	 */
	void (*setup)(void *data, struct str *out);
	void *setup_data;
	struct agent_watch watches[AGENT_WATCHES_MAX];
	size_t watch_count;
	/* Called with all that the job prints, on either stream, before it is handed on; or NULL. */
	void (*printed)(void *data, const void *bytes, size_t size);
	void *printed_data;
	bool *heard;		/* set to true once the peer has said anything; may be NULL */
	bool *full;		/* set to true when the job has left no room in its root; may be NULL */
};

/*
 * Waits for the peer's first HELLO, answers nothing, and calls the watches meanwhile: the guest of a
 * saved state to be is ready. ERR_AGENT when it does not come in time or the channel closes.
 */
int agent_wait_hello(const struct agent_run *run, struct err *err);

/*
 * Runs `job` as session 0 and returns when its exit status is acknowledged. Signals HUP, INT, QUIT,
 * TERM, USR1, USR2, WINCH are blocked on entry and forwarded; restored before it returns.
 * *ret_code: as a shell has it; 124 after the job's time-out (the caller then kills the instance).
 * Errors: ERR_JOB_NOT_FOUND, ERR_JOB_NOT_EXEC, ERR_AGENT.
 */
int agent_run(const struct agent_run *run, const struct job *job, int *ret_code, struct err *err);

#endif
