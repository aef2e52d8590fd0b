/* A Debian archive: see archive.h. */
#include "builders/debian/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "builders/debian/gpgv.h"
#include "builders/debian/mirror.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

#define COPY_CHUNK (256 * 1024)

const char *archive_keyring(void)
{
	const char *file = getenv("DUET_DEBIAN_KEYRING");

	return file && *file ? file : "/usr/share/keyrings/debian-archive-keyring.gpg";
}

/* ---- files of the mirror --------------------------------------------------------------------- */

/* A mirror in a folder: a copy of the file, so that it stays what is verified. */
static int copy_file(const char *path, uint64_t max, int out, struct err *err)
{
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *chunk = xmalloc(COPY_CHUNK);
	uint64_t done = 0;
	struct stat st;
	ssize_t got;

	if (in < 0)
		return err_sys_as(err, ERR_FETCH, errno, "open %s", path);
	if (fstat(in, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_FETCH, "open %s: not a regular file", path);
	while ((got = read(in, chunk, COPY_CHUNK)) > 0) {
		done += (uint64_t)got;
		if (done > max)
			return err_set(err, ERR_FETCH, "%s has more than %llu bytes", path,
				       (unsigned long long)max);
		if (fs_write_all(out, chunk, (size_t)got) < 0)
			return err_sys(err, errno, "copy %s", path);
	}
	return got < 0 ? err_sys(err, errno, "read %s", path) : 0;
}

static int fetch_copy(const char *path, const struct digest *expected, uint64_t bytes, int out,
		      struct err *err)
{
	char wanted[DIGEST_TEXT_SIZE], got[DIGEST_TEXT_SIZE];
	struct digest digest;

	if (copy_file(path, bytes, out, err) < 0)
		return -1;
	if (!expected)
		return 0;
	if (worker_hash(out, &digest, err) < 0)
		return -1;
	if (digest_equal(&digest, expected))
		return 0;
	digest_text(expected, wanted);
	digest_text(&digest, got);
	err_set(err, ERR_FETCH_DIGEST, "fetch %s: digest differs: expected %s, got %s", path, wanted,
		got);
	return err_mend(err, "the mirror is not what was signed: use another one");
}

int archive_fetch(struct store *store, const char *mirror, const char *path,
		 const struct digest *expected, uint64_t bytes, const char *what, int *ret_fd,
		 struct err *err)
{
	struct worker_request request = {
		.version = WORKER_VERSION,
		.op = WORKER_FETCH,
		.flags = WORKER_PLAIN_HTTP | (expected ? WORKER_HAS_EXPECTED : WORKER_ANY_DIGEST),
		.fd_count = 1,
		.bytes = bytes,
	};
	_cleanup_free_ char *url = xasprintf("%s/%s", mirror, path);
	_cleanup_close_ int out = -1;
	struct worker_reply reply;

	if (strlen(url) >= sizeof(request.text))
		return err_set(err, ERR_FETCH, "the mirror's URL is longer than %d bytes",
			       WORKER_URL_MAX - 1);
	if (store_blob_new(store, &out, err) < 0)
		return -1;
	if (str_has_prefix(url, "file:///")) {
		if (fetch_copy(url + strlen("file://"), expected, bytes, out, err) < 0)
			return -1;
	} else {
		strcpy(request.text, url);
		if (expected)
			request.expected = *expected;
		if (worker_run(NULL, &request, &out, 1, what, &reply, err) < 0)
			return -1;
	}
	*ret_fd = TAKE_FD(out);
	return 0;
}

/* ---- the signed list ------------------------------------------------------------------------- */

int archive_release(struct store *store, const char *mirror, const char *suite,
		    const char *keys, const char *file, struct release_file *ret, int *ret_fd,
		    struct err *err)
{
	_cleanup_free_ char *path = xasprintf("dists/%s/InRelease", suite);
	_cleanup_free_ char *text = NULL, *inside = NULL, *shown = str_escape(mirror, 200);
	size_t size, inside_size;
	_cleanup_close_ int fd = -1;
	const char *why;

	if (archive_fetch(store, mirror, path, NULL, RELEASE_BYTES_MAX, "fetch InRelease", &fd, err) < 0)
		return err->code == ERR_FETCH && strstr(err->msg, "(404)")
			       ? err_mend(err, "is %s a suite that %s has, as bookworm?", suite, shown)
			       : -1;
	if (fs_read_fd(fd, "InRelease", RELEASE_BYTES_MAX, &text, &size, err) < 0)
		return -1;
	if (!release_frame(text, size, &why)) {
		err_set(err, ERR_SIGNATURE, "verify %s/%s: %s", shown, path, why);
		return err_mend(err, "check that there is a Debian mirror at that address, and nothing "
				     "on the way (a portal, a proxy) that answers for it");
	}
	if (gpgv_verify(&store->map, text, size, keys ? keys : archive_keyring(), &inside,
			&inside_size, err) < 0 ||
	    release_parse(inside, inside_size, suite, file, (int64_t)time(NULL), ret, err) < 0)
		return err_wrap(err, "verify %s/%s", shown, path);
	digest_of(text, size, &ret->in_release);
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The host's mirror for `suite`, or the one it has for any other suite of Debian. */
char *archive_mirror(const char *suite)
{
	static const char *const known[] = { "bookworm", "trixie", "forky", "bullseye", "sid",
					     "stable", "testing", "unstable" };
	const char *given = getenv("DUET_DEBIAN_MIRROR");
	char *found = given && *given ? xstrdup(given) : mirror_of_host(suite);

	for (size_t i = 0; !found && i < ARRAY_SIZE(known); i++)
		found = mirror_of_host(known[i]);
	for (size_t length = found ? strlen(found) : 0; length > 0 && found[length - 1] == '/';)
		found[--length] = '\0';
	return found;
}
