/*
 * The container runner: namespaces, overlay on the layers' trees, duet-init from a sealed memfd, the
 * agent over a socketpair. The parent's side; the child's stages are in enter.c.
 *
 *	parent				child
 *	(1) detached bind mounts (root: idmapped), memfd, socketpair, report pipe
 *	(2) clone, id maps	->	(3) container_before, container_enter, exec
 *	(4) agent_run		<->	duet-init
 *	(5) kill, reap: the namespaces and all mounts go with the last process
 *
 * A build's step (step.c) goes the same way, with an upper that its caller keeps.
 *
 * Whatever ends the parent ends the child: its death signal, and the channel that closes.
 */
#include "runners/container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/jail/jail.h"
#include "core/jail/mount.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"
#include "runners/agent.h"
#include "runners/explain.h"
#include "runners/net.h"

#define NAMESPACES ((uint64_t)(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | \
			       CLONE_NEWNET | CLONE_NEWCGROUP))
#define HELLO_MS 30000		/* a container says hello within milliseconds; a loaded host may not */
#define INIT_BYTES_MAX (4 * 1024 * 1024)

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U		/* Linux 6.3 */
#endif

/*
 * A sealed copy of duet-init: what runs inside can neither write to the file on disk nor to this one
 * (CVE-2019-5736).
 */
static int seal_init(struct err *err)
{
	_cleanup_close_ int file = proc_open_own("duet-init", err), copy = -1;
	struct stat st;

	if (file < 0)
		return -1;
	if (fstat(file, &st) < 0 || st.st_size <= 0 || st.st_size > INIT_BYTES_MAX)
		return err_set(err, ERR_HOST, "read duet-init: not a program");
	copy = memfd_create("duet-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (copy < 0 && errno == EINVAL)
		copy = memfd_create("duet-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return err_sys(err, errno, "make memfd");
	for (off_t at = 0; at < st.st_size;) {
		ssize_t put = copy_file_range(file, &at, copy, NULL, (size_t)(st.st_size - at), 0);

		if (put > 0)
			continue;
		/* between file systems on older kernels */
		_cleanup_free_ char *text = NULL;

		if (fs_read_fd(file, "duet-init", INIT_BYTES_MAX, &text, NULL, err) < 0)
			return -1;
		if (ftruncate(copy, 0) < 0 || lseek(copy, 0, SEEK_SET) < 0 ||
		    fs_write_all(copy, text, (size_t)st.st_size) < 0)
			return err_sys(err, errno, "copy duet-init");
		break;
	}
	if (fchmod(copy, 0555) < 0 ||
	    fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_sys(err, errno, "seal duet-init");
	return TAKE_FD(copy);
}

static int pause_forever(void *data)
{
	(void)data;
	while (pause() < 0)
		;
	return 0;
}

/*
 * The maps of root's bind mounts, one for each pair of owners of a source. Who has the folder on the
 * host stands for the job's user, so that what the job makes there belongs to that owner; in a folder
 * that is somebody's, the host's root stands for nobody.
 */
struct bind_maps {
	struct {
		uid_t uid;
		gid_t gid;
		int userns;	/* owned */
	} at[CONTAINER_BINDS_MAX];
	size_t count;
};

static void bind_maps_done(struct bind_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		close(maps->at[i].userns);
}

/* A user namespace that only names a map; it lives as long as its descriptor. */
static int open_map(const struct job *job, const struct stat *source, struct err *err)
{
	bool of_root = source->st_uid == 0;
	struct idmap map = { .kind = IDMAP_RANGE };
	/* it waits before it would become root: the map may not have any */
	struct jail_entry entry = { .before = pause_forever };
	struct jail jail;
	char path[40];
	int fd;

	map.uid_extents = idmap_bind(source->st_uid, job->identity.uid, of_root, map.uids);
	map.gid_extents = idmap_bind(source->st_gid, job->identity.gid, of_root, map.gids);
	if (jail_start(&jail, &map, 0, &entry, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)jail.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err_sys_as(err, ERR_CONTAINER, errno, "open %s", path);
	jail_kill(&jail);
	return fd;
}

/* Borrowed from `maps`; -1 with err. */
static int find_map(struct bind_maps *maps, const struct job *job, const struct stat *source,
		    struct err *err)
{
	int userns;

	for (size_t i = 0; i < maps->count; i++)
		if (maps->at[i].uid == source->st_uid && maps->at[i].gid == source->st_gid)
			return maps->at[i].userns;
	userns = open_map(job, source, err);
	if (userns < 0)
		return -1;
	maps->at[maps->count].uid = source->st_uid;
	maps->at[maps->count].gid = source->st_gid;
	maps->at[maps->count++].userns = userns;
	return userns;
}

static int bind_as_root(struct container *container, size_t number, struct bind_maps *maps,
			struct err *err)
{
	const struct mount *mount = &container->job->mounts[number];
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int fd = mount_clone_fd(mount->fd, AT_RECURSIVE), userns;
	struct stat st;

	if (fd < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount %s", mount->source);
	container->binds[number] = fd;
	if (fstat(fd, &st) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "look at %s", mount->source);
	userns = find_map(maps, container->job, &st, err);
	if (userns < 0)
		return -1;
	attr.userns_fd = (uint64_t)userns;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
		    sizeof(attr)) < 0) {
		err_sys_as(err, ERR_HOST, errno, "map the owners of %s", mount->source);
		return err_mend(err, "as root a mount needs Linux 5.12 and a file system with "
				"idmapped mounts (ext4, xfs, btrfs); or run duet as a user");
	}
	return 0;
}

/* Root's ids are not those of the container, so its bind mounts go through a map of their own. */
static int make_binds(struct container *container, struct err *err)
{
	_cleanup_(bind_maps_done) struct bind_maps maps = { .count = 0 };

	if (container->map->kind != IDMAP_RANGE)
		return 0;
	for (size_t i = 0; i < container->job->mount_count; i++)
		if (container->job->mounts[i].kind == MOUNT_BIND &&
		    bind_as_root(container, i, &maps, err) < 0)
			return -1;
	return 0;
}

static int talk(struct container *container, struct jail *jail, int channel, int report,
		int *ret_code, struct err *err)
{
	_cleanup_close_ int null = container->job->mute ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	bool full = false;
	struct agent_run run = {
		.channel = channel,
		.in = container->job->no_stdin ? -1 : STDIN_FILENO,
		.out = container->job->mute	  ? null
		       : container->job->one_output ? STDERR_FILENO
						    : STDOUT_FILENO,
		.errors = container->job->mute ? null : STDERR_FILENO,
		.printed = container->printed,
		.printed_data = container->printed_data,
		.peer_death = jail->pidfd,
		.hello_ms = HELLO_MS,
		.eager = true,
		.full = &full,
	};
	int result, code;

	if (container->job->mute && null < 0)
		return err_sys(err, errno, "open /dev/null");
	result = agent_run(&run, container->job, ret_code, err);
	code = jail_kill(jail);
	if (full && container->memory_bytes)
		log_note("the job's root is full: %llu MiB, half of the memory that was free "
			 "(target.container.writes: disk)",
			 (unsigned long long)(container->memory_bytes >> 20));
	else if (full)
		log_note("the job's root is full, as the disk of the store is");
	if (result < 0 && err->code == ERR_AGENT && code == JAIL_EXIT_MEMORY)
		err_sys(err, ENOMEM, "start the container");
	else if (result < 0 && err->code == ERR_AGENT)
		jail_take_report(report, err);
	return result;
}

/* The network is there before the child goes on. */
static int start_net(struct container *container, const struct jail *jail, int ready, int go,
		     struct net *ret, struct err *err)
{
	if (container->job->network != NETWORK_NAT)
		return 0;
	if (net_start(ret, jail->pid, container->net_ready, ready, err) < 0)
		return -1;
	return write(go, "g", 1) == 1 ? 0 : err_sys(err, errno, "start the container");
}

static int make_pipe(int *ret_read, int *ret_write, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make pipe");
	*ret_read = pair[0];
	*ret_write = pair[1];
	return 0;
}

int container_start(struct container *container, int *ret_code, struct err *err)
{
	struct jail_entry entry = { .before = container_before, .enter = container_enter,
				    .data = container };
	_cleanup_close_ int ours = -1, theirs = -1, report_read = -1, report_write = -1;
	_cleanup_close_ int ready = -1, ready_write = -1, go = -1, go_read = -1;
	struct net net = { 0 };
	struct jail jail;
	int pair[2], result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make socketpair");
	ours = pair[0];
	theirs = pair[1];
	if (make_pipe(&report_read, &report_write, err) < 0 ||
	    make_pipe(&ready, &ready_write, err) < 0 || make_pipe(&go_read, &go, err) < 0)
		return -1;
	container->channel = theirs;
	container->report = report_write;
	container->net_ready = ready_write;
	container->net_go = go_read;
	if (jail_start(&jail, container->map, NAMESPACES, &entry, err) < 0)
		return -1;
	close(TAKE_FD(theirs));
	close(TAKE_FD(report_write));
	close(TAKE_FD(ready_write));
	close(TAKE_FD(go_read));
	result = start_net(container, &jail, ready, go, &net, err);
	if (result < 0)
		jail_kill(&jail);
	else
		result = talk(container, &jail, ours, report_read, ret_code, err);
	net_stop(&net);
	return result;
}

/* What this map cannot do is refused before anything starts. */
static int check_identity(const struct container *container, struct err *err)
{
	const struct identity *who = &container->job->identity;
	uint32_t outside;

	if (idmap_uid_outside(container->map, who->uid, &outside) &&
	    idmap_gid_outside(container->map, who->gid, &outside))
		return 0;
	err_set(err, ERR_JOB_USER, "run as uid %u, gid %u: the id map has no such id", who->uid,
		who->gid);
	if (container->map->kind == IDMAP_SINGLE)
		return err_mend(err, "in single-uid mode there is only root; subuids for this user "
				"give the others: `duet doctor`");
	return -1;
}

/*
 * A file capability belongs to the root of a namespace; through root's map that may be the id of the
 * host's root, and whoever starts the file on the host has the capability.
 */
static int check_capabilities(const struct container *container, struct err *err)
{
	uint64_t give;

	if (container->map->kind != IDMAP_RANGE || !job_writes_to_host(container->job) ||
	    !caps_parse("SETFCAP", &give) || !(container->job->capabilities & give))
		return 0;
	err_set(err, ERR_CONTAINER, "run with the capability SETFCAP and a writable folder of the host: a "
		"file's capabilities would be valid on the host");
	return err_mend(err, "make the mount read-only, or run duet as a user");
}

int container_prepare(struct container *container, struct store *store,
		      const struct rootfs *rootfs, const struct job *job, struct err *err)
{
	container->rootfs = rootfs;
	container->job = job;
	container->map = &store->map;
	container->upper = container->work = container->stubs = container->init = -1;
	for (size_t i = 0; i < CONTAINER_BINDS_MAX; i++)
		container->binds[i] = -1;
	if (check_identity(container, err) < 0 || check_capabilities(container, err) < 0)
		return -1;
	container->init = seal_init(err);
	if (container->init < 0)
		return -1;
	mounts_plan(job, store->map.kind == IDMAP_SINGLE, &container->mounts);
	if (job->network == NETWORK_NAT)
		container->resolver = net_resolver();
	return make_binds(container, err);
}

void container_done(struct container *container)
{
	for (size_t i = 0; i < CONTAINER_BINDS_MAX; i++)
		mem_closep(&container->binds[i]);
	mem_closep(&container->upper);
	mem_closep(&container->work);
	mem_closep(&container->stubs);
	mem_closep(&container->init);
	mounts_done(&container->mounts);
	free(container->resolver);
}

static int container_run(struct store *store, const struct rootfs *rootfs, const struct job *job,
			 int *ret_code, struct err *err)
{
	_cleanup_free_ struct container *container = xcalloc(1, sizeof(*container));
	struct store_tmp tmp = { .dir = -1, .lock = -1 };
	int result = container_prepare(container, store, rootfs, job, err);

	if (result == 0 && rootfs->layer_count > 0)
		result = container_make_upper(container, store, &tmp, err);
	/* the trees and the upper have locks of their own: gc and other builds may go on */
	store_unlock(store);
	if (result == 0)
		result = container_start(container, ret_code, err);
	container_done(container);
	container_drop_upper(store, &tmp);
	return result;
}

static int container_explain(struct store *store, const struct rootfs *rootfs,
			     const struct job *job, char **ret_text, struct err *err)
{
	_cleanup_free_ char *uids = idmap_text(store->map.uids, store->map.uid_extents);
	_cleanup_free_ char *gids = idmap_text(store->map.gids, store->map.gid_extents);
	bool single = store->map.kind == IDMAP_SINGLE;
	char filter[65];
	struct str out = { 0 };

	(void)err;
	filter_digest(single ? FILTER_JOB_SINGLE : FILTER_JOB, filter);
	str_addf(&out, "runner       container\nlayers       %zu\n", rootfs->layer_count);
	for (size_t i = 0; i < rootfs->layer_count; i++) {
		char hex[DIGEST_TEXT_SIZE];

		digest_text(&rootfs->layers[i].diff_id, hex);
		str_addf(&out, "             %s\n", hex);
	}
	str_addf(&out, "uid map\n%sgid map\n%s", uids, gids);
	explain_job(job, &out);
	str_addf(&out, "filter       %s\n",
		 job->seccomp == SECCOMP_UNCONFINED && !single ? "unconfined" : filter);
	if (job_writes_to_host(job)) {
		filter_digest(FILTER_NO_SETID, filter);
		str_addf(&out, "no set-id    %s\n", filter);
	}
	explain_inside(job, single, &out);
	*ret_text = out.text;
	return 0;
}

const struct runner container_runner = {
	.name = "container",
	.forms = ROOTFS_TREES,
	.run = container_run,
	.explain = container_explain,
};
