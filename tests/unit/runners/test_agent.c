/*
 * The host side of the agent against a peer that is not duet-init: a small honest one, and hostile
 * ones. Every hostile conversation must end with ERR_AGENT (or the caller's stop), never hang.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
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

static void silent_after_hello(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	pause();
}

/* It takes the job and never starts it, but is never silent. */
static void hello_for_ever(int fd)
{
	const struct proto_hello hello = { .version = PROTO_VERSION };

	for (;;) {
		put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
		usleep(20000);
	}
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
	{ "silent_after_hello", silent_after_hello }, { "hello_for_ever", hello_for_ever },
};

START_TEST(test_hostile)
{
	struct outcome outcome;

	converse(hostile[_i].peer, &outcome);
	ck_assert_msg(outcome.result == -1, "%s was believed", hostile[_i].name);
	ck_assert_msg(outcome.err_code == ERR_AGENT, "%s: %s", hostile[_i].name, outcome.msg);
}
END_TEST

/* A job's time-out is the host's to keep: greetings do not put it off. */
static void hello_while_running(int fd)
{
	uint8_t nonce[16];

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	hello_for_ever(fd);
}

/* ---- conversations of other kinds ------------------------------------------------------------ */

static pid_t start(void (*peer)(int), int *ret_fd)
{
	int pair[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		alarm(PATIENCE_S);
		peer(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

/* 0 when the peer liked what it got. */
static int finish(pid_t pid, int fd, bool kill_it)
{
	int status;

	close(fd);
	if (kill_it)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return kill_it ? 0 : status;
}

static int run_plain(struct agent_run *run, struct job *job, int *ret_code, struct err *err)
{
	char *argv[] = { "job", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), result;

	job->argv = (struct strv){ argv, 1 };
	job->workdir = "/";
	run->in = run->peer_death = -1;
	run->out = run->errors = null;
	run->hello_ms = 2000;
	alarm(PATIENCE_S);
	result = agent_run(run, job, ret_code, err);
	alarm(0);
	close(null);
	return result;
}

START_TEST(test_timeout)
{
	struct job job = { .timeout_ms = 500 };
	struct agent_run run = { 0 };
	struct err err = { 0 };
	int code = -1;
	pid_t pid = start(hello_while_running, &run.channel);

	ck_assert_int_eq(run_plain(&run, &job, &code, &err), 0);
	ck_assert_int_eq(code, 124);
	finish(pid, run.channel, true);
}
END_TEST

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

	get(fd, &head, sizeof(head));
	if (head.type != PROTO_WELCOME || head.length != sizeof(hello))
		_exit(11);
	get(fd, &hello, sizeof(hello));
	get(fd, &head, sizeof(head));
	if (head.type != PROTO_SETUP || head.length != strlen(SETUP_TEXT))
		_exit(12);
	get(fd, payload, head.length);
	if (memcmp(payload, hello.nonce, 16) != 0 || strcmp(payload + 16, SETUP_TEXT + 16) != 0)
		_exit(13);
	get(fd, &head, sizeof(head));
	if (head.type != PROTO_START)
		_exit(14);
	get(fd, payload, head.length);
	if (memcmp(payload, hello.nonce, 16) != 0)
		_exit(15);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	say_exit(fd, hello.nonce, 3, 0);
	/* the second HELLO had its WELCOME as well, and no more */
	do {
		get(fd, &head, sizeof(head));
		get(fd, payload, head.length);
	} while (head.type == PROTO_WELCOME);
	if (head.type != PROTO_EXIT_ACK)
		_exit(16);
}

static void hello_and_setup(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	/* twice, as by a guest that had to wait */
	put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
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
	pid_t pid = start(run.eager ? take_setup : hello_and_setup, &run.channel);

	ck_assert_msg(run_plain(&run, &job, &code, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(code, 3);
	ck_assert_int_eq(count, 1);
	ck_assert(heard);
	ck_assert_int_eq(finish(pid, run.channel, false), 0);
}
END_TEST

/* ---- waiting for HELLO ----------------------------------------------------------------------- */

static void hello_late(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION };

	usleep(100000);
	put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
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
	put(fd, PROTO_HELLO, 0, 0, "abc", 3);
	pause();
}

static void started_at_once(int fd)
{
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
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
	{ hello_for_ever, NULL },
	{ silent, "no hello from duet-init" },
	{ hello_cut, "no hello from duet-init" },
	{ gone_at_once, "duet-init ended" },
	{ hello_short, "duet-init sent frame 1 out of order" },
	{ started_at_once, "duet-init sent frame 5 out of order" },
	{ noise, "malformed frame from duet-init" },
	{ other_version, "duet-init speaks version 3, duet 2" },
};

START_TEST(test_wait_hello)
{
	bool heard = false;
	struct agent_run run = { .hello_ms = 500, .peer_death = -1, .heard = &heard };
	struct err err = { 0 };
	pid_t pid = start(greetings[_i].peer, &run.channel);
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
	finish(pid, run.channel, true);
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

	greet(fd, nonce);
	put(fd, PROTO_STARTED, 0, 0, NULL, 0);
	for (int i = 0; i < 5; i++) {
		put(fd, PROTO_DATA, 0, PROTO_STDOUT, "x", 1);
		usleep(20000);
	}
	say_exit(fd, nonce, 0, 0);
	do
		get(fd, &head, sizeof(head));
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
	pid = start(_i == 0 ? slow_job : hello_late, &run.channel);
	alarm(PATIENCE_S);
	result = _i == 0 ? run_plain(&run, &job, &code, &err) : agent_wait_hello(&run, &err);
	alarm(0);
	ck_assert_msg(result == 0, "%s", err.msg);
	ck_assert_uint_eq(ended.bytes, 23);
	ck_assert_int_eq(ended.calls, 2);
	ck_assert_int_eq(once.calls, 1);
	finish(pid, run.channel, true);
	close(pipes[0][0]);
	close(pipes[1][0]);
	close(pipes[1][1]);
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
	tcase_add_test(tcase, test_timeout);
	tcase_add_loop_test(tcase, test_setup, 0, 2);
	tcase_add_loop_test(tcase, test_wait_hello, 0, (int)ARRAY_SIZE(greetings));
	tcase_add_loop_test(tcase, test_watches, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
