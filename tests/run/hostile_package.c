/*
 * Stands in a package for usr/bin/dpkg, which mmdebstrap starts as root in the root that it makes,
 * and does what a package of a hostile mirror would do: leaves the chroot, then tries every way out
 * of the jail (builders/debian/tools.c). Says of each that got through "escaped NAME", and last
 * "tried N". The same program in a plain chroot is the control.
 *
 * What to go for is in /probe of its root: "MODE DIR PORT PID SHM-KEY CALLER HOST SECRET". DIR: a
 * folder of the caller's. MODE: `in`, and it fails; `wait`: makes /target/waiting and waits to be
 * killed; `stay`: leaves a process behind and succeeds; `out`: the control, which breaks nothing.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

#include "tests/run/fake_qemu.h"

#define STEP_CAPS 0x800400fbull	/* of a build's step */
#define MUCH_BYTES (5ull << 30)	/* more than a program of the jail may map */

char mode[8], dir[256];
int port, parent, shm_key, ram = -1;
static unsigned int caller;
static char host[65], secret[65];

bool fake_opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_control(void) { return !strcmp(mode, "out"); }

/* ---- files ----------------------------------------------------------------------------------- */

static bool opens_below(const char *before, const char *name, int flags)
{
	char path[sizeof(dir) + 64];

	snprintf(path, sizeof(path), "%s%s%s", before, dir, name);
	return fake_opens(path, flags);
}

static bool victim_read(void) { return opens_below("", "/secret", O_RDONLY); }
static bool victim_write(void) { return opens_below("", "/secret", O_WRONLY); }
static bool victim_by_proc(void) { return opens_below("/proc/1/root", "/secret", O_RDONLY); }
static bool victim_by_cwd(void) { return fake_opens("/proc/1/cwd/", O_RDONLY); }
static bool store_read(void) { return opens_below("", "/store/v1", O_RDONLY); }

static bool host_folders(void)
{
	static const char *const paths[] = { "/root", "/home", "/work", "/var", "/run", "/srv", "/opt",
					     "/mnt", "/sys", "/boot", "/usr/local/bin" };
	bool found = false;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		found |= fake_opens(paths[i], O_RDONLY);
	return found;
}

static bool host_files(void)
{
	static const char *const paths[] = { "/etc/shadow", "/etc/hostname", "/etc/hosts",
					     "/etc/resolv.conf", "/etc/machine-id", "/etc/apt" };
	bool found = false;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		found |= fake_opens(paths[i], O_RDONLY);
	return found;
}

static bool creates(const char *folder)
{
	char path[sizeof(dir) + 32];

	snprintf(path, sizeof(path), "%s/duet-test-%d", folder, (int)getpid());
	if (!fake_opens(path, O_WRONLY | O_CREAT | O_EXCL))
		return false;
	unlink(path);
	return true;
}

static bool root_write(void)
{
	static const char *const folders[] = { "/", "/usr", "/usr/bin", "/usr/local", "/usr/src", "/etc",
					       "/etc/alternatives", "/dev", "/mirror", "/mirror/dists" };
	bool created = false;

	if (is_control())
		return creates(dir);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		created |= creates(folders[i]);
	return created || fake_opens("/keys.gpg", O_WRONLY) || fake_opens("/etc/passwd", O_WRONLY);
}

static bool devices(void)
{
	static const char *const paths[] = { "/dev/kvm", "/dev/mem", "/dev/fuse", "/dev/loop-control",
					     "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/loop0",
					     "/dev/ptmx", "/dev/net/tun", "/dev/shm", "/dev/pts" };
	bool found = false;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		found |= fake_opens(paths[i], O_RDONLY);
	return found;
}

static bool node_at(const char *folder, mode_t type, dev_t number)
{
	char path[sizeof(dir) + 32];
	struct stat st;
	bool made;

	snprintf(path, sizeof(path), "%s/node-%d", folder, (int)getpid());
	/* with a single id the filter says yes, and makes nothing */
	made = mknod(path, type | 0600, number) == 0 && lstat(path, &st) == 0 &&
	       (st.st_mode & S_IFMT) == type;
	unlink(path);
	return made;
}

static bool node(void)
{
	const char *folder = is_control() ? dir : "/tmp";

	return node_at(folder, S_IFCHR, makedev(1, 1)) || node_at(folder, S_IFBLK, makedev(7, 0)) ||
	       (!is_control() && node_at("/target", S_IFCHR, makedev(10, 232)));
}

/* Opened only: a kernel's switch is not for trying. */
static bool sysctls(void)
{
	return fake_opens("/proc/sys/kernel/core_pattern", O_WRONLY) ||
	       fake_opens("/proc/sys/kernel/hostname", O_WRONLY) ||
	       fake_opens("/proc/sysrq-trigger", O_WRONLY) ||
	       fake_opens("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
}

static bool by_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char room[128];
	} handle = { .head = { .handle_bytes = sizeof(handle.room) } };
	int id, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (name_to_handle_at(AT_FDCWD, "/usr/lib", &handle.head, &id, 0) < 0)
		handle.head = (struct file_handle){ .handle_bytes = 8, .handle_type = 1 };
	return open_by_handle_at(at, &handle.head, O_RDONLY) >= 0;
}

/* mmdebstrap's own are pipes; what they lead to is this jail. */
static bool descriptors(void)
{
	struct stat st;

	for (int fd = 3; fd < 2000; fd++)
		if (fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode))
			return true;
	return false;
}

/* ---- the first process ----------------------------------------------------------------------- */

static bool first_environ(void) { return fake_opens("/proc/1/environ", O_RDONLY); }
static bool first_memory(void) { return fake_opens("/proc/1/mem", O_RDWR); }
static bool first_root(void) { return fake_opens("/proc/1/root/", O_RDONLY); }
static bool first_program(void) { return fake_opens("/proc/1/exe", O_RDONLY); }
static bool first_trace(void) { return ptrace(PTRACE_SEIZE, 1, NULL, NULL) == 0; }
static bool first_descriptors(void) { return fake_opens("/proc/1/fd/2", O_WRONLY); }

static bool first_namespaces(void)
{
	static const char *const names[] = { "user", "mnt", "net", "ipc", "uts", "cgroup" };
	bool entered = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[40];

		snprintf(path, sizeof(path), "/proc/1/ns/%s", names[i]);
		entered |= setns(open(path, O_RDONLY | O_CLOEXEC), 0) == 0;
	}
	return entered;
}

/* ---- who, and what is known ------------------------------------------------------------------ */

static bool holds_caller(const char *path)
{
	unsigned int inside, outside, count;
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3)
		found |= caller >= outside && caller - outside < count;
	return found;
}

static bool caller_id(void) { return holds_caller("/proc/self/uid_map"); }

static bool has_secret(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

	return got > 0 && memmem(text, (size_t)got, secret, strlen(secret));
}

static bool caller_environ(void)
{
	DIR *stream = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (stream && (entry = readdir(stream))) {
		char path[300];

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/environ", entry->d_name);
		found |= has_secret(path);
	}
	return found;
}

static bool host_called(void)
{
	struct utsname name;

	return uname(&name) == 0 && !strcmp(name.nodename, host);
}

static bool more_rights(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	bool more = false;

	for (unsigned int cap = 0; cap < 64; cap++)
		more |= !(STEP_CAPS >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
	if (syscall(SYS_capget, &head, sets) < 0)
		return true;
	for (int i = 0; i < 2; i++) {
		uint32_t may = (uint32_t)(STEP_CAPS >> 32 * i);

		more |= (sets[i].effective | sets[i].permitted) & ~may || sets[i].inheritable;
	}
	return more;
}

static bool memory(void)
{
	return mmap(NULL, MUCH_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
	       MAP_FAILED;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Who may not is told so before what is asked is looked at. */
static bool restart(void)
{
	return syscall(SYS_reboot, 0xfee1dead, 672274793, 0xbad, NULL) < 0 && errno == EINVAL;
}

static bool push_terminal(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return ioctl(fd, TIOCSTI, "x") == 0 || errno != EPERM;
}

static bool connect_tcp6(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	return connect(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof(to)) == 0;
}


static const struct fake_try own_tries[] = {
	TRY(victim_read), TRY(victim_write), TRY(victim_by_proc), TRY(victim_by_cwd), TRY(store_read),
	TRY(host_folders), TRY(host_files), TRY(root_write), TRY(devices), TRY(node), TRY(sysctls),
	TRY(by_handle), TRY(descriptors), TRY(first_environ), TRY(first_memory), TRY(first_root),
	TRY(first_program), TRY(first_trace), TRY(first_descriptors), TRY(first_namespaces),
	TRY(caller_id), TRY(caller_environ), TRY(host_called), TRY(more_rights), TRY(memory),
	TRY(restart), TRY(push_terminal), TRY(connect_tcp6),
	{ NULL, NULL },
};

/* ---- all of it ------------------------------------------------------------------------------- */

/* What a build's step may do as well: of the tries that another jail is tried by. */
static bool is_allowed(const char *name)
{
	static const char *const names[] = {
		"change_root", "make_fork", "make_vfork", "make_clone", "shell", "see_parent", "kill_all",
		"outlive", "set_user", "set_group", "set_groups", "has_groups", "has_capabilities",
		"may_gain", "make_udp", "make_ipv6", "make_netlink",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

static bool gets_out(bool (*try)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(5);
		_exit(try() ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int try_all(const struct fake_try *tries)
{
	int count = 0;

	for (; tries->name; tries++) {
		if (is_allowed(tries->name))
			continue;
		count++;
		if (gets_out(tries->try))
			dprintf(STDERR_FILENO, "escaped %s\n", tries->name);
	}
	return count;
}

/* Out of a chroot, with a folder that is left behind: to the root of the mount namespace. */
static void leave_chroot(void)
{
	mkdir("/probe.out", 0700);
	if (chroot("/probe.out") < 0)
		return;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	if (chroot(".") < 0 || chdir("/") < 0)
		dprintf(STDERR_FILENO, "the chroot holds\n");
}

/* Field 4 of its stat; 0 when it is gone or is not a number. A zombie is gone. */
static int parent_of(int pid)
{
	char path[32], text[512] = { 0 }, state = 'Z', *end;
	int fd, of = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) <= 0 || !(end = strrchr(text, ')')) ||
	    sscanf(end + 1, " %c %d", &state, &of) != 2 || state == 'Z')
		of = 0;
	close(fd);
	return of;
}

/* The child of the first process that this one is below of: mmdebstrap. */
static int find_step(void)
{
	int pid = getpid(), above;

	while ((above = parent_of(pid)) > 1)
		pid = above;
	return pid;
}

/* As dpkg would have it: what is installed is listed, and must be what was fetched. */
static void say_installed(void)
{
	FILE *file = fopen("/target/var/lib/dpkg/status", "we");

	if (!file)
		return;
	fputs("Package: own\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
	      "Maintainer: Nobody <nobody@example.org>\nDescription: own\n\n", file);
	fclose(file);
}

/* In a session of its own it waits for the next step, and writes to what that one packs. */
static void stay(void)
{
	int step = find_step();
	pid_t pid = fork();

	if (pid != 0)
		return;
	setsid();
	for (int signo = 1; signo < 65; signo++)
		signal(signo, SIG_IGN);
	/* mmdebstrap reads some of them to their ends */
	for (int fd = 0; fd < 2000; fd++)
		close(fd);
	pid = getpid();
	for (;;)
		for (int other = 2; other < 4000; other++)
			if (other != step && other != pid && parent_of(other) == 1 &&
			    parent_of(step) == 0) {
				fake_opens("/target/late", O_WRONLY | O_CREAT);
				_exit(0);
			}
}

int main(void)
{
	FILE *file = fopen("/probe", "re");
	int tried;

	if (!file || fscanf(file, "%7s %255s %d %d %d %u %64s %64s", mode, dir, &port, &parent, &shm_key,
			    &caller, host, secret) != 8)
		return 3;
	fclose(file);
	signal(SIGHUP, SIG_IGN);
	leave_chroot();
	if (!strcmp(mode, "wait")) {
		fake_opens("/target/waiting", O_WRONLY | O_CREAT);
		for (;;)
			pause();
	}
	if (!strcmp(mode, "stay")) {
		say_installed();
		stay();
		return 0;
	}
	tried = try_all(own_tries) + try_all(fake_world_tries);
	dprintf(STDERR_FILENO, "tried %d\n", tried);
	if (!is_control()) {
		kill(0, SIGHUP);
		kill(-1, SIGHUP);
		dprintf(STDERR_FILENO, "signalled\n");
	}
	return 1;
}
