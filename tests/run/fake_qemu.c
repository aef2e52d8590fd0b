/*
 * Stands in for QEMU ($DUET_QEMU) and does what a QEMU that is lost to its guest would do: it tries
 * every way out of the jail (runners/vm/launch.c), and says of each "NAME blocked" or "NAME GOT OUT".
 * The same program outside the jail is the control (jail_probe.c): there most of them succeed.
 *
 * What to go for comes as one line on the control socket: "MODE DIR PORT PID SHM-KEY". MODE `wait`
 * only disarms the death signal, if it can, and waits. Each try is made in a child where one can be
 * made, so that none is in another's way.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/run/fake_qemu.h"

char mode[8], dir[256];
int port, parent, shm_key, ram;

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

/* How many there are. */
static size_t try_all(const struct fake_try *tries)
{
	size_t count = 0;

	for (; tries[count].name; count++)
		say(tries[count].name, gets_out(tries[count].try));
	return count;
}

/* What is opened by notification: the memory, and nothing else. */
static void open_ram(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/secret", dir);
	say("notified_path", fake_opens(path, O_RDWR));
	say("notified_kvm", fake_opens("/dev/kvm", O_RDWR));
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
	size_t used = 0, tried;

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
	tried = try_all(fake_file_tries) + try_all(fake_world_tries);
	dprintf(STDOUT_FILENO, "%zu tried\n", tried);
	/* calls of another ABI end the process */
	syscall(SYS_getpid | X32_BIT);
	dprintf(STDOUT_FILENO, "foreign_abi GOT OUT\n");
	return 0;
}
