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

struct agent_run {
	int channel;		/* borrowed; a stream socket to duet-init */
	int in, out, errors;	/* borrowed; the caller's standard streams */
	int peer_death;		/* borrowed; readable when the instance is gone (a pidfd), or -1 */
	uint64_t hello_ms;	/* how long to wait for the first HELLO */
	/*
	 * The channel loses nothing (a socketpair): WELCOME and START are sent at once, without waiting
	 * for HELLO, which saves a round trip.
	 */
	bool eager;
};

/*
 * Runs `job` as session 0 and returns when its exit status is acknowledged. Signals HUP, INT, QUIT,
 * TERM, USR1, USR2, WINCH are blocked on entry and forwarded; restored before it returns.
 * *ret_code: as a shell has it; 124 after the job's time-out (the caller then kills the instance).
 * Errors: ERR_JOB_NOT_FOUND, ERR_JOB_NOT_EXEC, ERR_AGENT.
 */
int agent_run(const struct agent_run *run, const struct job *job, int *ret_code, struct err *err);

#endif
