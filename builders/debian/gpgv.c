/*
 * Signatures: see gpgv.h. gpgv parses what came from the network, so it runs in the jail of tools.h and has
 * so much time and no more. Its input and output are files in memory; from its exit code alone nothing
 * follows.
 */
#include "builders/debian/gpgv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "builders/debian/release.h"
#include "builders/debian/tools.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"

#define CPU_S 30
#define STATUS_BYTES_MAX 65536
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

static int file_in_memory(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "make a file in memory") : fd;
}

/* Its words say no more than its status does. */
static void pass_over(void *data, const char *line)
{
	(void)data;
	log_debug("gpgv: %s", line);
}

static int run_gpgv(struct tools *tools, int *ret_code, struct err *err)
{
	static const char *const words[] = { "gpgv", "--status-fd", "3", "--keyring", TOOLS_KEYRING,
					     "--output", "-", "-" };
	_cleanup_(strv_done) struct strv argv = { 0 }, environment = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&argv, words[i]);
	strv_add(&environment, "LC_ALL=C");
	strv_add(&environment, "PATH=/usr/bin:/bin");
	strv_add(&environment, "GNUPGHOME=/nonexistent");
	tools->steps[0].argv = &argv;
	tools->environment = &environment;
	tools->said = pass_over;
	return tools_run(tools, ret_code, err);
}

static int open_keyring(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		return fd;
	err_sys_as(err, ERR_HOST, errno, "open the keyring %s", path);
	return err_mend(err, "install the package debian-archive-keyring, or set "
			     "DUET_DEBIAN_KEYRING=FILE");
}

int gpgv_verify(const struct idmap *map, const char *text, size_t size, const char *keyring,
		char **ret_text, size_t *ret_size, struct err *err)
{
	_cleanup_free_ char *status = NULL;
	_cleanup_close_ int keys = open_keyring(keyring, err), in = -1, out = -1, told = -1;
	struct tools tools = { .map = map, .mirror = -1, .keyring = keys, .target = -1,
			       .cpu_s = CPU_S, .file_bytes = RELEASE_BYTES_MAX, .step_count = 1 };
	int code;

	if (keys < 0)
		return -1;
	in = file_in_memory("signed", err);
	out = in < 0 ? -1 : file_in_memory("text", err);
	told = out < 0 ? -1 : file_in_memory("status", err);
	if (told < 0)
		return -1;
	if (fs_write_all(in, text, size) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "write to memory");
	tools.steps[0] = (struct tools_step){ .in = in, .out = out, .more = told };
	if (run_gpgv(&tools, &code, err) < 0 ||
	    fs_read_fd(told, "gpgv's status", STATUS_BYTES_MAX, &status, NULL, err) < 0)
		return -1;
	if (gpgv_judge(status, code, err) < 0)
		return err->mend ? -1 : err_mend(err, "nothing was taken from it: use another mirror "
						      "(DUET_DEBIAN_MIRROR=URL), or the keyring that "
						      "it is signed for (DUET_DEBIAN_KEYRING=FILE)");
	return fs_read_fd(out, "the signed text", RELEASE_BYTES_MAX, ret_text, ret_size, err);
}
