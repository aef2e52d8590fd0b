/*
 * duet-init: starts a job. In the forked child, in this order:
 *
 *	1  a session of its own, its streams (a pty or three pipes of the job's uid), umask
 *	2  the working folder, made when it is missing, still as root
 *	3  bounding set, groups, gid, uid, capabilities, no_new_privs; each read back
 *	4  exec along the job's own PATH
 *
 * What fails is told through a pipe that exec closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runners/init/init.h"

#define WORDS_MAX 4096		/* argv and env entries of one job */
#define GROUPS_MAX 64
#define SIGNALS 64
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A START payload taken apart; the strings stay where they arrived. */
struct request {
	struct proto_start head;
	char *argv[WORDS_MAX];
	char *envp[WORDS_MAX];
	const char *workdir;
	gid_t groups[GROUPS_MAX];
};

struct failure {
	struct proto_failed head;
	char text[256];
};

static struct request request;	/* static: nothing is allocated */

static int take_strings(char **at, char *end, char **ret, uint32_t count)
{
	if (count >= WORDS_MAX)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul)
			return -1;
		ret[i] = *at;
		*at = nul + 1;
	}
	ret[count] = NULL;
	return 0;
}

static int parse(const uint8_t *payload, size_t length)
{
	struct proto_start *head = &request.head;
	char *at, *end, *workdir[2];

	if (length < sizeof(*head))
		return -1;
	memcpy(head, payload, sizeof(*head));
	at = (char *)payload + sizeof(*head);
	if (head->group_count > GROUPS_MAX || head->strings_length > length - sizeof(*head) ||
	    length - sizeof(*head) - head->strings_length != head->group_count * sizeof(uint32_t))
		return -1;
	end = at + head->strings_length;
	if (head->argc == 0 || take_strings(&at, end, request.argv, head->argc) < 0 ||
	    take_strings(&at, end, request.envp, head->envc) < 0 ||
	    take_strings(&at, end, workdir, 1) < 0 || at != end)
		return -1;
	request.workdir = workdir[0];
	for (uint32_t i = 0; i < head->group_count; i++) {
		uint32_t group;

		memcpy(&group, end + i * sizeof(group), sizeof(group));
		request.groups[i] = group;
	}
	return 0;
}

/*
 * In a folder of the host where root inside has no id (EOVERFLOW), a new one belongs to the folder's
 * owner: whoever that is inside.
 */
static int make_owned_folder(char *path)
{
	char *slash = strrchr(path, '/');
	struct stat st;
	int parent, result, error;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != EOVERFLOW)
		return -1;
	*slash = '\0';
	parent = open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*slash = '/';
	if (parent < 0 || fstat(parent, &st) < 0)
		return -1;
	setfsgid(st.st_gid);
	setfsuid(st.st_uid);
	result = mkdirat(parent, slash + 1, 0755);
	error = errno;
	setfsuid(0);
	setfsgid(0);
	close(parent);
	errno = error;
	return result;
}

/* mkdir -p for the missing part; then the folder must be one that has a path from the root. */
static int enter_workdir(const char *path)
{
	static char copy[4096];
	size_t length = strlen(path);

	if (path[0] != '/' || length >= sizeof(copy)) {
		errno = length >= sizeof(copy) ? ENAMETOOLONG : EINVAL;
		return -1;
	}
	memcpy(copy, path, length + 1);
	for (char *at = copy + 1; chdir(path) < 0 && errno == ENOENT; at++) {
		char *slash = strchr(at, '/');

		if (slash)
			*slash = '\0';
		if (make_owned_folder(copy) < 0)
			return -1;
		if (!slash)
			break;
		*slash = '/';
		at = slash;
	}
	if (chdir(path) < 0)
		return -1;
	if (!getcwd(copy, sizeof(copy)) || copy[0] != '/') {
		errno = ELOOP; /* "(unreachable)": a descriptor of somewhere else */
		return -1;
	}
	return 0;
}

static int set_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)mask, .permitted = (uint32_t)mask },
		{ .effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32) },
	}, back[2];

	if (syscall(SYS_capset, &head, data) < 0 || syscall(SYS_capget, &head, back) < 0)
		return -1;
	if (memcmp(data, back, sizeof(data))) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		int have = prctl(PR_CAPBSET_READ, cap);

		if (have < 0)
			return 0; /* past the kernel's last */
		if (!have || (keep >> cap & 1))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap) < 0 || prctl(PR_CAPBSET_READ, cap) != 0)
			return -1;
	}
	return 0;
}

static int drop_rights(const struct proto_start *head)
{
	uint64_t mask = head->uid == 0 ? head->capabilities : 0;

	if (drop_bounding(head->capabilities) < 0)
		return -1;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* in single-uid mode groups cannot be set; the filter answers for the kernel */
	if (setgroups(head->group_count, request.groups) < 0)
		return -1;
	if (setresgid(head->gid, head->gid, head->gid) < 0 ||
	    setresuid(head->uid, head->uid, head->uid) < 0)
		return -1;
	if (set_capabilities(mask) < 0)
		return -1;
	if (head->flags & PROTO_START_GAIN)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -1;
	return 0;
}

static void try_exec(void)
{
	static char path[4096];
	const char *list = PATH_DEFAULT;
	int seen = ENOENT;

	if (strchr(request.argv[0], '/')) {
		execve(request.argv[0], request.argv, request.envp);
		return;
	}
	for (char **env = request.envp; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			list = *env + 5;
	while (*list) {
		size_t length = strcspn(list, ":");
		int size = snprintf(path, sizeof(path), "%.*s/%s", (int)length, list,
				    request.argv[0]);

		/* to look is a fraction of what an exec costs that finds nothing */
		if (length > 0 && size < (int)sizeof(path) && access(path, F_OK) == 0) {
			execve(path, request.argv, request.envp);
			if (errno != ENOENT && errno != ENOTDIR)
				seen = errno;
		}
		list += length + (list[length] == ':');
	}
	errno = seen;
}

_Noreturn static void fail(int report, enum proto_step step, const char *what)
{
	struct failure failure = { .head = { .step = step, .error = (uint32_t)errno } };
	size_t length;

	snprintf(failure.text, sizeof(failure.text), "%s", what);
	length = sizeof(failure.head) + strlen(failure.text);
	while (write(report, &failure, length) < 0 && errno == EINTR)
		;
	_exit(1);
}

/*
 * exec has reset handlers; what a caller had ignored (nohup) came along, and SIGPIPE is ours. By the
 * system call: libc keeps some numbers for itself, and a caller may have ignored those too.
 */
static void reset_signals(void)
{
	static const uint64_t by_default[4];	/* the kernel's struct sigaction: SIG_DFL, no flags */

	for (int sig = 1; sig <= SIGNALS; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, SIGNALS / 8);
}

_Noreturn static void child(int report, const int ends[PROTO_STREAMS])
{
	sigset_t none;

	sigemptyset(&none);
	reset_signals();
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0)
		fail(report, PROTO_STEP_SETUP, "start a session");
	if ((request.head.flags & PROTO_START_TTY) && ioctl(ends[0], TIOCSCTTY, 0) < 0)
		fail(report, PROTO_STEP_SETUP, "take the terminal");
	for (int i = 0; i < PROTO_STREAMS; i++)
		if (dup2(ends[i], i) < 0)
			fail(report, PROTO_STEP_SETUP, "set the standard streams");
	/* each was opened so; what was not is not the job's */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	umask(022);
	if (enter_workdir(request.workdir) < 0)
		fail(report, PROTO_STEP_WORKDIR, request.workdir);
	umask(request.head.umask & 0777);
	if (drop_rights(&request.head) < 0)
		fail(report, PROTO_STEP_SETUP, "drop rights");
	try_exec();
	fail(report, PROTO_STEP_EXEC, request.argv[0]);
}

static void close_ends(int ends[PROTO_STREAMS])
{
	for (int i = 0; i < PROTO_STREAMS; i++)
		if (ends[i] >= 0 && (i == 0 || ends[i] != ends[0]))
			close(ends[i]);
}

/* Our end of one pipe is non-blocking; the job's belongs to it, so that /dev/stdout opens. */
static int make_pipe(int *ret_ours, int *ret_theirs, bool to_job)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*ret_ours = ends[to_job];
	*ret_theirs = ends[!to_job];
	if (fchown(*ret_theirs, request.head.uid, request.head.gid) < 0)
		return -1;
	return fcntl(*ret_ours, F_SETFL, O_NONBLOCK);
}

static int make_pipes(struct session *session, int ends[PROTO_STREAMS])
{
	if (request.head.flags & PROTO_START_STDIN) {
		if (make_pipe(&session->in.fd, &ends[PROTO_STDIN], true) < 0)
			return -1;
	} else {
		ends[PROTO_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (ends[PROTO_STDIN] < 0)
			return -1;
	}
	if (make_pipe(&session->out[PROTO_STDOUT].fd, &ends[PROTO_STDOUT], false) < 0)
		return -1;
	if (request.head.flags & PROTO_START_ONE_OUTPUT) {
		ends[PROTO_STDERR] = fcntl(ends[PROTO_STDOUT], F_DUPFD_CLOEXEC, 3);
		return ends[PROTO_STDERR];
	}
	return make_pipe(&session->out[PROTO_STDERR].fd, &ends[PROTO_STDERR], false);
}

static int make_pty(struct session *session, int ends[PROTO_STREAMS])
{
	struct winsize size = { .ws_row = request.head.rows, .ws_col = request.head.columns };
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), unlock = 0;

	if (master < 0)
		return -1;
	session->out[PROTO_STDOUT].fd = master;
	session->in.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (session->in.fd < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -1;
	ends[0] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[0] < 0 || fchown(ends[0], request.head.uid, (gid_t)-1) < 0)
		return -1;
	ends[1] = ends[2] = ends[0];
	ioctl(master, TIOCSWINSZ, &size);
	return 0;
}

static void answer_failure(struct init *init, unsigned int number, struct failure *failure,
			   size_t length)
{
	struct session *session = &init->sessions[number];

	if (session->in.fd >= 0)
		close(session->in.fd);
	session->in.fd = -1;
	for (int i = 1; i < PROTO_STREAMS; i++) {
		if (session->out[i].fd >= 0)
			close(session->out[i].fd);
		session->out[i].fd = -1;	/* RESIZE may still come */
	}
	session->state = SESSION_FREE;
	channel_queue(init, PROTO_FAILED, number, 0, failure, length);
}

static void fail_here(struct init *init, unsigned int number, const char *what)
{
	struct failure failure = { .head = { .step = PROTO_STEP_SETUP, .error = (uint32_t)errno } };

	snprintf(failure.text, sizeof(failure.text), "%s", what);
	answer_failure(init, number, &failure, sizeof(failure.head) + strlen(failure.text));
}

static void session_reset(struct session *session)
{
	session->state = SESSION_RUNNING;
	session->pid = -1;
	session->tty = request.head.flags & PROTO_START_TTY;
	session->in.fd = -1;
	session->in.ended = false;
	session->in.start = session->in.used = 0;
	for (int i = 0; i < PROTO_STREAMS; i++)
		session->out[i] = (struct outflow){ .fd = -1, .credit = PROTO_WINDOW };
}

void job_start(struct init *init, unsigned int number, const uint8_t *payload, size_t length)
{
	struct session *session = &init->sessions[number];
	int ends[PROTO_STREAMS] = { -1, -1, -1 }, report[2];
	struct failure failure;
	ssize_t got;

	if (session->state != SESSION_FREE || parse(payload, length) < 0 ||
	    memcmp(request.head.nonce, init->nonce, sizeof(init->nonce)))
		init_end(1);
	session_reset(session);
	if ((session->tty ? make_pty : make_pipes)(session, ends) < 0 ||
	    pipe2(report, O_CLOEXEC) < 0) {
		fail_here(init, number, session->tty ? "make a terminal" : "make the streams");
		close_ends(ends);
		return;
	}
	session->pid = fork();
	if (session->pid == 0)
		child(report[1], ends);
	close(report[1]);
	close_ends(ends);
	if (session->pid < 0) {
		fail_here(init, number, "fork");
	} else {
		do
			got = read(report[0], &failure, sizeof(failure));
		while (got < 0 && errno == EINTR);
		if (got >= (ssize_t)sizeof(failure.head))
			answer_failure(init, number, &failure, (size_t)got);
		else
			channel_queue(init, PROTO_STARTED, number, 0, NULL, 0);
	}
	close(report[0]);
}
