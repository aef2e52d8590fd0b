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
 *	 3	inside.c: what is mounted below the new root, all by descriptor, sysctls and masks before
 *		anything of the job's
 *	 4	pivot_root; the host's tree is detached: from here on nothing of the host has a path
 *	 5	inside.c: sysctls, masks and read-only places are looked at again
 *	 6	rights: no_new_privs, filters, capabilities, each read back
 *	 7	descriptors above the channel closed, exec of the sealed memfd
 *
 * An error is written to the report pipe as "class code, text" and the child exits 125.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/sys.h"
#include "runners/container/container.h"

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

/* Found again in this namespace and compared: its name may lead elsewhere by now. */
static int bind_source(struct container *container, size_t number, struct err *err)
{
	const struct mount *mount = &container->job->mounts[number];
	_cleanup_close_ int fd = mount_find(mount->fd, "the source of a mount", err);

	if (fd < 0)
		return -1;
	container->binds[number] = mount_clone_fd(fd, mount->kind == MOUNT_BIND ? AT_RECURSIVE : 0);
	return container->binds[number] >= 0
		       ? 0 : err_sys_as(err, ERR_CONTAINER, errno, "mount %s", mount->source);
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
		enum mount_kind kind = container->job->mounts[i].kind;

		/* root's bind mounts are there: they went through a map of their own */
		if ((kind == MOUNT_FOLDER || (kind == MOUNT_BIND && container->binds[i] < 0)) &&
		    bind_source(container, i, err) < 0)
			return -1;
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

/* ---- inside ---------------------------------------------------------------------------------- */

static int enter_root(int root, struct err *err)
{
	if (mount_pivot(root) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "pivot_root");
	return 0;
}

/* A core dump of a step would end in the layer; with a limit of 1 no helper gets it either. */
static int forbid_dumps(struct err *err)
{
	const struct rlimit none = { 1, 1 };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "forbid core dumps");
	return 0;
}

/*
 * A step may gain rights by exec: its filter comes without no_new_privs, while there is CAP_SYS_ADMIN.
 * The one that keeps set-id bits out of host folders belongs to the mounts: `unconfined` has it too.
 */
static int load_filters(const struct container *container, struct err *err)
{
	const struct job *job = container->job;
	bool single = container->map->kind == IDMAP_SINGLE;
	enum filter_kind kind = single ? FILTER_JOB_SINGLE : FILTER_JOB;
	int result = 0;

	if (job->step)
		result = filter_load_gaining(kind, err);
	else if (job->seccomp != SECCOMP_UNCONFINED || single)
		result = filter_load(kind, err);
	if (result == 0 && job_writes_to_host(job))
		result = filter_load_no_setid(err);
	return result;
}

static int drop_rights(const struct container *container, struct err *err)
{
	if (container->job->step && forbid_dumps(err) < 0)
		return -1;
	if (load_filters(container, err) < 0)
		return -1;
	return caps_limit(container->job->capabilities | INIT_CAPABILITIES, err);
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
	    container_mount_below(container, root, &err) < 0 || enter_root(root, &err) < 0 ||
	    container_check_inside(container, &err) < 0 || drop_rights(container, &err) < 0)
		return report(container, &err);
	exec_init(container, &err);
	return report(container, &err);
}
