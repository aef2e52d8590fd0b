/*
 * pasta: see net.h. Its traps: without a word it binds every port that listens on either side and maps
 * the gateway's address to the host's loopback; as root it becomes nobody; it joins the instance's user
 * namespace, which makes the kernel forget its death signal. So it has a keeper:
 *
 *	duet -- keeper -- pasta		each a child of the one before, in a session of its own, so that
 *					the terminal's signals are for duet alone
 *
 * The keeper holds one end of a pipe; when the other closes, with duet or by net_stop, it kills pasta.
 * pasta opens the namespaces through /proc/TARGET, whose user namespace its caller owns.
 */
#include "runners/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "core/sys.h"

#define RESOLVER "169.254.1.1"	/* link-local: no network of the host's has it */
#define READY_MS 15000
#define RESOLV_BYTES_MAX 65536
#define WORDS_MAX 32

/* What the keeper needs. */
struct start {
	char *program;
	char *argv[WORDS_MAX];
	int alive;	/* the keeper's end */
	int errors;	/* pasta's standard error */
};

static const char *const fixed[] = {
	"pasta", "--foreground", "--quiet", "--config-net", "--no-map-gw", "--no-netns-quit",
	"--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
	"--dns-forward", RESOLVER,
};

static void make_argv(struct start *start, struct strv *words, pid_t target, int ready_there)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		strv_add(words, fixed[i]);
	if (geteuid() == 0) {
		strv_add(words, "--runas");
		strv_add(words, "0");
	}
	strv_add(words, "--pid");
	strv_addf(words, "/proc/%d/fd/%d", (int)target, ready_there);
	strv_add(words, "--netns");
	strv_addf(words, "/proc/%d/ns/net", (int)target);
	strv_add(words, "--userns");
	strv_addf(words, "/proc/%d/ns/user", (int)target);
	for (size_t i = 0; i < words->count && i < WORDS_MAX - 1; i++)
		start->argv[i] = words->items[i];
}

_Noreturn static void become_pasta(const struct start *start, pid_t keeper)
{
	static char *const envp[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	proc_die_with(keeper);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(start->errors, 2) < 0)
		_exit(126);
	syscall(SYS_close_range, 3, ~0u, 0);
	execve(start->program, start->argv, envp);
	_exit(127);
}

_Noreturn static void keep(const struct start *start)
{
	int code;
	sigset_t all;
	pid_t self = getpid(), pasta;
	struct pollfd polls[2] = { { .fd = start->alive, .events = POLLIN }, { .events = POLLIN } };

	/* nothing of the caller's stays open here */
	sys_close_others(0, start->alive, start->errors);
	setsid();
	pasta = fork();
	if (pasta == 0)
		become_pasta(start, self);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	close(start->errors);
	polls[1].fd = pasta < 0 ? -1 : (int)syscall(SYS_pidfd_open, pasta, 0);
	while (pasta > 0 && poll(polls, 2, -1) < 0 && errno == EINTR)
		;
	if (pasta > 0)
		kill(pasta, SIGKILL);
	code = pasta > 0 ? proc_wait(pasta) : 127;
	_exit(code < 0 ? 127 : code);
}

/* pasta's own words, but for its complaints about a syslog that is not there. */
static void tell(int errors, struct err *err)
{
	_cleanup_(str_done) struct str said = { 0 };
	char text[2048];
	ssize_t got = read(errors, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	str_add(&said, "");
	for (char *line = text, *next; line; line = next) {
		_cleanup_free_ char *shown = NULL;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!*line || str_has_prefix(line, "Failed to send"))
			continue;
		shown = str_escape(line, 300);
		str_addf(&said, ": %s", shown);
	}
	err_set(err, ERR_HOST, "give the instance a network: pasta ended%s", said.text);
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		err_mend(err, "pasta needs /dev/net/tun, readable and writable for this user (mode 0666)");
	else
		err_mend(err, "network: none, or a host on which `pasta --config-net true` works");
}

static int wait_ready(const struct net *net, int ready, int errors, struct err *err)
{
	_cleanup_close_ int keeper = (int)syscall(SYS_pidfd_open, net->keeper, 0);
	struct pollfd polls[] = { { .fd = ready, .events = POLLIN },
				  { .fd = keeper, .events = POLLIN } };
	int result;

	do
		result = poll(polls, ARRAY_SIZE(polls), READY_MS);
	while (result < 0 && errno == EINTR);
	if (result > 0 && polls[0].revents & POLLIN)
		return 0;
	if (result > 0) {
		tell(errors, err);
		return -1;
	}
	err_set(err, ERR_HOST, "give the instance a network: pasta is not ready after %d s",
		READY_MS / 1000);
	return err_mend(err, "network: none, or a host on which `pasta --config-net true` works");
}

int net_start(struct net *ret, pid_t target, int ready_there, int ready_here, struct err *err)
{
	_cleanup_free_ char *program = proc_find_helper("pasta");
	_cleanup_close_ int alive = -1, errors = -1, errors_there = -1, alive_there = -1;
	_cleanup_(strv_done) struct strv words = { 0 };
	struct start start = { .program = program };
	struct net net = { 0 };
	int pair[2];

	if (!program) {
		err_set(err, ERR_HOST, "give the instance a network: pasta is not installed");
		return err_mend(err, "install the package passt, or say network: none");
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	start.alive = alive_there = pair[0];
	alive = pair[1];
	/* nobody reads it while pasta runs: it must not wait for that */
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, errno, "make pipe");
	errors = pair[0];
	start.errors = errors_there = pair[1];
	make_argv(&start, &words, target, ready_there);
	net.keeper = fork();
	if (net.keeper < 0)
		return err_sys(err, errno, "fork");
	if (net.keeper == 0)
		keep(&start);
	close(TAKE_FD(errors_there));
	net.alive = TAKE_FD(alive);
	if (wait_ready(&net, ready_here, errors, err) < 0) {
		net_stop(&net);
		return -1;
	}
	*ret = net;
	return 0;
}

void net_stop(struct net *net)
{
	if (net->keeper <= 0)
		return;
	close(net->alive);
	proc_wait(net->keeper);
	*net = (struct net){ 0 };
}

/* An IPv6 resolver is reached as it is, unless it is the host's own. */
static void add_line(struct str *out, char *line, bool *forwarded)
{
	char *save = NULL, *word = strtok_r(line, " \t", &save), *value;

	value = word ? strtok_r(NULL, " \t", &save) : NULL;
	if (!value)
		return;
	if (!strcmp(word, "search"))
		str_addf(out, "search %s%s%s\n", value, *save ? " " : "", save);
	if (strcmp(word, "nameserver"))
		return;
	if (!strchr(value, ':'))
		*forwarded = true;
	else if (strcmp(value, "::1"))
		str_addf(out, "nameserver %s\n", value);
}

char *net_resolver(void)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	struct str out = { 0 };
	bool forwarded = false;

	str_add(&out, "");
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", RESOLV_BYTES_MAX, &text, NULL, &ignored) < 0)
		err_done(&ignored);
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		add_line(&out, line, &forwarded);
	}
	if (forwarded || out.length == 0)
		str_add(&out, "nameserver " RESOLVER "\n");
	return out.text;
}
