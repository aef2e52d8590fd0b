/* For the tests of the agent's host side: the words of a peer, and conversations with one. */
#ifndef DUET_TESTS_AGENT_FIXTURE_H
#define DUET_TESTS_AGENT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runners/agent.h"

#define PATIENCE_S 20

/* ---- in the peer ------------------------------------------------------------------------------- */

/* A frame; it does not matter whether it arrives. */
void agent_put(int fd, unsigned int type, unsigned int session, unsigned int stream,
	       const void *payload, uint32_t length);
/* So many bytes, or the peer exits with 3. */
void agent_get(int fd, void *data, size_t size);
/* Says hello, takes WELCOME and START, and returns the nonce. */
void agent_greet(int fd, uint8_t nonce[16]);
/* Whole peers. The last one takes the job and never starts it, but is never silent. */
void agent_other_version(int fd);
void agent_silent(int fd);
void agent_hello_for_ever(int fd);
void agent_say_exit(int fd, const uint8_t nonce[16], uint32_t code, uint32_t sig);

/* ---- in the test ------------------------------------------------------------------------------- */

/* Starts a peer; *ret_fd is the host's end, which agent_finish closes. */
pid_t agent_start(void (*peer)(int), int *ret_fd);
/* 0 when the peer liked what it got. */
int agent_finish(pid_t pid, int fd, bool kill_it);
/* agent_run for a job whose streams are /dev/null. */
int agent_run_plain(struct agent_run *run, struct job *job, int *ret_code, struct err *err);

#endif
