/* Every system call of a program: see tracer.h. */
#include "tests/run/tracer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS_MAX 4096

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | \
		 PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)

static struct tracer_task tasks[TASKS_MAX];
static size_t task_count;
static volatile sig_atomic_t time_is_up;

static void on_alarm(int number)
{
	(void)number;
	time_is_up = 1;
}

static struct tracer_task *task_of(pid_t pid)
{
	for (size_t i = 0; i < task_count; i++)
		if (tasks[i].pid == pid)
			return &tasks[i];
	if (task_count == TASKS_MAX)
		exit(77);
	tasks[task_count] = (struct tracer_task){ .pid = pid };
	return &tasks[task_count++];
}

static void forget(pid_t pid)
{
	struct tracer_task *task = task_of(pid);

	*task = tasks[--task_count];
}

/* The process of a thread. */
pid_t tracer_process_of(pid_t thread)
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
	task_of(pid)->first = true;
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

/* A call begins or ends; false: the task is left alone. */
static bool take_call(const struct tracer *tracer, struct tracer_task *task)
{
	task->inside = !task->inside;
	if (task->inside)
		return tracer->enter(tracer->data, task);
	if (task->answered)
		tracer->set_answer(task);
	task->answered = false;
	return true;
}

int tracer_run(const struct tracer *tracer, char **argv)
{
	struct sigaction action = { .sa_handler = on_alarm };
	pid_t first;
	int code = 0;

	sigaction(SIGALRM, &action, NULL);
	first = start(argv);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR && !time_is_up)
			continue;
		if (pid < 0 && errno == ECHILD)
			return code;
		if (pid < 0) {
			kill_left();
			return -1;
		}
		if (!WIFSTOPPED(status)) {
			if (pid == first)
				code = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							   : WEXITSTATUS(status);
			forget(pid);
		} else if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			ptrace(PTRACE_SYSCALL, pid, NULL, signal_of(status));
		} else if (take_call(tracer, task_of(pid))) {
			ptrace(PTRACE_SYSCALL, pid, NULL, 0);
		}
	}
}
