/*
 * Debian's cloud kernel: see debian.h. The chain, each link verified by the one before:
 *
 *	keyring of this host -> InRelease (gpgv) -> Packages.xz (digest) -> .deb (digest)
 *
 * All of it may come over plain http or from a folder: nobody on the way can change a byte unseen.
 * What is fetched lies in unnamed files of the store, so that a kill leaves nothing.
 */
#include "builders/kernel/debian.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builders/debian/archive.h"
#include "builders/debian/control.h"
#include "builders/debian/mirror.h"
#include "builders/debian/version.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define META_PACKAGE "linux-image-cloud-amd64"
#define PREFIX "linux-image-"
#define SUFFIX "-cloud-amd64"
#define LIST_PATH "main/binary-amd64/Packages.xz"
#define STANZAS_BYTES_MAX (4u << 20)
#define NAME_BYTES_MAX 200
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789+-."	/* Debian Policy, 5.6.1 */

/* What a mirror lists of one suite: the kernels' stanzas. */
struct suite {
	char *mirror;	/* owned */
	char *stanzas;	/* owned */
	size_t size;
};

/* Under its digest where the archive keeps it so: that name cannot change while we fetch. */
static int fetch_list(struct store *store, const char *mirror, const char *suite,
		      const struct release_file *file, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *plain = xasprintf("dists/%s/%s", suite, LIST_PATH), *hashed = NULL;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&file->sha256, hex);
	hashed = xasprintf("dists/%s/main/binary-amd64/by-hash/SHA256/%s", suite, hex);
	if (file->by_hash && archive_fetch(store, mirror, hashed, &file->sha256, file->bytes,
				   "fetch the list of packages", ret_fd, err) == 0)
		return 0;
	/* a mirror may lack it all the same */
	if (file->by_hash && err->code != ERR_FETCH)
		return -1;
	err_done(err);
	return archive_fetch(store, mirror, plain, &file->sha256, file->bytes,
		     "fetch the list of packages", ret_fd, err);
}

static int select_stanzas(struct store *store, int list, uint64_t bytes, struct suite *suite,
			  struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_INDEX,
					  .fd_count = 2, .bytes = bytes };
	_cleanup_close_ int out = -1;
	struct worker_reply reply;
	int fds[2];

	strcpy(request.text, PREFIX);
	strcpy(request.name, SUFFIX + 1);
	if (store_blob_new(store, &out, err) < 0)
		return -1;
	fds[0] = out;
	fds[1] = list;
	if (worker_run(NULL, &request, fds, 2, "read the list of packages", &reply, err) < 0)
		return -1;
	return fs_read_fd(out, "the list of packages", STANZAS_BYTES_MAX, &suite->stanzas,
			  &suite->size, err);
}

/* Takes `mirror` over. */
static int read_suite(struct store *store, char *mirror, const char *name, struct suite *ret,
		      struct err *err)
{
	struct release_file file;
	_cleanup_close_ int list = -1;

	ret->mirror = mirror;
	if (archive_release(store, mirror, name, NULL, LIST_PATH, &file, NULL, err) < 0)
		return -1;
	if (file.bytes > DEBIAN_LIST_BYTES_MAX)
		return err_set(err, ERR_SIGNATURE, "%s of %s has more than %u bytes", LIST_PATH, name,
			       DEBIAN_LIST_BYTES_MAX);
	if (fetch_list(store, mirror, name, &file, &list, err) < 0)
		return -1;
	return select_stanzas(store, list, file.bytes, ret, err);
}

/* ---- packages -------------------------------------------------------------------------------- */

void debian_package_done(struct debian_package *package)
{
	free(package->name);
	free(package->version);
	free(package->path);
	free(package->mirror);
	*package = (struct debian_package){ 0 };
}

/* A path below the mirror as Debian writes it: clean, and of harmless characters. */
static bool is_package_path(const char *path)
{
	_cleanup_free_ char *clean = xmalloc(PATH_LENGTH_MAX + 1);
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789._+~:/-";

	return *path && strspn(path, characters) == strlen(path) && path_clean(path, clean) &&
	       !strcmp(clean, path);
}

static bool parse_package(const struct stanza *stanza, struct debian_package *ret)
{
	_cleanup_free_ char *architecture = stanza_get(stanza, "Architecture");
	_cleanup_free_ char *size = stanza_get(stanza, "Size");
	_cleanup_free_ char *sha256 = stanza_get(stanza, "SHA256");

	ret->name = stanza_get(stanza, "Package");
	ret->version = stanza_get(stanza, "Version");
	ret->path = stanza_get(stanza, "Filename");
	return ret->name && ret->version && ret->path && architecture && size && sha256 &&
	       !strcmp(architecture, "amd64") && strlen(ret->name) <= NAME_BYTES_MAX &&
	       strlen(ret->version) <= NAME_BYTES_MAX && version_is_valid(ret->version) &&
	       is_package_path(ret->path) && parse_u64(size, &ret->bytes) && ret->bytes > 0 &&
	       digest_parse_hex(sha256, &ret->sha256);
}

int debian_find_package(const char *list, size_t size, const char *name, const char *version,
			struct debian_package *ret, char **ret_depends)
{
	struct control control = { list, size };
	struct debian_package best = { 0 };
	char *depends = NULL;
	struct stanza stanza;

	while (control_next(&control, &stanza)) {
		struct debian_package package = { 0 };

		if (!parse_package(&stanza, &package) || strcmp(package.name, name) ||
		    (version && version_compare(package.version, version) != 0) ||
		    (best.name && version_compare(package.version, best.version) <= 0)) {
			debian_package_done(&package);
			continue;
		}
		debian_package_done(&best);
		best = package;
		free(depends);
		depends = stanza_get(&stanza, "Depends");
	}
	if (!best.name)
		return 0;
	*ret = best;
	if (ret_depends)
		*ret_depends = depends;
	else
		free(depends);
	return 1;
}

/* " (= VERSION)" behind a name: NULL where there is none; false where it is no version. */
static bool parse_equals(const char *is, const char *end, char **ret)
{
	is += strspn(is, " (");
	*ret = NULL;
	if (is >= end || *is != '=')
		return true;
	is += 1 + strspn(is + 1, " ");
	*ret = xstrndup(is, strcspn(is, " )"));
	if (version_is_valid(*ret))
		return true;
	free(*ret);
	*ret = NULL;
	return false;
}

bool debian_parse_depends(const char *depends, char **ret_name, char **ret_version)
{
	while (*depends) {
		_cleanup_free_ char *name = NULL;
		size_t whole, length;

		depends += strspn(depends, " \t\n,");
		whole = strcspn(depends, ",");
		length = strcspn(depends, " \t\n,(|");
		name = xstrndup(depends, length);
		if (length > strlen(PREFIX) + strlen(SUFFIX) && length <= NAME_BYTES_MAX &&
		    !memchr(depends, '|', whole) && str_has_prefix(name, PREFIX) &&
		    str_has_suffix(name, SUFFIX) && name[strspn(name, NAME_CHARACTERS)] == '\0' &&
		    parse_equals(depends + length, depends + whole, ret_version)) {
			*ret_name = TAKE_PTR(name);
			return true;
		}
		depends += whole;
	}
	return false;
}

/* The newest `name` of all suites. */
static int newest(const struct suite *suites, size_t count, const char *name,
		  const char *version, struct debian_package *ret, char **ret_depends,
		  struct err *err)
{
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		struct debian_package package;
		char *depends = NULL;

		if (!debian_find_package(suites[i].stanzas, suites[i].size, name, version, &package,
					 &depends))
			continue;
		if (found && version_compare(package.version, ret->version) <= 0) {
			debian_package_done(&package);
			free(depends);
			continue;
		}
		debian_package_done(ret);
		*ret = package;
		ret->mirror = xstrdup(suites[i].mirror);
		free(*ret_depends);
		*ret_depends = depends;
		found = true;
	}
	if (found)
		return 0;
	err_set(err, ERR_FETCH, "the mirror has no package %s%s%s", name, version ? " " : "",
		version ? version : "");
	return err_mend(err, "use another mirror (DUET_DEBIAN_MIRROR=URL), or name a kernel of your own: "
			     "vm: {kernel: PATH}");
}

static int choose(const struct suite *suites, size_t count, struct debian_package *ret,
		  struct err *err)
{
	_cleanup_free_ char *depends = NULL, *name = NULL, *version = NULL, *ignored = NULL;
	struct debian_package meta = { 0 };
	int result = newest(suites, count, META_PACKAGE, NULL, &meta, &depends, err);

	if (result == 0 && (!depends || !debian_parse_depends(depends, &name, &version)))
		result = err_set(err, ERR_FETCH, "the package %s %s depends on no kernel", meta.name,
				 meta.version);
	debian_package_done(&meta);
	return result < 0 ? -1 : newest(suites, count, name, version, ret, &ignored, err);
}

/* ---- the whole chain ------------------------------------------------------------------------- */

/* Which suites, from where: bookworm, and its security updates where this host takes them. */
static int read_suites(struct store *store, struct suite suites[2], size_t *ret_count,
		       struct err *err)
{
	const char *named = getenv("DUET_DEBIAN_MIRROR");
	char *mirror, *security;
	size_t length;

	if (named && *named) {
		length = strlen(named);
		while (length > 0 && named[length - 1] == '/')
			length--;
		*ret_count = 1;
		return read_suite(store, xstrndup(named, length), DEBIAN_SUITE, &suites[0], err);
	}
	mirror = mirror_of_host(DEBIAN_SUITE);
	if (!mirror) {
		err_set(err, ERR_HOST, "find a mirror of Debian: apt's sources of this machine name none "
				       "for %s", DEBIAN_SUITE);
		return err_mend(err, "name one: DUET_DEBIAN_MIRROR=http://HOST/debian");
	}
	*ret_count = 1;
	if (read_suite(store, mirror, DEBIAN_SUITE, &suites[0], err) < 0)
		return -1;
	security = mirror_of_host(DEBIAN_SUITE "-security");
	if (!security)
		return 0;
	*ret_count = 2;
	return read_suite(store, security, DEBIAN_SUITE "-security", &suites[1], err);
}

static int fetch_package(struct store *store, const struct debian_package *package, int *ret_fd,
			 struct err *err)
{
	_cleanup_free_ char *what = xasprintf("fetch %s", package->name);

	if (package->bytes > DEBIAN_PACKAGE_BYTES_MAX)
		return err_set(err, ERR_FETCH, "%s has more than %u bytes", package->name,
			       DEBIAN_PACKAGE_BYTES_MAX);
	if (archive_fetch(store, package->mirror, package->path, &package->sha256, package->bytes, what,
		  ret_fd, err) < 0)
		return -1;
	log_progress_end(what);
	return 0;
}

/* The package with a digest, when a suite has it. */
static bool find_wanted(const struct suite *suites, size_t count, const struct digest *wanted,
			struct debian_package *ret)
{
	for (size_t i = 0; i < count; i++) {
		struct control control = { suites[i].stanzas, suites[i].size };
		struct stanza stanza;

		while (control_next(&control, &stanza)) {
			struct debian_package package = { 0 };

			if (parse_package(&stanza, &package) &&
			    digest_equal(&package.sha256, wanted)) {
				package.mirror = xstrdup(suites[i].mirror);
				*ret = package;
				return true;
			}
			debian_package_done(&package);
		}
	}
	return false;
}

int debian_look_kernel(struct store *store, const struct digest *wanted,
		       struct debian_package *ret, struct err *err)
{
	struct debian_package package = { 0 };
	struct suite suites[2] = { 0 };
	size_t count = 0;
	int result = read_suites(store, suites, &count, err);

	if (result == 0 && (!wanted || !find_wanted(suites, count, wanted, &package)))
		result = choose(suites, count, &package, err);
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		free(suites[i].mirror);
		free(suites[i].stanzas);
	}
	if (result < 0) {
		debian_package_done(&package);
		return -1;
	}
	*ret = package;
	return 0;
}

int debian_fetch_kernel(struct store *store, const struct digest *wanted,
			struct debian_package *ret, int *ret_fd, struct err *err)
{
	struct debian_package package;

	if (debian_look_kernel(store, wanted, &package, err) < 0)
		return -1;
	if (wanted && !digest_equal(&package.sha256, wanted)) {
		err_set(err, ERR_LOCK, "the mirror lacks the kernel that is locked; it has %s %s",
			package.name, package.version);
		err_mend(err, "take what it has now: duet lock --update kernel");
	} else if (fetch_package(store, &package, ret_fd, err) == 0) {
		*ret = package;
		return 0;
	}
	debian_package_done(&package);
	return -1;
}

char *debian_lacks(const char **ret_mend)
{
	const char *given = getenv("DUET_DEBIAN_MIRROR");
	_cleanup_free_ char *program = proc_find_helper("gpgv"), *mirror = NULL;

	*ret_mend = "sudo apt-get install gpgv debian-archive-keyring";
	if (!program)
		return xstrdup("gpgv is not installed");
	if (access(archive_keyring(), R_OK) < 0)
		return xasprintf("%s cannot be read", archive_keyring());
	mirror = given && *given ? xstrdup(given) : mirror_of_host(DEBIAN_SUITE);
	*ret_mend = "set DUET_DEBIAN_MIRROR to the URL of a mirror";
	return mirror ? NULL : xstrdup("apt's sources name no mirror with " DEBIAN_SUITE);
}
