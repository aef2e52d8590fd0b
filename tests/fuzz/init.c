/*
 * What a host says to duet-init, in a container and in a guest: all of duet-init, its loop too, in a
 * world that is made of the input. Its sources are included here and every call of the system that
 * does something is replaced below, so that it neither mounts nor kills: init_calls.sh has the list.
 *
 * An input: a byte of flags, a byte that counts the decisions, the decisions, and what comes through
 * the channel. A call that may fail or do less than it was asked for takes a decision; 0, and there is
 * nothing else once they are used up, is success.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runners/init/init.h"
#include "tests/fuzz/fuzz.h"

#define GUEST 1u	/* of the flags */
#define FIXED_FILE 2u	/* a part of the input is PROTO_FIXED_FILE */
#define FDS_MAX 4096
#define PID 1000

/* ---- the world ------------------------------------------------------------------------------- */

enum kind { CLOSED, CHANNEL, SIGNALS, REPORT, ORDER, FIXED_OPS, PORT_NAME, OTHER };

static struct {
	jmp_buf end;
	struct fuzz_input decisions, channel, fixed, fixed_left;
	uint8_t kinds[FDS_MAX];
	int next_fd;
	size_t order_at;
	unsigned int entries;	/* of the folder that is read */
	uint64_t now_ms;
	/* what duet-init sends */
	uint8_t frame[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];
	size_t frame_used;
} world;

static unsigned int decide(void)
{
	return fuzz_byte(&world.decisions);
}

/* 0, or -1 with an errno. */
static int may_fail(void)
{
	static const int errors[] = { EAGAIN, EINTR, ENOENT, EPERM, EEXIST, ELOOP, ENOTDIR, EIO,
				      EOVERFLOW };
	unsigned int decision = decide();

	if (decision < 128)
		return 0;
	errno = errors[decision % 9];
	return -1;
}

static int new_fd(enum kind kind)
{
	if (may_fail() < 0 || world.next_fd == FDS_MAX)
		return -1;
	world.kinds[world.next_fd] = kind;
	return world.next_fd++;
}

static enum kind kind_of(int fd)
{
	FUZZ_CHECK(fd >= 0 && fd < FDS_MAX && world.kinds[fd] != CLOSED);
	return world.kinds[fd];
}

/* Frames, whole ones, as proto.h has them. */
static void take_sent(const uint8_t *data, size_t size)
{
	while (size > 0) {
		struct proto_head head;
		size_t want = sizeof(head);

		if (world.frame_used >= sizeof(head)) {
			memcpy(&head, world.frame, sizeof(head));
			want += head.length;
		}
		if (want > world.frame_used) {
			size_t part = want - world.frame_used < size ? want - world.frame_used : size;

			memcpy(world.frame + world.frame_used, data, part);
			world.frame_used += part;
			data += part;
			size -= part;
		}
		if (world.frame_used < sizeof(head))
			break;
		memcpy(&head, world.frame, sizeof(head));
		FUZZ_CHECK(head.type > 0 && head.type < PROTO_TYPE_END &&
			   head.length <= PROTO_PAYLOAD_MAX &&
			   head.session < PROTO_SESSIONS_MAX && head.stream < PROTO_STREAMS &&
			   head.zero == 0);
		if (world.frame_used == sizeof(head) + head.length)
			world.frame_used = 0;
	}
}

_Noreturn static void world_exit(int code)
{
	(void)code;
	longjmp(world.end, 1);
}

static int world_kill(pid_t pid, int sig)
{
	/* all, or the process group of a job: never one process, never our own group */
	FUZZ_CHECK(pid == -1 || pid <= -PID);
	FUZZ_CHECK(sig > 0 && sig < 65);
	return 0;
}

static ssize_t give(struct fuzz_input *from, void *to, size_t size)
{
	struct fuzz_input part = fuzz_part(from, size);

	if (part.left)
		memcpy(to, part.at, part.left);
	return (ssize_t)part.left;
}

static ssize_t read_texts(const char *text, size_t *at, void *to, size_t size)
{
	size_t left = strlen(text) - *at;

	if (size > left)
		size = left;
	memcpy(to, text + *at, size);
	*at += size;
	return (ssize_t)size;
}

static ssize_t world_read(int fd, void *to, size_t size)
{
	static const char order[] = "base virtio_pci virtio_console?\ndisk virtio_blk erofs overlay\n"
				    "scratch ext4\n";
	enum kind kind = kind_of(fd);
	unsigned int decision;
	size_t at = 0;

	if (kind == ORDER)
		return read_texts(order, &world.order_at, to, size);
	if (kind == PORT_NAME)
		return read_texts(PROTO_PORT_NAME "\n", &at, to,
				  sizeof(PROTO_PORT_NAME) < size ? sizeof(PROTO_PORT_NAME) : size);
	if (kind == FIXED_OPS)
		return give(&world.fixed_left, to, size);
	decision = decide();
	if (kind == CHANNEL) {
		if (decision == 255)
			return errno = EAGAIN, -1;
		return give(&world.channel, to,
			    decision && decision * 8 < size ? decision * 8 : size);
	}
	/* a job's output, a report: nothing more, an error, or so much */
	if (kind == SIGNALS || decision == 1)
		return errno = EAGAIN, -1;
	if (decision == 2)
		return errno = EIO, -1;
	if (decision == 0)
		return kind == REPORT ? 0 : (errno = EAGAIN, -1);
	if (decision == 3)
		return 0;
	if (decision * 64 < size)
		size = decision * 64;
	memset(to, (int)decision, size);
	return (ssize_t)size;
}

static ssize_t world_write(int fd, const void *data, size_t size)
{
	enum kind kind = kind_of(fd);

	if (may_fail() < 0)
		return -1;
	if (size > 1 && decide() == 1)
		size /= 2;
	if (kind == CHANNEL)
		take_sent(data, size);
	return (ssize_t)size;
}

static int world_open(const char *path)
{
	if (!strcmp(path, "/modules/order")) {
		world.order_at = 0;
		return new_fd(ORDER);
	}
	if (!strcmp(path, PROTO_FIXED_FILE)) {
		world.fixed_left = world.fixed;
		return new_fd(FIXED_OPS);
	}
	if (!strncmp(path, "/sys/class/virtio-ports/", 24))
		return new_fd(PORT_NAME);
	return new_fd(!strncmp(path, "/dev/vport", 10) ? CHANNEL : OTHER);
}

static int world_close(int fd)
{
	(void)kind_of(fd);
	world.kinds[fd] = CLOSED;
	return 0;
}

static int world_fd_call(int fd)
{
	(void)kind_of(fd);
	return may_fail();
}

static int world_ioctl(int fd, unsigned long what)
{
	(void)kind_of(fd);
	return what == TIOCGPTPEER ? new_fd(OTHER) : may_fail();
}

static int world_fcntl(int fd, int what)
{
	enum kind kind = kind_of(fd);

	return what == F_DUPFD_CLOEXEC ? new_fd(kind) : may_fail();
}

static int world_pipe(int ends[2])
{
	int first = new_fd(REPORT), second = first < 0 ? -1 : new_fd(REPORT);

	if (second < 0) {
		if (first >= 0)
			world_close(first);
		return -1;
	}
	ends[0] = first;
	ends[1] = second;
	return 0;
}

static int world_poll(struct pollfd *polls, size_t count)
{
	if (may_fail() < 0)
		return -1;
	world.now_ms += 20;
	for (size_t i = 0; i < count; i++) {
		polls[i].revents = 0;
		if (polls[i].fd >= 0 && kind_of(polls[i].fd) && decide() != 1)
			polls[i].revents = polls[i].events;
	}
	/* whatever was decided, the channel goes on, or this would never end */
	if (count > 0 && world.decisions.left == 0)
		polls[0].revents = polls[0].events;
	return (int)count;
}

static pid_t world_wait(int *status)
{
	unsigned int decision = decide();

	if (decision == 0)
		return 0;
	*status = (int)decide() << 8;
	if (*status & 0x8000)
		*status = *status >> 8 & 0x7f;
	return PID + (pid_t)(decision & 7);
}

static void *world_opendir(void)
{
	world.entries = 0;
	return may_fail() < 0 ? NULL : &world;
}

static struct dirent *world_readdir(void)
{
	static struct dirent entry = { .d_name = "vport0p1" };

	return world.entries++ == 0 ? &entry : NULL;
}

static int world_stat(struct stat *st)
{
	static const mode_t modes[] = { S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR };

	*st = (struct stat){ .st_mode = modes[decide() % 4] };
	return may_fail();
}

static char *world_cwd(char *path, size_t size)
{
	if (may_fail() < 0)
		return NULL;
	snprintf(path, size, "%s", decide() ? "(unreachable)/" : "/");
	return path;
}

/* Texts are read to their end, wherever they were found. */
static int text_call(const char *one, const char *other)
{
	static volatile size_t seen;

	seen += (one ? strlen(one) : 0) + (other ? strlen(other) : 0);
	(void)seen;
	return may_fail();
}

static int exec_call(const char *path, char *const *argv, char *const *envp)
{
	for (; *argv; argv++)
		(void)text_call(*argv, NULL);
	for (; *envp; envp++)
		(void)text_call(*envp, NULL);
	(void)text_call(path, NULL);
	errno = ENOENT;
	return -1;
}

/* Of capabilities: what was set is what there is; else all goes as it is decided. */
static int world_syscall(long number, void *one, void *other)
{
	static uint8_t capabilities[2 * sizeof(struct __user_cap_data_struct)];

	(void)one;
	if (number == SYS_capset)
		memcpy(capabilities, other, sizeof(capabilities));
	if (number == SYS_capget)
		memcpy(other, capabilities, sizeof(capabilities));
	return may_fail();
}

/* finit_module(fd, options, flags) is the one with another shape. */
#define world_syscall(number, one, other, ...) \
	(world_syscall)(number, (void *)(uintptr_t)(one), (void *)(other))

static pid_t world_fork(void);

#define kill(pid, sig) world_kill(pid, sig)
#define reboot(how) world_exit(how)
#define _exit(code) world_exit(code)
#define read(fd, to, size) world_read(fd, to, size)
#define write(fd, data, size) world_write(fd, data, size)
#define pread(fd, to, size, at) world_read(fd, to, size)
#define open(path, ...) world_open(path)
#define close(fd) world_close(fd)
#define fcntl(fd, what, ...) world_fcntl(fd, what)
#define ioctl(fd, what, ...) world_ioctl(fd, what)
#define fchown(fd, uid, gid) world_fd_call(fd)
#define fchdir(fd) world_fd_call(fd)
#define dup2(from, to) world_fd_call(from)
#define pipe2(ends, flags) world_pipe(ends)
#define poll(polls, count, timeout) world_poll(polls, count)
#define fork() world_fork()
#define waitpid(pid, status, flags) world_wait(status)
#define execve(path, argv, envp) exec_call(path, argv, envp)
#define mount(from, to, kind, flags, options) (text_call(from, to) | text_call(kind, options))
#define mkdir(path, mode) text_call(path, NULL)
#define mkdirat(fd, path, mode) (world_fd_call(fd) | text_call(path, NULL))
#define mknod(path, mode, device) text_call(path, NULL)
#define chmod(path, mode) text_call(path, NULL)
#define symlink(to, path) text_call(to, path)
#define chdir(path) text_call(path, NULL)
#define access(path, mode) text_call(path, NULL)
#define chroot(path) text_call(path, NULL)
#define realpath(path, found) (text_call(path, NULL) ? NULL : strcpy(found, path))
#define statvfs(path, st) (*(st) = (struct statvfs){ .f_blocks = 1, .f_bavail = decide() }, may_fail())
#define lstat(path, st) (text_call(path, NULL), world_stat(st))
#define fstat(fd, st) (world_fd_call(fd), world_stat(st))
#define setfsuid(uid) (void)(uid)
#define setfsgid(gid) (void)(gid)
#define getcwd(path, size) world_cwd(path, size)
#define sethostname(name, length) text_call(name, NULL)
#define setsid() may_fail()
#define setgroups(count, list) may_fail()
#define setresgid(a, b, c) may_fail()
#define setresuid(a, b, c) may_fail()
#define syscall(...) world_syscall(__VA_ARGS__, 0)
#define prctl(...) may_fail()
#define umask(mask) (void)(mask)
#define signal(number, handler) (void)(number)
#define sigprocmask(how, set, old) (void)(set)
#define signalfd(fd, set, flags) new_fd(SIGNALS)
#define socket(...) new_fd(OTHER)
#define clock_gettime(clock, now) \
	(*(now) = (struct timespec){ (time_t)(world.now_ms / 1000), \
				     (long)(world.now_ms % 1000) * 1000000 })
#define clock_settime(clock, now) may_fail()
#define dprintf(fd, fmt, ...) (void)text_call(fmt, NULL)
#define opendir(path) world_opendir()
#define readdir(folder) world_readdir()
#define closedir(folder) (void)(folder)

/* ---- duet-init ------------------------------------------------------------------------------- */

/* what a replaced call does not look at is unused */
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wshadow"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

int duet_init_main(int argc, char **argv);
#define main duet_init_main
#define parse parse_start
#include "runners/init/channel.c"
#include "runners/init/init.c"
#include "runners/init/job.c"
#include "runners/init/memory.c"
#undef parse
#define parse parse_setup
#include "runners/init/guest.c"
#include "runners/init/root.c"

/* What the child would do with the texts of START is done by the parent. */
static pid_t world_fork(void)
{
	if (may_fail() < 0)
		return -1;
	(void)enter_workdir(request.workdir);
	(void)drop_rights(&request.head);
	try_exec();
	return PID + (pid_t)(decide() & 7);
}

/* As at the start of a process; the rings may hold what they did. */
static void forget(void)
{
	state.guest = state.broken = state.welcomed = false;
	state.repeat_ms = last_ms = 0;
	meminfo = killer = -1;
	state.in_used = state.control_used = state.out_start = state.out_used = 0;
	memset(state.nonce, 0, sizeof(state.nonce));
	for (int i = 0; i < PROTO_SESSIONS_MAX; i++) {
		struct session *session = &state.sessions[i];

		session->state = SESSION_FREE;
		session->pid = 0;
		session->tty = session->in.ended = false;
		session->status = 0;
		session->in.fd = 0;
		session->in.start = session->in.used = 0;
		memset(session->out, 0, sizeof(session->out));
	}
	memset(&setup, 0, sizeof(setup));
	memset(&request.head, 0, sizeof(request.head));
	memset(loaded, 0, sizeof(loaded));
	world.next_fd = CHANNEL_FD + 1;
	memset(world.kinds, CLOSED, sizeof(world.kinds));
	world.kinds[0] = world.kinds[1] = world.kinds[2] = OTHER;
	world.kinds[CHANNEL_FD] = CHANNEL;
	world.frame_used = 0;
	world.now_ms = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* no operations, one empty string: the host name */
	static const uint8_t no_ops[sizeof(struct proto_setup) + 1] = {
		[offsetof(struct proto_setup, strings_length)] = 1,
	};
	char container[] = "duet-init", guest[] = "/init";
	struct fuzz_input input = { data, size };
	unsigned int flags = fuzz_byte(&input);
	char *argv[] = { flags & GUEST ? guest : container, NULL };

	forget();
	world.decisions = fuzz_part(&input, fuzz_byte(&input));
	world.fixed = (struct fuzz_input){ no_ops, sizeof(no_ops) };
	if (flags & FIXED_FILE)
		world.fixed = fuzz_part(&input, fuzz_short(&input));
	world.channel = input;
	if (setjmp(world.end) == 0)
		duet_init_main(1, argv);
	return 0;
}
