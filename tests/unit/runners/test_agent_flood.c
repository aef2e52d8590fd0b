/*
 * The host side of the agent against a peer that sends one frame without end and reads nothing, each
 * frame in each phase, and against a console that is never silent: nothing grows, and signals and
 * time-outs are answered meanwhile.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "runners/agent/channel.h"
#include "runners/init/proto.h"
#include "runners/vm/console.h"
#include "tests/unit/runners/agent_fixture.h"
#include "tests/unit/unit.h"

#define FLOOD_BYTES (16u << 20)	/* that have been sent before a signal is: a WELCOME is as long as a HELLO */
#define GROWTH_MAX_KB 4096	/* of the host's memory meanwhile */
#define MOMENT_MS 5000		/* a loaded host; the answer takes some milliseconds */
#define AGAIN_MS 20		/* the third INT ends a job that ignores it, the first one that has ended */
#define TIMEOUT_MS 300
#define EXIT_CODE 7

/* EAGER: as before HELLO, and WELCOME and START have been sent at once, as to a container. */
enum phase { BEFORE_HELLO, EAGER, STARTING, RUNNING, ENDED, PHASES };
enum end { BY_SIGNAL, BY_TIMEOUT, ENDS };

static const char *const phase_names[] = { "before HELLO", "eager", "starting", "running",
					   "ended" };

/* Between the processes of a test. */
struct shared {
	volatile uint64_t sent;	/* bytes of the flood */
	int result, code, err_code;
	long growth_kb;
	char msg[128];
};

static struct shared *shared;
static enum phase phase;
static unsigned int type;

/* ---- the peer -------------------------------------------------------------------------------- */

static void reach(int fd, uint8_t nonce[16])
{
	const struct proto_hello hello = { .version = PROTO_VERSION };

	if (phase == STARTING)
		agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	if (phase < RUNNING)
		return;
	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	if (phase < ENDED)
		return;
	agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, "x", 1);
	agent_say_exit(fd, nonce, EXIT_CODE, 0);
}

/* A frame that is well-formed for its type. Its bytes. */
static size_t make_frame(const uint8_t nonce[16], uint8_t *out)
{
	union {
		struct proto_hello hello;
		struct proto_failed failed;
		struct proto_exit status;
		uint32_t credit;
	} payload = { 0 };
	struct proto_head head = { .type = (uint8_t)type };

	switch (type) {
	case PROTO_HELLO:
		payload.hello.version = PROTO_VERSION;
		head.length = sizeof(payload.hello);
		break;
	case PROTO_FAILED:
		head.length = sizeof(payload.failed);
		break;
	case PROTO_EXIT:
		memcpy(payload.status.nonce, nonce, 16);
		payload.status.code = EXIT_CODE;
		head.length = sizeof(payload.status);
		break;
	case PROTO_CREDIT:
		head.length = sizeof(payload.credit);
		break;
	case PROTO_DATA:
		head.stream = PROTO_STDOUT;
	}
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &payload, head.length);
	return sizeof(head) + head.length;
}

static void flood(int fd)
{
	static uint8_t much[1 << 16];
	uint8_t frame[64], nonce[16] = { 0 };
	size_t size, used = 0;

	reach(fd, nonce);
	size = make_frame(nonce, frame);
	for (; used + size <= sizeof(much); used += size)
		memcpy(much + used, frame, size);
	for (size_t at = 0;;) {
		ssize_t put = send(fd, much + at, used - at, MSG_NOSIGNAL);

		if (put < 0)
			_exit(0);
		shared->sent += (size_t)put;
		at = (at + (size_t)put) % used;
	}
}

/* ---- the host -------------------------------------------------------------------------------- */

/* A pipe that takes no byte more: what the job printed waits. */
static int full_pipe(void)
{
	static const char much[4096];
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(pair[1], much, sizeof(much)) > 0)
		;
	return pair[1];
}

static long memory_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void host(struct agent_run *run, enum end end)
{
	char *argv[] = { "job", NULL };
	struct job job = { .argv = { argv, 1 }, .workdir = "/" };
	struct err err = { 0 };
	long before = memory_kb();

	run->in = run->peer_death = -1;
	run->out = phase == ENDED ? full_pipe() : open("/dev/null", O_WRONLY);
	run->errors = run->out;
	run->eager = phase == EAGER;
	run->hello_ms = end == BY_TIMEOUT ? TIMEOUT_MS : 1000 * PATIENCE_S;
	job.timeout_ms = end == BY_TIMEOUT ? TIMEOUT_MS : 0;
	shared->result = agent_run(run, &job, &shared->code, &err);
	shared->err_code = err.code;
	strncpy(shared->msg, err.msg ? err.msg : "", sizeof(shared->msg) - 1);
	shared->growth_kb = memory_kb() - before;
	err_done(&err);
	_exit(0);
}

/* ---- the test -------------------------------------------------------------------------------- */

static bool has_ended(pid_t pid, int wait_ms)
{
	int64_t until = clock_ms() + wait_ms;

	do {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		poll(NULL, 0, 2);
	} while (clock_ms() < until);
	return false;
}

/* Runs a host against `peer`, until it ends by itself, by INT while the flood goes on, or in time. */
static void run_flooded(struct agent_run *run, void (*peer)(int), enum end end)
{
	unsigned int signals = 0;
	int64_t since;
	pid_t other, self;
	bool ended;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	shared->result = 1;
	other = agent_start(peer, &run->channel);
	self = fork();
	if (self == 0) {
		alarm(PATIENCE_S);
		host(run, end);
	}
	close(run->channel);
	while (!(ended = has_ended(self, 0)) && shared->sent < FLOOD_BYTES)
		;
	since = clock_ms();
	while (!ended && clock_ms() - since < MOMENT_MS) {
		if (end == BY_SIGNAL && (phase != ENDED || signals++ == 0))
			kill(self, SIGINT);
		ended = has_ended(self, AGAIN_MS);
	}
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	if (!ended) {
		kill(self, SIGKILL);
		waitpid(self, NULL, 0);
	}
	ck_assert_msg(ended, "frame %u, %s: nothing answers", type, phase_names[phase]);
	ck_assert_msg(shared->result != 1, "frame %u, %s: it died", type, phase_names[phase]);
	ck_assert_msg(shared->growth_kb < GROWTH_MAX_KB, "frame %u, %s: it grew by %ld KiB", type,
		      phase_names[phase], shared->growth_kb);
}

/* May the peer go on with it for ever? What is out of order ends the conversation at once. */
static bool is_in_order(void)
{
	switch (phase) {
	case ENDED:
		return true; /* EXIT was repeated; what comes behind it is passed over */
	case RUNNING:
		return type == PROTO_HELLO || type == PROTO_DATA || type == PROTO_EOF ||
		       type == PROTO_CREDIT;
	default:
		return type == PROTO_HELLO;
	}
}

/* _i: the frame's type, the phase, how it ends */
START_TEST(test_frames)
{
	struct agent_run run = { 0 };
	enum end end = _i % ENDS;

	phase = _i / ENDS % PHASES;
	type = 1 + (unsigned int)_i / ENDS / PHASES;
	run_flooded(&run, flood, end);
	if (phase == RUNNING && type == PROTO_EXIT) {
		ck_assert_int_eq(shared->result, 0);
		ck_assert_int_eq(shared->code, EXIT_CODE);
	} else if (!is_in_order()) {
		ck_assert_int_eq(shared->result, -1);
		ck_assert_int_eq(shared->err_code,
				 type == PROTO_FAILED && (phase == STARTING || phase == EAGER)
					 ? ERR_JOB_START : ERR_AGENT);
	} else if (end == BY_SIGNAL) {
		ck_assert_msg(shared->result == 0, "%s", shared->msg);
		ck_assert_int_eq(shared->code, 128 + SIGINT);
	} else if (phase < RUNNING) {
		ck_assert_int_eq(shared->result, -1);
		ck_assert_str_eq(shared->msg, "duet-init does not start the job");
	} else {
		ck_assert_msg(shared->result == 0, "%s", shared->msg);
		ck_assert_int_eq(shared->code, 124);
	}
}
END_TEST

/* Greetings until no answer leaves any more, then the job's end, and greetings again. */
static void never_takes_ack(int fd)
{
	const struct proto_hello hello = { .version = PROTO_VERSION };
	uint8_t nonce[16];

	phase = RUNNING;
	reach(fd, nonce);
	for (size_t sent = 0; sent < FLOOD_BYTES / 4; sent += sizeof(hello))
		agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	agent_say_exit(fd, nonce, EXIT_CODE, 0);
	type = PROTO_HELLO;
	phase = BEFORE_HELLO;
	flood(fd);
}

/* The job's code is known and its output handed on: an answer that nobody takes is not waited for. */
START_TEST(test_ack)
{
	struct agent_run run = { 0 };

	phase = RUNNING;
	run_flooded(&run, never_takes_ack, ENDS);
	ck_assert_msg(shared->result == 0, "%s", shared->msg);
	ck_assert_int_eq(shared->code, EXIT_CODE);
}
END_TEST

/* ---- credit ---------------------------------------------------------------------------------- */

/* Output within the credit of a window at first, then of what it supposes to have: it reads none. */
static void never_takes_credit(int fd)
{
	static char much[PROTO_WINDOW / 4];
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	for (;;) {
		agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, much, sizeof(much));
		shared->sent += sizeof(much);
	}
}

/* Either credit runs out, or the host hands on as fast as it comes; then INT ends it. */
START_TEST(test_credit)
{
	struct agent_run run = { 0 };

	phase = RUNNING;
	run_flooded(&run, never_takes_credit, BY_SIGNAL);
	if (shared->result < 0)
		ck_assert_str_eq(shared->msg, "duet-init sent more than its credit");
	else
		ck_assert_int_eq(shared->code, 128 + SIGINT);
}
END_TEST

/* ---- the queue itself ------------------------------------------------------------------------ */

START_TEST(test_queue)
{
	static struct agent_channel channel;
	static const char payload[PROTO_PAYLOAD_MAX];
	struct err err = { 0 };
	size_t count = 0;

	while (agent_channel_queue(&channel, PROTO_SETUP, 0, payload, sizeof(payload), &err) == 0)
		count++;
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(err.code, ERR_AGENT);
	ck_assert_str_eq(err.msg, "duet-init takes nothing: 131088 bytes wait for it");
	err_done(&err);
	while (agent_channel_queue(&channel, PROTO_EXIT_ACK, 0, NULL, 0, &err) == 0)
		count++;
	ck_assert_uint_eq(channel.control_used, AGENT_CONTROL_MAX);
	ck_assert_uint_eq(count, 2 + 4096 / sizeof(struct proto_head));
	err_done(&err);
}
END_TEST

/* ---- the console ----------------------------------------------------------------------------- */

static struct console console;

static bool console_ready(void *data)
{
	return console_read(data);
}

/* A console that is never silent, as fast as it is read. */
static int endless_console(void)
{
	int fd = open("/dev/zero", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	console_init(&console, fd);
	return fd;
}

static void started_and_silent(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	shared->sent = FLOOD_BYTES;
	pause();
}

START_TEST(test_console)
{
	struct agent_run run = {
		.watch_count = 1,
		.watches = { { endless_console(), console_ready, &console } },
	};
	enum end end = _i;

	phase = RUNNING;
	run_flooded(&run, started_and_silent, end);
	close(console.fd);
	ck_assert_msg(shared->result == 0, "%s", shared->msg);
	ck_assert_int_eq(shared->code, end == BY_SIGNAL ? 128 + SIGINT : 124);
}
END_TEST

/* What is left is read after a run as well, when the guest may still live. */
START_TEST(test_drain)
{
	int fd = endless_console();

	console_drain(&console);
	ck_assert_uint_eq(console.used, CONSOLE_KEPT);
	ck_assert_int_eq(console.fd, fd);
	close(fd);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_frames, (PROTO_TYPE_END - 1) * PHASES * ENDS }, { test_ack, 1 },
		{ test_credit, 1 }, { test_queue, 1 }, { test_console, ENDS }, { test_drain, 1 },
	};
	const struct unit unit = { "agent flood", .timeout_s = PATIENCE_S + 10 };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
