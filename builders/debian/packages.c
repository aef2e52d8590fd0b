/* The packages of a Debian root: see packages.h. */
#include "builders/debian/packages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/debian/archive.h"
#include "builders/debian/bootstrap.h"
#include "builders/debian/tools.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define PACKAGES_MAX 20000		/* of one root */
#define PACKAGE_BYTES_MAX (4ull << 30)	/* of one .deb */
#define ANSWER_BYTES_MAX (16u << 20)	/* what apt prints of all */
#define RELEASE_FILE "InRelease"

/*
 * apt's own choice, in the two goes that mmdebstrap takes: what every Debian has, then the variant and the
 * packages asked for. Each from nothing, so together they hold what either takes.
 */
static const char script[] =
	"set -eu\n"
	"suite=$1 first=$2\n"
	"shift 2\n"
	"cd /tmp\n"
	"mkdir -p etc/apt.conf.d etc/preferences.d etc/sources.list.d lists/partial "
	"cache/archives/partial\n"
	": >status\n"
	"echo \"deb [signed-by=" TOOLS_KEYRING "] file://" TOOLS_MIRROR " $suite main\" "
	">etc/sources.list\n"
	"cat >apt.conf <<END\n"
	"APT::Architecture \"amd64\"; APT::Architectures { \"amd64\"; };\n"
	"APT::Install-Recommends \"false\"; APT::Install-Suggests \"false\";\n"
	"Acquire::ForceHash \"SHA256\"; APT::Sandbox::User \"root\"; Acquire::Languages \"none\";\n"
	"Dir::Etc \"/tmp/etc\"; Dir::State \"/tmp\"; Dir::State::Lists \"/tmp/lists\";\n"
	"Dir::State::Status \"/tmp/status\"; Dir::Cache \"/tmp/cache\";\n"
	"END\n"
	"export APT_CONFIG=/tmp/apt.conf\n"
	"apt-get -qq update >&2\n"
	"apt-get -qq --yes --print-uris install \"$first\"\n"
	"[ $# = 0 ] || apt-get -qq --yes --print-uris install \"$@\"\n";

/* ---- which --------------------------------------------------------------------------------- */

/* The priorities of a variant beside what is essential, as mmdebstrap(1) has them; NULL: none. */
static const char *priorities_of(const char *variant)
{
	static const struct {
		const char *variant, *priorities;
	} rows[] = {
		{ "minbase", "?priority(required)" },
		{ "buildd", "?priority(required)" },
		{ "important", "?or(?priority(required),?priority(important))" },
		{ "standard", "?or(?priority(required),?priority(important),?priority(standard))" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].variant, variant))
			return rows[i].priorities;
	return NULL;
}

static void make_argv(const struct source *source, struct strv *ret)
{
	_cleanup_free_ char *of_suite = xasprintf(
		"?narrow(?or(?archive(^%s$),?codename(^%s$)),?architecture(amd64),",
		source->suite, source->suite);
	const char *priorities = priorities_of(source->variant);

	strv_add(ret, "sh");
	strv_add(ret, "-c");
	strv_add(ret, script);
	strv_add(ret, "sh");
	strv_add(ret, source->suite);
	strv_addf(ret, "%s?essential)", of_suite);
	if (!strcmp(source->variant, "apt"))
		strv_add(ret, "apt");
	if (!strcmp(source->variant, "buildd"))
		strv_add(ret, "build-essential");
	if (priorities)
		strv_addf(ret, "%s%s)", of_suite, priorities);
	for (size_t i = 0; i < source->packages.count; i++)
		strv_add(ret, source->packages.items[i]);
}

/* apt quotes what a URL would not have. */
static char *unquote(const char *text, size_t length)
{
	char *out = xmalloc(length + 1), *to = out;

	for (size_t i = 0; i < length; i++) {
		unsigned int byte;

		if (text[i] == '%' && i + 2 < length && sscanf(text + i + 1, "%2x", &byte) == 1 && byte) {
			*to++ = (char)byte;
			i += 2;
		} else {
			*to++ = text[i];
		}
	}
	*to = '\0';
	return out;
}

static bool is_below(const char *path)
{
	_cleanup_free_ char *around = xasprintf("/%s/", path);

	return str_has_prefix(path, "pool/") && !strstr(around, "/../") && !strstr(around, "//") &&
	       !strstr(around, "/./");
}

bool packages_parse_line(const char *line, struct package *ret)
{
	static const char before[] = "'file:" TOOLS_MIRROR "/", sha256[] = "SHA256:";
	char file[256], hash[80], bytes[24];
	struct package package = { 0 };
	const char *end;
	int length = 0;

	if (!str_has_prefix(line, before))
		return false;
	line += strlen(before);
	end = strchr(line, '\'');
	if (!end || sscanf(end, "' %255s %23s %79s%n", file, bytes, hash, &length) != 3 || end[length] ||
	    strchr(file, '/') || !str_has_suffix(file, ".deb") || !str_has_prefix(hash, sha256) ||
	    !digest_parse_hex(hash + strlen(sha256), &package.sha256) ||
	    !parse_u64(bytes, &package.bytes) || package.bytes == 0 ||
	    package.bytes > PACKAGE_BYTES_MAX)
		return false;
	package.path = unquote(line, (size_t)(end - line));
	if (!is_below(package.path)) {
		free(package.path);
		return false;
	}
	package.file = xstrdup(file);
	*ret = package;
	return true;
}

const struct package *packages_find(const struct packages *packages, const char *file)
{
	for (size_t i = 0; i < packages->count; i++)
		if (!strcmp(packages->items[i].file, file))
			return &packages->items[i];
	return NULL;
}

void packages_done(struct packages *packages)
{
	for (size_t i = 0; i < packages->count; i++) {
		free(packages->items[i].path);
		free(packages->items[i].file);
	}
	free(packages->items);
	*packages = (struct packages){ 0 };
}

/* Each once: the second go names much of the first again. */
static int take_answer(char *text, struct packages *ret, struct err *err)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct package package;

		if (!packages_parse_line(line, &package)) {
			_cleanup_free_ char *shown = str_escape(line, 200);

			return err_set(err, ERR_DEBIAN, "apt names a package that cannot be read: %s",
				       shown);
		}
		if (packages_find(ret, package.file) || ret->count == PACKAGES_MAX) {
			free(package.path);
			free(package.file);
			continue;
		}
		ret->items = xreallocarray(ret->items, ret->count + 1, sizeof(*ret->items));
		ret->items[ret->count++] = package;
	}
	if (ret->count == 0 || ret->count == PACKAGES_MAX)
		return err_set(err, ERR_DEBIAN, "apt names %zu packages", ret->count);
	return 0;
}

static int choose(const struct suite *suite, int mirror, struct packages *ret, struct err *err)
{
	_cleanup_close_ int answer = memfd_create("packages", MFD_CLOEXEC);
	_cleanup_(strv_done) struct strv argv = { 0 }, environment = { 0 };
	_cleanup_free_ char *text = NULL;
	struct tools tools = {
		.map = &suite->store->map, .mirror = mirror, .keyring = suite->keyring, .target = -1,
		.environment = &environment, .step_count = 1,
		.steps = { { .argv = &argv, .in = -1, .out = answer, .more = -1 } },
	};

	if (answer < 0)
		return err_sys(err, errno, "make a file in memory");
	make_argv(suite->source, &argv);
	bootstrap_environment(0, &environment);
	if (bootstrap_tools(&tools, suite->what, "apt", err) < 0)
		return -1;
	if (fs_read_fd(answer, "apt's answer", ANSWER_BYTES_MAX, &text, NULL, err) < 0)
		return -1;
	return take_answer(text, ret, err);
}

/* ---- the mirror ------------------------------------------------------------------------------ */

/* A name for an open file of the store below `dir`. */
static int put_file(int dir, const char *path, int fd, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(path);
	char from[40];

	for (char *at = strchr(copy, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdirat(dir, copy, 0755) == 0 ? fchmodat(dir, copy, 0755, 0) < 0 : errno != EEXIST)
			return err_sys_as(err, ERR_STORE, errno, "make %s of a mirror", copy);
		*at = '/';
	}
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, dir, copy, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST)
		return err_sys_as(err, ERR_STORE, errno, "make %s of a mirror", copy);
	return 0;
}

static int put_lists(const struct suite *suite, int dir, struct err *err)
{
	_cleanup_free_ char *base = xasprintf("dists/%s", suite->source->suite);
	_cleanup_free_ char *release = path_join(base, RELEASE_FILE), *list = path_join(base, PACKAGES_LIST);
	_cleanup_free_ char *by_hash = NULL;
	_cleanup_close_ int fd = -1;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&suite->release->sha256, hex);
	by_hash = xasprintf("%s/main/binary-amd64/by-hash/SHA256/%s", base, hex);
	if (archive_fetch(suite->store, suite->mirror, suite->release->by_hash ? by_hash : list,
			  &suite->release->sha256, suite->release->bytes, "fetch Packages", &fd, err) < 0)
		return -1;
	if (fchmod(fd, 0444) < 0 || fchmod(suite->in_release, 0444) < 0)
		return err_sys_as(err, ERR_STORE, errno, "make a mirror");
	if (put_file(dir, release, suite->in_release, err) < 0 || put_file(dir, list, fd, err) < 0)
		return -1;
	return put_file(dir, by_hash, fd, err);
}

/* From the store, or fetched and kept there. */
static int open_package(const struct suite *suite, const struct package *package, int *ret_fd,
			struct err *err)
{
	struct store *store = suite->store;
	_cleanup_free_ char *question = NULL;
	_cleanup_close_ int fd = -1;
	char hex[DIGEST_HEX_SIZE];
	struct digest pinned;
	uint64_t bytes;
	int found;

	digest_hex(&package->sha256, hex);
	question = xasprintf("debian package %s", hex);
	found = store_pin_get(store, question, &pinned, err);
	if (found == 1)
		found = store_blob_open(store, &package->sha256, &fd, &bytes, err);
	if (found < 0)
		return -1;
	if (found == 1 && bytes == package->bytes) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	mem_closep(&fd);
	if (archive_fetch(store, suite->mirror, package->path, &package->sha256, package->bytes,
			  package->file, &fd, err) < 0 ||
	    store_blob_publish(store, fd, &package->sha256, err) < 0 ||
	    store_pin_set(store, question, &package->sha256, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int packages_mirror(const struct suite *suite, int dir, struct packages *ret, struct err *err)
{
	struct packages packages = { 0 };
	int result = put_lists(suite, dir, err);

	if (result == 0)
		result = choose(suite, dir, &packages, err);
	for (size_t i = 0; result == 0 && i < packages.count; i++) {
		_cleanup_free_ char *what = xasprintf("%s: fetch %s", suite->what, packages.items[i].file);
		_cleanup_close_ int fd = -1;

		log_progress(what, i, packages.count);
		result = open_package(suite, &packages.items[i], &fd, err);
		if (result == 0)
			result = put_file(dir, packages.items[i].path, fd, err);
	}
	if (result < 0) {
		packages_done(&packages);
		return -1;
	}
	*ret = packages;
	return 0;
}
