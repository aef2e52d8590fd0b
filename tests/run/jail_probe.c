/*
 * Starts fake_qemu ($DUET_QEMU) in QEMU's jail as the VM runner does, or outside of it as a control,
 * with everything to go for in a folder of the caller's:
 *
 *	jail_probe in|wait|out DIR
 *
 * Prints what the fake prints, then "exit CODE" (128 + signal). `wait`: the fake waits to be killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/proc.h"
#include "runners/vm/vm.h"

#define RAM_BYTES (16 << 20)
#define DISK_BYTES (1 << 20)
#define LEFT_OPEN 200	/* a folder that somebody before left open */

static const char *folder;

static void die(const char *what)
{
	fprintf(stderr, "jail_probe: %s: %s\n", what, strerror(errno));
	exit(99);
}

static int make_file(const char *name, off_t size, int flags)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size) < 0)
		die(path);
	close(fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static void listen_unix(const char *name, size_t skip)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t length = strlen(name);

	if (length + skip >= sizeof(at.sun_path))
		die(name);
	memcpy(at.sun_path + skip, name, length);
	if (bind(fd, (struct sockaddr *)&at,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + length)) < 0 ||
	    listen(fd, 8) < 0)
		die(name);
}

static int listen_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		die("listen");
	return ntohs(at.sin_port);
}

/* Listeners, shared memory, a folder left open; the line that tells the fake of them. Owned. */
static char *make_targets(const char *mode)
{
	_cleanup_free_ char *name = xasprintf("duet-test-%d", (int)getpid());
	_cleanup_free_ char *path = xasprintf("%s/socket", folder);
	_cleanup_free_ char *mnt = xasprintf("%s/mnt", folder);
	int key = 0x64000000 + (int)getpid(), port = listen_tcp(), fd;

	listen_unix(name, 1);
	unlink(path);
	listen_unix(path, 0);
	if (mkdir(mnt, 0755) < 0 && errno != EEXIST)
		die(mnt);
	if (shmget(key, 4096, IPC_CREAT | 0666) < 0)
		die("make shared memory");
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, LEFT_OPEN) < 0)
		die("open /");
	close(make_file("secret", 16, O_RDONLY));
	return xasprintf("%s %s %d %d %d\n", mode, folder, port, (int)getpid(), key);
}

static void remove_targets(void)
{
	int id = shmget(0x64000000 + (int)getpid(), 0, 0);

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
}

static void report(int code)
{
	remove_targets();
	printf("exit %d\n", code);
}

/* ---- in the jail ----------------------------------------------------------------------------- */

static void copy_words(int fd)
{
	char chunk[4096];
	ssize_t got;

	if (fcntl(fd, F_SETFL, 0) < 0)
		die("read the fake's words");
	while ((got = read(fd, chunk, sizeof(chunk))) > 0) {
		fwrite(chunk, 1, (size_t)got, stdout);
		fflush(stdout);
	}
}

static void inside(const char *line)
{
	struct str initrd = { 0 };
	int disks[] = { make_file("disk", DISK_BYTES, O_RDONLY),
			make_file("scratch", DISK_BYTES, O_RDWR) };
	struct vm vm = { .program = -1 };
	struct guest_start start = {
		.machine = { .memory_bytes = RAM_BYTES, .cpus = 1, .kernel = true, .floppy = true,
			     .ram = QEMU_RAM_RESTORE, .disks = { { false }, { true } },
			     .disk_count = 2 },
		.vmlinux = make_file("kernel", 4096, O_RDONLY),
		.initrd = &initrd,
		.ram = make_file("ram", RAM_BYTES, O_RDONLY),
		.state = make_file("state", 4096, O_RDONLY),
		.floppy = make_file("floppy", 4096, O_RDONLY),
		.disks = disks,
		.commands = line,
	};
	struct guest *guest = xcalloc(1, sizeof(*guest));
	struct err err = { 0 };

	str_add(&initrd, "initrd");
	if (launch_find(&vm.program, &err) < 0)
		die(err.msg);
	if (guest_start(&vm, &start, guest, &err) < 0) {
		remove_targets();
		fprintf(stderr, "jail_probe: %s\n", err.msg);
		exit(98);
	}
	copy_words(guest->words_fd);
	report(jail_wait(&guest->jail));
	guest_kill(guest);
	free(guest);
	str_done(&initrd);
}

/* ---- the control ----------------------------------------------------------------------------- */

static void put_at(int fd, int number)
{
	if (dup2(fd, number) < 0)
		die("arrange descriptors");
}

/* With the same descriptors, all writable, and all the rights of the caller. */
static void outside(const char *line)
{
	int pair[2];
	pid_t pid;

	close(make_file("ram", RAM_BYTES, O_RDWR));
	close(make_file("kernel", 4096, O_RDWR));
	close(make_file("initrd", 4096, O_RDWR));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    write(pair[0], line, strlen(line)) < 0)
		die("make socketpair");
	pid = fork();
	if (pid == 0) {
		/* what a try changes should not be the host's */
		if (unshare(CLONE_NEWNS | CLONE_NEWUTS) == 0)
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
		put_at(fcntl(pair[1], F_DUPFD, LEFT_OPEN + 1), QEMU_FD_CONTROL);
		put_at(make_file("disk", DISK_BYTES, O_RDWR), QEMU_FD_DISK);
		put_at(make_file("scratch", DISK_BYTES, O_RDWR), QEMU_FD_DISK + 1);
		put_at(make_file("state", 4096, O_RDWR), QEMU_FD_STATE);
		put_at(make_file("floppy", 4096, O_RDWR), QEMU_FD_FLOPPY);
		execl(getenv("DUET_QEMU"), "qemu", (char *)NULL);
		die("exec the fake");
	}
	report(proc_wait(pid));
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *line = NULL;

	if (argc != 3 || !getenv("DUET_QEMU"))
		return 2;
	folder = argv[2];
	line = make_targets(argv[1]);
	if (!strcmp(argv[1], "out"))
		outside(line);
	else
		inside(line);
	return 0;
}
