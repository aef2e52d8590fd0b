/*
 * What a hostile duet-init says to the host's side: the bytes go through a socket into the agent's
 * channel, and what the agent answers is read back: it must be whole frames. The loop around it is
 * agent.c's, without clocks, signals and the caller's streams.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/agent/internal.h"
#include "tests/fuzz/fuzz.h"

#define EAGER 1u
#define SETUP 2u
#define HELLO_ONLY 4u	/* agent_wait_hello's part */

static int pair[2];	/* ours is the agent's */
static int null;

/* Answers come back in pieces: the rest of a frame that is not whole yet. */
static struct str answers;

static void setup(void *data, struct str *out)
{
	const struct proto_setup head = { .disks = 1, .strings_length = 2 };

	(void)data;
	str_addn(out, (const char *)&head, sizeof(head));
	str_addn(out, "h", 2);
}

static void start(void)
{
	const int room = 4 << 20;

	if (null)
		return;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	FUZZ_CHECK(null > 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					  pair) == 0);
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
}

static void check_answer(const struct proto_head *head)
{
	static const uint8_t of_host[PROTO_TYPE_END] = {
		[PROTO_WELCOME] = 1, [PROTO_SETUP] = 1,	 [PROTO_START] = 1,    [PROTO_DATA] = 1,
		[PROTO_EOF] = 1,     [PROTO_CREDIT] = 1, [PROTO_EXIT_ACK] = 1,
	};

	FUZZ_CHECK(head->type < PROTO_TYPE_END && of_host[head->type]);
	FUZZ_CHECK(head->length <= PROTO_PAYLOAD_MAX && head->session == 0 && head->zero == 0);
}

static void take_answers(void)
{
	char chunk[4096];
	ssize_t got;
	size_t at = 0;

	while ((got = recv(pair[1], chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		str_addn(&answers, chunk, (size_t)got);
	while (answers.length - at >= sizeof(struct proto_head)) {
		struct proto_head head;

		memcpy(&head, answers.text + at, sizeof(head));
		check_answer(&head);
		if (answers.length - at - sizeof(head) < head.length)
			break;
		at += sizeof(head) + head.length;
	}
	answers.length -= at;
	if (answers.text)
		memmove(answers.text, answers.text + at, answers.length);
}

/* What agent.c does with what was taken. */
static void hand_on(struct agent *agent, struct err *err)
{
	for (unsigned int i = 1; i < PROTO_STREAMS; i++) {
		struct spout *spout = &agent->spouts[i];

		FUZZ_CHECK((uint64_t)spout->used + spout->owed <= PROTO_WINDOW);
		if (spout->used > 0)
			spout_write(spout);
	}
	FUZZ_CHECK(agent_say_owed(agent, err) == 0);
}

static int converse(struct agent *agent, struct fuzz_input *input, agent_take *take,
		    struct err *err)
{
	size_t piece = 1 + fuzz_short(input);

	while (input->left > 0 && !agent->channel.closed) {
		struct fuzz_input part = fuzz_part(input, piece);

		FUZZ_CHECK(send(pair[1], part.at, part.left, 0) == (ssize_t)part.left);
		for (size_t taken = 0; taken < part.left; taken += sizeof(agent->channel.in))
			if (agent_channel_read(&agent->channel, take, agent, err) < 0)
				return -1;
		FUZZ_CHECK(agent->channel.in_used < sizeof(agent->channel.in));
		hand_on(agent, err);
		(void)agent_channel_flush(&agent->channel);
		take_answers();
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[] = { "job", NULL };
	const struct job job = { .argv = { argv, 1 }, .workdir = "/", .timeout_ms = 1000 };
	struct fuzz_input input = { data, size };
	unsigned int flags = fuzz_byte(&input);
	bool heard = false;
	const struct agent_run run = { .in = -1, .peer_death = -1, .eager = flags & EAGER,
				       .setup = flags & SETUP ? setup : NULL, .heard = &heard };
	static struct agent agent;
	struct err err = { 0 };
	char rest[4096];
	int result;

	start();
	agent.run = &run;
	agent.job = &job;
	agent.channel.fd = pair[0];
	agent.channel.closed = false;
	agent.channel.in_used = agent.channel.out_start = agent.channel.out_used = 0;
	agent.channel.control_used = 0;
	agent.owed = (struct owed){ 0 };
	agent.phase = PHASE_HELLO;
	agent.code = 0;
	agent.deadline_ms = 0;
	agent.stdin_credit = PROTO_WINDOW - 5;
	for (int i = 1; i < PROTO_STREAMS; i++) {
		agent.spouts[i].start = agent.spouts[i].used = agent.spouts[i].owed = 0;
		spout_init(&agent.spouts[i], null);
	}
	result = run.eager ? agent_welcome(&agent, &err) : 0;
	FUZZ_CHECK(result == 0);
	result = converse(&agent, &input, flags & HELLO_ONLY ? agent_take_hello : agent_take_frame,
			  &err);
	FUZZ_CHECK(agent.stdin_credit <= PROTO_WINDOW && agent.code >= 0 && agent.code <= 255);
	FUZZ_CHECK(result == 0 || err.code == ERR_AGENT ||
		   (err.code >= ERR_JOB_NOT_FOUND && err.code <= ERR_JOB_START));
	fuzz_check_err(&err, result);
	while (recv(pair[0], rest, sizeof(rest), MSG_DONTWAIT) > 0 ||
	       recv(pair[1], rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	str_done(&answers);
	for (int i = 1; i < PROTO_STREAMS; i++)
		spout_done(&agent.spouts[i]);
	return 0;
}
