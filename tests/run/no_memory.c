/*
 * Fails allocations of the program that it is preloaded into (malloc, calloc, realloc, what is aligned;
 * strdup, asprintf and their kind call those):
 *
 *	NO_MEMORY_AT	the Nth of a process fails; with a + behind it, all from there on; 0: none
 *	NO_MEMORY_ONLY	none fails, and none is counted, in a program whose first argument is another
 *	NO_MEMORY_CHILD	set: in children made by fork or clone alone, each from its first on
 *	NO_MEMORY_SEEN	a file of 8 bytes, which gets the greatest number that a process came to
 *
 * Else a child made by fork or clone counts on from where its parent was.
 *
 * With -DNO_MEMORY_START it is the program that brings it to where the environment is not handed on:
 * put in the place of PROGRAM, it reads PROGRAM.environment, one NAME=VALUE a line, and becomes
 * PROGRAM.true with that.
 */
#ifndef NO_MEMORY_START

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own, under the names that nobody takes from it */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic unsigned long count;
static unsigned long wanted;
static int onwards;
static pid_t parent;	/* in which nothing fails; 0: none */
static _Atomic unsigned long *seen;	/* shared with all that this is preloaded into */

__attribute__((constructor)) static void begin(int argc, char **argv)
{
	const char *at = getenv("NO_MEMORY_AT"), *path = getenv("NO_MEMORY_SEEN");
	const char *only = getenv("NO_MEMORY_ONLY");
	void *memory = MAP_FAILED;
	char *end = NULL;
	int fd;

	if (only && (argc < 2 || strcmp(argv[1], only)))
		return;
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		memory = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (memory != MAP_FAILED)
		seen = memory;
	if (getenv("NO_MEMORY_CHILD"))
		parent = getpid();
	if (!at)
		return;
	wanted = strtoul(at, &end, 10);
	onwards = *end == '+';
	atomic_store(&count, 0);
}

/* Is this one to fail? */
static int fails(void)
{
	unsigned long number, most;

	if (parent == getpid())
		return 0;
	number = atomic_fetch_add(&count, 1) + 1;
	most = seen ? atomic_load(seen) : number;
	while (most < number && !atomic_compare_exchange_weak(seen, &most, number))
		;
	if (wanted == 0 || (onwards ? number < wanted : number != wanted))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	return fails() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
	return size && fails() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *memory = memalign(alignment, size);

	if (!memory)
		return ENOMEM;
	*ret = memory;
	return 0;
}

#else

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 8

int main(int argc, char **argv, char **given)
{
	char path[4096], name[4200], lines[LINES_MAX][4096], *all[64 + LINES_MAX + 1];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t count = 0;
	FILE *file;

	if (argc < 1 || length <= 0)
		return 125;
	path[length] = '\0';
	while (given[count] && count < 64) {
		all[count] = given[count];
		count++;
	}
	snprintf(name, sizeof(name), "%s.environment", path);
	file = fopen(name, "re");
	for (size_t i = 0; file && i < LINES_MAX && fgets(lines[i], sizeof(lines[i]), file); i++) {
		lines[i][strcspn(lines[i], "\n")] = '\0';
		all[count++] = lines[i];
	}
	if (file)
		fclose(file);
	all[count] = NULL;
	snprintf(name, sizeof(name), "%s.true", path);
	execve(name, argv, all);
	return 125;
}

#endif
