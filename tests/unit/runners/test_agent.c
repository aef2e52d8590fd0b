/*
 * The host side of the agent against a peer that is not duet-init: a small honest one, and hostile
 * ones. Every hostile conversation must end with ERR_AGENT (or the caller's stop), never hang.
 */
#include <check.h>
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

/* ---- peers ----------------------------------------------------------------------------------- */

static void honest(int fd)
{
	uint8_t nonce[16];
	struct proto_head head;

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, "hello", 5);
	agent_put(fd, PROTO_EOF, 0, PROTO_STDOUT, NULL, 0);
	agent_say_exit(fd, nonce, 7, 0);
	agent_say_exit(fd, nonce, 7, 0); /* repeated before the acknowledgement: must not matter */
	do
		agent_get(fd, &head, sizeof(head));
	while (head.type != PROTO_EXIT_ACK);
}

static void killed(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_say_exit(fd, nonce, 0, 9);
	pause();
}

static void missing(int fd)
{
	uint8_t nonce[16];
	struct {
		struct proto_failed head;
		char text[8];
	} failed = { { PROTO_STEP_EXEC, 2 }, "ng\033nx" };

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_FAILED, 0, 0, &failed, sizeof(failed.head) + 5);
	pause();
}

static void too_long(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, NULL, PROTO_PAYLOAD_MAX + 1);
	pause();
}

static void unknown_type(int fd)
{
	agent_put(fd, 99, 0, 0, NULL, 0);
	pause();
}

static void data_before_start(int fd)
{
	agent_put(fd, PROTO_DATA, 0, PROTO_STDOUT, "x", 1);
	pause();
}

static void other_session(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 3, 0, NULL, 0);
	pause();
}

static void wrong_nonce(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	nonce[0] ^= 1;
	agent_say_exit(fd, nonce, 0, 0);
	pause();
}

static void beyond_credit(int fd)
{
	static char much[PROTO_PAYLOAD_MAX];
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	for (int i = 0; i < 6; i++)
		agent_put(fd, PROTO_DATA, 0, PROTO_STDERR, much, sizeof(much));
	pause();
}

static void stdin_from_init(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_put(fd, PROTO_DATA, 0, PROTO_STDIN, "x", 1);
	pause();
}

static void too_much_credit(int fd)
{
	uint32_t credit = 1;
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_put(fd, PROTO_CREDIT, 0, PROTO_STDIN, &credit, sizeof(credit));
	pause();
}

static void large_status(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_say_exit(fd, nonce, 256, 0);
	pause();
}

static void gone(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
}

static void silent_after_hello(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	pause();
}

/* ---- the frame around them ------------------------------------------------------------------- */

struct outcome {
	int result, code, err_code;
	char out[64], msg[256];
};

/* stdout is a pipe; stderr one that nobody reads, so that credit runs out. */
static void converse(void (*peer)(int), struct outcome *ret)
{
	char *argv[] = { "job", NULL };
	struct job job = { .argv = { argv, 1 }, .workdir = "/" };
	struct agent_run run = { .in = -1, .peer_death = -1, .hello_ms = 1000 };
	struct err err = { 0 };
	int out[2], errors[2];
	ssize_t got;
	pid_t pid;

	memset(ret, 0, sizeof(*ret));
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(pipe(errors), 0);
	pid = agent_start(peer, &run.channel);
	alarm(PATIENCE_S);
	run.out = out[1];
	run.errors = errors[1];
	ret->result = agent_run(&run, &job, &ret->code, &err);
	alarm(0);
	ret->err_code = err.code;
	strncpy(ret->msg, err.msg ? err.msg : "", sizeof(ret->msg) - 1);
	err_done(&err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(run.channel);
	close(out[1]);
	got = read(out[0], ret->out, sizeof(ret->out) - 1);
	ret->out[got > 0 ? got : 0] = '\0';
	close(out[0]);
	close(errors[0]);
	close(errors[1]);
}

START_TEST(test_honest)
{
	struct outcome outcome;

	converse(honest, &outcome);
	ck_assert_int_eq(outcome.result, 0);
	ck_assert_int_eq(outcome.code, 7);
	ck_assert_str_eq(outcome.out, "hello");
	converse(killed, &outcome);
	ck_assert_int_eq(outcome.result, 0);
	ck_assert_int_eq(outcome.code, 137);
	converse(missing, &outcome);
	ck_assert_int_eq(outcome.result, -1);
	ck_assert_int_eq(outcome.err_code, ERR_JOB_NOT_FOUND);
	ck_assert_str_eq(outcome.msg, "exec ng\\x1bnx: No such file or directory");
}
END_TEST

static const struct {
	const char *name;
	void (*peer)(int);
	const char *said;	/* in the message; NULL: anything */
} hostile[] = {
	{ "too_long", too_long, "malformed frame" },	{ "unknown_type", unknown_type },
	{ "data_before_start", data_before_start, "out of order" }, { "other_session", other_session },
	{ "wrong_nonce", wrong_nonce }, { "beyond_credit", beyond_credit, "credit" },
	{ "stdin_from_init", stdin_from_init }, { "too_much_credit", too_much_credit },
	{ "large_status", large_status }, { "other_version", agent_other_version },
	{ "gone", gone },		{ "silent", agent_silent },
	{ "silent_after_hello", silent_after_hello }, { "hello_for_ever", agent_hello_for_ever },
};

START_TEST(test_hostile)
{
	struct outcome outcome;

	converse(hostile[_i].peer, &outcome);
	ck_assert_msg(outcome.result == -1, "%s was believed", hostile[_i].name);
	ck_assert_msg(outcome.err_code == ERR_AGENT, "%s: %s", hostile[_i].name, outcome.msg);
	/* for the right reason, and not since nothing came of it in time */
	ck_assert_msg(!hostile[_i].said || strstr(outcome.msg, hostile[_i].said), "%s: %s",
		      hostile[_i].name, outcome.msg);
}
END_TEST

/* A job's time-out is the host's to keep: greetings do not put it off. */
static void hello_while_running(int fd)
{
	uint8_t nonce[16];

	agent_greet(fd, nonce);
	agent_put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	agent_hello_for_ever(fd);
}

START_TEST(test_timeout)
{
	struct job job = { .timeout_ms = 500 };
	struct agent_run run = { 0 };
	struct err err = { 0 };
	int code = -1;
	pid_t pid = agent_start(hello_while_running, &run.channel);

	ck_assert_int_eq(agent_run_plain(&run, &job, &code, &err), 0);
	ck_assert_int_eq(code, 124);
	agent_finish(pid, run.channel, true);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_honest, 1 }, { test_hostile, (int)ARRAY_SIZE(hostile) },
		{ test_timeout, 1 },
	};
	const struct unit unit = { "agent", .timeout_s = PATIENCE_S + 10 };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
