/*
 * `debian`, as a source: a root of a suite, made by mmdebstrap. Its layer is the tar that comes out; the
 * packages that went in are kept, so that the next root of the suite fetches only what is new, and a
 * list of them with their digests, for a lock.
 *
 * The key of such a step is what the spec says, which keys are trusted, and by a lock which packages
 * it is made of. Without a lock the archive goes on, and an image stays what it is until the spec
 * changes (or `duet gc --all`). The first build has no entry in the lock yet: it remembers its layer
 * under the key that the step has from the next build on, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/debian/archive.h"
#include "builders/debian/bootstrap.h"
#include "builders/layer/layer.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"

#define KEYRING_BYTES_MAX (16u << 20)
#define LIST_BYTES_MAX (16u << 20)

/* ---- what a root is made of ------------------------------------------------------------------- */

static int read_keys(const struct spec *spec, const struct source *source, char **ret,
		     size_t *ret_size, struct err *err)
{
	*ret_size = 0;
	return source->keyring ? host_path_read(spec->host, "keyring", source->keyring,
						KEYRING_BYTES_MAX, ret, ret_size, err) : 0;
}

/*
 * The keys, and whether there is more than one id: owners are lost without. So single-uid mode has
 * steps of its own. With a lock the packages, too.
 */
static int input_of(struct store *store, const struct spec *spec, const struct source *source,
		    const struct digest *list, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *keys = NULL;
	struct sha256 hash;
	size_t size;

	if (read_keys(spec, source, &keys, &size, err) < 0)
		return -1;
	sha256_init(&hash);
	sha256_add_text(&hash, store->map.kind == IDMAP_SINGLE ? "one id" : "ids");
	sha256_add_text(&hash, source->keyring ? "keys" : NULL);
	sha256_add_field(&hash, keys, size);
	if (list)
		sha256_add_field(&hash, list->bytes, sizeof(list->bytes));
	sha256_end(&hash, ret);
	return 0;
}

/* What the lock has an entry by: what the spec says. */
static char *lock_question(const struct source *source)
{
	struct str text = { 0 };

	str_addf(&text, "%s %s", source->suite, source->variant);
	for (size_t i = 0; i < source->packages.count; i++)
		str_addf(&text, "%s%s", i ? "," : " ", source->packages.items[i]);
	if (source->mirror)
		str_addf(&text, " from %s", source->mirror);
	return text.text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "HEX  NAME_VERSION_ARCHITECTURE.deb", as bootstrap lists it, to the lock's order of words. */
static bool take_package(const char *line, size_t length, struct strv *ret)
{
	_cleanup_free_ char *copy = xstrndup(line, length);
	char *save = NULL, *hex = strtok_r(copy, " ", &save), *name = strtok_r(NULL, "_ ", &save);
	char *version = strtok_r(NULL, "_", &save), *architecture = strtok_r(NULL, "_", &save);
	char *colon = version ? strstr(version, "%3a") : NULL;
	struct digest digest;

	if (!architecture || !str_has_suffix(architecture, ".deb") || !digest_parse_hex(hex, &digest))
		return false;
	architecture[strlen(architecture) - strlen(".deb")] = '\0';
	if (colon) {
		*colon = ':';
		memmove(colon + 1, colon + 3, strlen(colon + 3) + 1);
	}
	strv_addf(ret, "%s %s %s %s", name, version, architecture, hex);
	return true;
}

/*
 * A list as it is kept: "InRelease HEX SECONDS", then bootstrap's lines. False when it is none, as
 * those of before there were locks.
 */
static bool parse_list(const char *text, struct lock_debian *ret)
{
	struct lock_debian debian = { 0 };
	char hex[DIGEST_HEX_SIZE];
	long long date;
	bool good = sscanf(text, "InRelease %64s %lld\n", hex, &date) == 2 &&
		    digest_parse_hex(hex, &debian.in_release);

	for (const char *at = strchr(text, '\n'); good && at && at[1]; at = strchr(at + 1, '\n'))
		good = take_package(at + 1, strcspn(at + 1, "\n"), &debian.packages);
	if (!good || debian.packages.count == 0) {
		strv_done(&debian.packages);
		return false;
	}
	qsort(debian.packages.items, debian.packages.count, sizeof(char *), by_text);
	debian.date_s = date;
	lock_list_digest(&debian.packages, &debian.list);
	*ret = debian;
	return true;
}

static char *list_question(const struct digest *own_key)
{
	char key[DIGEST_HEX_SIZE];

	digest_hex(own_key, key);
	return xasprintf("debian list of %s", key);
}

/* ---- before there is a plan ------------------------------------------------------------------ */

/* A root that is in the store already: the lock learns what it was made of. */
static int adopt(struct resolve *resolve, const struct source *source, const struct digest *input,
		 struct err *err)
{
	_cleanup_free_ char *question = NULL, *text = NULL, *name = lock_question(source);
	struct store *store = resolve->store;
	struct lock_debian debian;
	struct store_layer layer;
	struct digest key;
	int found;

	plan_source_key(source, input, &key);
	question = list_question(&key);
	found = store_step_get(store, &key, &layer, err);
	if (found == 1)
		found = store_text_get(store, question, LIST_BYTES_MAX, &text, NULL, err);
	if (found != 1)
		return found;
	if (parse_list(text, &debian)) {
		lock_debian_set(resolve->lock, name, &debian);
		strv_done(&debian.packages);
	}
	return 0;
}

static int debian_resolve(struct resolve *resolve, const struct source *source,
			  const struct step *step, struct digest *ret, struct plan_base *ret_base,
			  struct err *err)
{
	_cleanup_free_ char *name = lock_question(source);
	struct lock_debian debian;

	(void)step;
	(void)ret_base;
	if (input_of(resolve->store, resolve->spec, source, NULL, ret, err) < 0)
		return -1;
	if (!resolve->lock)
		return 0;
	if (!lock_debian_get(resolve->lock, name, &debian)) {
		if (resolve->locked)
			return lock_refuse_missing(resolve->lock, LOCK_DEBIAN, name, err);
		if (!resolve->refresh && adopt(resolve, source, ret, err) < 0)
			return -1;
	}
	return lock_debian_get(resolve->lock, name, &debian)
		       ? input_of(resolve->store, resolve->spec, source, &debian.list, ret, err)
		       : 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* What the root was made of: kept, and read for the lock. */
static int take_list(struct build *build, const struct plan_step *step, const char *lines,
		     const struct release_file *release, struct lock_debian *ret, struct err *err)
{
	_cleanup_free_ char *question = list_question(&step->own_key);
	_cleanup_(str_done) struct str text = { 0 };
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&release->in_release, hex);
	str_addf(&text, "InRelease %s %lld\n%s", hex, (long long)release->date_s, lines);
	if (store_text_set(build->store, question, text.text, text.length, err) < 0)
		return -1;
	return parse_list(text.text, ret) ? 0 : err_set(err, ERR_DEBIAN, "mmdebstrap gave a list of "
							"packages that cannot be read");
}

/* The first package that is not as locked. */
static int refuse_packages(const struct lock_debian *locked, const struct lock_debian *found,
			   struct err *err)
{
	size_t i = 0;
	const char *was, *is;

	while (i < locked->packages.count && i < found->packages.count &&
	       !strcmp(locked->packages.items[i], found->packages.items[i]))
		i++;
	was = i < locked->packages.count ? locked->packages.items[i] : "no more package";
	is = i < found->packages.count ? found->packages.items[i] : "no more package";
	err_set(err, ERR_LOCK, "the archive has moved on: it gives %s, locked is %s", is, was);
	return err_mend(err, "take what it gives now: duet lock --update debian");
}

/* The lock has its word, or learns; its key is another one from now on. */
static int agree(struct build *build, const struct plan_step *step,
		 const struct lock_debian *found, struct build_blob *blob, struct err *err)
{
	_cleanup_free_ char *name = lock_question(step->source);
	struct lock_debian locked;
	struct digest input;

	if (lock_debian_get(build->lock, name, &locked)) {
		if (!digest_equal(&locked.list, &found->list))
			return refuse_packages(&locked, found, err);
		return 0;
	}
	if (input_of(build->store, build->spec, step->source, &found->list, &input, err) < 0)
		return -1;
	plan_source_key(step->source, &input, &blob->locked_key);
	blob->has_locked_key = true;
	lock_debian_set(build->lock, name, found);
	return 0;
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

static int make(struct build *build, const struct plan_step *step, const struct suite *suite,
		int64_t epoch_s, struct build_blob *ret, struct err *err)
{
	struct bootstrap bootstrap = { .suite = suite, .epoch_s = epoch_s };
	_cleanup_free_ char *list = NULL;
	_cleanup_close_ int root = -1;
	struct lock_debian found = { 0 };
	struct build_blob blob = { .fd = -1 };
	int result;

	if (store_blob_new(build->store, &root, err) < 0)
		return -1;
	bootstrap.root = root;
	if (bootstrap_run(&bootstrap, &list, err) < 0 ||
	    take_list(build, step, list, suite->release, &found, err) < 0)
		return -1;
	result = agree(build, step, &found, &blob, err);
	strv_done(&found.packages);
	if (result < 0 || pack(build, step, root, ret, err) < 0)
		return -1;
	ret->has_locked_key = blob.has_locked_key;
	ret->locked_key = blob.locked_key;
	return 0;
}

static char *mirror_of(const struct source *source, struct err *err)
{
	char *mirror = source->mirror ? xstrdup(source->mirror) : archive_mirror(source->suite);

	if (mirror)
		return mirror;
	err_set(err, ERR_HOST, "find a mirror of Debian: apt's sources of this machine name none");
	err_mend(err, "name one: from: {debian: %s, mirror: \"http://HOST/debian\"}", source->suite);
	return NULL;
}

/* The spec's keys, in memory: those that were looked at are those that verify. -1: they are the host's. */
static int take_keys(const struct spec *spec, const struct source *source, int *ret, struct err *err)
{
	_cleanup_free_ char *keys = NULL;
	_cleanup_close_ int fd = -1;
	size_t size;

	*ret = -1;
	if (!source->keyring)
		return 0;
	if (read_keys(spec, source, &keys, &size, err) < 0)
		return -1;
	fd = memfd_create("keyring", MFD_CLOEXEC);
	if (fd < 0 || fs_write_all(fd, keys, size) < 0)
		return err_sys(err, errno, "keep the keyring in memory");
	*ret = TAKE_FD(fd);
	return 0;
}

static int find_release(struct store *store, const char *mirror, const struct source *source, int keys,
			struct release_file *ret, int *ret_fd, struct err *err)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", keys);
	return archive_release(store, mirror, source->suite, keys < 0 ? NULL : path, PACKAGES_LIST, ret,
			       ret_fd, err);
}

static int open_host_keys(struct err *err)
{
	int fd = open(archive_keyring(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd >= 0 ? fd
		       : err_sys_as(err, ERR_HOST, errno, "open the keyring %s", archive_keyring());
}

static int debian_open(struct build *build, const struct plan_step *step, struct stack *below,
		       struct build_blob *ret, struct err *err)
{
	const struct source *source = step->source;
	_cleanup_free_ char *mirror = mirror_of(source, err), *name = lock_question(source);
	_cleanup_close_ int in_release = -1, keyring = -1;
	struct lock_debian locked = { 0 };
	bool is_locked = lock_debian_get(build->lock, name, &locked);
	struct release_file release;
	struct suite suite = { .store = build->store, .source = source, .mirror = mirror,
			       .release = &release, .what = step->summary };
	int64_t epoch_s;

	(void)below;
	if (build->offline)
		return lock_refuse_offline(step->summary, is_locked ? &locked.list : NULL,
					   mirror ? mirror : "a mirror", err);
	/* the date of the archive is the date of what is made from it */
	if (!mirror || take_keys(build->spec, source, &keyring, err) < 0 ||
	    find_release(build->store, mirror, source, keyring, &release, &in_release, err) < 0)
		return -1;
	if (keyring < 0)
		keyring = open_host_keys(err);
	if (keyring < 0)
		return -1;
	if (build->store->map.kind == IDMAP_SINGLE)
		log_note("single-uid mode: everything in the Debian root will belong to root, and its "
			 "packages' scripts run with your own id in their jail");
	epoch_s = is_locked ? locked.date_s : release.date_s;
	if (epoch_s < LAYER_TIME)
		epoch_s = LAYER_TIME;
	suite.in_release = in_release;
	suite.keyring = keyring;
	if (make(build, step, &suite, epoch_s, ret, err) < 0)
		return -1;
	ret->time_s = epoch_s;
	return 0;
}

/* ---- the lock -------------------------------------------------------------------------------- */

static bool debian_is_locked(const struct lock *lock, const struct source *source,
			     const struct step *step)
{
	_cleanup_free_ char *name = lock_question(source);
	struct lock_debian debian;

	(void)step;
	return lock_debian_get(lock, name, &debian);
}

/* The signed list alone: which packages a root gets of it is known when it is made. */
static int debian_check(struct resolve *resolve, const struct source *source,
			const struct step *step, struct strv *ret_drifts, struct err *err)
{
	_cleanup_free_ char *mirror = mirror_of(source, err), *name = lock_question(source);
	_cleanup_free_ char *shown = str_escape(name, 200);
	char was[DIGEST_TEXT_SIZE], is[DIGEST_TEXT_SIZE];
	_cleanup_close_ int keys = -1;
	struct lock_debian debian;
	struct release_file release;

	(void)step;
	if (!lock_debian_get(resolve->lock, name, &debian)) {
		strv_addf(ret_drifts, "debian %s: not in duet.lock", shown);
		return 0;
	}
	if (take_keys(resolve->spec, source, &keys, err) < 0)
		return -1;
	if (!mirror || find_release(resolve->store, mirror, source, keys, &release, NULL, err) < 0) {
		strv_addf(ret_drifts, "debian %s: %s", shown, err->msg);
		err_done(err);
		return 0;
	}
	if (digest_equal(&release.in_release, &debian.in_release))
		return 0;
	digest_text(&debian.in_release, was);
	digest_text(&release.in_release, is);
	strv_addf(ret_drifts, "debian %s: InRelease: %s, locked is %s", shown, is, was);
	return 0;
}

const struct builder debian_builder = { "debian",	  debian_resolve, debian_open,
					debian_is_locked, NULL,		  debian_check };
