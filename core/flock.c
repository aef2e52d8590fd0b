/* Locks that are waited for: see flock.h. */
#include "core/flock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/str.h"

#define TRY_MS 10
#define LOCKS_BYTES_MAX (4u << 20)	/* of /proc/locks */
#define NAME_SHOWN 64			/* bytes of a program's name */

/* 0: nobody, or nobody that can be seen from here. */
static pid_t holder_of(int fd)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_free_ char *text = NULL, *wanted = NULL;
	struct stat st;
	pid_t holder = 0;
	char *save = NULL;

	if (fstat(fd, &st) < 0 || fs_read_file(AT_FDCWD, "/proc/locks", LOCKS_BYTES_MAX, &text,
					       NULL, &ignored) < 0)
		return 0;
	wanted = xasprintf("%02x:%02x:%llu", major(st.st_dev), minor(st.st_dev),
			   (unsigned long long)st.st_ino);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char device[64];
		int pid;

		/* who waits has "->" in its line */
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %63s", &pid, device) == 2 &&
		    !strcmp(device, wanted) && pid != getpid())
			holder = pid;
	}
	return holder;
}

char *flock_holder(int fd)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_free_ char *path = NULL, *name = NULL, *shown = NULL;
	pid_t holder = holder_of(fd);

	if (holder <= 0)
		return xstrdup("another process");
	path = xasprintf("/proc/%d/comm", holder);
	if (fs_read_file(AT_FDCWD, path, 256, &name, NULL, &ignored) == 0)
		name[strcspn(name, "\n")] = '\0';
	shown = str_escape(name ? name : "?", NAME_SHOWN);
	return xasprintf("process %d (%s)", holder, shown);
}

static void tell(int fd, const char *what)
{
	_cleanup_free_ char *holder = what ? flock_holder(fd) : NULL;

	if (what)
		log_note("waiting for %s: %s uses it", what, holder);
}

int flock_wait(int fd, int how, unsigned int wait_ms, const char *what)
{
	const struct timespec pause = { .tv_nsec = TRY_MS * 1000000 };

	for (unsigned int waited_ms = 0; ; waited_ms += TRY_MS) {
		if (flock(fd, how | LOCK_NB) == 0)
			return 0;
		if ((errno != EWOULDBLOCK && errno != EINTR) || waited_ms >= wait_ms)
			return -1;
		if (waited_ms == FLOCK_TELL_MS) {
			tell(fd, what);
			if (wait_ms == FLOCK_FOREVER)
				break;
		}
		nanosleep(&pause, NULL);
	}
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}
