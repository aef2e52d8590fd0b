/* The worker's memory: see memory.h. */
#include "builders/worker/memory.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "builders/worker/message.h"
#include "core/mem.h"

#define STACK_BYTES (1024 * 1024)	/* of a thread, whatever RLIMIT_STACK says */

static bool ended;

/* libarchive ends the process itself when it has no memory for a text. */
static void at_exit(void)
{
	if (!ended)
		_exit(WORKER_EXIT_MEMORY);
}

void memory_begin(void)
{
	pthread_attr_t attr;

	mem_exit_with(WORKER_EXIT_MEMORY);
	(void)mallopt(M_ARENA_MAX, 1); /* the sanitizer has no heaps of glibc's */
	if (atexit(at_exit) != 0 || pthread_attr_init(&attr) != 0)
		mem_out();
	if (pthread_attr_setstacksize(&attr, STACK_BYTES) != 0 ||
	    pthread_setattr_default_np(&attr) != 0)
		mem_out();
	pthread_attr_destroy(&attr);
}

void memory_end(void)
{
	ended = true;
}

#ifdef __SANITIZE_ADDRESS__
/* The sanitizer's shadow takes 16 TiB of addresses: such a build is for the unit tests. */
int memory_limit(uint64_t bytes, struct err *err)
{
	(void)bytes;
	(void)err;
	return 0;
}
#else
int memory_limit(uint64_t bytes, struct err *err)
{
	struct rlimit limit, now;

	if (getrlimit(RLIMIT_AS, &limit) < 0)
		return err_sys_as(err, ERR_HOST, errno, "read the limit of memory");
	if (limit.rlim_max > bytes)
		limit.rlim_max = bytes;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_AS, &limit) < 0 || getrlimit(RLIMIT_AS, &now) < 0)
		return err_sys_as(err, ERR_HOST, errno, "limit the memory");
	if (now.rlim_cur != limit.rlim_cur || now.rlim_max != limit.rlim_max)
		return err_set(err, ERR_HOST, "limit the memory: the kernel did not keep the limit");
	return 0;
}
#endif
