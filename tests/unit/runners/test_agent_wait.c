/* The host side of the agent: SETUP of a guest, waiting for HELLO, and what is watched meanwhile. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/init/proto.h"
#include "tests/unit/runners/agent_fixture.h"
#include "tests/unit/unit.h"

/* ---- SETUP ----------------------------------------------------------------------------------- */

#define SETUP_TEXT "0123456789abcdef and what a guest is told"

static void give_setup(void *data, struct str *out)
{
	(*(int *)data)++;
	str_add(out, SETUP_TEXT);
}

/* WELCOME, SETUP with WELCOME's nonce in its first bytes, START, in this order; then exits 3. */
static void take_setup(int fd)
{
	struct proto_head head;
	struct proto_hello hello;
	char payload[PROTO_PAYLOAD_MAX] = { 0 };

	agent_get(fd, &head, sizeof(head));
	if (head.type != PROTO_WELCOME || head.length != sizeof(hello))
		_exit(11);
	agent_get(fd, &hello, sizeof(hello));
	agent_get(fd, &head, sizeof(head));
	if (head.type != PROTO_SETUP || head.length != strlen(SETUP_TEXT))
		_exit(12);
	agent_get(fd, payload, head.length);
	if (memcmp(payload, hello.nonce, 16) != 0 || strcmp(payload + 16, SETUP_TEXT + 16) != 0)
		_exit(13);
	agent_get(fd, &head, sizeof(head));
	if (head.type != PROTO_START)
		_exit(14);
	agent_get(fd, payload, head.length);
	if (memcmp(payload, hello.nonce, 16) != 0)
		_exit(15);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_say_exit(fd, hello.nonce, 3, 0);
	/* the second HELLO had its WELCOME as well, and no more */
	do {
		agent_get(fd, &head, sizeof(head));
		agent_get(fd, payload, head.length);
	} while (head.type == PROTO_WELCOME);
	if (head.type != PROTO_EXIT_ACK)
		_exit(16);
}

static void hello_and_setup(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	/* twice, as by a guest that had to wait */
	agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	take_setup(fd);
}

/* [0]: answered to HELLO; [1]: sent at once, to a guest of a saved state */
START_TEST(test_setup)
{
	bool heard = false;
	int code = -1, count = 0;
	struct job job = { 0 };
	struct err err = { 0 };
	struct agent_run run = { .eager = _i == 1, .setup = give_setup, .setup_data = &count,
				 .heard = &heard };
	pid_t pid = agent_start(run.eager ? take_setup : hello_and_setup, &run.channel);

	ck_assert_msg(agent_run_plain(&run, &job, &code, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 3);
	ck_assert_int_eq(count, 1);
	ck_assert(heard);
	ck_assert_int_eq(agent_finish(pid, run.channel, false), 0);
}
END_TEST

/* ---- waiting for HELLO ----------------------------------------------------------------------- */

static void hello_late(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	usleep(100000);
	agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	pause();
}

static void hello_in_parts(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION };
	struct proto_head head = { .length = sizeof(hello), .type = PROTO_HELLO };

	(void)!send(fd, &head, 3, 0);
	usleep(50000);
	(void)!send(fd, (char *)&head + 3, sizeof(head) - 3, 0);
	usleep(50000);
	(void)!send(fd, &hello, sizeof(hello), 0);
	pause();
}

static void hello_cut(int fd)
{
	(void)!send(fd, "\30\0\0", 3, 0);
	pause();
}

static void hello_short(int fd)
{
	agent_put(fd, PROTO_HELLO, 0, 0, "abc", 3);
	pause();
}

static void started_at_once(int fd)
{
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	pause();
}

static void noise(int fd)
{
	(void)!send(fd, "\377\377\377\377\377\377\377\377\377", 9, 0);
	pause();
}

static void gone_at_once(int fd)
{
	(void)fd;
}

static const struct {
	void (*peer)(int);
	const char *words;	/* of the error; NULL: it says hello */
} greetings[] = {
	{ hello_late, NULL },
	{ hello_in_parts, NULL },
	{ agent_hello_for_ever, NULL },
	{ agent_silent, "no hello from duet-init" },
	{ hello_cut, "no hello from duet-init" },
	{ gone_at_once, "duet-init ended" },
	{ hello_short, "duet-init sent frame 1 out of order" },
	{ started_at_once, "duet-init sent frame 5 out of order" },
	{ noise, "malformed frame from duet-init" },
	{ agent_other_version, "duet-init speaks version 4, duet 3" },
};

START_TEST(test_wait_hello)
{
	bool heard = false;
	struct agent_run run = { .hello_ms = 500, .peer_death = -1, .heard = &heard };
	struct err err = { 0 };
	pid_t pid = agent_start(greetings[_i].peer, &run.channel);
	int result;

	alarm(PATIENCE_S);
	result = agent_wait_hello(&run, &err);
	alarm(0);
	ck_assert_int_eq(result, greetings[_i].words ? -1 : 0);
	ck_assert(heard == !greetings[_i].words);
	if (result < 0) {
		ck_assert_int_eq(err.code, ERR_AGENT);
		ck_assert_str_eq(err.msg, greetings[_i].words);
		err_done(&err);
	}
	agent_finish(pid, run.channel, true);
}
END_TEST

/* ---- watches --------------------------------------------------------------------------------- */

struct watched {
	int fd, calls;
	size_t bytes;
};

/* Until the end. */
static bool look(void *data)
{
	struct watched *watched = data;
	char chunk[64];
	ssize_t got = read(watched->fd, chunk, sizeof(chunk));

	watched->calls++;
	watched->bytes += got > 0 ? (size_t)got : 0;
	return got > 0;
}

/* Once, and never again, whatever comes. */
static bool look_once(void *data)
{
	((struct watched *)data)->calls++;
	return false;
}

/* Talks on while nothing is said on the watched pipes any more. */
static void slow_job(int fd)
{
	uint8_t nonce[16];
	struct proto_head head;

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	for (int i = 0; i < 5; i++) {
		agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, "x", 1);
		usleep(20000);
	}
	agent_say_exit(fd, nonce, 0, 0);
	do
		agent_get(fd, &head, sizeof(head));
	while (head.type != PROTO_EXIT_ACK);
}

/* [0]: while a job runs; [1]: while HELLO is awaited */
START_TEST(test_watches)
{
	struct watched ended = { 0 }, once = { 0 };
	struct agent_run run = { .watch_count = 3, .hello_ms = 2000, .peer_death = -1 };
	struct job job = { 0 };
	struct err err = { 0 };
	int pipes[2][2], code = -1, result;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipes[0], O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(pipes[1], O_CLOEXEC), 0);
	ck_assert_int_eq(write(pipes[0][1], "some words of a console", 23), 23);
	ck_assert_int_eq(write(pipes[1][1], "more", 4), 4);
	close(pipes[0][1]);
	ended.fd = pipes[0][0];
	run.watches[0] = (struct agent_watch){ pipes[0][0], look, &ended };
	run.watches[1] = (struct agent_watch){ -1, NULL, NULL };
	run.watches[2] = (struct agent_watch){ pipes[1][0], look_once, &once };
	pid = agent_start(_i == 0 ? slow_job : hello_late, &run.channel);
	alarm(PATIENCE_S);
	result = _i == 0 ? agent_run_plain(&run, &job, &code, &err) : agent_wait_hello(&run, &err);
	alarm(0);
	ck_assert_msg(result == 0, "%s", err.msg);
	ck_assert_uint_eq(ended.bytes, 23);
	ck_assert_int_eq(ended.calls, 2);
	ck_assert_int_eq(once.calls, 1);
	agent_finish(pid, run.channel, true);
	close(pipes[0][0]);
	close(pipes[1][0]);
	close(pipes[1][1]);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_setup, 2 }, { test_wait_hello, (int)ARRAY_SIZE(greetings) },
		{ test_watches, 2 },
	};
	const struct unit unit = { "agent wait", .timeout_s = PATIENCE_S + 10 };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
