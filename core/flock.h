/* flock(2) for whoever has to wait: it says who has the lock. */
#ifndef DUET_CORE_FLOCK_H
#define DUET_CORE_FLOCK_H

#define FLOCK_FOREVER (~0u)
#define FLOCK_TELL_MS 300	/* a wait that is over sooner is not told of */

/* "process 812 (duet)", or "another process" where /proc/locks does not tell. Owned, escaped. */
char *flock_holder(int fd);
/*
 * Takes the lock `how` (LOCK_SH, LOCK_EX) of an open file, waiting wait_ms or FLOCK_FOREVER. While it waits
 * it says once for what, and for whom; `what` is escaped, as "the cache /c"; NULL: nothing is said. 0;
 * -1 with errno, EWOULDBLOCK when the time is over. Signals are left as they are: what ends a program
 * ends this one at once, and nothing of the wait remains.
 */
int flock_wait(int fd, int how, unsigned int wait_ms, const char *what);

#endif
