/*
 * `archive`, as a source and as a step: a tar, by URL or from the host. A source is a layer as it
 * is; a step that moves or strips paths is packed anew, so that its layer says what it does.
 */
#include <errno.h>
#include <fcntl.h>
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

static int open_path(const char *path, struct stat *ret_st, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode))
		return err_set(err, -EINVAL, "open %s: not a regular file", path);
	return TAKE_FD(fd);
}

static int archive_resolve(struct resolve *resolve, const struct source *source,
			   const struct step *step, struct digest *ret,
			   struct plan_base *ret_base, struct err *err)
{
	struct store *store = resolve->store;
	struct archive archive = archive_of(source, step);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int known;

	(void)ret_base;
	if (archive.has_sha256) {
		*ret = archive.sha256;
		return 0;
	}
	known = store_stat_get(store, archive.path, ret, err);
	if (known != 0)
		return known < 0 ? -1 : 0;
	fd = open_path(archive.path, &st, err);
	if (fd < 0 || worker_hash(fd, ret, err) < 0)
		return -1;
	return store_stat_set(store, archive.path, &st, ret, err);
}

/* The part of a URL that a person recognises, without query and credentials. Owned, escaped. */
static char *short_name(const char *url)
{
	_cleanup_free_ char *clean = xstrndup(url, strcspn(url, "?#"));

	return str_escape(path_base(clean), 80);
}

static int fetch(struct store *store, const char *url, const struct digest *digest,
		 struct err *err)
{
	_cleanup_free_ char *name = short_name(url), *what = xasprintf("fetch %s", name);
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_FETCH,
					  .fd_count = 1, .flags = WORKER_HAS_EXPECTED,
					  .expected = *digest };
	_cleanup_close_ int out = -1;
	struct worker_reply reply;

	if (snprintf(request.text, sizeof(request.text), "%s", url) >= (int)sizeof(request.text))
		return err_set(err, ERR_USAGE, "fetch %s: the URL is longer than %d bytes", name,
			       WORKER_URL_MAX - 1);
	if (store_partial_open(store, digest, &out, err) < 0 ||
	    worker_run(NULL, &request, &out, 1, what, &reply, err) < 0)
		return -1;
	log_progress_end(what);
	return store_partial_publish(store, out, digest, err);
}

/* The archive itself: from the store, the network, or the host. */
static int open_archive(struct store *store, const struct archive *archive,
			const struct digest *digest, struct build_blob *ret, struct err *err)
{
	struct build_blob blob = { .fd = -1, .allow_xz = true };
	struct stat st;
	int found;

	if (archive->path) {
		blob.fd = open_path(archive->path, &st, err);
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
		if (fetch(store, archive->url, digest, err) < 0)
			return -1;
		if (store_blob_open(store, digest, &blob.fd, &blob.bytes, err) != 1)
			return err->code ? -1 : err_set(err, ERR_STORE, "open a blob just fetched");
	}
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
	if (open_archive(build->store, &archive, &step->input, &blob, err) < 0)
		return -1;
	if (!step->step || (step->step->strip == 0 && !strcmp(step->step->to, "/"))) {
		*ret = blob;
		return 0;
	}
	result = pack_archive(build, step, &blob, ret, err);
	close(blob.fd);
	return result;
}

const struct builder archive_builder = { "archive", archive_resolve, archive_open };
