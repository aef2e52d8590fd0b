/*
 * Credential helpers: see helper.h. One is looked up in $PATH (whole paths only), started without a
 * shell, given its input as a file in memory, and has so many bytes and so much time for its answer.
 * A process that it leaves behind with its output (an agent) is not waited for.
 */
#include "builders/oci/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fs.h"
#include "core/json.h"
#include "core/proc.h"
#include "core/str.h"

#define ANSWER_BYTES_MAX 65536
#define TIMEOUT_MS 120000	/* it may have to ask a person for a passphrase */
#define SHOWN 200		/* bytes of its words in a message */

#define NOT_FOUND "credentials not found in native keychain"
#define TOKEN_USER "<token>"

struct helper_run {
	const char *program;	/* "docker-credential-NAME", for messages */
	const char *verb;
	char *path;
	int in, out;		/* borrowed by the child */
};

/* "docker-credential-NAME" in $PATH; owned; NULL: it is not there. */
static char *find_program(const char *program)
{
	const char *at = getenv("PATH");

	while (at && *at) {
		size_t length = strcspn(at, ":");
		_cleanup_free_ char *path = xasprintf("%.*s/%s", (int)length, at, program);

		/* a folder that depends on where we are could be somebody else's */
		if (at[0] == '/' && access(path, X_OK) == 0)
			return TAKE_PTR(path);
		at += length + (at[length] == ':');
	}
	return NULL;
}

static bool is_name(const char *name)
{
	return strlen(name) <= 64 && name[0] != '.' && name[0] != '-' &&
	       name[0] && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
					     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

static void exec_helper(const struct helper_run *run, pid_t parent)
{
	char *const argv[] = { (char *)run->program, (char *)run->verb, NULL };
	/* moved up first, so that neither is overwritten before it is moved down */
	int in = fcntl(run->in, F_DUPFD, 10), out = fcntl(run->out, F_DUPFD, 10);

	proc_set_apart(parent);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
	execv(run->path, argv);
	_exit(126);
}

/* Takes what is there: 1 there may be more, 0 the end, -1 too much. */
static int take_some(int fd, struct str *answer)
{
	char part[4096];
	ssize_t got;

	while ((got = read(fd, part, sizeof(part))) > 0) {
		if (answer->length + (size_t)got > ANSWER_BYTES_MAX)
			return -1;
		str_addn(answer, part, (size_t)got);
	}
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 1 : 0;
}

/* Until it has ended. 0, or -1 with err when it has to be killed. */
static int listen_to(const struct helper_run *run, int pidfd, int out, struct str *answer,
		     struct err *err)
{
	const int64_t until = clock_ms() + TIMEOUT_MS;
	struct pollfd polled[] = { { .fd = pidfd, .events = POLLIN },
				   { .fd = out, .events = POLLIN } };

	do {
		int64_t left = until - clock_ms();

		if (left <= 0 || (poll(polled, 2, (int)left) < 0 && errno != EINTR))
			return err_set(err, ERR_AUTH, "%s did not end within %d s", run->program,
				       TIMEOUT_MS / 1000);
		switch (polled[1].fd < 0 ? 1 : take_some(out, answer)) {
		case -1:
			return err_set(err, ERR_AUTH, "%s said more than %d bytes", run->program,
				       ANSWER_BYTES_MAX);
		case 0:
			polled[1].fd = -1;
		}
	} while (!polled[0].revents);
	/* it wrote before it ended */
	if (polled[1].fd >= 0 && take_some(out, answer) < 0)
		return err_set(err, ERR_AUTH, "%s said more than %d bytes", run->program,
			       ANSWER_BYTES_MAX);
	return 0;
}

static int start_and_listen(struct helper_run *run, struct str *answer, int *ret_code,
			    struct err *err)
{
	const pid_t parent = getpid();
	_cleanup_close_ int pidfd = -1;
	int ends[2], result;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys_as(err, ERR_AUTH, errno, "make a pipe");
	/* its end is to be one like any other */
	(void)fcntl(ends[1], F_SETFL, 0);
	run->out = ends[1];
	pid = fork();
	if (pid == 0)
		exec_helper(run, parent);
	close(ends[1]);
	pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		result = err_sys_as(err, ERR_AUTH, errno, "start %s", run->program);
	else
		result = listen_to(run, pidfd, ends[0], answer, err);
	close(ends[0]);
	if (result < 0 && pid > 0)
		(void)kill(pid, SIGKILL);
	*ret_code = pid > 0 ? proc_wait(pid) : -1;
	return result;
}

/* Runs `docker-credential-NAME VERB` with `input`. Its exit code, and what it said. */
static int run_helper(const char *name, const char *verb, const char *input, struct str *answer,
		      int *ret_code, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(name, SHOWN);
	_cleanup_free_ char *program = xasprintf("docker-credential-%s", shown), *path = NULL;
	_cleanup_close_ int in = memfd_create("input", MFD_CLOEXEC);
	struct helper_run run = { .program = program, .verb = verb, .in = in };

	if (!is_name(name)) {
		err_set(err, ERR_AUTH, "\"%s\" is no name of a credential helper", shown);
		return err_mend(err, "correct `credsStore` or `credHelpers` there");
	}
	path = find_program(program);
	if (!path) {
		err_set(err, ERR_AUTH, "find %s: it is not in $PATH", program);
		return err_mend(err, "install it, or take `credsStore` or `credHelpers` out there");
	}
	run.path = path;
	if (in < 0 || fs_write_all(in, input, strlen(input)) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return err_sys_as(err, ERR_AUTH, errno, "write to memory");
	return start_and_listen(&run, answer, ret_code, err);
}

static int refuse_answer(const char *name, const char *verb, const struct str *answer, int code,
			 struct err *err)
{
	_cleanup_free_ char *words = NULL, *shown = NULL;

	words = xstrdup(answer->text ? answer->text : "");
	for (size_t length = strlen(words); length > 0 && strchr(" \r\n\t", words[length - 1]);)
		words[--length] = '\0';
	shown = str_escape(words, SHOWN);
	return err_set(err, ERR_AUTH, "docker-credential-%s %s: exit code %d%s%s", name, verb, code,
		       *shown ? ": " : "", shown);
}

/* A text of the answer to `get`: owned; NULL when it is none. */
static char *answer_text(const struct str *answer, const char *name)
{
	const char *const keys[] = { name, NULL };
	char *text;

	(void)json_seek(answer->text ? answer->text : "", answer->length, keys, &text);
	return text;
}

int helper_get(const char *name, const char *server, struct registry_access *ret, struct err *err)
{
	_cleanup_(str_done) struct str answer = { 0 };
	_cleanup_free_ char *user = NULL, *secret = NULL;
	int code;

	if (run_helper(name, "get", server, &answer, &code, err) < 0)
		return -1;
	if (code != 0)
		return answer.text && strstr(answer.text, NOT_FOUND)
			       ? 0
			       : refuse_answer(name, "get", &answer, code, err);
	user = answer_text(&answer, "Username");
	secret = answer_text(&answer, "Secret");
	if (answer.text)
		explicit_bzero(answer.text, answer.length);
	if (!user || !secret)
		return err_set(err, ERR_AUTH, "docker-credential-%s get: its answer is not a JSON map "
					      "with Username and Secret", name);
	if (!*user && !*secret)
		return 0;
	if (!strcmp(user, TOKEN_USER)) {
		ret->identity_token = TAKE_PTR(secret);
		return 1;
	}
	ret->user = TAKE_PTR(user);
	ret->secret = TAKE_PTR(secret);
	return 1;
}

int helper_store(const char *name, const char *server, const char *user, const char *secret,
		 struct err *err)
{
	_cleanup_(str_done) struct str answer = { 0 };
	_cleanup_free_ char *input = NULL;
	struct json_out out;
	int code, result;

	if (!str_is_utf8(user, strlen(user)) || !str_is_utf8(secret, strlen(secret)))
		return err_set(err, ERR_AUTH, "docker-credential-%s store: it takes UTF-8 only", name);
	json_out_init(&out);
	json_out_text(&out, "ServerURL", server);
	json_out_text(&out, "Username", user);
	json_out_text(&out, "Secret", secret);
	input = json_out_finish(&out);
	result = run_helper(name, "store", input, &answer, &code, err);
	explicit_bzero(input, strlen(input));
	if (result < 0)
		return -1;
	return code == 0 ? 0 : refuse_answer(name, "store", &answer, code, err);
}

int helper_erase(const char *name, const char *server, struct err *err)
{
	_cleanup_(str_done) struct str answer = { 0 };
	int code;

	if (run_helper(name, "erase", server, &answer, &code, err) < 0)
		return -1;
	return code == 0 ? 0 : refuse_answer(name, "erase", &answer, code, err);
}
