/*
 * duet-init: PID 1 of a container or a guest. Speaks the agent protocol (proto.h) with the host,
 * starts jobs, carries their streams within the credit of each, reaps, and tells the exit status
 * until it is acknowledged. Everything dies with the channel.
 *
 * Namespaces and rights in a container: it runs inside all of them, as uid 0 of the user namespace,
 * under the job's filter, with the job's capabilities and those that starting a job takes
 * (SETUID, SETGID, SETPCAP, CHOWN, KILL). It opens nothing of the host: the channel is the only
 * descriptor that it is given. In a guest (guest.c, root.c) it is root with all rights, and makes the
 * job's root itself.
 */
#include "runners/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What is polled: these, and for each session stdin, stdout and stderr. */
enum { POLL_CHANNEL, POLL_SIGNALS, POLL_MEMORY, POLL_FIXED };
#define POLL_MAX (POLL_FIXED + 3 * PROTO_SESSIONS_MAX)

static struct init state;

_Noreturn void init_end(int code)
{
	kill(-1, SIGKILL);
	if (state.guest)
		reboot(RB_AUTOBOOT);
	_exit(code);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void send_hello(struct init *init)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	channel_queue(init, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	init->repeat_ms = now_ms() + PROTO_REPEAT_MS;
}

static void send_exit(struct init *init, unsigned int number)
{
	int status = init->sessions[number].status;
	struct proto_exit exit_frame = {
		.code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0,
		.signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0,
	};

	if (root_is_full())
		exit_frame.flags |= PROTO_EXIT_FULL;
	memcpy(exit_frame.nonce, init->nonce, sizeof(exit_frame.nonce));
	channel_queue(init, PROTO_EXIT, number, 0, &exit_frame, sizeof(exit_frame));
	init->repeat_ms = now_ms() + PROTO_REPEAT_MS;
}

/* ---- what the host says ---------------------------------------------------------------------- */

static uint32_t payload_u32(const struct proto_head *head, const uint8_t *payload)
{
	uint32_t value;

	if (head->length != sizeof(value))
		init_end(1);
	memcpy(&value, payload, sizeof(value));
	return value;
}

static void take_welcome(struct init *init, const struct proto_head *head, const uint8_t *payload)
{
	struct proto_hello hello;

	if (head->length != sizeof(hello))
		init_end(1);
	memcpy(&hello, payload, sizeof(hello));
	if (hello.version != PROTO_VERSION)
		init_end(1);
	if (init->welcomed)
		return; /* the answer to a HELLO that was sent twice */
	memcpy(init->nonce, hello.nonce, sizeof(init->nonce));
	init->welcomed = true;
	init->repeat_ms = 0;
}

static void take_data(struct session *session, const struct proto_head *head,
		      const uint8_t *payload)
{
	struct inflow *in = &session->in;
	uint32_t end = (in->start + in->used) % PROTO_WINDOW, first;

	if (head->stream != PROTO_STDIN || in->ended || head->length > PROTO_WINDOW - in->used)
		init_end(1); /* beyond its credit */
	if (session->state != SESSION_RUNNING || in->fd < 0)
		return; /* the job has closed its input: the rest goes nowhere, as with a pipe */
	first = PROTO_WINDOW - end < head->length ? PROTO_WINDOW - end : head->length;
	memcpy(in->ring + end, payload, first);
	memcpy(in->ring, payload + first, head->length - first);
	in->used += head->length;
}

static void take_signal(struct session *session, uint32_t sig)
{
	if (session->state == SESSION_RUNNING && sig > 0 && sig < 65)
		kill(-session->pid, (int)sig); /* its session's first process group */
}

static void take_resize(struct session *session, const struct proto_head *head,
			const uint8_t *payload)
{
	uint16_t size[2];
	struct winsize ws = { 0 };

	if (head->length != sizeof(size))
		init_end(1);
	memcpy(size, payload, sizeof(size));
	ws.ws_row = size[0];
	ws.ws_col = size[1];
	if (session->tty && session->out[PROTO_STDOUT].fd >= 0)
		ioctl(session->out[PROTO_STDOUT].fd, TIOCSWINSZ, &ws);
}

static void take_exit_ack(struct init *init, unsigned int number)
{
	if (init->sessions[number].state != SESSION_EXITED)
		init_end(1);
	init->sessions[number].state = SESSION_FREE;
	init->repeat_ms = 0;
	if (number == 0)
		init_end(0);
}

static void take_frame(struct init *init, const struct proto_head *head, const uint8_t *payload)
{
	struct session *session = &init->sessions[head->session];
	uint32_t value;

	if (!init->welcomed && head->type != PROTO_WELCOME)
		init_end(1);
	switch (head->type) {
	case PROTO_WELCOME:
		take_welcome(init, head, payload);
		return;
	case PROTO_SETUP:
		root_setup(init, payload, head->length);
		return;
	case PROTO_START:
		if (init->broken)
			return;
		job_start(init, head->session, payload, head->length);
		return;
	case PROTO_DATA:
		take_data(session, head, payload);
		return;
	case PROTO_EOF:
		session->in.ended = true;
		return;
	case PROTO_CREDIT:
		value = payload_u32(head, payload);
		if (value > PROTO_WINDOW - session->out[head->stream].credit)
			init_end(1);
		session->out[head->stream].credit += value;
		return;
	case PROTO_SIGNAL:
		take_signal(session, payload_u32(head, payload));
		return;
	case PROTO_RESIZE:
		take_resize(session, head, payload);
		return;
	case PROTO_EXIT_ACK:
		take_exit_ack(init, head->session);
		return;
	default:
		init_end(1);
	}
}

/* ---- streams --------------------------------------------------------------------------------- */

static void close_input(struct inflow *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	in->used = 0;
}

static void write_input(struct init *init, unsigned int number)
{
	struct inflow *in = &init->sessions[number].in;
	uint32_t done = 0;

	while (in->used > 0) {
		uint32_t part = PROTO_WINDOW - in->start < in->used ? PROTO_WINDOW - in->start
								    : in->used;
		ssize_t put = write(in->fd, in->ring + in->start, part);

		if (put < 0 && errno != EAGAIN && errno != EINTR) {
			close_input(in); /* EPIPE: the job reads no more */
			break;
		}
		if (put <= 0)
			break;
		in->start = (in->start + (uint32_t)put) % PROTO_WINDOW;
		in->used -= (uint32_t)put;
		done += (uint32_t)put;
	}
	if (done)
		channel_queue(init, PROTO_CREDIT, number, PROTO_STDIN, &done, sizeof(done));
	if (in->fd >= 0 && in->ended && in->used == 0 && !init->sessions[number].tty)
		close_input(in);
}

/* At the end of a terminal's input the line discipline is told; the master stays open for output. */
static void end_terminal_input(struct session *session)
{
	static const char end_of_transmission = 4;

	if (!session->tty || !session->in.ended || session->in.used || session->in.fd < 0)
		return;
	(void)!write(session->in.fd, &end_of_transmission, 1);
	close_input(&session->in);
}

static void end_output(struct init *init, unsigned int number, unsigned int stream)
{
	struct outflow *out = &init->sessions[number].out[stream];

	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	if (!out->eof_sent)
		channel_queue(init, PROTO_EOF, number, stream, NULL, 0);
	out->eof_sent = true;
}

/* Makes one data frame of what a stream has to say. */
static void read_output(struct init *init, unsigned int number, unsigned int stream)
{
	struct outflow *out = &init->sessions[number].out[stream];
	struct proto_head head = { .type = PROTO_DATA, .session = (uint8_t)number,
				   .stream = (uint8_t)stream };
	size_t most = out->credit < PROTO_PAYLOAD_MAX ? out->credit : PROTO_PAYLOAD_MAX;
	ssize_t got = read(out->fd, init->out + sizeof(head), most);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end_output(init, number, stream); /* a pty says EIO when its last user is gone */
		return;
	}
	head.length = (uint32_t)got;
	memcpy(init->out, &head, sizeof(head));
	init->out_start = 0;
	init->out_used = sizeof(head) + (size_t)got;
	out->credit -= (uint32_t)got;
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static void reap(struct init *init)
{
	struct signalfd_siginfo info[8];
	int status;
	pid_t pid;

	while (read(init->signals, info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < PROTO_SESSIONS_MAX; i++) {
			struct session *session = &init->sessions[i];

			if (session->state != SESSION_RUNNING || session->pid != pid)
				continue;
			session->status = status;
			session->state = SESSION_DRAINING;
			close_input(&session->in);
			/* the job is what the instance is for: nobody outlives it */
			if (i == 0)
				kill(-1, SIGKILL);
		}
	}
}

static void finish_drained(struct init *init, unsigned int number)
{
	struct session *session = &init->sessions[number];

	if (session->state != SESSION_DRAINING)
		return;
	for (int i = 1; i < PROTO_STREAMS; i++)
		if (session->out[i].fd >= 0)
			return;
	session->state = SESSION_EXITED;
	send_exit(init, number);
}

static void repeat(struct init *init)
{
	if (init->repeat_ms == 0 || now_ms() < init->repeat_ms)
		return;
	if (!init->welcomed)
		send_hello(init);
	for (unsigned int i = 0; i < PROTO_SESSIONS_MAX; i++)
		if (init->sessions[i].state == SESSION_EXITED)
			send_exit(init, i);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static size_t add_poll(struct pollfd *polls, size_t count, int fd, short events)
{
	polls[count] = (struct pollfd){ .fd = fd, .events = events };
	return count + 1;
}

/* What poll says of those stays in polls. */
static void wait_for_work(struct init *init, bool sending, struct pollfd polls[POLL_MAX])
{
	size_t count = 0;
	int timeout = -1;

	count = add_poll(polls, count, init->channel,
			 (short)(POLLIN | (sending ? POLLOUT : 0)));
	count = add_poll(polls, count, init->signals, POLLIN);
	count = add_poll(polls, count, init->memory, POLLPRI);
	for (int i = 0; i < PROTO_SESSIONS_MAX; i++) {
		struct session *session = &init->sessions[i];

		if (session->state != SESSION_RUNNING && session->state != SESSION_DRAINING)
			continue;
		if (session->in.fd >= 0 && session->in.used > 0)
			count = add_poll(polls, count, session->in.fd, POLLOUT);
		for (int s = 1; s < PROTO_STREAMS && !sending; s++)
			if (session->out[s].fd >= 0 && session->out[s].credit > 0)
				count = add_poll(polls, count, session->out[s].fd, POLLIN);
	}
	if (init->repeat_ms) {
		uint64_t now = now_ms();

		timeout = init->repeat_ms > now ? (int)(init->repeat_ms - now) : 0;
	}
	if (poll(polls, count, timeout) < 0) {
		polls[POLL_CHANNEL].revents = polls[POLL_SIGNALS].revents = POLLIN;
		polls[POLL_MEMORY].revents = 0;
	}
}

static void move_streams(struct init *init, bool *sending)
{
	for (unsigned int i = 0; i < PROTO_SESSIONS_MAX; i++) {
		struct session *session = &init->sessions[i];

		if (session->state != SESSION_RUNNING && session->state != SESSION_DRAINING)
			continue;
		if (session->in.fd >= 0 && channel_has_room(init)) {
			write_input(init, i);
			end_terminal_input(session);
		}
		for (unsigned int s = 1; s < PROTO_STREAMS && !*sending; s++) {
			if (session->out[s].fd < 0 || session->out[s].credit == 0)
				continue;
			read_output(init, i, s);
			*sending = !channel_flush(init);
		}
		finish_drained(init, i);
	}
}

static void start(struct init *init, bool guest)
{
	sigset_t child;

	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "duet-init");
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	init->guest = guest;
	init->channel = guest ? guest_start() : CHANNEL_FD;
	init->memory = guest ? memory_watch() : -1;
	init->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init->signals < 0 || fcntl(init->channel, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(init->channel, F_SETFL, O_NONBLOCK) < 0)
		_exit(1);
	for (int i = 0; i < PROTO_SESSIONS_MAX; i++)
		init->sessions[i].in.fd = -1;
}

int main(int argc, char **argv)
{
	struct init *init = &state;
	struct pollfd polls[POLL_MAX];
	bool sending;

	/* the kernel of a guest calls it by its place in the initramfs */
	start(init, argc > 0 && !strcmp(argv[0], "/init"));
	send_hello(init);
	for (;;) {
		sending = !channel_flush(init);
		move_streams(init, &sending);
		repeat(init);
		if (!sending)
			sending = !channel_flush(init);
		wait_for_work(init, sending, polls);
		if (polls[POLL_SIGNALS].revents)
			reap(init);
		if (polls[POLL_MEMORY].revents)
			memory_is_short(now_ms());
		if (polls[POLL_CHANNEL].revents)
			channel_read(init, take_frame);
	}
}
