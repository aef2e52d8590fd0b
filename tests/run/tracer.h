/* Follows every system call of a program and of all that comes from it. For kill_point and lie_point. */
#ifndef DUET_TESTS_TRACER_H
#define DUET_TESTS_TRACER_H

#include <stdbool.h>
#include <sys/types.h>

/* A thread that makes calls. */
struct tracer_task {
	pid_t pid;
	bool first;	/* the program's own process, not one that it started */
	bool inside;	/* of a system call */
	bool answered;	/* the call in hand gives `answer`, whatever it did */
	long answer;
};

struct tracer {
	/* Before a call is done. False: the task was killed, and is left alone. */
	bool (*enter)(void *data, struct tracer_task *task);
	void *data;
	void (*set_answer)(const struct tracer_task *task);	/* of an answered call, behind it; or NULL */
};

/*
 * Runs argv to its end, and everything that comes from it: the program's exit code (128 + its signal),
 * or -1 when time was up (alarm(2) says when) and the rest was killed. Ends the process with 77 where
 * there is no tracing.
 */
int tracer_run(const struct tracer *tracer, char **argv);

/* The process of a thread. */
pid_t tracer_process_of(pid_t thread);

#endif
