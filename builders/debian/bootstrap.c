/*
 * A Debian root: see bootstrap.h.
 *
 *	1  packages.c: the signed lists; apt says which packages; duet-worker fetches them by digest
 *	2  mmdebstrap makes the root of that mirror, without a network (tools.h)
 *	3  when nothing of its packages' scripts runs any more: the list of what is installed, and the tar;
 *	   with SOURCE_DATE_EPOCH the same packages give the same bytes
 *
 * apt, inside, verifies each package again by the archive's signature. What the host is called and which
 * resolver it has is nowhere inside, and so not in the root.
 */
#include "builders/debian/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/jail.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/sys.h"

#define LINE_MAX_BYTES 4096
#define TAIL_BYTES 1200		/* of the tools' words in a message */
#define LIST_BYTES_MAX (16u << 20)
#define MEMORY_PLENTY (6ull << 30)	/* bytes available: a root of 3 GB fits in half of it */

/* Behind mmdebstrap: the list on descriptor 3, the root on standard output. */
static const char finish[] =
	"set -eu\n"
	"dpkg-query --admindir=" TOOLS_TARGET "/var/lib/dpkg -W "
	"-f '${Package}_${Version}_${Architecture}.deb\n' >&3\n"
	"exec tar --sort=name --mtime=@$SOURCE_DATE_EPOCH --clamp-mtime --numeric-owner "
	"--one-file-system --format=pax "
	"--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime "
	"--xattrs --xattrs-exclude=system.* -C " TOOLS_TARGET " -cf - .\n";

void bootstrap_argv(const struct source *source, const char *mirror, bool single_uid,
		    struct strv *ret)
{
	struct strv argv = { 0 };

	strv_add(&argv, "mmdebstrap");
	strv_add(&argv, "--mode=root");
	strv_add(&argv, "--format=directory");
	strv_addf(&argv, "--variant=%s", source->variant);
	/* the target has its devices; nothing inside may mount */
	strv_add(&argv, "--skip=check/empty,chroot/mount,output/dev");
	strv_add(&argv, "--dpkgopt=force-unsafe-io");
	/* with one id there is no user for apt's sandbox, neither here nor in the root */
	if (single_uid)
		strv_add(&argv, "--aptopt=APT::Sandbox::User \"root\"");
	strv_add(&argv, "--keyring=" TOOLS_KEYRING);
	for (size_t i = 0; i < source->packages.count; i++)
		strv_addf(&argv, "--include=%s", source->packages.items[i]);
	strv_addf(&argv, "--customize-hook=printf 'deb %%s %%s main\\n' '%s' '%s' "
			 ">\"$1/etc/apt/sources.list\"", mirror, source->suite);
	strv_add(&argv, source->suite);
	strv_add(&argv, TOOLS_TARGET);
	strv_add(&argv, "copy://" TOOLS_MIRROR);
	*ret = argv;
}

void bootstrap_environment(int64_t epoch_s, struct strv *ret)
{
	strv_add(ret, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(ret, "LC_ALL=C.UTF-8");
	strv_add(ret, "HOME=/tmp");
	strv_add(ret, "TMPDIR=/tmp");
	strv_add(ret, "DEBIAN_FRONTEND=noninteractive");
	if (epoch_s > 0)
		strv_addf(ret, "SOURCE_DATE_EPOCH=%lld", (long long)epoch_s);
}

/* ---- what they say --------------------------------------------------------------------------- */

/* What the tools say: "I: " begins a stage; the last bytes are kept. */
struct words {
	const char *what;		/* borrowed */
	struct str tail;
	char last[LINE_MAX_BYTES];	/* the last line that is no stage */
};

static void take_line(void *data, const char *line)
{
	struct words *words = data;

	log_debug("%s", line);
	if (str_has_prefix(line, "I: ")) {
		_cleanup_free_ char *stage = str_escape(line + 3, 60), *what = NULL;

		what = xasprintf("%s: %s", words->what, stage);
		log_progress(what, 0, 0);
		return;
	}
	snprintf(words->last, sizeof(words->last), "%s", line);
	str_add(&words->tail, line);
	str_add(&words->tail, "\n");
	if (words->tail.length > 2 * TAIL_BYTES) {
		memmove(words->tail.text, words->tail.text + words->tail.length - TAIL_BYTES,
			TAIL_BYTES + 1);
		words->tail.length = TAIL_BYTES;
	}
}

/* mmdebstrap says what failed because of it, too. */
static bool is_consequence(const char *line)
{
	return strstr(line, "setup failed") || strstr(line, "rm failed") ||
	       strstr(line, "mmdebstrap failed to run") || strstr(line, "E: apt-get ");
}

/* The lines that say why: those of errors, else the last ones. Owned, escaped. */
static char *reason(const struct words *words)
{
	const char *at = words->tail.text ? words->tail.text : "";
	struct str out = { 0 };

	while (*at) {
		size_t length = strcspn(at, "\n");
		_cleanup_free_ char *line = xstrndup(at, length), *shown = str_escape(line, 200);

		if ((str_has_prefix(line, "E: ") || strstr(line, "rror: ")) && !is_consequence(line))
			str_addf(&out, "%s%s", out.length ? "; " : "", shown);
		at += length + (at[length] == '\n');
	}
	if (!out.length) {
		_cleanup_free_ char *last = str_escape(words->last, 300);

		str_add(&out, *last ? last : "it does not say why");
	}
	return out.text;
}

int bootstrap_tools(struct tools *tools, const char *what, const char *name, struct err *err)
{
	struct words words = { .what = what };
	_cleanup_free_ char *why = NULL;
	int code, result;

	tools->said = take_line;
	tools->data = &words;
	result = tools_run(tools, &code, err);
	why = reason(&words);
	str_done(&words.tail);
	if (result < 0 || code == 0)
		return result;
	err_set(err, ERR_DEBIAN, "%s %s %d: %s", name, code > 128 ? "was killed by signal"
								  : "ended with exit code",
		code > 128 ? code - 128 : code, why);
	if (strstr(why, "No space left on device"))
		return err_mend(err, "the root is made in half of the memory where 6 GiB are available, "
				     "else in the store: make room there");
	return err_mend(err, "-v shows all that it says; are the names of the suite and of the packages "
			     "right?");
}

/* ---- making ---------------------------------------------------------------------------------- */

/*
 * A root is made of some ten thousand small files that are packed and thrown away: in memory, where
 * there is plenty, that takes a fraction of the time.
 */
static uint64_t memory_for_root(void)
{
	uint64_t available = sys_memory_available();

	return available >= MEMORY_PLENTY ? available / 2 : 0;
}

/* "NAME_VERSION_ARCHITECTURE.deb" of dpkg to the name of the file that apt took. Owned. */
static char *file_of(const char *line, size_t length)
{
	struct str out = { 0 };

	for (size_t i = 0; i < length; i++)
		line[i] == ':' ? str_add(&out, "%3a") : str_addn(&out, line + i, 1);
	return out.text;
}

/* What is installed with the digest that it was fetched by: nothing else can have got in. */
static int make_list(int fd, const struct packages *packages, char **ret, struct err *err)
{
	_cleanup_free_ char *installed = NULL;
	struct str out = { 0 };

	if (fs_read_fd(fd, "the list of packages", LIST_BYTES_MAX, &installed, NULL, err) < 0)
		return -1;
	str_add(&out, "");
	for (const char *at = installed; *at;) {
		size_t length = strcspn(at, "\n");
		_cleanup_free_ char *file = length ? file_of(at, length) : NULL;
		const struct package *package = file ? packages_find(packages, file) : NULL;
		char hex[DIGEST_HEX_SIZE];

		if (!package) {
			_cleanup_free_ char *shown = str_escape(file ? file : "", 200);

			str_done(&out);
			return err_set(err, ERR_DEBIAN, "the root has a package that was not fetched: %s",
				       shown);
		}
		digest_hex(&package->sha256, hex);
		str_addf(&out, "%s  %s\n", hex, file);
		at += length + (at[length] == '\n');
	}
	*ret = out.text;
	return 0;
}

/* The caller's own id stands for nobody there: the folder is root's of the jail. */
struct owner {
	int folder;
	uint32_t id;	/* in the store's map */
};

static int give_away(void *data)
{
	const struct owner *owner = data;

	/* apt's and dpkg's other users go through it, too */
	return fchown(owner->folder, owner->id, owner->id) < 0 || fchmod(owner->folder, 0755) < 0;
}

static int make_target(const struct bootstrap *bootstrap, struct store_tmp *tmp, int *ret,
		       struct err *err)
{
	struct store *store = bootstrap->suite->store;
	struct owner owner = { .id = store->map.kind == IDMAP_SUBIDS ? 1 : 0 };
	_cleanup_close_ int folder = -1;

	if (store_tree_new(store, tmp, &folder, err) < 0)
		return -1;
	owner.folder = folder;
	if (owner.id && jail_run(&store->map, give_away, &owner, "make a folder for mmdebstrap", err) < 0)
		return -1;
	*ret = TAKE_FD(folder);
	return 0;
}

static int make(const struct bootstrap *bootstrap, int mirror, struct store_tmp *tmp, int list,
		struct err *err)
{
	const struct suite *suite = bootstrap->suite;
	_cleanup_(strv_done) struct strv argv = { 0 }, last = { 0 }, environment = { 0 };
	_cleanup_close_ int target = -1;
	struct tools tools = {
		.map = &suite->store->map, .mirror = mirror, .keyring = suite->keyring, .target = -1,
		.memory_bytes = memory_for_root(), .environment = &environment,
		.steps = { { .argv = &argv, .in = -1, .out = -1, .more = -1 },
			   { .argv = &last, .in = -1, .out = bootstrap->root, .more = list } },
		.step_count = 2,
	};

	if (tools.memory_bytes == 0 && make_target(bootstrap, tmp, &target, err) < 0)
		return -1;
	tools.target = target;
	bootstrap_argv(suite->source, suite->mirror, tools.map->kind == IDMAP_SINGLE, &argv);
	strv_add(&last, "sh");
	strv_add(&last, "-c");
	strv_add(&last, finish);
	bootstrap_environment(bootstrap->epoch_s, &environment);
	return bootstrap_tools(&tools, suite->what, "mmdebstrap", err);
}

static int run(const struct bootstrap *bootstrap, struct store_tmp *tmp, char **ret_list,
	       struct err *err)
{
	_cleanup_close_ int mirror = -1, list = memfd_create("packages", MFD_CLOEXEC);
	struct packages packages = { 0 };
	int result;

	if (list < 0)
		return err_sys(err, errno, "make a file in memory");
	mirror = fs_open_dir_made(tmp->dir, "mirror", 0755, err);
	if (mirror < 0 || packages_mirror(bootstrap->suite, mirror, &packages, err) < 0)
		return -1;
	result = make(bootstrap, mirror, tmp, list, err);
	if (result == 0)
		result = make_list(list, &packages, ret_list, err);
	packages_done(&packages);
	return result;
}

int bootstrap_run(const struct bootstrap *bootstrap, char **ret_list, struct err *err)
{
	struct store *store = bootstrap->suite->store;
	struct err ignored = { 0 };
	struct store_tmp tmp;
	int result;

	if (store_tmp_new(store, &tmp, err) < 0)
		return -1;
	result = run(bootstrap, &tmp, ret_list, err);
	(void)store_tmp_drop(store, &tmp, &ignored);
	err_done(&ignored);
	return result;
}
