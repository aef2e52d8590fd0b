/*
 * The host side of the agent against a peer that is not duet-init: a small honest one, and hostile
 * ones. Every hostile conversation must end with ERR_AGENT (or the caller's stop), never hang.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/agent.h"
#include "runners/init/proto.h"

#define PATIENCE_S 20

static void put(int fd, unsigned int type, unsigned int session, unsigned int stream,
		const void *payload, uint32_t length)
{
	struct proto_head head = { .length = length, .type = (uint8_t)type,
				   .session = (uint8_t)session, .stream = (uint8_t)stream };

	(void)!send(fd, &head, sizeof(head), MSG_NOSIGNAL);
	if (payload && length)
		(void)!send(fd, payload, length, MSG_NOSIGNAL);
}

static void get(int fd, void *data, size_t size)
{
	char *at = data;

	while (size > 0) {
		ssize_t got = recv(fd, at, size, 0);

		if (got <= 0)
			_exit(3);
		at += got;
		size -= (size_t)got;
	}
}

/* Says hello, takes WELCOME and START, and returns the nonce. */
static void greet(int fd, uint8_t nonce[16])
{
	struct proto_hello hello = { .version = PROTO_VERSION };
	struct proto_head head;
	char payload[PROTO_PAYLOAD_MAX];

	put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	get(fd, &head, sizeof(head));
	get(fd, &hello, sizeof(hello));
	memcpy(nonce, hello.nonce, 16);
	get(fd, &head, sizeof(head));
	get(fd, payload, head.length);
}

static void say_exit(int fd, const uint8_t nonce[16], uint32_t code, uint32_t sig)
{
	struct proto_exit status = { .code = code, .signal = sig };

	memcpy(status.nonce, nonce, 16);
	put(fd, PROTO_EXIT, 0, 0, &status, sizeof(status));
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void honest(int fd)
{
	uint8_t nonce[16];
	struct proto_head head;

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	put(fd, PROTO_DATA, 0, PROTO_STDOUT, "hello", 5);
	put(fd, PROTO_EOF, 0, PROTO_STDOUT, NULL, 0);
	say_exit(fd, nonce, 7, 0);
	say_exit(fd, nonce, 7, 0); /* repeated before the acknowledgement: must not matter */
	do
		get(fd, &head, sizeof(head));
	while (head.type != PROTO_EXIT_ACK);
}

static void killed(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	say_exit(fd, nonce, 0, 9);
	pause();
}

static void missing(int fd)
{
	uint8_t nonce[16];
	struct {
		struct proto_failed head;
		char text[8];
	} failed = { { PROTO_STEP_EXEC, 2 }, "ng\033nx" };

	greet(fd, nonce);
	put(fd, PROTO_FAILED, 0, 0, &failed, sizeof(failed.head) + 5);
	pause();
}

static void too_long(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_DATA, 0, PROTO_STDOUT, NULL, PROTO_PAYLOAD_MAX + 1);
	pause();
}

static void unknown_type(int fd)
{
	put(fd, 99, 0, 0, NULL, 0);
	pause();
}

static void data_before_start(int fd)
{
	put(fd, PROTO_DATA, 0, PROTO_STDOUT, "x", 1);
	pause();
}

static void other_session(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 3, 0, NULL, 0);
	pause();
}

static void wrong_nonce(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	nonce[0] ^= 1;
	say_exit(fd, nonce, 0, 0);
	pause();
}

static void beyond_credit(int fd)
{
	static char much[PROTO_PAYLOAD_MAX];
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	for (int i = 0; i < 6; i++)
		put(fd, PROTO_DATA, 0, PROTO_STDERR, much, sizeof(much));
	pause();
}

static void stdin_from_init(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	put(fd, PROTO_DATA, 0, PROTO_STDIN, "x", 1);
	pause();
}

static void too_much_credit(int fd)
{
	uint32_t credit = 1;
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	put(fd, PROTO_CREDIT, 0, PROTO_STDIN, &credit, sizeof(credit));
	pause();
}

static void large_status(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	say_exit(fd, nonce, 256, 0);
	pause();
}

static void other_version(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION + 1 };

	put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	pause();
}

static void gone(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
}

static void silent(int fd)
{
	(void)fd;
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
	int pair[2], out[2], errors[2];
	ssize_t got;
	pid_t pid;

	memset(ret, 0, sizeof(*ret));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(pipe(errors), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		alarm(PATIENCE_S);
		peer(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	alarm(PATIENCE_S);
	run.channel = pair[0];
	run.out = out[1];
	run.errors = errors[1];
	ret->result = agent_run(&run, &job, &ret->code, &err);
	alarm(0);
	ret->err_code = err.code;
	strncpy(ret->msg, err.msg ? err.msg : "", sizeof(ret->msg) - 1);
	err_done(&err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pair[0]);
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
} hostile[] = {
	{ "too_long", too_long },	{ "unknown_type", unknown_type },
	{ "data_before_start", data_before_start }, { "other_session", other_session },
	{ "wrong_nonce", wrong_nonce }, { "beyond_credit", beyond_credit },
	{ "stdin_from_init", stdin_from_init }, { "too_much_credit", too_much_credit },
	{ "large_status", large_status }, { "other_version", other_version },
	{ "gone", gone },		{ "silent", silent },
};

START_TEST(test_hostile)
{
	struct outcome outcome;

	converse(hostile[_i].peer, &outcome);
	ck_assert_msg(outcome.result == -1, "%s was believed", hostile[_i].name);
	ck_assert_msg(outcome.err_code == ERR_AGENT, "%s: %s", hostile[_i].name, outcome.msg);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("agent");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, PATIENCE_S + 10);
	tcase_add_test(tcase, test_honest);
	tcase_add_loop_test(tcase, test_hostile, 0, (int)ARRAY_SIZE(hostile));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
