/*
 * mmdebstrap in a jail: see bootstrap.h. It makes the root in the jail's /tmp, where uid 0 owns what
 * it should own, and writes it as a tar; with SOURCE_DATE_EPOCH the same packages give the same bytes.
 * apt, inside, verifies each package by the archive's signature, also those that are handed in.
 *
 *	before	new user, mount, pid, ipc and uts namespaces, the caller's ids: finds the folder for /tmp
 *	enter	uid 0 of the map: the host's tree read-only, /tmp, /proc; in single-uid mode the filter that
 *		answers chown; descriptors; exec
 */
#include "builders/debian/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/filter.h"
#include "core/jail/jail.h"
#include "core/jail/mount.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"

/* <sys/mount.h> of glibc 2.36 and <linux/mount.h> cannot be included together */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);

#define LINE_MAX_BYTES 4096
#define TAIL_BYTES 1200		/* of mmdebstrap's words in a message */
#define FD_HIGH 100
#define MEMORY_PLENTY (6ull << 30)	/* bytes available: a root of 3 GB fits in half of it */
#define ARCHIVES "/tmp/archives"	/* in the jail */
#define TAR "tar --sort=name --mtime=@0 --owner=0 --group=0 -cf -"

/*
 * Descriptors that the hooks know by number; by bash, since sh need not know numbers above 9. Those
 * below are mmdebstrap's own, whose hooks are for sh.
 */
enum { FD_LIST = 27, FD_BEFORE, FD_PACKAGES, FD_END };

struct child {
	const struct bootstrap *bootstrap;
	const char *program;
	const struct strv *argv;
	int report, words;	/* both close with the child */
	int folder;		/* the jail's /tmp, or with memory_bytes ARCHIVES in it */
	uint64_t memory_bytes;	/* of a /tmp in memory; 0: on the disk */
};

void bootstrap_argv(const struct bootstrap *bootstrap, bool single_uid, struct strv *ret)
{
	const struct source *source = bootstrap->source;
	struct strv argv = { 0 };

	strv_add(&argv, "mmdebstrap");
	strv_add(&argv, "--mode=root");
	strv_add(&argv, "--format=tar");
	strv_addf(&argv, "--variant=%s", source->variant);
	/* an instance has its own /dev */
	strv_add(&argv, "--skip=output/dev,essential/unlink,download/empty");
	strv_add(&argv, "--dpkgopt=force-unsafe-io");
	/* with one id there is no group for terminals, and no user for apt's sandbox */
	if (single_uid) {
		strv_add(&argv, "--skip=chroot/mount/dev");
		strv_add(&argv, "--aptopt=APT::Sandbox::User \"root\"");
	}
	if (source->keyring)
		strv_addf(&argv, "--keyring=%s", source->keyring);
	for (size_t i = 0; i < source->packages.count; i++)
		strv_addf(&argv, "--include=%s", source->packages.items[i]);
	/* packages lie outside the root: what was fetched when something failed is there afterwards */
	strv_addf(&argv, "--setup-hook=mkdir -p \"$1/var/cache/apt/archives\" " ARCHIVES "/partial && "
		  "bash -c 'tar -C " ARCHIVES " -xf - <&%d 2>/dev/null || true' && "
		  "mount -o bind " ARCHIVES " \"$1/var/cache/apt/archives\"", FD_BEFORE);
	/* the list is of what is installed: others may be there from another root of the suite */
	strv_addf(&argv, "--customize-hook=umount \"$1/var/cache/apt/archives\" && bash -c '"
		  "set -o pipefail; cd " ARCHIVES " && dpkg-query --admindir=\"$1/var/lib/dpkg\" -W "
		  "-f \"\\${Package}_\\${Version}_\\${Architecture}.deb\\n\" | sed s/:/%%3a/g | "
		  "xargs sha256sum -- >&%d && %s -- *.deb >&%d' - \"$1\"",
		  FD_LIST, TAR, FD_PACKAGES);
	strv_add(&argv, source->suite);
	strv_add(&argv, "-");
	if (bootstrap->mirror)
		strv_add(&argv, bootstrap->mirror);
	*ret = argv;
}

/* ---- the child ------------------------------------------------------------------------------- */

static int before(void *data)
{
	struct child *child = data;
	struct err err = { 0 };
	int found = mount_find(child->folder, "folder", &err);

	if (found < 0)
		return jail_report(child->report, &err);
	child->folder = found;
	return 0;
}

/* /tmp in memory, and the folder of the store in it for packages only; takes `old` over. */
static int make_memory(const struct child *child, int old, struct err *err)
{
	char options[64];
	int target;

	close(old);
	snprintf(options, sizeof(options), "mode=1777,size=%llu",
		 (unsigned long long)child->memory_bytes);
	if (mount("tmpfs", "/tmp", "tmpfs", 2 | 4 /* nosuid, nodev */, options) < 0 ||
	    mkdir(ARCHIVES, 0755) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make /tmp for mmdebstrap");
	target = open(ARCHIVES, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return target >= 0 ? target : err_sys_as(err, ERR_HOST, errno, "open " ARCHIVES);
}

static int make_mounts(const struct child *child, struct err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	_cleanup_close_ int folder = -1, target = -1;
	char path[40];

	/* a mount of its own before all others become read-only */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", child->folder);
	folder = mount_clone(path, 0);
	target = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || target < 0 || mount_make_private() < 0 ||
	    syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make the host's tree read-only");
	if (child->memory_bytes > 0)
		target = make_memory(child, TAKE_FD(target), err);
	if (target < 0)
		return -1;
	if (mount_attach(folder, target) < 0 ||
	    mount("proc", "/proc", "proc", 2 | 4 | 8 /* nosuid, nodev, noexec */, NULL) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make /tmp and /proc for mmdebstrap");
	return 0;
}

/* Every descriptor high first, so that none is overwritten before it was moved. */
static int arrange(struct child *child)
{
	const struct bootstrap *bootstrap = child->bootstrap;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int given[FD_END] = {
		[0] = null, [1] = bootstrap->root, [2] = child->words, [FD_LIST] = bootstrap->list,
		[FD_BEFORE] = bootstrap->packages_before >= 0 ? bootstrap->packages_before : null,
		[FD_PACKAGES] = bootstrap->packages,
	};
	int high[FD_END];

	child->report = fcntl(child->report, F_DUPFD_CLOEXEC, FD_HIGH);
	for (int i = 0; i < FD_END; i++)
		high[i] = i <= 2 || i >= FD_LIST ? fcntl(given[i], F_DUPFD_CLOEXEC, FD_HIGH) : -1;
	syscall(SYS_close_range, 3, FD_HIGH - 1, 0);
	for (int i = 0; i < FD_END; i++)
		if ((i <= 2 || i >= FD_LIST) && (high[i] < 0 || dup2(high[i], i) < 0))
			return -1;
	return child->report < 0 ? -1 : 0;
}

static int start(struct child *child, struct err *err)
{
	static const char *const passed[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					      "ALL_PROXY", "no_proxy", "NO_PROXY", NULL };
	bool single = child->bootstrap->store->map.kind == IDMAP_SINGLE;
	struct strv environment = { 0 };

	strv_add(&environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(&environment, "LC_ALL=C.UTF-8");
	strv_add(&environment, "HOME=/tmp");
	strv_add(&environment, "TMPDIR=/tmp");
	strv_add(&environment, "DEBIAN_FRONTEND=noninteractive");
	strv_addf(&environment, "SOURCE_DATE_EPOCH=%lld", (long long)child->bootstrap->epoch_s);
	for (size_t i = 0; passed[i]; i++)
		if (getenv(passed[i]))
			strv_setenv(&environment, passed[i], getenv(passed[i]));
	if (make_mounts(child, err) < 0 || (single && filter_load(FILTER_OWNERS, err) < 0))
		return -1;
	umask(022);
	if (chdir("/") < 0 || arrange(child) < 0)
		return err_sys_as(err, ERR_HOST, errno, "arrange mmdebstrap's descriptors");
	execve(child->program, child->argv->items, environment.items);
	return err_sys_as(err, ERR_HOST, errno, "exec %s", child->program);
}

static int enter(void *data)
{
	struct child *child = data;
	struct err err = { 0 };

	start(child, &err);
	return jail_report(child->report, &err);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* What mmdebstrap says, line by line: "I: " begins a stage; the last bytes are kept. */
struct words {
	char line[LINE_MAX_BYTES];
	size_t used;
	struct str tail;
	char last[LINE_MAX_BYTES];	/* the last line that is no stage */
};

static void take_line(const struct bootstrap *bootstrap, struct words *words)
{
	_cleanup_free_ char *what = NULL;

	words->line[words->used] = '\0';
	words->used = 0;
	log_debug("%s", words->line);
	if (str_has_prefix(words->line, "I: ")) {
		_cleanup_free_ char *stage = str_escape(words->line + 3, 60);

		what = xasprintf("%s: %s", bootstrap->what, stage);
		log_progress(what, 0, 0);
		return;
	}
	if (!*words->line)
		return;
	strcpy(words->last, words->line);
	str_add(&words->tail, words->line);
	str_add(&words->tail, "\n");
	if (words->tail.length > 2 * TAIL_BYTES) {
		memmove(words->tail.text, words->tail.text + words->tail.length - TAIL_BYTES,
			TAIL_BYTES + 1);
		words->tail.length = TAIL_BYTES;
	}
}

static void listen_to(const struct bootstrap *bootstrap, int fd, struct words *words)
{
	char chunk[4096];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < got; i++) {
			if (chunk[i] == '\n' || chunk[i] == '\r' || words->used == LINE_MAX_BYTES - 1)
				take_line(bootstrap, words);
			if (chunk[i] != '\n' && chunk[i] != '\r')
				words->line[words->used++] = chunk[i];
		}
	}
	if (words->used > 0)
		take_line(bootstrap, words);
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

static int wait_for(const struct bootstrap *bootstrap, struct jail *jail, int words_fd, int report,
		    struct err *err)
{
	struct words words = { 0 };
	_cleanup_free_ char *why = NULL;
	struct err told = { 0 };
	int code;

	listen_to(bootstrap, words_fd, &words);
	jail_take_report(report, &told);
	code = jail_wait(jail);
	why = reason(&words);
	str_done(&words.tail);
	if (told.code) {
		err_move(err, &told);
		return -1;
	}
	if (code == 0)
		return 0;
	err_set(err, ERR_DEBIAN, "mmdebstrap %s %d: %s", code > 128 ? "was killed by signal"
								   : "ended with exit code",
		code > 128 ? code - 128 : code, why);
	if (strstr(why, "No space left on device"))
		return err_mend(err, "the root is made in half of the memory where 6 GiB are available, "
				     "else in the store: make room there");
	return err_mend(err, "-v shows all that it says; is the suite's name right, and the mirror "
			     "reached?");
}

/*
 * A root is made of some ten thousand small files that are packed and thrown away: in memory, where
 * there is plenty, that takes a fraction of the time.
 */
static uint64_t memory_for_root(void)
{
	static const char word[] = "MemAvailable:";
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	unsigned long long kib = 0;
	const char *at = NULL;

	if (fs_read_file(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL, &ignored) == 0)
		at = strstr(text, word);
	if (!at || sscanf(at + strlen(word), "%llu", &kib) != 1)
		kib = 0;
	err_done(&ignored);
	return kib * 1024 >= MEMORY_PLENTY ? kib * 1024 / 2 : 0;
}

static int run_in(const struct bootstrap *bootstrap, const struct strv *argv, int folder,
		  struct err *err)
{
	_cleanup_free_ char *program = proc_find_helper(argv->items[0]);
	struct child child = { .bootstrap = bootstrap, .program = program, .argv = argv,
			       .folder = folder, .memory_bytes = memory_for_root() };
	struct jail_entry entry = { .before = before, .enter = enter, .data = &child };
	_cleanup_close_ int words = -1, words_end = -1, report = -1, report_end = -1;
	struct jail jail;
	int pair[2];

	if (!program) {
		err_set(err, ERR_HOST, "make a Debian root: %s is not installed", argv->items[0]);
		return err_mend(err, "sudo apt-get install mmdebstrap");
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	words = pair[0];
	child.words = words_end = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	report = pair[0];
	child.report = report_end = pair[1];
	if (jail_start(&jail, &bootstrap->store->map,
		       (uint64_t)(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS), &entry,
		       err) < 0)
		return -1;
	close(TAKE_FD(words_end));
	close(TAKE_FD(report_end));
	return wait_for(bootstrap, &jail, words, report, err);
}

/* What was fetched before it failed, for the next try; whole packages and parts of one. */
static void save_packages(const struct bootstrap *bootstrap, int folder)
{
	static const char *const words[] = { "tar", "-C", ARCHIVES, "--exclude=./lock", "-cf", "-",
					     "." };
	struct bootstrap saving = *bootstrap;
	_cleanup_(strv_done) struct strv argv = { 0 };
	_cleanup_(err_done) struct err ignored = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&argv, words[i]);
	saving.root = bootstrap->packages;
	(void)run_in(&saving, &argv, folder, &ignored);
}

static int run(const struct bootstrap *bootstrap, int folder, bool *ret_partial, struct err *err)
{
	bool single = bootstrap->store->map.kind == IDMAP_SINGLE;
	_cleanup_(strv_done) struct strv argv = { 0 };

	/* apt's sandbox user makes files there, too */
	if (fchmod(folder, 01777) < 0)
		return err_sys_as(err, ERR_STORE, errno, "make a folder for mmdebstrap");
	bootstrap_argv(bootstrap, single, &argv);
	if (run_in(bootstrap, &argv, folder, err) == 0)
		return 0;
	*ret_partial = err->code == ERR_DEBIAN;
	if (*ret_partial)
		save_packages(bootstrap, folder);
	return -1;
}

int bootstrap_run(const struct bootstrap *bootstrap, bool *ret_partial, struct err *err)
{
	struct err ignored = { 0 };
	struct store_tmp tmp;
	int folder, result;

	*ret_partial = false;
	if (store_tmp_new(bootstrap->store, &tmp, err) < 0)
		return -1;
	result = store_tree_new(bootstrap->store, &tmp, &folder, err);
	if (result == 0) {
		result = run(bootstrap, folder, ret_partial, err);
		close(folder);
	}
	(void)store_tmp_drop(bootstrap->store, &tmp, &ignored);
	err_done(&ignored);
	return result;
}
