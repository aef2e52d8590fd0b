/*
 * Signatures: see gpgv.h. gpgv parses what came from the network, so it runs in namespaces of its own
 * without capabilities and without a network, dies with duet, and has so much time and no more. Its
 * input and output are files in memory; from its exit code alone nothing follows.
 */
#include "builders/debian/gpgv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builders/debian/release.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/jail.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"

#define TIMEOUT_MS 30000
#define STATUS_BYTES_MAX 65536
#define STATUS_FD 3
#define HASH_SHA256 8u	/* RFC 4880, 9.4 */
#define HASH_SHA512 10u

/* ---- the verdict ----------------------------------------------------------------------------- */

struct verdict {
	unsigned int good, valid, weak, unknown, expired;
	bool bad;
};

/* The word number `n` of a status line, into `ret`. */
static bool word_of(const char *line, unsigned int n, char *ret, size_t room)
{
	size_t length;

	line += strspn(line, " ");
	for (; n > 0; n--) {
		line += strcspn(line, " \n");
		line += strspn(line, " ");
	}
	length = strcspn(line, " \n");
	if (length == 0 || length >= room)
		return false;
	memcpy(ret, line, length);
	ret[length] = '\0';
	return true;
}

/* VALIDSIG FPR DATE TIME EXPIRES VERSION RESERVED KEY-ALGORITHM HASH-ALGORITHM CLASS FPR */
static void judge_valid(struct verdict *verdict, const char *line)
{
	char hash[8] = "", class[8] = "";
	unsigned int number;

	if (!word_of(line, 8, hash, sizeof(hash)) || !word_of(line, 9, class, sizeof(class)))
		return;
	number = (unsigned int)strtoul(hash, NULL, 10);
	/* class 01: a signature of a text, which is what a clear signature is */
	if (number >= HASH_SHA256 && number <= HASH_SHA512 && !strcmp(class, "01"))
		verdict->valid++;
	else
		verdict->weak++;
}

static void judge_line(struct verdict *verdict, const char *line)
{
	/* ERRSIG comes with NO_PUBKEY when nothing but the key is missing */
	static const char *const bad[] = { "BADSIG", "REVKEYSIG", "NODATA", "UNEXPECTED", "FAILURE" };
	char word[32];

	if (!word_of(line, 0, word, sizeof(word)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		verdict->bad |= !strcmp(word, bad[i]);
	verdict->good += !strcmp(word, "GOODSIG");
	verdict->unknown += !strcmp(word, "NO_PUBKEY");
	verdict->expired += !strcmp(word, "EXPSIG") || !strcmp(word, "EXPKEYSIG");
	if (!strcmp(word, "VALIDSIG"))
		judge_valid(verdict, line);
}

int gpgv_judge(const char *status, int code, struct err *err)
{
	static const char prefix[] = "[GNUPG:] ";
	struct verdict verdict = { 0 };
	bool others;

	for (const char *line = status; *line; line += strcspn(line, "\n"), line += *line != '\0')
		if (str_has_prefix(line, prefix))
			judge_line(&verdict, line + strlen(prefix));
	others = verdict.unknown > 0 || verdict.expired > 0;
	if (verdict.bad)
		return err_set(err, ERR_SIGNATURE, "its signature is wrong");
	/* VALIDSIG comes for expired signatures too: a good one has both */
	if (verdict.good > 0 && verdict.valid >= verdict.good && (code == 0 || others))
		return 0;
	if (verdict.good > 0 && verdict.weak > 0)
		return err_set(err, ERR_SIGNATURE, "it is signed with a weak hash");
	if (verdict.expired > 0)
		return err_set(err, ERR_SIGNATURE, "its signature, or the key of it, expired");
	if (verdict.unknown > 0)
		return err_set(err, ERR_SIGNATURE, "it is signed by none of the keys that are trusted");
	return err_set(err, ERR_SIGNATURE, "it has no good signature (gpgv exited with %d)", code);
}

/* ---- running it ------------------------------------------------------------------------------ */

struct run {
	int in, out, status;	/* borrowed */
	char *program, *keyring;
};

static int enter(void *data)
{
	const struct run *run = data;
	char status[12];
	char *const argv[] = { "gpgv", "--status-fd", status, "--keyring", run->keyring,
			       "--output", "-", "-", NULL };
	char *const env[] = { "LC_ALL=C", "PATH=/usr/bin:/bin", "GNUPGHOME=/nonexistent", NULL };
	const struct rlimit cpu = { TIMEOUT_MS / 1000, TIMEOUT_MS / 1000 };
	const struct rlimit size = { RELEASE_BYTES_MAX, RELEASE_BYTES_MAX };
	_cleanup_(err_done) struct err err = { 0 };
	int none = open("/dev/null", O_WRONLY);

	snprintf(status, sizeof(status), "%d", STATUS_FD);
	/* moved up first, so that none of them is overwritten before it is moved down */
	int in = fcntl(run->in, F_DUPFD, 10), out = fcntl(run->out, F_DUPFD, 10);
	int told = fcntl(run->status, F_DUPFD, 10);

	if (none < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(none, 2) < 0 ||
	    dup2(told, STATUS_FD) < 0)
		return 125;
	syscall(SYS_close_range, STATUS_FD + 1, ~0u, 0);
	if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0 ||
	    caps_limit(0, &err) < 0)
		return 125;
	execve(run->program, argv, env);
	return 125;
}

/* Waits at most TIMEOUT_MS; the exit code, or -1 when it took longer and was killed. */
static int wait_for(struct jail *jail)
{
	struct pollfd end = { .fd = jail->pidfd, .events = POLLIN };
	int ready;

	do
		ready = poll(&end, 1, TIMEOUT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready == 1)
		return jail_wait(jail);
	jail_kill(jail);
	return -1;
}

static int run_gpgv(const struct run *run, int *ret_code, struct err *err)
{
	struct jail_entry entry = { .enter = enter, .data = (void *)run };
	struct idmap own;
	struct jail jail;

	worker_own_map(&own);
	if (jail_start(&jail, &own, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID,
		       &entry, err) < 0)
		return -1;
	*ret_code = wait_for(&jail);
	if (*ret_code < 0)
		return err_set(err, ERR_HOST, "gpgv did not end within %d s", TIMEOUT_MS / 1000);
	if (*ret_code >= 125)
		return err_set(err, ERR_HOST, "gpgv could not be run (exit code %d)", *ret_code);
	return 0;
}

static int file_in_memory(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "make a file in memory") : fd;
}

int gpgv_verify(const char *text, size_t size, const char *keyring, char **ret_text,
		size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *program = proc_find_helper("gpgv"), *status = NULL;
	_cleanup_close_ int in = -1, out = -1, told = -1;
	struct run run = { .program = program, .keyring = (char *)keyring };
	int code;

	if (!program) {
		err_set(err, ERR_HOST, "find gpgv: it is not installed");
		return err_mend(err, "install the package gpgv");
	}
	if (access(keyring, R_OK) < 0) {
		err_sys_as(err, ERR_HOST, errno, "open the keyring %s", keyring);
		return err_mend(err, "install the package debian-archive-keyring, or set "
				     "DUET_DEBIAN_KEYRING=FILE");
	}
	in = file_in_memory("signed", err);
	out = in < 0 ? -1 : file_in_memory("text", err);
	told = out < 0 ? -1 : file_in_memory("status", err);
	if (told < 0)
		return -1;
	if (fs_write_all(in, text, size) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "write to memory");
	run.in = in;
	run.out = out;
	run.status = told;
	if (run_gpgv(&run, &code, err) < 0 ||
	    fs_read_fd(told, "gpgv's status", STATUS_BYTES_MAX, &status, NULL, err) < 0)
		return -1;
	if (gpgv_judge(status, code, err) < 0)
		return err->mend ? -1 : err_mend(err, "nothing was taken from it: use another mirror "
						      "(DUET_DEBIAN_MIRROR=URL), or the keyring that "
						      "it is signed for (DUET_DEBIAN_KEYRING=FILE)");
	return fs_read_fd(out, "the signed text", RELEASE_BYTES_MAX, ret_text, ret_size, err);
}
