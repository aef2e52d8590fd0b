/*
 * What code in the fetcher could do, if an answer's bytes took it over. As `duet-worker` of a folder that
 * $DUET_LIBEXEC names, it is started by `duet pull HOST/try/NAME` as the worker is, enters the worker's jail
 * (builders/worker/root.c, the filter), makes the try NAME and answers with what came of it:
 *
 *	fetcher_probe list		the names
 *	fetcher_probe out NAME DIR	the control: the same try without a jail, in a process of its own
 *
 * DIR has what there is to go for: a file `secret`, a listening socket `socket`, another one under the
 * abstract name of DIR itself. The fake takes it from $no_proxy, which is passed to workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builders/worker/fetch/curl.h"
#include "builders/worker/root.h"
#include "builders/worker/wire.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/mem.h"

static const char *dir;

static bool opens(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600) >= 0;
}

static bool opens_secret(void)
{
	_cleanup_free_ char *path = xasprintf("%s/secret", dir);

	return opens(path, O_RDONLY);
}

static bool opens_passwd(void)
{
	return opens("/etc/passwd", O_RDONLY);
}

static bool climbs(void)
{
	return opens("../../../../../../etc/passwd", O_RDONLY);
}

static bool opens_run(void)
{
	return opens("/run", O_RDONLY | O_DIRECTORY);
}

static bool opens_home(void)
{
	return opens("/home", O_RDONLY | O_DIRECTORY);
}

static bool opens_dev(void)
{
	return opens("/dev/zero", O_RDWR);
}

static bool opens_process(void)
{
	return opens("/proc/1/status", O_RDONLY);
}

static bool opens_again(void)
{
	return opens("/proc/self/fd/0", O_RDONLY);
}

static bool writes_host(void)
{
	_cleanup_free_ char *path = xasprintf("%s/written", dir);

	return opens(path, O_WRONLY | O_CREAT);
}

static bool writes_root(void)
{
	return opens("/etc/hosts", O_WRONLY) || opens("/tmp/written", O_WRONLY | O_CREAT);
}

/* From a folder that was left open. */
static bool has_folder(void)
{
	for (int fd = 0; fd < 1024; fd++)
		if (openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0)
			return true;
	return false;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool reaches(int fd, bool abstract)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t length = (size_t)snprintf(at.sun_path + abstract, sizeof(at.sun_path) - abstract,
					 abstract ? "%s" : "%s/socket", dir);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);

	return fd >= 0 && connect(fd, (struct sockaddr *)&at, size - !abstract) == 0;
}

static bool connects_file(void)
{
	return reaches(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), false);
}

static bool connects_abstract(void)
{
	return reaches(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), true);
}

/* An end of such a pair can be connected anew, or send to any address. */
static bool makes_pair(int type)
{
	int pair[2];

	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0;
}

static bool pair_of_datagrams(void)
{
	return makes_pair(SOCK_DGRAM);
}

static bool pair_of_packets(void)
{
	return makes_pair(SOCK_SEQPACKET);
}

static bool speaks_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) >= 0;
}

static bool speaks_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)) >= 0;
}

static bool speaks_raw(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0;
}

/* ---- processes and rights -------------------------------------------------------------------- */

static bool signals(void)
{
	return kill(getppid(), 0) == 0 || kill(1, 0) == 0;
}

static bool traces(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool executes(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return false;
}

static bool makes_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static bool changes_id(void)
{
	return setresuid(getuid(), getuid(), getuid()) == 0;
}

static bool adds_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool reads_memory(void)
{
	char byte, here = 1;
	struct iovec local = { &byte, 1 }, remote = { &here, 1 };

	return syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0) == 1;
}

static const struct try {
	const char *name;
	bool (*run)(void);
} tries[] = {
	{ "secret", opens_secret }, { "passwd", opens_passwd }, { "climb", climbs },
	{ "run", opens_run }, { "home", opens_home }, { "dev", opens_dev },
	{ "process", opens_process }, { "again", opens_again }, { "write-host", writes_host },
	{ "write-root", writes_root }, { "folder", has_folder },
	{ "unix-file", connects_file }, { "unix-abstract", connects_abstract },
	{ "pair-datagram", pair_of_datagrams }, { "pair-packet", pair_of_packets },
	{ "netlink", speaks_netlink }, { "packet", speaks_packet }, { "raw", speaks_raw },
	{ "signal", signals }, { "ptrace", traces }, { "fork", forks }, { "exec", executes },
	{ "namespace", makes_namespace }, { "ids", changes_id }, { "code", adds_code },
	{ "memory", reads_memory },
};

static const struct try *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
		if (!strcmp(tries[i].name, name))
			return &tries[i];
	fprintf(stderr, "fetcher_probe: no try %s\n", name);
	exit(99);
}

/* In the place of duet-worker. */
static int as_worker(void)
{
	struct worker_request request;
	struct worker_reply reply = { 0 };
	int fds[WIRE_FDS_MAX];
	struct err err = { 0 };
	const char *name;
	size_t count;

	if (wire_receive(WORKER_FD, &request, fds, &count, &err) != 1)
		return 99;
	dir = getenv("no_proxy");
	name = strrchr(request.text, '/');
	if (transport_load() && name && root_enter_network(&err) == 0 && caps_limit(0, &err) == 0 &&
	    filter_load(FILTER_FETCH, &err) == 0)
		err_set(&err, ERR_FETCH, "try %s: %s", name + 1,
			find(name + 1)->run() ? "GOT OUT" : "blocked");
	wire_answer(&reply, request.id, &err);
	return !wire_send(WORKER_FD, &reply, 0);
}

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "duet-worker"))
		return as_worker();
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < ARRAY_SIZE(tries); i++)
			puts(tries[i].name);
		return 0;
	}
	if (argc != 4)
		return 2;
	dir = argv[3];
	return !find(argv[2])->run();
}
