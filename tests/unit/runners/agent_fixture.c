/* What the tests of the agent share: see agent_fixture.h. */
#include "tests/unit/runners/agent_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/init/proto.h"

void agent_put(int fd, unsigned int type, unsigned int session, unsigned int stream,
		const void *payload, uint32_t length)
{
	struct proto_head head = { .length = length, .type = (uint8_t)type,
				   .session = (uint8_t)session, .stream = (uint8_t)stream };

	(void)!send(fd, &head, sizeof(head), MSG_NOSIGNAL);
	if (payload && length)
		(void)!send(fd, payload, length, MSG_NOSIGNAL);
}

void agent_get(int fd, void *data, size_t size)
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

void agent_greet(int fd, uint8_t nonce[16])
{
	struct proto_hello hello = { .version = PROTO_VERSION };
	struct proto_head head;
	char payload[PROTO_PAYLOAD_MAX];

	agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	agent_get(fd, &head, sizeof(head));
	agent_get(fd, &hello, sizeof(hello));
	memcpy(nonce, hello.nonce, 16);
	agent_get(fd, &head, sizeof(head));
	agent_get(fd, payload, head.length);
}

void agent_say_exit(int fd, const uint8_t nonce[16], uint32_t code, uint32_t sig)
{
	struct proto_exit status = { .code = code, .signal = sig };

	memcpy(status.nonce, nonce, 16);
	agent_put(fd, PROTO_EXIT, 0, 0, &status, sizeof(status));
}

void agent_other_version(int fd)
{
	struct proto_hello hello = { .version = PROTO_VERSION + 1 };

	agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
	pause();
}

void agent_silent(int fd)
{
	(void)fd;
	pause();
}

void agent_hello_for_ever(int fd)
{
	const struct proto_hello hello = { .version = PROTO_VERSION };

	for (;;) {
		agent_put(fd, PROTO_HELLO, 0, 0, &hello, sizeof(hello));
		usleep(20000);
	}
}

pid_t agent_start(void (*peer)(int), int *ret_fd)
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

int agent_finish(pid_t pid, int fd, bool kill_it)
{
	int status;

	close(fd);
	if (kill_it)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return kill_it ? 0 : status;
}

int agent_run_plain(struct agent_run *run, struct job *job, int *ret_code, struct err *err)
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
