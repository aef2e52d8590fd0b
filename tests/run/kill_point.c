/*
 * Kills a program at one of its system calls, before the call is done:
 *
 *	kill_point duet|worker N COMMAND...
 *
 * `duet` counts the calls of COMMAND's own process, `worker` those of every process that comes from
 * it (threads, namespaces' first processes, what they become by exec). The process that makes the
 * Nth of them is killed with SIGKILL; all others go on untouched. N = 0 kills nobody.
 *
 * Prints the number of calls seen. Exit code: 0 killed; 1 COMMAND came to its end before (or N is
 * 0); 2 some process was left ten seconds after the kill (it is killed then); 77 no tracing here.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/run/tracer.h"

#define LEFT_S 10	/* time for the others to end after the kill */
#define RUN_S 120	/* time for the whole run */

struct point {
	long wanted;	/* the call that is not made; 0: none */
	long calls;	/* so far */
	bool workers;	/* those count */
	bool killed;
};

static bool enter(void *data, struct tracer_task *task)
{
	struct point *point = data;

	if (task->first == point->workers || ++point->calls != point->wanted)
		return true;
	kill(tracer_process_of(task->pid), SIGKILL);
	point->killed = true;
	alarm(LEFT_S);
	return false;
}

int main(int argc, char **argv)
{
	struct point point = { 0 };
	struct tracer tracer = { .enter = enter, .data = &point };

	if (argc < 4)
		return 2;
	point.workers = !strcmp(argv[1], "worker");
	point.wanted = atol(argv[2]);
	alarm(RUN_S);
	if (tracer_run(&tracer, argv + 3) < 0)
		return 2;
	printf("%ld\n", point.calls);
	return point.killed ? 0 : 1;
}
