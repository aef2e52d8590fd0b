/*
 * Debian's tools in a jail: see tools.h. A package's scripts run as root of the root that is being made;
 * out of that a chroot keeps nobody. So all of it has what a build's step has:
 *
 *	before	new user, mount, pid, network, ipc, uts and cgroup namespaces, the caller's ids: finds the
 *		mirror's and the target's folders
 *	 1	uid 0 of a map without the caller: a root in memory, with the host's programs (/usr without
 *		/usr/local, read-only), the mirror (read-only), the target, devices, /tmp
 *	 2	pivot_root; nothing else of the host has a path. No network but a loopback that is down
 *	 3	memory limit, filter, capabilities, as a build's step has them
 *	 4	the steps, each a session of its own; what is left of one is killed before the next
 */
#include "builders/debian/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/jail/jail.h"
#include "core/jail/mount.h"
#include "core/proc.h"

/* <sys/mount.h> of glibc 2.36 and <linux/mount.h> cannot be included together */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);

/* mount(2) */
#define READ_ONLY 1ul
#define PLAIN (2ul | 4ul)	/* nosuid, nodev */
#define NO_EXEC 8ul
#define REMOUNT_BIND (32ul | BIND)
#define BIND 4096ul

#define LINE_MAX_BYTES 4096
#define BASE "/tmp"			/* the new root, before it is entered */
#define ADDRESS_SPACE_BYTES (4ull << 30)	/* of one process: apt maps its lists several times */
#define TMP_OPTIONS "mode=1777,size=1g"	/* apt's lists take 0.2 GB of a suite with everything */
#define KEYRING_BYTES_MAX (16u << 20)

struct child {
	const struct tools *tools;
	char *programs[TOOLS_STEPS_MAX];	/* owned; paths */
	int report, words;			/* both close with the child */
	int mirror, target;			/* found again in its namespace */
};

void tools_map(const struct idmap *map, struct idmap *ret)
{
	*ret = *map;
	if (map->kind == IDMAP_SINGLE)
		return;
	idmap_leave_out(ret->uids, &ret->uid_extents, geteuid());
	idmap_leave_out(ret->gids, &ret->gid_extents, getegid());
}

/* ---- the root -------------------------------------------------------------------------------- */

static int before(void *data)
{
	struct child *child = data;
	struct err err = { 0 };

	if (child->tools->mirror >= 0)
		child->mirror = mount_find(child->tools->mirror, "folder", &err);
	if (!err.code && child->tools->target >= 0)
		child->target = mount_find(child->tools->target, "folder", &err);
	return err.code ? jail_report(child->report, &err) : 0;
}

/* A folder of the new root with `tree`, a detached mount, on it. */
static int attach(int tree, const char *path, bool seal, struct err *err)
{
	_cleanup_close_ int target = -1;

	if (tree >= 0 && (mkdir(path, 0755) == 0 || errno == EEXIST))
		target = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || (seal && mount_seal(tree) < 0) || mount_attach(tree, target) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make %s for Debian's tools", path);
	return 0;
}

/* The folder of the host, or the link that stands for it. */
static int add_programs(const char *path, struct err *err)
{
	char to[64], link[64];
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	_cleanup_close_ int tree = -1;

	snprintf(to, sizeof(to), BASE "%s", path);
	if (length > 0) {
		link[length] = '\0';
		return symlink(link, to) == 0 ? 0 : err_sys_as(err, ERR_HOST, errno, "make %s", to);
	}
	tree = mount_clone(path, 0);
	if (tree < 0 && errno == ENOENT)
		return 0; /* not every host has a /lib32 */
	return attach(tree, to, true, err);
}

static int write_text(const char *path, const char *text, size_t size, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || fs_write_all(fd, text, size) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make %s for Debian's tools", path);
	return 0;
}

static int add_files(const struct tools *tools, struct err *err)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n";
	static const char group[] = "root:x:0:\n";
	_cleanup_free_ char *keys = NULL;
	size_t size;

	if (fs_read_fd(tools->keyring, "the keyring", KEYRING_BYTES_MAX, &keys, &size, err) < 0 ||
	    write_text(BASE TOOLS_KEYRING, keys, size, err) < 0)
		return -1;
	if (mkdir(BASE "/etc", 0755) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make /etc for Debian's tools");
	if (write_text(BASE "/etc/passwd", passwd, strlen(passwd), err) < 0 ||
	    write_text(BASE "/etc/group", group, strlen(group), err) < 0)
		return -1;
	/* awk is a link there */
	return add_programs("/etc/alternatives", err);
}

static int add_devices(const char *folder, struct err *err)
{
	static const char *const names[] = { "null", "zero", "full", "random", "urandom", "tty" };

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return err_sys_as(err, ERR_HOST, errno, "make %s", folder);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char from[32], to[64];
		_cleanup_close_ int node = -1, tree = -1;
		struct stat st;

		snprintf(from, sizeof(from), "/dev/%s", names[i]);
		snprintf(to, sizeof(to), "%s/%s", folder, names[i]);
		node = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		tree = mount_clone(from, 0);
		if (node < 0 || tree < 0 || fstat(tree, &st) < 0 || mount_attach(tree, node) < 0)
			return err_sys_as(err, ERR_HOST, errno, "make %s", to);
		if (!S_ISCHR(st.st_mode) || (major(st.st_rdev) != 1 && major(st.st_rdev) != 5))
			return err_set(err, ERR_HOST, "open %s: not the device of that name", from);
	}
	return 0;
}

static int add_memory(const char *path, const char *options, struct err *err)
{
	if ((mkdir(path, 0755) < 0 && errno != EEXIST) ||
	    mount("tmpfs", path, "tmpfs", PLAIN, options) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make %s for Debian's tools", path);
	return 0;
}

/* The target's devices are there before its packages: nothing inside may mount. */
static int add_target(const struct child *child, struct err *err)
{
	static const char target[] = BASE TOOLS_TARGET;
	char options[64];

	if (child->target < 0 && child->tools->memory_bytes == 0)
		return 0;
	if (child->target >= 0) {
		_cleanup_close_ int tree = mount_clone_fd(child->target, 0);

		if (attach(tree, target, false, err) < 0)
			return -1;
	} else {
		snprintf(options, sizeof(options), "mode=0755,size=%llu",
			 (unsigned long long)child->tools->memory_bytes);
		if (add_memory(target, options, err) < 0)
			return -1;
	}
	if (add_memory(BASE TOOLS_TARGET "/dev", "mode=0755,size=64k", err) < 0)
		return -1;
	return add_devices(BASE TOOLS_TARGET "/dev", err);
}

static int hide_host(struct err *err)
{
	/* an administrator's own programs and what else is there are nobody's business */
	static const char *const hidden[] = { BASE "/usr/local", BASE "/usr/src" };

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (access(hidden[i], F_OK) == 0 &&
		    mount("tmpfs", hidden[i], "tmpfs", READ_ONLY | PLAIN,
			  "size=4k,mode=0555") < 0)
			return err_sys_as(err, ERR_HOST, errno, "hide %s", hidden[i]);
	return 0;
}

static int make_proc(struct err *err)
{
	static const char *const read_only[] = { BASE "/proc/sys", BASE "/proc/irq", BASE "/proc/bus",
						 BASE "/proc/fs" };

	if (mkdir(BASE "/proc", 0555) < 0 ||
	    mount("proc", BASE "/proc", "proc", PLAIN | NO_EXEC, NULL) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make /proc for Debian's tools");
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
		const char *path = read_only[i];

		if (mount(path, path, NULL, BIND, NULL) < 0 ||
		    mount(NULL, path, NULL, REMOUNT_BIND | READ_ONLY | PLAIN | NO_EXEC, NULL) < 0)
			return err_sys_as(err, ERR_HOST, errno, "make %s read-only", path);
	}
	return 0;
}

static int enter_root(const struct child *child, struct err *err)
{
	static const char *const programs[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
						"/libx32" };
	_cleanup_close_ int root = -1, mirror = -1;

	umask(022);
	if (mount_make_private() < 0)
		return err_sys_as(err, ERR_HOST, errno, "make mounts private");
	if (add_memory(BASE, "mode=0755,size=32m", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (add_programs(programs[i], err) < 0)
			return -1;
	if (child->mirror >= 0)
		mirror = mount_clone_fd(child->mirror, 0);
	if (hide_host(err) < 0 || add_files(child->tools, err) < 0 ||
	    add_devices(BASE "/dev", err) < 0 ||
	    (child->mirror >= 0 && attach(mirror, BASE TOOLS_MIRROR, true, err) < 0) ||
	    add_target(child, err) < 0 || add_memory(BASE "/tmp", TMP_OPTIONS, err) < 0 ||
	    make_proc(err) < 0)
		return -1;
	root = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mount_pivot(root) < 0 ||
	    mount(NULL, "/", NULL, REMOUNT_BIND | READ_ONLY | PLAIN, NULL) < 0)
		return err_sys_as(err, ERR_HOST, errno, "enter a root for Debian's tools");
	return 0;
}

static int limit(__rlimit_resource_t resource, uint64_t value)
{
	const struct rlimit both = { value, value };

	return value ? setrlimit(resource, &both) : 0;
}

static int drop_rights(const struct child *child, struct err *err)
{
	const struct rlimit memory = { ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES }, core = { 1, 1 };
	bool single = child->tools->map->kind == IDMAP_SINGLE;

	if (setrlimit(RLIMIT_AS, &memory) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 ||
	    limit(RLIMIT_CPU, child->tools->cpu_s) < 0 ||
	    limit(RLIMIT_FSIZE, child->tools->file_bytes) < 0)
		return err_sys_as(err, ERR_HOST, errno, "limit Debian's tools");
	if (filter_load_gaining(single ? FILTER_JOB_SINGLE : FILTER_JOB, err) < 0)
		return -1;
	return caps_limit(caps_step_default(), err);
}

/* ---- the steps ------------------------------------------------------------------------------- */

_Noreturn static void become(const struct child *child, size_t number)
{
	const struct tools_step *step = &child->tools->steps[number];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = step->in >= 0 ? step->in : null, out = step->out >= 0 ? step->out : child->words;

	/* a program that signals its group must not reach the one that waits for it */
	setsid();
	if (null < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(child->words, 2) < 0 ||
	    (step->more >= 0 && dup2(step->more, TOOLS_MORE_FD) < 0))
		_exit(126);
	execve(child->programs[number], step->argv->items, child->tools->environment->items);
	_exit(127);
}

/* This is PID 1: what a program left behind is killed, and reaped, before anything else runs. */
static int run_step(const struct child *child, size_t number)
{
	pid_t pid = fork();
	int code;

	if (pid < 0)
		return 126;
	if (pid == 0)
		become(child, number);
	code = proc_wait(pid);
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	return code;
}

static int enter(void *data)
{
	struct child *child = data;
	struct err err = { 0 };
	int code = 0;

	if (sethostname("build", 5) < 0)
		err_sys_as(&err, ERR_HOST, errno, "set a host name");
	if (err.code || enter_root(child, &err) < 0 || drop_rights(child, &err) < 0)
		return jail_report(child->report, &err);
	/* nothing of the caller's goes on into a program */
	syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
	for (size_t i = 0; code == 0 && i < child->tools->step_count; i++)
		code = run_step(child, i);
	return code < 0 ? 126 : code;
}

/* ---- the parent ------------------------------------------------------------------------------ */

static void listen_to(const struct tools *tools, int fd)
{
	char chunk[4096], line[LINE_MAX_BYTES];
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		for (ssize_t i = 0; i < got; i++) {
			bool ends = chunk[i] == '\n' || chunk[i] == '\r';

			if (!ends)
				line[used++] = chunk[i] ? chunk[i] : ' ';
			if (used > 0 && (ends || used == sizeof(line) - 1)) {
				line[used] = '\0';
				tools->said(tools->data, line);
				used = 0;
			}
		}
	}
	line[used] = '\0';
	if (used > 0)
		tools->said(tools->data, line);
}

static int find_programs(struct child *child, struct err *err)
{
	for (size_t i = 0; i < child->tools->step_count; i++) {
		const char *name = child->tools->steps[i].argv->items[0];

		child->programs[i] = proc_find_helper(name);
		if (child->programs[i])
			continue;
		err_set(err, ERR_HOST, "find %s: it is not installed", name);
		return err_mend(err, "install the package %s", name);
	}
	return 0;
}

static int run(struct child *child, const struct idmap *map, int *ret_code, struct err *err)
{
	const uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			       CLONE_NEWNET | CLONE_NEWCGROUP;
	struct jail_entry entry = { .before = before, .enter = enter, .data = child };
	_cleanup_close_ int words = -1, words_end = -1, report = -1, report_end = -1;
	struct jail jail;
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	words = pair[0];
	child->words = words_end = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	report = pair[0];
	child->report = report_end = pair[1];
	if (jail_start(&jail, map, flags, &entry, err) < 0)
		return -1;
	close(TAKE_FD(words_end));
	close(TAKE_FD(report_end));
	listen_to(child->tools, words);
	jail_take_report(report, err);
	*ret_code = jail_wait(&jail);
	return err->code ? -1 : 0;
}

int tools_run(const struct tools *tools, int *ret_code, struct err *err)
{
	struct child child = { .tools = tools, .mirror = -1, .target = -1 };
	struct idmap map;
	int result = find_programs(&child, err);

	tools_map(tools->map, &map);
	if (result == 0)
		result = run(&child, &map, ret_code, err);
	for (size_t i = 0; i < ARRAY_SIZE(child.programs); i++)
		free(child.programs[i]);
	return result;
}
