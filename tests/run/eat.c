/*
 * A job that takes memory of one kind until it is ended or refused, as one static program.
 *
 *	eat anonymous|tables|processes|stack|sockets|pipes|inodes|mapped
 *	eat file PATH		in a file that it writes
 *	eat slowly		until its own pages are all that is left, and not one more: what it reads is
 *				dropped and read again from then on
 *	eat nothing		reads a file that is larger than the memory, twice: that is no eating
 *
 * Exit code 9: it was refused, and said so. It holds what it has: only its end gives it back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define PAGE 4096
#define FILE_PATH "/large"	/* of the image */
#define HOT_BYTES (2 * MIB)	/* of it that are read all the time */

static char full[16 * PAGE];

_Noreturn static void refused(const char *what)
{
	perror(what);
	exit(9);
}

static char *map(size_t size, int flags, int fd, off_t at)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, at);

	if (memory == MAP_FAILED)
		refused("mmap");
	return memory;
}

static void touch(char *memory, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		memory[at] = 1;
}

static void eat_anonymous(void)
{
	for (;;)
		touch(map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MIB);
}

/* One page of tables for each 2 MiB that are looked at; what is looked at is the page of zeros. */
static void eat_tables(void)
{
	size_t size = (size_t)1 << 44;

	for (;;) {
		volatile char *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
					     -1, 0);

		if (memory == MAP_FAILED) {
			size /= 2;
			if (size < PAGE)
				refused("mmap");
			continue;
		}
		madvise((void *)memory, size, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < size; at += 2 * MIB)
			(void)memory[at];
	}
}

static void eat_processes(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid < 0)
			refused("fork");
		if (pid == 0) {
			touch(map(MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MIB);
			for (;;)
				pause();
		}
	}
}

static int deeper(int depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)depth;
	return depth < 0 ? 0 : deeper(depth + 1) + frame[0];
}

/* A stack's limit counts from exec on. */
static void eat_stack(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	if (getenv("EAT_AGAIN"))
		exit(deeper(0));
	if (setrlimit(RLIMIT_STACK, &none) < 0)
		refused("setrlimit");
	setenv("EAT_AGAIN", "1", 1);
	execl("/proc/self/exe", "eat", "stack", (char *)NULL);
	refused("exec");
}

static void fill(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, full, sizeof(full)) > 0)
		;
}

/* Each process holds as many as it may, and then leaves it to the next. */
static void eat_ends(int (*make)(int ends[2]))
{
	for (;;) {
		int ends[2];

		if (make(ends) == 0) {
			fill(ends[1]);
			continue;
		}
		if (errno != EMFILE)
			refused("make");
		switch (fork()) {
		case -1:
			refused("fork");
		case 0:
			/* the parent keeps what it holds: here the numbers are free again */
			for (int fd = 3; fd < 1 << 20 && close(fd) == 0; fd++)
				;
			break;
		default:
			wait(NULL);
			exit(9);
		}
	}
}

static int make_pipe(int ends[2])
{
	if (pipe(ends) < 0)
		return -1;
	fcntl(ends[1], F_SETPIPE_SZ, MIB);
	return 0;
}

static int make_sockets(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static void eat_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	if (fd < 0)
		refused(path);
	for (;;)
		if (write(fd, full, sizeof(full)) < 0)
			refused(path);
}

static void eat_mapped(void)
{
	int fd = open("/mapped", O_CREAT | O_RDWR | O_TRUNC, 0600);

	for (off_t size = 0; fd >= 0 && ftruncate(fd, size + MIB) == 0; size += MIB)
		touch(map(MIB, MAP_SHARED, fd, size), MIB);
	refused("/mapped");
}

static void eat_inodes(void)
{
	char name[256];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	if (mkdir("/inodes", 0700) < 0 || chdir("/inodes") < 0)
		refused("/inodes");
	for (unsigned int i = 0;; i++) {
		int fd;

		name[snprintf(name, 10, "%09u", i % 1000000000)] = 'x';
		fd = open(name, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			refused("/inodes");
		close(fd);
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static volatile char *large(size_t *ret_size)
{
	int fd = open(FILE_PATH, O_RDONLY);
	struct stat st;
	char *memory;

	if (fd < 0 || fstat(fd, &st) < 0)
		refused(FILE_PATH);
	*ret_size = (size_t)st.st_size;
	memory = mmap(NULL, *ret_size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		refused("mmap");
	return memory;
}

static void eat_slowly(void)
{
	size_t size, pages = 0;
	volatile char *hot = large(&size);
	char *own = map((size_t)1 << 32, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (;;) {
		double begin = now();

		for (size_t at = 0; at < HOT_BYTES; at += PAGE)
			(void)hot[at];
		/* a round takes a fraction of a millisecond as long as nothing is read again */
		if (now() - begin < 0.1)
			touch(own + PAGE * pages++, PAGE);
	}
}

static void eat_nothing(void)
{
	size_t size;
	volatile char *file = large(&size);

	for (int round = 0; round < 2; round++)
		for (size_t at = 0; at < size; at += PAGE)
			(void)file[at];
	puts("read");
	exit(0);
}

static void eat_pipes(void)
{
	eat_ends(make_pipe);
}

static void eat_sockets(void)
{
	eat_ends(make_sockets);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*eat)(void);
	} kinds[] = {
		{ "anonymous", eat_anonymous }, { "tables", eat_tables }, { "processes", eat_processes },
		{ "stack", eat_stack }, { "sockets", eat_sockets }, { "pipes", eat_pipes },
		{ "inodes", eat_inodes }, { "mapped", eat_mapped }, { "slowly", eat_slowly },
		{ "nothing", eat_nothing },
	};

	memset(full, 1, sizeof(full));
	if (argc == 3 && !strcmp(argv[1], "file"))
		eat_file(argv[2]);
	for (size_t i = 0; argc == 2 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(argv[1], kinds[i].name))
			kinds[i].eat();
	return 2;
}
