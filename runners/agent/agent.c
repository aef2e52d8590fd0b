/*
 * The host side of the agent protocol: see runners/agent.h and init/proto.h.
 *
 * One loop over: the channel, the caller's three streams, signals, the instance's death, and two
 * clocks (the first HELLO, the job's time-out). Output waits in a ring of PROTO_WINDOW bytes for a
 * caller that reads slowly; init gets credit back only for what was handed on, so memory is bounded
 * whatever the job prints.
 */
#include "runners/agent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "runners/agent/channel.h"
#include "runners/agent/spout.h"

#define EXIT_TIMEOUT 124
#define FORCE_AFTER 3		/* so many INT or TERM end the instance whatever the job does */
#define CREDIT_BATCH (PROTO_WINDOW / 4)	/* bytes handed on before credit is given back */

enum phase { PHASE_HELLO, PHASE_START, PHASE_RUNNING, PHASE_DONE };

struct agent {
	const struct agent_run *run;
	const struct job *job;
	struct agent_channel channel;
	struct spout spouts[PROTO_STREAMS];	/* [PROTO_STDOUT], [PROTO_STDERR] */
	enum phase phase;
	uint8_t nonce[16];
	bool stdin_open;
	bool stdin_ready;	/* what poll said */
	uint32_t stdin_credit;
	int signals;
	unsigned int forced;
	uint64_t deadline_ms;	/* 0: none */
	int code;
	bool has_terminal;
	struct termios terminal;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what init says -------------------------------------------------------------------------- */

/* The START payload, or an error when the job does not fit one frame. */
static int start_payload(struct agent *agent, struct str *out, struct err *err)
{
	const struct job *job = agent->job;
	struct proto_start start = {
		.flags = (job->tty ? PROTO_START_TTY : 0) |
			 (agent->run->in >= 0 ? PROTO_START_STDIN : 0),
		.uid = job->identity.uid,
		.gid = job->identity.gid,
		.umask = job->umask,
		.argc = (uint32_t)job->argv.count,
		.envc = (uint32_t)job->environment.count,
		.group_count = job->identity.group_count,
		.capabilities = job->capabilities,
	};
	struct winsize size;
	size_t length = strlen(job->workdir) + 1;

	for (size_t i = 0; i < job->argv.count; i++)
		length += strlen(job->argv.items[i]) + 1;
	for (size_t i = 0; i < job->environment.count; i++)
		length += strlen(job->environment.items[i]) + 1;
	if (length + sizeof(start) + sizeof(job->identity.groups) > PROTO_START_MAX)
		return err_set(err, ERR_USAGE,
			       "start the job: command and environment take %zu bytes, more than %d",
			       length, PROTO_START_MAX);
	start.strings_length = (uint32_t)length;
	memcpy(start.nonce, agent->nonce, sizeof(start.nonce));
	if (job->tty && ioctl(agent->run->in, TIOCGWINSZ, &size) == 0) {
		start.rows = size.ws_row;
		start.columns = size.ws_col;
	}
	str_addn(out, (const char *)&start, sizeof(start));
	for (size_t i = 0; i < job->argv.count; i++)
		str_addn(out, job->argv.items[i], strlen(job->argv.items[i]) + 1);
	for (size_t i = 0; i < job->environment.count; i++)
		str_addn(out, job->environment.items[i], strlen(job->environment.items[i]) + 1);
	str_addn(out, job->workdir, strlen(job->workdir) + 1);
	str_addn(out, (const char *)job->identity.groups,
		 job->identity.group_count * sizeof(job->identity.groups[0]));
	return 0;
}

/* WELCOME, and once START. */
static int welcome(struct agent *agent, struct err *err)
{
	struct proto_hello hello = { .version = PROTO_VERSION };
	struct str start = { 0 };
	int result;

	memcpy(hello.nonce, agent->nonce, sizeof(hello.nonce));
	agent_channel_queue(&agent->channel, PROTO_WELCOME, 0, 0, &hello, sizeof(hello));
	if (agent->phase != PHASE_HELLO)
		return 0;
	result = start_payload(agent, &start, err);
	if (result == 0)
		agent_channel_queue(&agent->channel, PROTO_START, 0, 0, start.text, start.length);
	str_done(&start);
	agent->phase = PHASE_START;
	return result;
}

static int take_hello(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		      struct err *err)
{
	struct proto_hello hello;

	if (head->length != sizeof(hello))
		return err_set(err, ERR_AGENT, "malformed hello from duet-init");
	memcpy(&hello, payload, sizeof(hello));
	if (hello.version != PROTO_VERSION)
		return err_set(err, ERR_AGENT, "duet-init speaks version %u, duet %u",
			       hello.version, PROTO_VERSION);
	agent->deadline_ms = 0;
	return agent->run->eager ? 0 : welcome(agent, err);
}

static int take_failed(const struct proto_head *head, const uint8_t *payload, struct err *err)
{
	struct proto_failed failed;
	_cleanup_free_ char *text = NULL, *shown = NULL;

	if (head->length < sizeof(failed))
		return err_set(err, ERR_AGENT, "malformed failure from duet-init");
	memcpy(&failed, payload, sizeof(failed));
	text = xstrndup((const char *)payload + sizeof(failed), head->length - sizeof(failed));
	shown = str_escape(text, 256);
	if (failed.error > 4095)
		failed.error = EIO;
	if (failed.step == PROTO_STEP_EXEC) {
		bool missing = failed.error == ENOENT || failed.error == ENOTDIR;

		err_sys_as(err, missing ? ERR_JOB_NOT_FOUND : ERR_JOB_NOT_EXEC, (int)failed.error,
			   "exec %s", shown);
		if (failed.error == ENOEXEC)
			return err_mend(err, "a script needs a first line such as #!/bin/sh, a "
					"program must be built for this machine");
		return missing ? err_mend(err, "it must be in the image, at that path or in $PATH "
					  "(its interpreter and libraries too)") : -1;
	}
	if (failed.step == PROTO_STEP_WORKDIR)
		return err_sys_as(err, ERR_CONTAINER, (int)failed.error, "enter workdir %s", shown);
	return err_sys_as(err, ERR_CONTAINER, (int)failed.error, "%s", shown);
}

static int take_data(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	if (head->stream == PROTO_STDIN ||
	    !spout_take(&agent->spouts[head->stream], payload, head->length))
		return err_set(err, ERR_AGENT, "duet-init sent more than its credit");
	return 0;
}

static int take_credit(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		       struct err *err)
{
	uint32_t value;

	if (head->length != sizeof(value) || head->stream != PROTO_STDIN)
		return err_set(err, ERR_AGENT, "malformed credit from duet-init");
	memcpy(&value, payload, sizeof(value));
	if (value > PROTO_WINDOW - agent->stdin_credit)
		return err_set(err, ERR_AGENT, "duet-init gave more credit than was used");
	agent->stdin_credit += value;
	return 0;
}

static int take_exit(struct agent *agent, const struct proto_head *head, const uint8_t *payload,
		     struct err *err)
{
	struct proto_exit status;

	if (head->length != sizeof(status))
		return err_set(err, ERR_AGENT, "malformed exit status from duet-init");
	memcpy(&status, payload, sizeof(status));
	if (memcmp(status.nonce, agent->nonce, sizeof(agent->nonce)) || status.code > 255 ||
	    status.signal > 64)
		return err_set(err, ERR_AGENT, "malformed exit status from duet-init");
	agent->code = status.signal ? 128 + (int)status.signal : (int)status.code;
	agent->phase = PHASE_DONE;
	agent_channel_queue(&agent->channel, PROTO_EXIT_ACK, 0, 0, NULL, 0);
	return 0;
}

static int take_frame(void *data, const struct proto_head *head, const uint8_t *payload,
		      struct err *err)
{
	struct agent *agent = data;

	if (head->session != 0)
		return err_set(err, ERR_AGENT, "duet-init speaks of a session that was not started");
	if (head->type == PROTO_HELLO)
		return take_hello(agent, head, payload, err);
	if (agent->phase == PHASE_START && head->type == PROTO_FAILED)
		return take_failed(head, payload, err);
	if (agent->phase == PHASE_START && head->type == PROTO_STARTED) {
		agent->phase = PHASE_RUNNING;
		agent->deadline_ms = 0;
		if (agent->job->timeout_ms)
			agent->deadline_ms = now_ms() + agent->job->timeout_ms;
		return 0;
	}
	if (agent->phase == PHASE_DONE)
		return 0; /* EXIT was repeated before the acknowledgement arrived */
	if (agent->phase != PHASE_RUNNING)
		return err_set(err, ERR_AGENT, "duet-init sent frame %u out of order", head->type);
	switch (head->type) {
	case PROTO_DATA:
		return take_data(agent, head, payload, err);
	case PROTO_EOF:
		return 0; /* the caller's streams are its own to close */
	case PROTO_CREDIT:
		return take_credit(agent, head, payload, err);
	case PROTO_EXIT:
		return take_exit(agent, head, payload, err);
	default:
		return err_set(err, ERR_AGENT, "duet-init sent frame %u out of order", head->type);
	}
}

/* ---- streams and signals --------------------------------------------------------------------- */

static void write_spout(struct agent *agent, unsigned int stream)
{
	struct spout *spout = &agent->spouts[stream];

	spout_write(spout);
	if (spout->owed < CREDIT_BATCH || agent->phase != PHASE_RUNNING)
		return;
	agent_channel_queue(&agent->channel, PROTO_CREDIT, 0, stream, &spout->owed,
			    sizeof(spout->owed));
	spout->owed = 0;
}

static void read_stdin(struct agent *agent)
{
	size_t most = agent->stdin_credit < PROTO_PAYLOAD_MAX ? agent->stdin_credit
							      : PROTO_PAYLOAD_MAX;
	ssize_t got = read(agent->run->in, agent->channel.out + sizeof(struct proto_head), most);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		agent->stdin_open = false;
		agent_channel_queue(&agent->channel, PROTO_EOF, 0, PROTO_STDIN, NULL, 0);
		return;
	}
	agent->stdin_credit -= (uint32_t)got;
	agent_channel_data(&agent->channel, 0, PROTO_STDIN, (size_t)got);
}

static void forward_resize(struct agent *agent)
{
	struct winsize size;
	uint16_t cells[2];

	if (!agent->job->tty || ioctl(agent->run->in, TIOCGWINSZ, &size) < 0)
		return;
	cells[0] = size.ws_row;
	cells[1] = size.ws_col;
	agent_channel_queue(&agent->channel, PROTO_RESIZE, 0, 0, cells, sizeof(cells));
}

/* Forwards what arrived; false when the user insists on the end. */
static bool forward_signals(struct agent *agent)
{
	struct signalfd_siginfo info;

	while (read(agent->signals, &info, sizeof(info)) == sizeof(info)) {
		uint32_t sig = info.ssi_signo;

		if (sig == SIGWINCH) {
			forward_resize(agent);
			continue;
		}
		if (sig == SIGINT || sig == SIGTERM)
			agent->forced++;
		if (agent->forced >= FORCE_AFTER || agent->phase < PHASE_RUNNING) {
			agent->code = 128 + (int)sig;
			return false;
		}
		agent_channel_queue(&agent->channel, PROTO_SIGNAL, 0, 0, &sig, sizeof(sig));
	}
	return true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool spouts_empty(const struct agent *agent)
{
	for (int i = 1; i < PROTO_STREAMS; i++)
		if (agent->spouts[i].used > 0 && !agent->spouts[i].broken)
			return false;
	return true;
}

enum { POLL_CHANNEL, POLL_SIGNALS, POLL_DEATH, POLL_STDIN, POLL_STDOUT, POLL_STDERR, POLL_COUNT };

static void wait_for_work(struct agent *agent, bool sent, struct pollfd polls[POLL_COUNT])
{
	bool reading = sent && agent->stdin_open && agent->stdin_credit > 0 &&
		       agent->phase == PHASE_RUNNING;
	int timeout = -1;

	polls[POLL_CHANNEL] = (struct pollfd){ agent->channel.closed ? -1 : agent->channel.fd,
					       (short)(POLLIN | (sent ? 0 : POLLOUT)), 0 };
	polls[POLL_SIGNALS] = (struct pollfd){ agent->signals, POLLIN, 0 };
	polls[POLL_DEATH] = (struct pollfd){ agent->channel.closed ? agent->run->peer_death : -1,
					     POLLIN, 0 };
	polls[POLL_STDIN] = (struct pollfd){ reading ? agent->run->in : -1, POLLIN, 0 };
	for (int i = 1; i < PROTO_STREAMS; i++) {
		struct spout *spout = &agent->spouts[i];

		polls[POLL_STDIN + i] = (struct pollfd){
			spout->used > 0 && !spout->broken ? spout->fd : -1, POLLOUT, 0 };
	}
	if (agent->deadline_ms) {
		uint64_t now = now_ms();

		timeout = agent->deadline_ms > now ? (int)(agent->deadline_ms - now) : 0;
	}
	poll(polls, POLL_COUNT, timeout);
}

static int step(struct agent *agent, const struct pollfd polls[POLL_COUNT], struct err *err)
{
	if (polls[POLL_SIGNALS].revents && !forward_signals(agent)) {
		agent->phase = PHASE_DONE;
		return 1;
	}
	if (polls[POLL_CHANNEL].revents &&
	    agent_channel_read(&agent->channel, take_frame, agent, err) < 0)
		return -1;
	for (unsigned int i = 1; i < PROTO_STREAMS; i++) {
		if (polls[POLL_STDIN + i].revents)
			write_spout(agent, i);
		if (agent->spouts[i].broken) {
			agent->code = 128 + SIGPIPE; /* as a program whose reader left */
			return 1;
		}
	}
	if (polls[POLL_STDIN].revents)
		read_stdin(agent);
	if (agent->deadline_ms && now_ms() >= agent->deadline_ms) {
		if (agent->phase < PHASE_RUNNING)
			return err_set(err, ERR_AGENT, "no hello from duet-init");
		agent->code = EXIT_TIMEOUT;
		return 1;
	}
	return 0;
}

static int loop(struct agent *agent, struct err *err)
{
	struct pollfd polls[POLL_COUNT];

	for (;;) {
		bool sent = agent_channel_flush(&agent->channel);
		int result;

		if (agent->phase == PHASE_DONE && spouts_empty(agent) &&
		    (sent || agent->channel.closed))
			return 0;
		if (agent->channel.closed && agent->phase != PHASE_DONE && spouts_empty(agent))
			return err_set(err, ERR_AGENT, "duet-init ended before the job");
		wait_for_work(agent, sent, polls);
		result = step(agent, polls, err);
		if (result != 0)
			return result < 0 ? -1 : 0;
	}
}

static void terminal_raw(struct agent *agent)
{
	struct termios raw;

	if (!agent->job->tty || tcgetattr(agent->run->in, &agent->terminal) < 0)
		return;
	raw = agent->terminal;
	cfmakeraw(&raw);
	agent->has_terminal = tcsetattr(agent->run->in, TCSANOW, &raw) == 0;
}

int agent_run(const struct agent_run *run, const struct job *job, int *ret_code, struct err *err)
{
	static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
					 SIGWINCH };
	_cleanup_free_ struct agent *agent = xcalloc(1, sizeof(*agent));
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_pipe;
	_cleanup_close_ int signals = -1;
	sigset_t set, old;
	int result;

	agent->run = run;
	agent->job = job;
	agent->channel.fd = run->channel;
	agent->stdin_open = run->in >= 0;
	agent->stdin_credit = PROTO_WINDOW;
	agent->deadline_ms = now_ms() + run->hello_ms;
	spout_init(&agent->spouts[PROTO_STDOUT], run->out);
	spout_init(&agent->spouts[PROTO_STDERR], run->errors);
	if (getrandom(agent->nonce, sizeof(agent->nonce), 0) != sizeof(agent->nonce))
		return err_sys(err, errno, "get random bytes");
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return err_sys(err, errno, "make signalfd");
	agent->signals = signals;
	sigprocmask(SIG_BLOCK, &set, &old);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	terminal_raw(agent);
	result = run->eager ? welcome(agent, err) : 0;
	if (result == 0)
		result = loop(agent, err);
	if (agent->has_terminal)
		tcsetattr(run->in, TCSANOW, &agent->terminal);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	str_done(&agent->channel.control);
	for (int i = 1; i < PROTO_STREAMS; i++)
		spout_done(&agent->spouts[i]);
	if (result == 0)
		*ret_code = agent->code;
	return result;
}
