/*
 * duet-init in a guest: the end of its memory. A guest does not swap, and what its programs are read
 * from can always be dropped and read again: so the kernel finds something to free at every turn and
 * its OOM killer stays away, for minutes, while nothing goes on. Here this is seen from outside:
 *
 *	1  the kernel wakes us after a second of which somebody waited for memory for 0.4 s
 *	2  after KILL_AT such seconds in a row in which next to nothing of files was in memory, its OOM
 *	   killer is called: it ends one process, and says so on the console
 *	3  where that has not helped by END_AT, everything but us is ended
 *
 * A job that is slow because it reads more than fits has much of that in memory, and goes on. What the
 * kernel calls available is no measure: it counts caches of its own that it does not give up. All
 * files are opened before the job's root is there. A kernel without pressure stall information has its
 * OOM killer alone.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runners/init/init.h"

#define TRIGGER "some 400000 1000000"	/* microseconds of waiting, of a second */
#define FILES_PART 64			/* of the memory */
#define KILL_AT 3
#define END_AT 8
#define ROW_MS 2500			/* what comes within is in a row; a busy machine is late */
#define MEMINFO_ROOM 1024		/* its first lines, which are those that are asked for */

static int meminfo = -1, killer = -1;
static uint64_t last_ms;
static int row;

int memory_watch(void)
{
	int pressure = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	killer = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	if (pressure >= 0 && meminfo >= 0 && killer >= 0 &&
	    write(pressure, TRIGGER, sizeof(TRIGGER)) >= 0)
		return pressure;
	if (pressure >= 0)
		close(pressure);
	return -1;
}

/* The number behind a name that begins a line; 0 where there is none. */
static unsigned long field_kb(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static bool is_short(void)
{
	char text[MEMINFO_ROOM];
	ssize_t size = pread(meminfo, text, sizeof(text) - 1, 0);

	if (size <= 0)
		return false;
	text[size] = '\0';
	return field_kb(text, "Active(file):") + field_kb(text, "Inactive(file):") <
	       field_kb(text, "MemTotal:") / FILES_PART;
}

void memory_is_short(uint64_t now_ms)
{
	if (!is_short())
		return;
	row = now_ms - last_ms < ROW_MS ? row + 1 : 1;
	last_ms = now_ms;
	if (row >= END_AT) {
		dprintf(2, "\n" PROTO_CONSOLE_MEMORY "\n");
		kill(-1, SIGKILL);
		row = 0;
	} else if (row >= KILL_AT) {
		(void)!write(killer, "f", 1);
	}
}
