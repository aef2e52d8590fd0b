/*
 * The child's side of a container, up to the exec of duet-init. Each stage in order, with what it
 * must and must not do:
 *
 *	before	new user, mount, pid, ipc, uts, cgroup (and network) namespaces; all capabilities in
 *		the new user namespace, but still the caller's own ids: opens the layers' trees and the
 *		bind sources in the new mount namespace. Must not write anything.
 *	 1	uid 0 of the namespace: host name, loopback
 *	 2	root.c: the overlay on /tmp of the new mount namespace; its upper is in the store, or on a
 *		tmpfs below it
 *	 3	file systems, devices, job mounts below the new root, all by descriptor: no path of
 *		the image is followed for /proc, /sys and /dev; others are resolved inside the root
 *	 4	pivot_root; the host's tree is detached: from here on nothing of the host has a path
 *	 5	sysctls, masks, read-only
 *	 6	rights: capabilities, no_new_privs, filter, each read back
 *	 7	descriptors above the channel closed, exec of the sealed memfd
 *
 * An error is written to the report pipe as "class code, text" and the child exits 125.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/sys.h"
#include "runners/container/container.h"

/* <sys/mount.h> of glibc 2.36 and <linux/mount.h> cannot be included together */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);

#define CHANNEL_FD 3		/* where duet-init expects the agent */

/* What starting a job takes, besides what the job itself may have. */
#define INIT_CAPABILITIES ((1ull << 0 /* CHOWN */) | (1ull << 5 /* KILL */) | \
			   (1ull << 6 /* SETGID */) | (1ull << 7 /* SETUID */) | \
			   (1ull << 8 /* SETPCAP */))

static int report(const struct container *container, struct err *err)
{
	return jail_report(container->report, err);
}

/* ---- before ---------------------------------------------------------------------------------- */

static int bind_folder(struct container *container, size_t number, struct err *err)
{
	_cleanup_close_ int fd = mount_find(container->job->mounts[number].folder, "folder", err);
	char path[40];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	container->binds[number] = mount_clone(path, 0);
	if (container->binds[number] < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount a folder of the store");
	return 0;
}

static int open_sources(struct container *container, struct err *err)
{
	if (container->upper >= 0) {
		container->upper = mount_find(container->upper, "folder", err);
		container->work = container->upper < 0 ? -1 : mount_find(container->work, "folder", err);
		if (container->work < 0)
			return -1;
	}
	if (container->stubs >= 0) {
		container->stubs = mount_find(container->stubs, "folder", err);
		if (container->stubs < 0)
			return -1;
	}
	for (size_t i = 0; i < container->rootfs->layer_count; i++) {
		container->layers[i] = mount_find(container->rootfs->layers[i].tree, "layer", err);
		if (container->layers[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < container->job->mount_count; i++) {
		const struct mount *mount = &container->job->mounts[i];

		if (mount->kind == MOUNT_FOLDER && bind_folder(container, i, err) < 0)
			return -1;
		if (mount->kind != MOUNT_BIND || container->binds[i] >= 0)
			continue;
		container->binds[i] = mount_clone(mount->source, AT_RECURSIVE);
		if (container->binds[i] < 0) {
			err_sys_as(err, ERR_CONTAINER, errno, "mount %s", mount->source);
			return err_mend(err, "the source of a mount must exist and be readable");
		}
	}
	return container_open_images(container, err);
}

static int wait_for_net(const struct container *container, struct err *err)
{
	char go;

	if (container->job->network != NETWORK_NAT)
		return 0;
	return read(container->net_go, &go, 1) == 1 ? 0 : err_set(err, ERR_CONTAINER,
								  "there is no network");
}

int container_before(void *data)
{
	struct container *container = data;
	struct err err = { 0 };

	if (open_sources(container, &err) < 0 || wait_for_net(container, &err) < 0)
		return report(container, &err);
	return 0;
}

static int raise_loopback(struct err *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "raise loopback");
	return 0;
}

/* ---- mounts below it ------------------------------------------------------------------------- */

static bool is_ours(const char *target)
{
	return str_has_prefix(target, "/proc") || str_has_prefix(target, "/sys") ||
	       str_has_prefix(target, "/dev");
}

/* Opens a mount's target below root, made when it is missing (a folder, or an empty file). */
static int open_target(int root, const char *target, bool folder, struct err *err)
{
	int (*open_below)(int, const char *, int, mode_t) =
		is_ours(target) ? fs_open_no_links : fs_open_in_root;
	_cleanup_free_ char *parent_path = NULL;
	_cleanup_close_ int parent = -1;
	const char *slash = strrchr(target, '/');
	int fd = open_below(root, target, O_PATH | (folder ? O_DIRECTORY : 0), 0);

	if (fd >= 0)
		return fd;
	if (errno == ELOOP) {
		err_set(err, ERR_CONTAINER, "mount on %s: the image has a symbolic link there", target);
		return err_mend(err, "a container needs real folders for /proc, /sys and /dev");
	}
	if (errno != ENOENT)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount on %s", target);
	parent_path = xstrndup(target, slash == target ? 1 : (size_t)(slash - target));
	parent = slash == target ? fcntl(root, F_DUPFD_CLOEXEC, 3)
				 : open_target(root, parent_path, true, err);
	if (parent < 0)
		return -1;
	if (folder) {
		if (mkdirat(parent, slash + 1, 0755) < 0 && errno != EEXIST)
			return err_sys_as(err, ERR_CONTAINER, errno, "make %s", target);
	} else {
		_cleanup_close_ int file = openat(parent, slash + 1, O_WRONLY | O_CREAT | O_EXCL |
						  O_NOFOLLOW | O_CLOEXEC, 0644);

		if (file < 0 && errno != EEXIST)
			return err_sys_as(err, ERR_CONTAINER, errno, "make %s", target);
	}
	fd = openat(parent, slash + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open %s", target);
	return fd;
}

static int mount_fs(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int target = open_target(root, op->target, true, err);
	char path[40];

	if (target < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount(op->source, path, op->source, op->flags, op->options) == 0)
		return 0;
	err_sys_as(err, ERR_HOST, errno, "mount %s on %s", op->source, op->target);
	if (!strcmp(op->source, "proc") || !strcmp(op->source, "sysfs"))
		err_mend(err, "duet runs where parts of %s are masked (inside another container?); "
			 "run that one with its masks off", op->target);
	return -1;
}

/* The host's own node, checked to be the character device it is called. */
static int mount_device(int root, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int target = open_target(root, op->target, false, err);
	_cleanup_close_ int source = target < 0 ? -1 : mount_clone(op->source, 0);
	struct stat st;

	if (target < 0)
		return -1;
	if (source < 0 || fstat(source, &st) < 0)
		return err_sys_as(err, ERR_HOST, errno, "open %s", op->source);
	if (!S_ISCHR(st.st_mode) || (major(st.st_rdev) != 1 && major(st.st_rdev) != 5))
		return err_set(err, ERR_HOST, "open %s: not the device of that name", op->source);
	if (mount_attach(source, target) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount on %s", op->target);
	return 0;
}

static int make_link(int root, const struct mount_op *op, struct err *err)
{
	/* only below /dev, our own tmpfs */
	_cleanup_close_ int dev = open_target(root, "/dev", true, err);

	if (dev < 0)
		return -1;
	if (symlinkat(op->source, dev, strrchr(op->target, '/') + 1) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make %s", op->target);
	return 0;
}

static int mount_bind(const struct container *container, int root, const struct mount_op *op,
		      struct err *err)
{
	int source = container->binds[op->bind];
	_cleanup_close_ int target = -1;
	char path[40];
	struct stat st;

	if (fstat(source, &st) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "look at %s", op->source);
	target = open_target(root, op->target, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return -1;
	if (mount_attach(source, target) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount %s on %s", op->source,
				  op->target);
	/* `source` is the mounted tree now; flags that the host locked on it must stay */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", source);
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | op->flags, NULL) == 0)
		return 0;
	if (errno == EPERM && mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | op->flags |
				    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return 0;
	return err_sys_as(err, ERR_CONTAINER, errno, "set the flags of %s", op->target);
}

static int make_file(const struct container *container, int root, const struct mount_op *op,
		     struct err *err)
{
	_cleanup_close_ int there = fs_open_in_root(root, op->target, O_PATH | O_NOFOLLOW, 0);
	_cleanup_close_ int file = -1;
	struct stat st;

	/* one that is empty says as little as none */
	if (there >= 0 && (fstat(there, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0))
		return 0;
	/* what a step writes is kept: this is not to be in it */
	if (container->job->step)
		return container_bind_text(container, root, op->target, op->source, err);
	file = fs_open_in_root(root, op->target, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644);
	if (file < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			? 0 /* no /etc: an image without one needs no hosts file */
			: err_sys_as(err, ERR_CONTAINER, errno, "make %s", op->target);
	if (fs_write_all(file, op->source, strlen(op->source)) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "write %s", op->target);
	return 0;
}

/* A step has its stub; what a run writes is thrown away, so a link that leads nowhere gives way. */
static int put_resolver(const struct container *container, int root, struct err *err)
{
	_cleanup_close_ int there = fs_open_in_root(root, RESOLVER_FILE, O_PATH, 0), etc = -1, made = -1;

	if (there < 0 && !container->job->step) {
		etc = open_target(root, "/etc", true, err);
		if (etc < 0)
			return -1;
		(void)unlinkat(etc, strrchr(RESOLVER_FILE, '/') + 1, 0);
		made = open_target(root, RESOLVER_FILE, false, err);
		if (made < 0)
			return -1;
	}
	return container_bind_text(container, root, RESOLVER_FILE, container->resolver, err);
}

static int mount_below(const struct container *container, int root, struct err *err)
{
	for (size_t i = 0; i < container->mounts.count; i++) {
		const struct mount_op *op = &container->mounts.ops[i];
		int result = 0;

		if (op->kind == MOUNT_OP_FS)
			result = mount_fs(root, op, err);
		else if (op->kind == MOUNT_OP_DEVICE)
			result = mount_device(root, op, err);
		else if (op->kind == MOUNT_OP_LINK)
			result = make_link(root, op, err);
		else if (op->kind == MOUNT_OP_BIND)
			result = mount_bind(container, root, op, err);
		else if (op->kind == MOUNT_OP_FILE)
			result = make_file(container, root, op, err);
		if (result < 0)
			return -1;
	}
	if (container->resolver && put_resolver(container, root, err) < 0)
		return -1;
	return container_put_secrets(container, root, err);
}

/* ---- inside ---------------------------------------------------------------------------------- */

static int enter_root(int root, struct err *err)
{
	if (mount_pivot(root) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "pivot_root");
	return 0;
}

static int write_sysctl(const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int fd = open(op->target, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || write(fd, op->source, strlen(op->source)) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "write %s", op->target);
	return 0;
}

static int mask(const struct mount_op *op, struct err *err)
{
	struct stat st;
	int result;

	if (lstat(op->target, &st) < 0)
		return errno == ENOENT ? 0 : err_sys_as(err, ERR_CONTAINER, errno, "look at %s",
							op->target);
	if (S_ISDIR(st.st_mode))
		result = mount("tmpfs", op->target, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV,
			       "size=4k,mode=0555");
	else
		result = mount("/dev/null", op->target, NULL, MS_BIND, NULL);
	if (result < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mask %s", op->target);
	return 0;
}

static int make_read_only(const struct mount_op *op, struct err *err)
{
	bool root = !strcmp(op->target, "/");

	if (!root && mount(op->target, op->target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return errno == ENOENT ? 0 : err_sys_as(err, ERR_CONTAINER, errno, "bind %s",
							op->target);
	if (mount(NULL, op->target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | op->flags, NULL) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "make %s read-only", op->target);
	return 0;
}

static int seal_paths(const struct container *container, struct err *err)
{
	for (size_t i = 0; i < container->mounts.count; i++) {
		const struct mount_op *op = &container->mounts.ops[i];
		int result = 0;

		if (op->kind == MOUNT_OP_SYSCTL)
			result = write_sysctl(op, err);
		else if (op->kind == MOUNT_OP_MASK)
			result = mask(op, err);
		else if (op->kind == MOUNT_OP_READ_ONLY)
			result = make_read_only(op, err);
		if (result < 0)
			return -1;
	}
	return 0;
}

/*
 * A step may gain rights by exec: its filter comes first, while there is CAP_SYS_ADMIN. A core dump
 * would end in the layer, secrets with it; with a limit of 1 the kernel hands none to a helper either.
 */
static int drop_rights_of_step(const struct container *container, struct err *err)
{
	const struct rlimit none = { 1, 1 };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "forbid core dumps");
	if (filter_load_gaining(container->map->kind == IDMAP_SINGLE ? FILTER_JOB_SINGLE : FILTER_JOB,
				err) < 0)
		return -1;
	return caps_limit(container->job->capabilities | INIT_CAPABILITIES, err);
}

static int drop_rights(const struct container *container, struct err *err)
{
	if (container->job->step)
		return drop_rights_of_step(container, err);
	if (caps_limit(container->job->capabilities | INIT_CAPABILITIES, err) < 0)
		return -1;
	if (container->job->seccomp == SECCOMP_UNCONFINED && container->map->kind != IDMAP_SINGLE)
		return 0;
	return filter_load(container->map->kind == IDMAP_SINGLE ? FILTER_JOB_SINGLE : FILTER_JOB,
			   err);
}

/* Standard streams on /dev/null, the channel at its number, the memfd above it, nothing else. */
static int exec_init(const struct container *container, struct err *err)
{
	static char *const argv[] = { "duet-init", NULL };
	static char *const envp[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), init = container->init;
	int report_fd = container->report;

	if (null < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open /dev/null");
	init = fcntl(init, F_DUPFD_CLOEXEC, 10);
	report_fd = fcntl(report_fd, F_DUPFD_CLOEXEC, 10);
	if (init < 0 || report_fd < 0 || dup2(container->channel, CHANNEL_FD) < 0 ||
	    dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "arrange descriptors");
	sys_close_others(CHANNEL_FD + 1, init, report_fd);
	syscall(SYS_execveat, init, "", argv, envp, AT_EMPTY_PATH);
	return err_sys_as(err, ERR_CONTAINER, errno, "exec duet-init");
}

int container_enter(void *data)
{
	struct container *container = data;
	const struct job *job = container->job;
	struct err err = { 0 };
	int root = -1;

	if (sethostname(job->hostname, strlen(job->hostname)) < 0) {
		err_sys_as(&err, ERR_CONTAINER, errno, "set host name %s", job->hostname);
		return report(container, &err);
	}
	umask(0022);
	if (raise_loopback(&err) < 0 || container_mount_root(container, &root, &err) < 0 ||
	    mount_below(container, root, &err) < 0 || enter_root(root, &err) < 0 ||
	    seal_paths(container, &err) < 0 || drop_rights(container, &err) < 0)
		return report(container, &err);
	exec_init(container, &err);
	return report(container, &err);
}
