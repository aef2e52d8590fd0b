/*
 * `archive`, as a source and as a step: a tar, by URL or from the host. A source is a layer as it
 * is; a step that moves or strips paths is packed anew, so that its layer says what it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/worker/client.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

struct archive {
	const char *url, *path;
	bool has_sha256;
	struct digest sha256;
};

static struct archive archive_of(const struct source *source, const struct step *step)
{
	if (step)
		return (struct archive){ step->url, step->path, step->has_sha256, step->sha256 };
	return (struct archive){ source->url, source->path, source->has_sha256, source->sha256 };
}

/* The lock's entry for a URL; one of another digest is none. */
static bool find_locked(const struct lock *lock, const struct archive *archive,
			struct lock_archive *ret)
{
	return lock_archive_get(lock, archive->url, ret) &&
	       digest_equal(&ret->sha256, &archive->sha256);
}

static void remember(struct lock *lock, const struct archive *archive, uint64_t bytes)
{
	struct lock_archive entry = { archive->sha256, bytes };

	lock_archive_set(lock, archive->url, &entry);
}

/* The size is known, and compared, when the archive is there; else the build adds it. */
static int look_at_lock(struct resolve *resolve, const struct archive *archive, struct err *err)
{
	struct lock_archive entry;
	uint64_t bytes;
	int fd, found;

	if (!resolve->lock)
		return 0;
	if (!find_locked(resolve->lock, archive, &entry) && resolve->locked)
		return lock_refuse_missing(resolve->lock, LOCK_ARCHIVE, archive->url, err);
	found = store_blob_open(resolve->store, &archive->sha256, &fd, &bytes, err);
	if (found != 1)
		return found;
	close(fd);
	remember(resolve->lock, archive, bytes);
	return 0;
}

/* ---- where a layer's archive lies, which the store does not keep -------------------------------- */

static char *question_of(const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	return xasprintf("archive on the host %s", hex);
}

static int tell_where(struct store *store, const struct digest *digest, const char *path,
		      struct err *err)
{
	_cleanup_free_ char *question = question_of(digest), *known = NULL;
	int found = store_text_get(store, question, PATH_MAX, &known, NULL, err);

	if (found < 0 || (found == 1 && !strcmp(known, path)))
		return found < 0 ? -1 : 0;
	return store_text_set(store, question, path, strlen(path), err);
}

/* What the store remembers had leave when it was built; its bytes are compared with their digest. */
static int open_remembered(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "open %s: not a regular file", path);
	return TAKE_FD(fd);
}

int builder_archive_find(struct store *store, const struct digest *digest, int *ret_fd,
			 char **ret_path, struct err *err)
{
	_cleanup_free_ char *question = question_of(digest), *path = NULL;
	int found = store_text_get(store, question, PATH_MAX, &path, NULL, err);

	if (found != 1)
		return found;
	*ret_fd = open_remembered(path, err);
	if (*ret_fd < 0)
		return -1;
	*ret_path = TAKE_PTR(path);
	return 1;
}

/* ---- the builder -------------------------------------------------------------------------------- */

/* Is the archive, as it is, the layer? Else it is packed anew, into a blob of the store. */
static bool is_layer(const struct step *step)
{
	return !step || (step->strip == 0 && !strcmp(step->to, "/"));
}

/* The digest of an archive, by its sha256 in the spec or by reading it. */
static int look_up(struct resolve *resolve, const struct archive *archive, struct digest *ret,
		   struct err *err)
{
	struct store *store = resolve->store;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int known;

	if (archive->has_sha256) {
		*ret = archive->sha256;
		return archive->url ? look_at_lock(resolve, archive, err) : 0;
	}
	/* first of all: whoever may not read it is not told what is remembered of it either */
	fd = host_path_open_file(resolve->spec->host, "archive", archive->path, &st, err);
	if (fd < 0)
		return -1;
	known = store_stat_get(store, archive->path, ret, err);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (worker_hash(fd, ret, err) < 0)
		return -1;
	return store_stat_set(store, archive->path, &st, ret, err);
}

static int archive_resolve(struct resolve *resolve, const struct source *source,
			   const struct step *step, struct digest *ret,
			   struct plan_base *ret_base, struct err *err)
{
	const struct archive archive = archive_of(source, step);

	(void)ret_base;
	if (look_up(resolve, &archive, ret, err) < 0)
		return -1;
	if (archive.url || !is_layer(step))
		return 0;
	return tell_where(resolve->store, ret, archive.path, err);
}

/* The part of a URL that a person recognises, without query and credentials. Owned, escaped. */
static char *short_name(const char *url)
{
	_cleanup_free_ char *clean = xstrndup(url, strcspn(url, "?#"));

	return str_escape(path_base(clean), 80);
}

/* `bytes` is its size, or 0; `out`: what is in it already is taken up. */
static int fetch(const struct archive *archive, uint64_t bytes, int out, struct err *err)
{
	const char *url = archive->url;
	_cleanup_free_ char *name = short_name(url), *what = xasprintf("fetch %s", name);
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_FETCH,
					  .fd_count = 1, .flags = WORKER_HAS_EXPECTED,
					  .bytes = bytes, .expected = archive->sha256 };
	struct worker_reply reply;

	if (snprintf(request.text, sizeof(request.text), "%s", url) >= (int)sizeof(request.text))
		return err_set(err, ERR_USAGE, "fetch %s: the URL is longer than %d bytes", name,
			       WORKER_URL_MAX - 1);
	if (worker_run(NULL, &request, &out, 1, what, &reply, err) < 0)
		return -1;
	log_progress_end(what);
	return 0;
}

/* 1: what it is fetched into; 0: another process has brought it meanwhile; -1. */
static int open_partial(struct store *store, const struct archive *archive, int *ret, struct err *err)
{
	_cleanup_free_ char *name = short_name(archive->url), *what = xasprintf("archive %s", name);

	for (;;) {
		_cleanup_close_ int blob = -1;
		int found, opened = store_partial_open(store, &archive->sha256, 0, ret, err);
		uint64_t bytes;

		if (opened != 0)
			return opened;
		if (store_partial_wait(store, &archive->sha256, what, err) < 0)
			return -1;
		found = store_blob_open(store, &archive->sha256, &blob, &bytes, err);
		if (found != 0)
			return found < 0 ? -1 : 0;
	}
}

/* The network's into the store, as the lock wants it. */
static int get(struct build *build, const struct archive *archive, struct err *err)
{
	struct lock_archive entry = { 0 };
	_cleanup_close_ int out = -1;
	int opened;

	if (build->offline) {
		_cleanup_free_ char *name = short_name(archive->url);
		_cleanup_free_ char *what = xasprintf("archive %s", name);

		return lock_refuse_offline(what, &archive->sha256, archive->url, err);
	}
	if (!find_locked(build->lock, archive, &entry))
		entry.bytes = 0;
	opened = open_partial(build->store, archive, &out, err);
	if (opened <= 0)
		return opened;
	if (fetch(archive, entry.bytes, out, err) < 0)
		return -1;
	return store_partial_publish(build->store, out, &archive->sha256, err);
}

/* The archive itself: from the store, the network, or the host. */
static int open_archive(struct build *build, const struct archive *archive,
			const struct digest *digest, struct build_blob *ret, struct err *err)
{
	struct store *store = build->store;
	struct build_blob blob = { .fd = -1, .allow_xz = true };
	struct stat st;
	int found;

	if (archive->path) {
		blob.fd = host_path_open_file(build->spec->host, "archive", archive->path, &st, err);
		if (blob.fd < 0)
			return -1;
		blob.bytes = (uint64_t)st.st_size;
		blob.has_expected = true;
		blob.expected = *digest;
		*ret = blob;
		return 0;
	}
	found = store_blob_open(store, digest, &blob.fd, &blob.bytes, err);
	if (found < 0)
		return -1;
	if (found == 0) {
		if (get(build, archive, err) < 0)
			return -1;
		if (store_blob_open(store, digest, &blob.fd, &blob.bytes, err) != 1)
			return err->code ? -1 : err_set(err, ERR_STORE, "open a blob just fetched");
	}
	remember(build->lock, archive, blob.bytes);
	blob.in_store = true;
	blob.has_expected = true; /* read anyway: what rots on the disk is seen */
	blob.expected = *digest;
	*ret = blob;
	return 0;
}

static int pack_archive(struct build *build, const struct plan_step *step,
			const struct build_blob *archive, struct build_blob *ret, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_PACK,
					  .fd_count = 2, .bytes = archive->bytes,
					  .flags = WORKER_FROM_ARCHIVE | WORKER_HAS_EXPECTED,
					  .expected = archive->expected,
					  .strip = step->step->strip };

	snprintf(request.text, sizeof(request.text), "%s", step->step->to);
	return builder_pack(build->store, &request, archive->fd, step->summary, ret, err);
}

static int archive_open(struct build *build, const struct plan_step *step, struct stack *below,
			struct build_blob *ret, struct err *err)
{
	struct archive archive = archive_of(step->source, step->step);
	struct build_blob blob;
	int result;

	(void)below;
	if (open_archive(build, &archive, &step->input, &blob, err) < 0)
		return -1;
	if (is_layer(step->step)) {
		*ret = blob;
		return 0;
	}
	result = pack_archive(build, step, &blob, ret, err);
	close(blob.fd);
	return result;
}

static bool archive_is_locked(const struct lock *lock, const struct source *source,
			      const struct step *step)
{
	struct archive archive = archive_of(source, step);
	struct lock_archive entry;

	return !archive.url || find_locked(lock, &archive, &entry);
}

static int archive_fetch_only(struct build *build, const struct plan_step *step, struct err *err)
{
	struct archive archive = archive_of(step->source, step->step);
	struct build_blob blob;

	if (open_archive(build, &archive, &step->input, &blob, err) < 0)
		return -1;
	close(blob.fd);
	return 0;
}

/* Its server is asked for all of it: nothing less has a digest. */
static int archive_check(struct resolve *resolve, const struct source *source,
			 const struct step *step, struct strv *ret_drifts, struct err *err)
{
	struct archive archive = archive_of(source, step);
	struct lock_archive entry = { 0 };
	_cleanup_free_ char *shown = NULL;
	_cleanup_close_ int out = -1;

	if (!archive.url)
		return 0;
	shown = str_escape(archive.url, 200);
	if (!find_locked(resolve->lock, &archive, &entry)) {
		strv_addf(ret_drifts, "archive %s: not in duet.lock", shown);
		return 0;
	}
	if (store_blob_new(resolve->store, &out, err) < 0)
		return -1;
	if (fetch(&archive, entry.bytes, out, err) == 0)
		return 0;
	strv_addf(ret_drifts, "archive %s: %s", shown, err->msg);
	err_done(err);
	return 0;
}

const struct builder archive_builder = { "archive",	    archive_resolve,	archive_open,
					 archive_is_locked, archive_fetch_only, archive_check };
