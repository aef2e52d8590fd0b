/*
 * The host side of the agent protocol: see runners/agent.h and init/proto.h.
 *
 * One loop over: the channel, the caller's three streams, signals, the instance's death, and two
 * clocks (the first HELLO, the job's time-out). Output waits in a ring of PROTO_WINDOW bytes for a
 * caller that reads slowly; init gets credit back only for what was handed on, and what is said to it
 * is owed once (say.c), so memory is bounded whatever the job prints and the peer sends.
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
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "runners/agent/internal.h"

#define EXIT_TIMEOUT 124
#define FORCE_AFTER 3		/* so many INT or TERM end the instance whatever the job does */

/* ---- streams and signals --------------------------------------------------------------------- */

static void read_stdin(struct agent *agent)
{
	size_t most = agent->stdin_credit < PROTO_PAYLOAD_MAX ? agent->stdin_credit
							      : PROTO_PAYLOAD_MAX;
	ssize_t got = read(agent->run->in, agent->channel.out + sizeof(struct proto_head), most);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		agent->stdin_open = false;
		agent->owed.eof = true;
		return;
	}
	agent->stdin_credit -= (uint32_t)got;
	agent_channel_data(&agent->channel, 0, PROTO_STDIN, (size_t)got);
}

static bool spouts_empty(const struct agent *agent)
{
	for (int i = 1; i < PROTO_STREAMS; i++)
		if (agent->spouts[i].used > 0 && !agent->spouts[i].broken)
			return false;
	return true;
}

/* The job has ended: true when the user ends the wait for who takes the rest of its output. */
static bool ends_wait(struct agent *agent, uint32_t sig)
{
	if (sig == SIGUSR1 || sig == SIGUSR2)
		return false;
	if (!spouts_empty(agent))
		agent->code = 128 + (int)sig;
	return true;
}

/* Forwards what arrived; false when the user insists on the end. */
static bool forward_signals(struct agent *agent)
{
	struct signalfd_siginfo info;

	while (read(agent->signals, &info, sizeof(info)) == sizeof(info)) {
		uint32_t sig = info.ssi_signo;

		if (sig == SIGWINCH) {
			agent->owed.resize = true;
			continue;
		}
		if (agent->phase == PHASE_DONE) {
			if (ends_wait(agent, sig))
				return false;
			continue;
		}
		if (sig == SIGINT || sig == SIGTERM)
			agent->forced++;
		if (agent->forced >= FORCE_AFTER || agent->phase < PHASE_RUNNING) {
			agent->code = 128 + (int)sig;
			return false;
		}
		agent->owed.signals |= 1ull << sig;
	}
	return true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* When something is given up; 0: never. */
static uint64_t next_deadline(const struct agent *agent)
{
	return agent->phase == PHASE_DONE && spouts_empty(agent) ? agent->ack_ms
								 : agent->deadline_ms;
}

static int give_up(struct agent *agent, struct err *err)
{
	if (agent->phase < PHASE_RUNNING)
		return err_set(err, ERR_AGENT, "%s", agent->phase == PHASE_HELLO
						? "no hello from duet-init"
						: "duet-init does not start the job");
	/* a job that has ended and been read keeps its code */
	if (agent->phase != PHASE_DONE || !spouts_empty(agent))
		agent->code = EXIT_TIMEOUT;
	return 1;
}

enum { POLL_CHANNEL, POLL_SIGNALS, POLL_DEATH, POLL_STDIN, POLL_STDOUT, POLL_STDERR, POLL_WATCH,
       POLL_COUNT = POLL_WATCH + AGENT_WATCHES_MAX };

static void wait_for_work(struct agent *agent, bool sent, struct pollfd polls[POLL_COUNT])
{
	bool reading = sent && agent->stdin_open && agent->stdin_credit > 0 &&
		       agent->phase == PHASE_RUNNING;
	uint64_t deadline_ms = next_deadline(agent);
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
	for (size_t i = 0; i < AGENT_WATCHES_MAX; i++)
		polls[POLL_WATCH + i] = (struct pollfd){ agent->watch_fds[i], POLLIN, 0 };
	if (deadline_ms) {
		uint64_t now = (uint64_t)clock_ms();

		timeout = deadline_ms > now ? (int)(deadline_ms - now) : 0;
	}
	poll(polls, POLL_COUNT, timeout);
}

static void call_watches(struct agent *agent, const struct pollfd polls[POLL_COUNT])
{
	for (size_t i = 0; i < AGENT_WATCHES_MAX; i++) {
		const struct agent_watch *watch = &agent->run->watches[i];

		if (polls[POLL_WATCH + i].revents && !watch->ready(watch->data))
			agent->watch_fds[i] = -1;
	}
}

/*
 * One turn. Everything in it reads a bounded amount, so that signals and clocks are looked at again
 * within a moment whatever the peer sends.
 */
static int step(struct agent *agent, const struct pollfd polls[POLL_COUNT], struct err *err)
{
	uint64_t deadline_ms;

	call_watches(agent, polls);
	if (polls[POLL_SIGNALS].revents && !forward_signals(agent)) {
		agent->phase = PHASE_DONE;
		return 1;
	}
	if (polls[POLL_CHANNEL].revents &&
	    agent_channel_read(&agent->channel, agent_take_frame, agent, err) < 0)
		return -1;
	for (unsigned int i = 1; i < PROTO_STREAMS; i++) {
		if (polls[POLL_STDIN + i].revents)
			spout_write(&agent->spouts[i]);
		if (agent->spouts[i].broken) {
			agent->code = 128 + SIGPIPE; /* as a program whose reader left */
			return 1;
		}
	}
	if (polls[POLL_STDIN].revents)
		read_stdin(agent);
	deadline_ms = next_deadline(agent);
	return deadline_ms && (uint64_t)clock_ms() >= deadline_ms ? give_up(agent, err) : 0;
}

/* Sends what waits and what is owed. 1 when everything is out, 0, or -1 with err. */
static int send_all(struct agent *agent, struct err *err)
{
	(void)agent_channel_flush(&agent->channel);
	if (agent_say_owed(agent, err) < 0)
		return -1;
	return agent_channel_flush(&agent->channel);
}

static int loop(struct agent *agent, struct err *err)
{
	struct pollfd polls[POLL_COUNT];

	for (;;) {
		int sent = send_all(agent, err), result;

		if (sent < 0)
			return -1;
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

static void watch(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_WATCHES_MAX; i++)
		agent->watch_fds[i] = i < agent->run->watch_count ? agent->run->watches[i].fd : -1;
}

int agent_wait_hello(const struct agent_run *run, struct err *err)
{
	_cleanup_free_ struct agent *agent = xcalloc(1, sizeof(*agent));
	struct pollfd polls[POLL_COUNT];

	agent->run = run;
	agent->channel.fd = run->channel;
	agent->signals = -1;
	agent->deadline_ms = (uint64_t)clock_ms() + run->hello_ms;
	watch(agent);
	while (agent->phase != PHASE_DONE) {
		wait_for_work(agent, true, polls);
		call_watches(agent, polls);
		if (polls[POLL_CHANNEL].revents &&
		    agent_channel_read(&agent->channel, agent_take_hello, agent, err) < 0)
			return -1;
		if (agent->channel.closed || (uint64_t)clock_ms() >= agent->deadline_ms)
			return err_set(err, ERR_AGENT, agent->channel.closed ? "duet-init ended"
									     : "no hello from duet-init");
	}
	if (run->heard)
		*run->heard = true;
	return 0;
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
	watch(agent);
	agent->stdin_open = run->in >= 0;
	agent->stdin_credit = PROTO_WINDOW;
	agent->deadline_ms = (uint64_t)clock_ms() + run->hello_ms;
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
	log_progress_clear();
	terminal_raw(agent);
	result = run->eager ? agent_welcome(agent, err) : 0;
	if (result == 0)
		result = loop(agent, err);
	if (agent->has_terminal)
		tcsetattr(run->in, TCSANOW, &agent->terminal);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 1; i < PROTO_STREAMS; i++)
		spout_done(&agent->spouts[i]);
	if (result == 0)
		*ret_code = agent->code;
	return result;
}
