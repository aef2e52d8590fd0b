/* The ways out of the jail by mounts, processes, the network, rights and the kernel: see fake_qemu.c. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/run/fake_qemu.h"

/* ---- mounts, namespaces ---------------------------------------------------------------------- */

static bool mount_new(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/mnt", dir);
	return mount("tmpfs", path, "tmpfs", 0, NULL) == 0 ||
	       mount("proc", "/usr/bin", "proc", 0, NULL) == 0;
}

static bool mount_writable(void)
{
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
	       mount(NULL, "/usr/lib", NULL, MS_REMOUNT | MS_BIND, NULL) == 0;
}

static bool mount_tree(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */) >= 0 ||
	       syscall(SYS_fsopen, "tmpfs", 0) >= 0;
}

static bool unmount(void)
{
	return umount2("/usr/lib", MNT_DETACH) == 0 || umount2("/dev/null", MNT_DETACH) == 0 ||
	       umount2("/proc", MNT_DETACH) == 0;
}

static bool pivot(void) { return syscall(SYS_pivot_root, "/", "/") == 0; }
static bool change_root(void) { return chroot("/usr") == 0; }
static bool unshare_user(void) { return unshare(CLONE_NEWUSER) == 0; }
static bool unshare_mount(void) { return unshare(CLONE_NEWNS) == 0; }
static bool unshare_net(void) { return unshare(CLONE_NEWNET) == 0; }
static bool unshare_pid(void) { return unshare(CLONE_NEWPID) == 0; }

static bool set_namespace(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return setns(self, CLONE_NEWNET) == 0;
}

/* ---- processes ------------------------------------------------------------------------------- */

static bool ends(long pid)
{
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid > 0;
}

static bool make_fork(void) { return ends(syscall(SYS_fork)); }
static bool make_clone(void) { return ends(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }

static bool make_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool make_clone_user(void)
{
	return ends(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static bool make_clone3(void)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	return ends(syscall(SYS_clone3, &args, sizeof(args)));
}

/* In a child the shell's exit code 0 says that it ran; in the jail there is no child and no shell. */
static bool shell(void)
{
	char *const argv[] = { "sh", "-c", "exit 0", NULL };

	execv("/bin/sh", argv);
	execv("/usr/bin/env", argv + 3);
	return false;
}

static bool trace_parent(void) { return ptrace(PTRACE_SEIZE, parent, NULL, NULL) == 0; }
static bool kill_parent(void) { return kill(parent, 0) == 0; }
static bool kill_all(void) { return kill(-1, 0) == 0; }
static bool see_parent(void) { return getppid() != 0; }
static bool watch_parent(void) { return syscall(SYS_pidfd_open, parent, 0) >= 0; }

static bool read_parent(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)&mode, 1 };

	return process_vm_readv(parent, &here, 1, &there, 1, 0) == 1;
}

static bool take_descriptor(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0;
}

static bool compare(void) { return syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0) == 0; }
bool outlive(void) { return prctl(PR_SET_PDEATHSIG, 0) == 0; }

static bool shared_memory(void) { return shmget(shm_key, 0, 0) >= 0; }

/* ---- the network ----------------------------------------------------------------------------- */

static bool makes(int family, int type, int protocol)
{
	return socket(family, type, protocol) >= 0;
}

static bool connect_tcp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool connect_unix(const char *name, size_t skip)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = strlen(name);

	if (length + skip >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path + skip, name, length);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + length)) == 0;
}

static bool connect_abstract(void)
{
	char name[64];

	snprintf(name, sizeof(name), "duet-test-%d", parent);
	return connect_unix(name, 1);
}

static bool connect_path(void)
{
	char name[sizeof(dir) + 8];

	snprintf(name, sizeof(name), "%s/socket", dir);
	return connect_unix(name, 0);
}

static bool make_udp(void) { return makes(AF_INET, SOCK_DGRAM, 0); }
static bool make_ipv6(void) { return makes(AF_INET6, SOCK_STREAM, 0); }
static bool make_raw(void) { return makes(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static bool make_packet(void) { return makes(AF_PACKET, SOCK_RAW, 0); }
static bool make_netlink(void) { return makes(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); }
static bool make_vsock(void) { return makes(AF_VSOCK, SOCK_STREAM, 0); }
static bool make_crypto(void) { return makes(AF_ALG, SOCK_SEQPACKET, 0); }

/* ---- rights ---------------------------------------------------------------------------------- */

static bool set_user(void) { return syscall(SYS_setresuid, 1, 1, 1) == 0; }
static bool set_group(void) { return syscall(SYS_setresgid, 1, 1, 1) == 0; }

static bool set_groups(void)
{
	gid_t group = 0;

	return syscall(SYS_setgroups, 1, &group) == 0;
}

static bool has_groups(void) { return getgroups(0, NULL) > 0; }

static bool has_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	bool any = false;

	for (unsigned long cap = 0; cap < 64; cap++)
		any |= prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
	if (syscall(SYS_capget, &head, sets) < 0)
		return true;
	for (int i = 0; i < 2; i++)
		any |= sets[i].effective || sets[i].permitted || sets[i].inheritable;
	return any;
}

static bool may_gain(void) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1; }
static bool no_filter(void) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2; }
static bool be_real_time(void)
{
	struct sched_param param = { .sched_priority = 1 };

	return sched_setscheduler(0, SCHED_FIFO, &param) == 0;
}

static bool be_first(void) { return setpriority(PRIO_PROCESS, 0, -10) == 0; }

static bool dump_core(void)
{
	const struct rlimit some = { 4096, 4096 };

	return setrlimit(RLIMIT_CORE, &some) == 0;
}

static bool more_files(void)
{
	const struct rlimit many = { 1 << 19, 1 << 19 };

	return setrlimit(RLIMIT_NOFILE, &many) == 0;
}

/* ---- the kernel ------------------------------------------------------------------------------ */

static bool keys(void)
{
	return syscall(SYS_keyctl, 0, -3, 1) >= 0 ||
	       syscall(SYS_add_key, "user", "duet", "x", 1, -3) >= 0;
}

static bool bpf(void)
{
	uint32_t map[16] = { 2 /* BPF_MAP_TYPE_ARRAY */, 4, 4, 1 };

	return syscall(SYS_bpf, 0, map, sizeof(map)) >= 0;
}

static bool io_uring(void)
{
	uint32_t params[30] = { 0 };

	return syscall(SYS_io_uring_setup, 1, params) >= 0;
}

static bool perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0;
}

static bool faults(void) { return syscall(SYS_userfaultfd, O_CLOEXEC | 1) >= 0; }
static bool fanotify(void) { return syscall(SYS_fanotify_init, 0, O_RDONLY) >= 0; }
static bool kernel_log(void) { return syscall(SYS_syslog, 10, NULL, 0) >= 0; }
static bool host_name(void) { return sethostname("out", 3) == 0; }
static bool no_random(void) { return personality(ADDR_NO_RANDOMIZE) >= 0; }
static bool io_ports(void) { return ioperm(0x80, 1, 1) == 0; }

const struct fake_try fake_world_tries[] = {
	TRY(mount_new), TRY(mount_writable), TRY(mount_tree), TRY(unmount), TRY(pivot),
	TRY(change_root), TRY(unshare_user), TRY(unshare_mount), TRY(unshare_net),
	TRY(unshare_pid), TRY(set_namespace), TRY(make_fork), TRY(make_vfork),
	TRY(make_clone), TRY(make_clone3), TRY(make_clone_user), TRY(shell),
	TRY(trace_parent), TRY(kill_parent), TRY(kill_all), TRY(see_parent),
	TRY(watch_parent), TRY(read_parent), TRY(take_descriptor), TRY(compare),
	TRY(outlive), TRY(shared_memory), TRY(connect_tcp), TRY(connect_abstract),
	TRY(connect_path), TRY(make_udp), TRY(make_ipv6), TRY(make_raw), TRY(make_packet),
	TRY(make_netlink), TRY(make_vsock), TRY(make_crypto), TRY(set_user),
	TRY(set_group), TRY(set_groups), TRY(has_groups), TRY(has_capabilities),
	TRY(may_gain), TRY(no_filter), TRY(be_real_time), TRY(be_first), TRY(dump_core),
	TRY(more_files), TRY(keys), TRY(bpf), TRY(io_uring), TRY(perf), TRY(faults),
	TRY(fanotify), TRY(kernel_log), TRY(host_name), TRY(no_random), TRY(io_ports),
	{ NULL, NULL },
};
