/*
 * What a job looks at or tries at the walls of its container, as one static program; lines on standard
 * output say what came of it.
 *
 *	wall_probe program PID	"NAME seals N write ERRNO": what the process runs, by /proc/PID/exe
 *	wall_probe abstract NAME	"connect RESULT": to an abstract socket
 *	wall_probe cgroups	"WHAT RESULT" each: control groups mounted, entered, written to
 *	wall_probe tty		"MAJOR FILE-SYSTEM": of the terminal on standard input
 *	wall_probe words ...	its own words, one a line; also under any other name than this one
 *
 * RESULT is `done` or the name of an errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

static void say(const char *what, int result)
{
	printf("%s %s\n", what, result >= 0 ? "done" : strerrorname_np(errno));
}

static int look_at_program(const char *pid)
{
	char path[64], name[256];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	length = readlink(path, name, sizeof(name) - 1);
	if (length < 0) {
		say("program", -1);
		return 0;
	}
	name[length] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	printf("%s seals %d ", name, fd < 0 ? -1 : fcntl(fd, F_GET_SEALS));
	say("write", open(path, O_WRONLY | O_CLOEXEC));
	return 0;
}

static int connect_to(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", name);
	say("connect", connect(fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))));
	return 0;
}

static int try_cgroups(void)
{
	mkdir("/tmp/cg", 0755);
	say("mount cgroup2", mount("cgroup2", "/tmp/cg", "cgroup2", 0, NULL));
	say("mount cgroup", mount("cgroup", "/tmp/cg", "cgroup", 0, "memory"));
	say("unshare cgroup", unshare(CLONE_NEWCGROUP));
	say("unshare user, cgroup", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP));
	say("mount cgroup2 then", mount("cgroup2", "/tmp/cg", "cgroup2", 0, NULL));
	say("make a group", mkdir("/sys/fs/cgroup/duet-wall-probe", 0755));
	say("enter a group", open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC));
	say("release agent", open("/sys/fs/cgroup/release_agent", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	return 0;
}

static int look_at_terminal(void)
{
	struct statfs fs;
	struct stat st;

	if (fstat(0, &st) < 0 || fstatfs(0, &fs) < 0 || !isatty(0)) {
		say("terminal", -1);
		return 0;
	}
	printf("%u %lx\n", major(st.st_rdev), (unsigned long)fs.f_type);
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	name = name ? name + 1 : argv[0];
	if (strcmp(name, "wall_probe") != 0 || (argc > 1 && !strcmp(argv[1], "words"))) {
		for (int i = 0; i < argc; i++)
			printf("%s\n", i == 0 ? name : argv[i]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "program"))
		return look_at_program(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "abstract"))
		return connect_to(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "cgroups"))
		return try_cgroups();
	if (argc == 2 && !strcmp(argv[1], "tty"))
		return look_at_terminal();
	return 2;
}
