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
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 4096
#define LEFT_S 10	/* time for the others to end after the kill */
#define RUN_S 120	/* time for the whole run */

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | \
		 PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)

struct task {
	pid_t pid;
	bool inside;	/* of a system call */
};

static struct task tasks[TASKS_MAX];
static size_t task_count;
static volatile sig_atomic_t time_is_up;

static void on_alarm(int number)
{
	(void)number;
	time_is_up = 1;
}

static struct task *task_of(pid_t pid)
{
	for (size_t i = 0; i < task_count; i++)
		if (tasks[i].pid == pid)
			return &tasks[i];
	if (task_count == TASKS_MAX)
		exit(77);
	tasks[task_count] = (struct task){ .pid = pid };
	return &tasks[task_count++];
}

static void forget(pid_t pid)
{
	struct task *task = task_of(pid);

	*task = tasks[--task_count];
}

/* The process of a thread. */
static pid_t process_of(pid_t thread)
{
	char path[64], line[128];
	pid_t found = thread;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
	status = fopen(path, "r");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "Tgid: %d", &found) == 1)
			break;
	if (status)
		fclose(status);
	return found;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		raise(SIGSTOP);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL, OPTIONS) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, 0) < 0)
		exit(77);
	task_of(pid);
	return pid;
}

/* Which signal to hand on after a stop that is no system call. */
static int signal_of(int status)
{
	int number = WSTOPSIG(status);

	if (status >> 16)
		return 0; /* an event: clone, exec */
	/* a new task's first stop; nothing that is traced here is stopped otherwise */
	return number == SIGSTOP || number == SIGTRAP ? 0 : number;
}

static void kill_left(void)
{
	for (size_t i = 0; i < task_count; i++) {
		fprintf(stderr, "process %d is left\n", (int)tasks[i].pid);
		kill(tasks[i].pid, SIGKILL);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm };
	long wanted, calls = 0;
	bool workers, killed = false;
	pid_t first;

	if (argc < 4)
		return 2;
	workers = !strcmp(argv[1], "worker");
	wanted = atol(argv[2]);
	sigaction(SIGALRM, &action, NULL);
	alarm(RUN_S);
	first = start(argv + 3);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);
		struct task *task;

		if (pid < 0 && errno == EINTR && !time_is_up)
			continue;
		if (pid < 0 && errno == ECHILD)
			break;
		if (pid < 0) {
			kill_left();
			return 2;
		}
		if (!WIFSTOPPED(status)) {
			forget(pid);
			continue;
		}
		task = task_of(pid);
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			ptrace(PTRACE_SYSCALL, pid, NULL, signal_of(status));
			continue;
		}
		task->inside = !task->inside;
		if (task->inside && (pid == first) != workers && ++calls == wanted) {
			kill(process_of(pid), SIGKILL);
			killed = true;
			alarm(LEFT_S);
			continue;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, 0);
	}
	printf("%ld\n", calls);
	return killed ? 0 : 1;
}
