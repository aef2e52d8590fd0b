/*
 * Stands in for QEMU ($DUET_QEMU) and does what a QEMU that is lost to its guest would do: it tries
 * every way out of the jail (runners/vm/launch.c), and says of each "NAME blocked" or "NAME GOT OUT".
 * The same program outside the jail is the control (jail_probe.c): there most of them succeed.
 *
 * What to go for comes as one line on the control socket: "MODE DIR PORT PID SHM-KEY". MODE `wait`
 * only disarms the death signal, if it can, and waits. Each try is made in a child where one can be
 * made, so that none is in another's way.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runners/vm/qemu.h"

#define DESCRIPTORS_LOOKED_AT 2000
#define DISK_READ_ONLY QEMU_FD_DISK
#define DISK_WRITABLE (QEMU_FD_DISK + 1)
#define FAR (1ll << 40)	/* bytes; beyond any disk */
#define X32_BIT 0x40000000l

static char mode[8], dir[256];
static int port, parent, shm_key, ram;

/* ---- files ----------------------------------------------------------------------------------- */

/* Every try returns true when it got out. */
static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool opens_in(const char *name, int flags)
{
	char path[sizeof(dir) + 32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return opens(path, flags);
}

static bool creates(const char *folder)
{
	char path[sizeof(dir) + 32];
	bool created;

	snprintf(path, sizeof(path), "%s/duet-test-%d", folder, (int)getpid());
	created = opens(path, O_WRONLY | O_CREAT | O_EXCL);
	if (created)
		unlink(path);
	return created;
}

static bool home_read(void) { return opens_in("secret", O_RDONLY); }
static bool store_read(void) { return opens_in("disk", O_RDONLY); }
static bool store_write(void) { return opens_in("disk", O_WRONLY); }
static bool passwd_read(void) { return opens("/etc/passwd", O_RDONLY); }
static bool shadow_read(void) { return opens("/etc/shadow", O_RDONLY); }
static bool proc_read(void) { return opens("/proc/self/status", O_RDONLY); }
static bool proc_root(void) { return opens("/proc/1/root/etc", O_RDONLY); }
static bool sys_read(void) { return opens("/sys/kernel", O_RDONLY); }
static bool up_read(void) { return opens("../../../../etc/passwd", O_RDONLY); }
static bool lib_write(void) { return creates("/usr/lib"); }
static bool firmware_write(void) { return creates("/usr/share/seabios"); }
static bool root_write(void) { return creates(""); }
static bool tmp_write(void) { return creates("/tmp"); }
static bool dev_write(void) { return creates("/dev"); }
static bool dev_kvm(void) { return opens("/dev/kvm", O_RDWR); }
static bool dev_mem(void) { return opens("/dev/mem", O_RDONLY); }
static bool dev_tty(void) { return opens("/dev/ptmx", O_RDWR); }
static bool dev_fuse(void) { return opens("/dev/fuse", O_RDWR); }
static bool dev_loop(void) { return opens("/dev/loop-control", O_RDWR); }
static bool sysctl_write(void) { return opens("/proc/sys/kernel/domainname", O_WRONLY); }

static bool kernel_write(void)
{
	return opens(QEMU_KERNEL, O_WRONLY) || opens_in("kernel", O_WRONLY);
}

static bool initrd_write(void)
{
	return opens(QEMU_INITRD, O_WRONLY) || opens_in("initrd", O_WRONLY);
}

/* Of the host's own there is nothing that the control may remove. */
static bool kernel_remove(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/kernel", dir);
	return unlink(!strcmp(mode, "out") ? path : QEMU_KERNEL) == 0;
}

static bool other_folders(void)
{
	static const char *const folders[] = { "/bin", "/sbin", "/usr/sbin", "/usr/include",
					       "/usr/share/doc", "/boot", "/home", "/root", "/var",
					       "/run", "/tmp", "/opt", "/mnt", "/srv" };
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		found |= opens(folders[i], O_RDONLY);
	return found;
}

/* Is there anything in the folder but what `expected` names? */
static bool more_than(const char *folder, const char *const *expected)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;
	bool more = false;

	while (stream && (entry = readdir(stream))) {
		bool known = entry->d_name[0] == '.';

		for (size_t i = 0; expected[i]; i++)
			known |= !strcmp(entry->d_name, expected[i]);
		more |= !known;
	}
	if (stream)
		closedir(stream);
	return more;
}

static bool root_listing(void)
{
	static const char *const known[] = { "usr", "lib", "lib64", "etc", "dev", "vmlinux",
					     "initrd", NULL };

	return more_than("/", known);
}

static bool dev_listing(void)
{
	static const char *const known[] = { "null", "urandom", NULL };

	return more_than("/dev", known);
}

static bool etc_listing(void)
{
	static const char *const known[] = { "ld.so.cache", NULL };

	return more_than("/etc", known);
}

static bool make_node(const char *path)
{
	if (mknod(path, S_IFCHR | 0600, makedev(1, 1)) < 0)
		return false;
	unlink(path);
	return true;
}

static bool node(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/node", dir);
	return make_node(path) || make_node("/node") || make_node("/dev/node");
}

static bool by_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char room[128];
	} handle = { .head = { .handle_bytes = sizeof(handle.room) } };
	int id, fd, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (name_to_handle_at(AT_FDCWD, "/usr/lib", &handle.head, &id, 0) < 0)
		handle.head = (struct file_handle){ .handle_bytes = 8, .handle_type = 1 };
	fd = open_by_handle_at(at, &handle.head, O_RDONLY);
	close(at);
	return fd >= 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static bool other_descriptors(void)
{
	bool found = false;

	for (int fd = QEMU_FD_END; fd < DESCRIPTORS_LOOKED_AT; fd++)
		found |= fcntl(fd, F_GETFD) >= 0 && fd != ram;
	return found;
}

static bool folder_descriptor(void)
{
	for (int fd = 0; fd < DESCRIPTORS_LOOKED_AT; fd++)
		if (fchdir(fd) == 0)
			return true;
	return false;
}

static bool writes(int fd)
{
	return pwrite(fd, "x", 1, 0) == 1;
}

static bool maps(int fd)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

static bool maps_later(int fd)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	return map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0;
}

static bool reopens(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return opens(path, O_RDWR) || openat(fd, "", O_RDWR | O_CLOEXEC) >= 0 ||
	       (fcntl(fd, F_SETFL, O_RDWR) == 0 && writes(fd));
}

static bool ram_write(void) { return writes(ram); }
static bool ram_map(void) { return maps(ram) || maps_later(ram); }
static bool ram_reopen(void) { return reopens(ram); }
static bool ram_truncate(void) { return ftruncate(ram, 1 << 20) == 0; }
static bool ram_punch(void) { return fallocate(ram, 3, 0, 4096) == 0; }
static bool state_write(void) { return writes(QEMU_FD_STATE); }
static bool floppy_write(void) { return writes(QEMU_FD_FLOPPY); }
static bool disk_write(void) { return writes(DISK_READ_ONLY); }
static bool disk_map(void) { return maps(DISK_READ_ONLY) || maps_later(DISK_READ_ONLY); }
static bool disk_reopen(void) { return reopens(DISK_READ_ONLY); }
static bool disk_chmod(void) { return fchmod(DISK_READ_ONLY, 0666) == 0; }
static bool ram_chmod(void) { return fchmod(ram, 0666) == 0; }
static bool disk_chown(void) { return fchown(DISK_READ_ONLY, getuid(), getgid()) == 0; }
static bool disk_times(void) { return futimens(DISK_READ_ONLY, NULL) == 0; }
static bool disk_lock(void) { return flock(DISK_READ_ONLY, LOCK_EX | LOCK_NB) == 0; }
static bool disk_lease(void) { return fcntl(DISK_READ_ONLY, F_SETLEASE, F_RDLCK) == 0; }

static bool disk_attribute(void)
{
	return syscall(SYS_fsetxattr, DISK_READ_ONLY, "user.duet", "x", 1, 0) == 0;
}

static bool disk_link(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/link", dir);
	return linkat(DISK_READ_ONLY, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0 ||
	       linkat(DISK_READ_ONLY, "", AT_FDCWD, "/link", AT_EMPTY_PATH) == 0;
}

static bool disk_grow(void)
{
	return pwrite(DISK_WRITABLE, "x", 1, FAR) == 1 || ftruncate(DISK_WRITABLE, FAR) == 0;
}

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
static bool outlive(void) { return prctl(PR_SET_PDEATHSIG, 0) == 0; }

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

/* ---- the list -------------------------------------------------------------------------------- */

#define TRY(function) { #function, function }

static const struct {
	const char *name;
	bool (*try)(void);
} tries[] = {
	TRY(home_read), TRY(store_read), TRY(store_write), TRY(passwd_read), TRY(shadow_read),
	TRY(proc_read), TRY(proc_root), TRY(sys_read), TRY(up_read), TRY(other_folders),
	TRY(root_listing), TRY(dev_listing), TRY(etc_listing),
	TRY(lib_write), TRY(firmware_write), TRY(root_write), TRY(tmp_write), TRY(dev_write),
	TRY(kernel_write), TRY(initrd_write), TRY(kernel_remove), TRY(node), TRY(by_handle),
	TRY(sysctl_write), TRY(dev_kvm), TRY(dev_mem), TRY(dev_tty), TRY(dev_fuse), TRY(dev_loop),
	TRY(other_descriptors), TRY(folder_descriptor),
	TRY(ram_write), TRY(ram_map), TRY(ram_reopen), TRY(ram_truncate), TRY(ram_punch),
	TRY(ram_chmod), TRY(state_write), TRY(floppy_write), TRY(disk_write), TRY(disk_map),
	TRY(disk_reopen), TRY(disk_chmod), TRY(disk_chown), TRY(disk_times), TRY(disk_attribute),
	TRY(disk_lock), TRY(disk_lease), TRY(disk_link), TRY(disk_grow),
	TRY(mount_new), TRY(mount_writable), TRY(mount_tree), TRY(unmount), TRY(pivot),
	TRY(change_root), TRY(unshare_user), TRY(unshare_mount), TRY(unshare_net),
	TRY(unshare_pid), TRY(set_namespace),
	TRY(make_fork), TRY(make_vfork), TRY(make_clone), TRY(make_clone3), TRY(make_clone_user),
	TRY(shell), TRY(trace_parent), TRY(kill_parent), TRY(kill_all), TRY(see_parent),
	TRY(watch_parent), TRY(read_parent), TRY(take_descriptor), TRY(compare), TRY(outlive),
	TRY(shared_memory),
	TRY(connect_tcp), TRY(connect_abstract), TRY(connect_path), TRY(make_udp), TRY(make_ipv6),
	TRY(make_raw), TRY(make_packet), TRY(make_netlink), TRY(make_vsock), TRY(make_crypto),
	TRY(set_user), TRY(set_group), TRY(set_groups), TRY(has_groups), TRY(has_capabilities),
	TRY(may_gain), TRY(no_filter), TRY(be_real_time), TRY(be_first), TRY(dump_core),
	TRY(more_files),
	TRY(keys), TRY(bpf), TRY(io_uring), TRY(perf), TRY(faults), TRY(fanotify), TRY(kernel_log),
	TRY(host_name), TRY(no_random), TRY(io_ports),
};

/* In a child where there may be one. */
static bool gets_out(bool (*try)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return try();
	if (pid == 0) {
		alarm(5);
		_exit(try() ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void say(const char *name, bool out)
{
	dprintf(STDOUT_FILENO, "%s %s\n", name, out ? "GOT OUT" : "blocked");
}

/* What is opened by notification: the memory, and nothing else. */
static void open_ram(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/secret", dir);
	say("notified_path", opens(path, O_RDWR));
	say("notified_kvm", opens("/dev/kvm", O_RDWR));
	ram = open(QEMU_RAM, O_RDWR | O_CLOEXEC);
	if (ram < 0) {
		snprintf(path, sizeof(path), "%s/ram", dir);
		ram = open(path, O_RDWR | O_CLOEXEC);
	}
	if (ram < 0)
		dprintf(STDOUT_FILENO, "ram: %s\n", strerror(errno));
}

int main(void)
{
	char line[512] = { 0 };
	size_t used = 0;

	while (used < sizeof(line) - 1 && read(QEMU_FD_CONTROL, line + used, 1) == 1 &&
	       line[used] != '\n')
		used++;
	if (sscanf(line, "%7s %255s %d %d %d", mode, dir, &port, &parent, &shm_key) != 5)
		return 3;
	signal(SIGXFSZ, SIG_IGN);
	open_ram();
	/* as QEMU's greeting: it has started */
	if (write(QEMU_FD_CONTROL, "{}\n", 3) != 3)
		return 4;
	if (!strcmp(mode, "wait")) {
		outlive();
		dprintf(STDOUT_FILENO, "waiting\n");
		for (;;)
			pause();
	}
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		say(tries[i].name, gets_out(tries[i].try));
	dprintf(STDOUT_FILENO, "%zu tried\n", sizeof(tries) / sizeof(tries[0]));
	/* calls of another ABI end the process */
	syscall(SYS_getpid | X32_BIT);
	dprintf(STDOUT_FILENO, "foreign_abi GOT OUT\n");
	return 0;
}
