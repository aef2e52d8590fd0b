/*
 * Another date, for the program that it is preloaded into: OTHER_TIME_S seconds are added to what the
 * system's clock says. Clocks that only count on are as they were.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	const char *text = getenv("OTHER_TIME_S");

	return text ? atol(text) : 0;
}

int clock_gettime(clockid_t which, struct timespec *ret)
{
	int result = (int)syscall(SYS_clock_gettime, which, ret);

	if (result == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		ret->tv_sec += offset();
	return result;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
	return 0;
}
