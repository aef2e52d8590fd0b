/*
 * QEMU in its jail: see launch.h. The child's stages, in order:
 *
 *	before	new user, mount, pid, net, ipc, uts and cgroup namespaces; all capabilities in the new
 *		user namespace, still the caller's own ids: opens what is to be bound
 *	 1	the one id of the namespace: root's is IDMAP_ROOT_BASE outside, a user's its own
 *	 2	an empty tmpfs; the system's libraries and QEMU's data, read-only; the kernel, the
 *		initramfs, /dev/null and /dev/urandom
 *	 3	pivot_root; from here on nothing else of the host has a path; the root becomes read-only
 *	 4	limits, no capabilities, no_new_privs, the filters
 *	 5	descriptors at their numbers, all others closed; exec by descriptor
 */
#include "runners/vm/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/proc.h"

#define NAMESPACES ((uint64_t)(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | \
			       CLONE_NEWNET | CLONE_NEWCGROUP))
#define BASE "/tmp"		/* covered in the new mount namespace; every host has it */
#define FD_HIGH 100		/* above every number that QEMU gets */
#define DESCRIPTORS_MAX 1024
#define STATE_BYTES_MAX (64u << 20)	/* of a saved state beside the memory */
#define START_MS 60000		/* a loaded host; QEMU takes 50 ms */

/* What QEMU needs of the host. What is not there on this system is left out. */
static const char *const host_paths[] = {
	"/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/qemu", "/usr/share/seabios",
	"/usr/share/vgabios", "/etc/ld.so.cache", "/dev/null", "/dev/urandom",
};

#define HOST_PATHS (sizeof(host_paths) / sizeof(host_paths[0]))

struct child {
	const struct launch *launch;
	int report;			/* our end of a socket that exec closes */
	int trees[HOST_PATHS];		/* detached mounts, or -1 */
	int vmlinux;			/* likewise */
};

int launch_find(int *ret_program, struct err *err)
{
	const char *override = getenv("DUET_QEMU");
	_cleanup_free_ char *path = override ? xstrdup(override) : proc_find_helper(QEMU_PROGRAM);

	*ret_program = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (*ret_program >= 0)
		return 0;
	if (path)
		return err_sys_as(err, ERR_HOST, errno, "open %s", path);
	err_set(err, ERR_HOST, "find " QEMU_PROGRAM ": it is not installed");
	return err_mend(err, "sudo apt-get install --no-install-recommends qemu-system-x86");
}

/* ---- before ---------------------------------------------------------------------------------- */

static int before(void *data)
{
	struct child *child = data;
	_cleanup_close_ int found = -1;
	struct err err = { 0 };
	char path[40];

	for (size_t i = 0; i < HOST_PATHS; i++) {
		struct stat st;

		child->trees[i] = -1;
		if (lstat(host_paths[i], &st) < 0 || S_ISLNK(st.st_mode))
			continue;
		child->trees[i] = mount_clone(host_paths[i], AT_RECURSIVE);
		if (child->trees[i] < 0) {
			err_sys_as(&err, ERR_HOST, errno, "mount %s", host_paths[i]);
			return jail_report(child->report, &err);
		}
	}
	child->vmlinux = -1;
	if (!child->launch->machine->kernel)
		return 0;
	found = mount_find(child->launch->vmlinux, "kernel", &err);
	if (found < 0)
		return jail_report(child->report, &err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	child->vmlinux = mount_clone(path, 0);
	if (child->vmlinux >= 0)
		return 0;
	err_sys_as(&err, ERR_HOST, errno, "mount the kernel");
	return jail_report(child->report, &err);
}

/* ---- the root -------------------------------------------------------------------------------- */

static int make_parents(int root, const char *path)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", path + 1);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(root, copy, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

/* A detached mount at `path` below the root, sealed. */
static int put(int root, int tree, const char *path, bool seal)
{
	_cleanup_close_ int target = -1;
	struct stat st;

	if (fstat(tree, &st) < 0 || make_parents(root, path) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		if (mkdirat(root, path + 1, 0755) < 0)
			return -1;
	} else {
		_cleanup_close_ int file = openat(root, path + 1, O_WRONLY | O_CREAT | O_EXCL |
						  O_CLOEXEC, 0644);

		if (file < 0)
			return -1;
	}
	target = openat(root, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || (seal && mount_seal(tree) < 0))
		return -1;
	return mount_attach(tree, target);
}

/* A link of the host's own, such as /lib -> usr/lib, as it is. */
static int copy_link(int root, const char *path)
{
	char target[64];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length < 0)
		return errno == EINVAL || errno == ENOENT ? 0 : -1;
	target[length] = '\0';
	return make_parents(root, path) < 0 ? -1 : symlinkat(target, root, path + 1);
}

static int fill_root(const struct child *child, int root, struct err *err)
{
	for (size_t i = 0; i < HOST_PATHS; i++) {
		bool device = !strncmp(host_paths[i], "/dev/", 5);
		int result = child->trees[i] < 0 ? copy_link(root, host_paths[i])
						 : put(root, child->trees[i], host_paths[i], !device);

		if (result < 0)
			return err_sys_as(err, ERR_HOST, errno, "put %s into QEMU's jail",
					  host_paths[i]);
	}
	/* QEMU finds its parts by /usr/bin/../lib */
	if (make_parents(root, "/usr/bin/") < 0)
		return err_sys_as(err, ERR_HOST, errno, "make QEMU's jail");
	if (child->vmlinux >= 0 && put(root, child->vmlinux, QEMU_KERNEL, true) < 0)
		return err_sys_as(err, ERR_HOST, errno, "put the kernel into QEMU's jail");
	return 0;
}

static int write_initrd(const struct child *child, int root, struct err *err)
{
	const struct str *initrd = child->launch->initrd;
	_cleanup_close_ int file = -1;

	if (!child->launch->machine->kernel)
		return 0;
	file = openat(root, QEMU_INITRD + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0 || fs_write_all(file, initrd->text, initrd->length) < 0)
		return err_sys_as(err, ERR_HOST, errno, "write the initramfs");
	return 0;
}

static int make_root(const struct child *child, struct err *err)
{
	_cleanup_close_ int root = -1;

	if (mount_make_private() < 0 ||
	    mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return err_sys_as(err, ERR_HOST, errno, "mount a root for QEMU's jail");
	root = open(BASE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys_as(err, ERR_HOST, errno, "open " BASE);
	if (fill_root(child, root, err) < 0 || write_initrd(child, root, err) < 0)
		return -1;
	if (mount_pivot(root) < 0 ||
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
		return err_sys_as(err, ERR_HOST, errno, "enter QEMU's jail");
	return 0;
}

/* ---- rights ---------------------------------------------------------------------------------- */

/* Never raised: not everybody may. */
static int limit(int resource, uint64_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return -1;
	if (now.rlim_max > most)
		now.rlim_max = most;
	now.rlim_cur = now.rlim_max;
	return setrlimit(resource, &now);
}

/* No file that QEMU can write needs to be larger: its memory, a saved state, the disks as they are. */
static uint64_t largest_file(const struct launch *launch)
{
	uint64_t largest = launch->machine->memory_bytes + STATE_BYTES_MAX;

	for (size_t i = QEMU_FD_DISK; i < QEMU_FD_END; i++) {
		struct stat st;

		if (launch->fds[i] >= 0 && fstat(launch->fds[i], &st) == 0 &&
		    (uint64_t)st.st_size > largest)
			largest = (uint64_t)st.st_size;
	}
	return largest;
}

static int limit_all(const struct launch *launch, struct err *err)
{
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_NOFILE, DESCRIPTORS_MAX) < 0 ||
	    limit(RLIMIT_FSIZE, largest_file(launch)) < 0)
		return err_sys_as(err, ERR_HOST, errno, "limit QEMU");
	return 0;
}

static int drop_rights(const struct child *child, struct err *err)
{
	if (limit_all(child->launch, err) < 0 || caps_limit(0, err) < 0)
		return -1;
	if (child->launch->file_count > 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || notify_load(child->report) < 0)
			return err_sys_as(err, ERR_HOST, errno, "load QEMU's filter");
	}
	return filter_load(FILTER_QEMU, err);
}

/* ---- exec ------------------------------------------------------------------------------------ */

/* Every descriptor high first, so that none is overwritten before it was moved. */
static int arrange(const struct child *child, int *ret_program, int *ret_report)
{
	const struct launch *launch = child->launch;
	int high[QEMU_FD_END], words = fcntl(launch->words, F_DUPFD_CLOEXEC, FD_HIGH);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (int i = QEMU_FD_AGENT; i < QEMU_FD_END; i++)
		high[i] = launch->fds[i] < 0 ? -1
					     : fcntl(launch->fds[i], F_DUPFD_CLOEXEC, FD_HIGH);
	*ret_program = fcntl(launch->program, F_DUPFD_CLOEXEC, FD_HIGH);
	*ret_report = fcntl(child->report, F_DUPFD_CLOEXEC, FD_HIGH);
	if (words < 0 || null < 0 || *ret_program < 0 || *ret_report < 0 || dup2(null, 0) < 0 ||
	    dup2(words, 1) < 0 || dup2(words, 2) < 0)
		return -1;
	/* what duet's caller left open, too */
	if (syscall(SYS_close_range, QEMU_FD_AGENT, FD_HIGH - 1, 0) < 0 ||
	    syscall(SYS_close_range, FD_HIGH, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (int i = QEMU_FD_AGENT; i < QEMU_FD_END; i++)
		if (launch->fds[i] >= 0 && (high[i] < 0 || dup2(high[i], i) < 0))
			return -1;
	return 0;
}

static int start(struct child *child, struct err *err)
{
	static char *const environment[] = { "LC_ALL=C", NULL };
	struct strv argv = { 0 };
	int program;

	qemu_argv(child->launch->machine, &argv);
	if (make_root(child, err) < 0 || drop_rights(child, err) < 0)
		return -1;
	if (arrange(child, &program, &child->report) < 0)
		return err_sys_as(err, ERR_HOST, errno, "arrange QEMU's descriptors");
	syscall(SYS_execveat, program, "", argv.items, environment, AT_EMPTY_PATH);
	return err_sys_as(err, ERR_HOST, errno, "exec " QEMU_PROGRAM);
}

static int enter(void *data)
{
	struct child *child = data;
	struct err err = { 0 };

	start(child, &err);
	return jail_report(child->report, &err);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* One id: root's is one that nobody has, a user's its own. Only root can drop its groups. */
static void find_map(struct idmap *ret)
{
	bool root = geteuid() == 0;

	*ret = (struct idmap){ .kind = root ? IDMAP_RANGE : IDMAP_SINGLE, .uid_extents = 1,
			       .gid_extents = 1 };
	ret->uids[0] = (struct idmap_extent){ 0, root ? IDMAP_ROOT_BASE : geteuid(), 1 };
	ret->gids[0] = (struct idmap_extent){ 0, root ? IDMAP_ROOT_BASE : getegid(), 1 };
}

static int serve(const struct launch *launch, int report, struct err *err)
{
	_cleanup_close_ int listener = notify_take(report);

	if (listener < 0) {
		err_set(err, ERR_HOST, "start QEMU: it ended");
		jail_take_report(report, err);
		return -1;
	}
	return notify_serve(listener, launch->files, launch->file_count, launch->control, START_MS,
			    err);
}

/* Nothing comes when exec has closed the other end. */
static int wait_for_exec(int report, struct err *err)
{
	struct err told = { 0 };

	jail_take_report(report, &told);
	if (!told.code)
		return 0;
	err_move(err, &told);
	return -1;
}

int launch_start(const struct launch *launch, struct jail *ret, struct err *err)
{
	struct child child = { .launch = launch };
	struct jail_entry entry = { .before = before, .enter = enter, .data = &child };
	_cleanup_close_ int ours = -1, theirs = -1;
	struct idmap map;
	int pair[2], result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make socketpair");
	ours = pair[0];
	theirs = pair[1];
	child.report = theirs;
	find_map(&map);
	if (jail_start(ret, &map, NAMESPACES, &entry, err) < 0)
		return -1;
	close(TAKE_FD(theirs));
	result = launch->file_count > 0 ? serve(launch, ours, err) : wait_for_exec(ours, err);
	if (result < 0)
		jail_kill(ret);
	return result;
}
