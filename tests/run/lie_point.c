/*
 * A kernel that lies or does less, for a program and for all that comes from it:
 *
 *	lie_point sync N OUT COMMAND...	fsync and its kind say that they did and do nothing; N: the Nth
 *					of them alone, or 0: all
 *	lie_point write N OUT COMMAND...	the Nth write to a file says that it did and does nothing; 0: none
 *	lie_point keep 0 OUT COMMAND...	what is opened stays open over exec, whatever the program asked for
 *	lie_point none 0 OUT COMMAND...	nothing; to compare with
 *	lie_point short N OUT COMMAND...	no read or write of a file moves more than N bytes, none of a pipe
 *					more than its kernel does at once (PIPE_BUF)
 *
 * A file is a regular one, but for those of the kernel itself. Into OUT goes a line: the number of calls of
 * the kind (of `short`: those that it made shorter), and the name of the file that was lied about. Exit
 * code: COMMAND's; 126: it did not end in time; 77 no tracing here.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "tests/run/tracer.h"

#ifndef __x86_64__
int main(void)
{
	return 77; /* whose registers are not known here */
}
#else

#define RUN_S 120

struct lie {
	enum kind { LIE_SYNC, LIE_WRITE, LIE_KEEP, LIE_NONE, LIE_SHORT } kind;
	long number;
	long calls;
	char where[PATH_MAX];
};

/* Calls that move bytes: which argument is their number, and which the file that is written (or read). */
static const struct mover {
	long call;
	int count;	/* argument; or of parts, of which one is left */
	int file;
	bool writes;
	bool parts;
} movers[] = {
	{ SYS_read, 2, 0, false, false },	{ SYS_write, 2, 0, true, false },
	{ SYS_pread64, 2, 0, false, false },	{ SYS_pwrite64, 2, 0, true, false },
	{ SYS_readv, 2, 0, false, true },	{ SYS_writev, 2, 0, true, true },
	{ SYS_preadv, 2, 0, false, true },	{ SYS_pwritev, 2, 0, true, true },
	{ SYS_sendfile, 3, 0, true, false },	{ SYS_copy_file_range, 4, 2, true, false },
	{ SYS_splice, 4, 2, true, false },
};

static unsigned long long *argument(struct user_regs_struct *regs, int number)
{
	unsigned long long *const all[] = { &regs->rdi, &regs->rsi, &regs->rdx, &regs->r10, &regs->r8,
					    &regs->r9 };

	return all[number];
}

enum what { OTHER, REGULAR, PIPE };

/* What a descriptor of a task stands for; *ret is its name. */
static enum what what_is(pid_t task, int fd, char ret[PATH_MAX])
{
	char path[64];
	struct statfs fs;
	struct stat st;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)task, fd);
	length = readlink(path, ret, PATH_MAX - 1);
	if (length < 0 || stat(path, &st) < 0)
		return OTHER;
	ret[length] = '\0';
	if (S_ISFIFO(st.st_mode))
		return PIPE;
	if (!S_ISREG(st.st_mode) || statfs(path, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC ||
	    fs.f_type == SYSFS_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC ||
	    fs.f_type == CGROUP2_SUPER_MAGIC)
		return OTHER;
	return REGULAR;
}

static bool is_sync(long call)
{
	return call == SYS_fsync || call == SYS_fdatasync || call == SYS_syncfs ||
	       call == SYS_sync_file_range || call == SYS_msync;
}

static const struct mover *mover_of(long call)
{
	for (size_t i = 0; i < sizeof(movers) / sizeof(*movers); i++)
		if (movers[i].call == call)
			return &movers[i];
	return NULL;
}

/* The call is made on no file, and what it says is thrown away. */
static void skip(struct tracer_task *task, struct user_regs_struct *regs, int file, long answer)
{
	*argument(regs, file) = (unsigned long long)-1;
	ptrace(PTRACE_SETREGS, task->pid, NULL, regs);
	task->answered = true;
	task->answer = answer;
}

static void lie_sync(struct lie *lie, struct tracer_task *task, struct user_regs_struct *regs)
{
	char name[PATH_MAX];

	if (!is_sync((long)regs->orig_rax))
		return;
	lie->calls++;
	if (lie->number != 0 && lie->calls != lie->number)
		return;
	if (what_is(task->pid, (int)regs->rdi, name) != PIPE)
		snprintf(lie->where, sizeof(lie->where), "%s", name);
	skip(task, regs, 0, 0);
}

static void lie_write(struct lie *lie, struct tracer_task *task, struct user_regs_struct *regs)
{
	const struct mover *mover = mover_of((long)regs->orig_rax);
	char name[PATH_MAX];

	if (!mover || !mover->writes || mover->parts ||
	    what_is(task->pid, (int)*argument(regs, mover->file), name) != REGULAR ||
	    ++lie->calls != lie->number)
		return;
	snprintf(lie->where, sizeof(lie->where), "%s", name);
	skip(task, regs, mover->file, (long)*argument(regs, mover->count));
}

static void do_less(struct lie *lie, struct tracer_task *task, struct user_regs_struct *regs)
{
	const struct mover *mover = mover_of((long)regs->orig_rax);
	unsigned long long most = (unsigned long long)lie->number, *count;
	char name[PATH_MAX];
	enum what what;

	if (!mover)
		return;
	what = what_is(task->pid, (int)*argument(regs, mover->file), name);
	count = argument(regs, mover->count);
	/* the loader of programs takes less than it asked for for a damaged library */
	if (what == OTHER || (!mover->writes && strstr(name, ".so")))
		return;
	if (what == PIPE && most < PIPE_BUF)
		most = PIPE_BUF;
	if (mover->parts)
		most = 1;
	if (*count <= most)
		return;
	*count = most;
	ptrace(PTRACE_SETREGS, task->pid, NULL, regs);
	lie->calls++;
}

/* Calls that open: which argument has the word that the descriptor ends with exec. */
static void keep_open(struct lie *lie, struct tracer_task *task, struct user_regs_struct *regs)
{
	static const struct {
		long call;
		int flags;
		unsigned long long word;
	} openers[] = {
		{ SYS_open, 1, O_CLOEXEC },	   { SYS_openat, 2, O_CLOEXEC },
		{ SYS_pipe2, 1, O_CLOEXEC },	   { SYS_dup3, 2, O_CLOEXEC },
		{ SYS_socket, 1, SOCK_CLOEXEC },   { SYS_socketpair, 1, SOCK_CLOEXEC },
		{ SYS_memfd_create, 1, MFD_CLOEXEC },
	};

	for (size_t i = 0; i < sizeof(openers) / sizeof(*openers); i++) {
		unsigned long long *flags = argument(regs, openers[i].flags);

		if (openers[i].call != (long)regs->orig_rax || !(*flags & openers[i].word))
			continue;
		*flags &= ~openers[i].word;
		ptrace(PTRACE_SETREGS, task->pid, NULL, regs);
		lie->calls++;
	}
	if (regs->orig_rax == SYS_fcntl && regs->rsi == F_DUPFD_CLOEXEC) {
		regs->rsi = F_DUPFD;
		ptrace(PTRACE_SETREGS, task->pid, NULL, regs);
		lie->calls++;
	}
}

static enum kind kind_of(const char *word)
{
	static const char *const words[] = { [LIE_SYNC] = "sync", [LIE_WRITE] = "write",
					     [LIE_KEEP] = "keep", [LIE_NONE] = "none" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i]))
			return (enum kind)i;
	return LIE_SHORT;
}

static bool enter(void *data, struct tracer_task *task)
{
	struct user_regs_struct regs;
	struct lie *lie = data;

	if (ptrace(PTRACE_GETREGS, task->pid, NULL, &regs) < 0)
		return true;
	if (lie->kind == LIE_SYNC)
		lie_sync(lie, task, &regs);
	else if (lie->kind == LIE_WRITE)
		lie_write(lie, task, &regs);
	else if (lie->kind == LIE_KEEP)
		keep_open(lie, task, &regs);
	else if (lie->kind == LIE_SHORT)
		do_less(lie, task, &regs);
	return true;
}

static void set_answer(const struct tracer_task *task)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, task->pid, NULL, &regs) < 0)
		return;
	regs.rax = (unsigned long long)task->answer;
	ptrace(PTRACE_SETREGS, task->pid, NULL, &regs);
}

int main(int argc, char **argv)
{
	struct lie lie = { 0 };
	struct tracer tracer = { .enter = enter, .set_answer = set_answer, .data = &lie };
	FILE *out;
	int code;

	if (argc < 5)
		return 2;
	lie.kind = kind_of(argv[1]);
	lie.number = atol(argv[2]);
	out = fopen(argv[3], "we");
	alarm(RUN_S);
	code = tracer_run(&tracer, argv + 4);
	if (!out || fprintf(out, "%ld %s\n", lie.calls, lie.where) < 0 || fclose(out) != 0)
		return 2;
	return code < 0 ? 126 : code;
}
#endif
