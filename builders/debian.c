/*
 * `debian`, as a source: a root of a suite, made by mmdebstrap. Its layer is the tar that comes out; the
 * packages that went in are kept, so that the next root of the suite fetches only what is new, and a
 * list of them with their digests, for a lock.
 *
 * The key of such a step is what the spec says and which keys are trusted: the archive goes on, an
 * image stays what it is until the spec changes (or `duet gc --all`).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/debian/archive.h"
#include "builders/debian/bootstrap.h"
#include "builders/layer/layer.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"

#define KEYRING_BYTES_MAX (16u << 20)
#define LIST "main/binary-amd64/Packages.xz"

/*
 * The keys, and whether there is more than one id: owners are lost without. So single-uid mode has
 * steps of its own.
 */
static int debian_resolve(struct resolve *resolve, const struct source *source,
			  const struct step *step, struct digest *ret, struct plan_base *ret_base,
			  struct err *err)
{
	_cleanup_free_ char *keys = NULL;
	struct sha256 hash;
	size_t size = 0;

	(void)step;
	(void)ret_base;
	if (source->keyring &&
	    fs_read_file(AT_FDCWD, source->keyring, KEYRING_BYTES_MAX, &keys, &size, err) < 0)
		return -1;
	sha256_init(&hash);
	sha256_add_text(&hash, resolve->store->map.kind == IDMAP_SINGLE ? "one id" : "ids");
	sha256_add_text(&hash, source->keyring ? "keys" : NULL);
	sha256_add_field(&hash, keys, size);
	sha256_end(&hash, ret);
	return 0;
}

/* What the store is asked for the packages that the suite's last root was made of. */
static char *packages_question(const struct source *source)
{
	return xasprintf("debian packages of %s from %s", source->suite,
			 source->mirror ? source->mirror : "the host's mirror");
}

static int open_before(struct store *store, const char *question, struct err *err)
{
	struct digest digest;
	uint64_t bytes;
	int fd, found = store_pin_get(store, question, &digest, err);

	if (found == 1)
		found = store_blob_open(store, &digest, &fd, &bytes, err);
	/* without them all are fetched */
	err_done(err);
	return found == 1 ? fd : -1;
}

/* Publishes a finished file, and remembers it as the answer to a question. */
static int keep(struct store *store, int fd, const char *question, struct err *err)
{
	struct digest digest;

	if (worker_hash(fd, &digest, err) < 0 || store_blob_publish(store, fd, &digest, err) < 0)
		return -1;
	return store_pin_set(store, question, &digest, err);
}

static int keep_all(struct build *build, const struct plan_step *step,
		    const struct bootstrap *bootstrap, const char *question, struct err *err)
{
	_cleanup_free_ char *list = NULL;
	char key[DIGEST_HEX_SIZE];

	digest_hex(&step->own_key, key);
	list = xasprintf("debian list of %s", key);
	if (keep(build->store, bootstrap->packages, question, err) < 0)
		return -1;
	return keep(build->store, bootstrap->list, list, err);
}

/* The plain tar becomes the step's blob: compressed, without devices. */
static int pack(struct build *build, const struct plan_step *step, int root,
		struct build_blob *ret, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_PACK,
					  .fd_count = 2, .flags = WORKER_FROM_ARCHIVE,
					  .text = "/" };

	if (lseek(root, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "read the root");
	return builder_pack(build->store, &request, root, step->summary, ret, err);
}

static int make(struct build *build, const struct plan_step *step, struct bootstrap *bootstrap,
		struct build_blob *ret, struct err *err)
{
	_cleanup_close_ int root = -1, packages = -1, list = -1, before = -1;
	_cleanup_free_ char *question = packages_question(bootstrap->source);
	struct store *store = build->store;
	bool partial;

	before = open_before(store, question, err);
	if (store_blob_new(store, &root, err) < 0 || store_blob_new(store, &packages, err) < 0 ||
	    store_blob_new(store, &list, err) < 0)
		return -1;
	bootstrap->packages_before = before;
	bootstrap->root = root;
	bootstrap->packages = packages;
	bootstrap->list = list;
	if (bootstrap_run(bootstrap, &partial, err) < 0) {
		_cleanup_(err_done) struct err ignored = { 0 };

		if (partial)
			(void)keep(store, packages, question, &ignored);
		return -1;
	}
	if (keep_all(build, step, bootstrap, question, err) < 0)
		return -1;
	return pack(build, step, root, ret, err);
}

static int debian_open(struct build *build, const struct plan_step *step, struct stack *below,
		       struct build_blob *ret, struct err *err)
{
	const struct source *source = step->source;
	_cleanup_free_ char *mirror = NULL;
	struct bootstrap bootstrap = { .store = build->store, .source = source,
				       .what = step->summary };
	struct release_file release;

	(void)below;
	mirror = source->mirror ? xstrdup(source->mirror) : archive_mirror(source->suite);
	if (!mirror) {
		err_set(err, ERR_HOST, "find a mirror of Debian: apt's sources of this machine name none");
		return err_mend(err, "name one: from: {debian: %s, mirror: \"http://HOST/debian\"}",
				source->suite);
	}
	bootstrap.mirror = mirror;
	/* the date of the archive is the date of what is made from it */
	if (archive_release(build->store, mirror, source->suite, source->keyring, LIST, &release,
			    err) < 0)
		return -1;
	if (build->store->map.kind == IDMAP_SINGLE)
		log_note("single-uid mode: everything in the Debian root will belong to root");
	bootstrap.epoch_s = release.date_s > LAYER_TIME ? release.date_s : LAYER_TIME;
	if (make(build, step, &bootstrap, ret, err) < 0)
		return -1;
	ret->time_s = bootstrap.epoch_s;
	return 0;
}

const struct builder debian_builder = { "debian", debian_resolve, debian_open };
