/* Calls of the system that take more than a line to make. */
#ifndef DUET_CORE_SYS_H
#define DUET_CORE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_FDS_MAX 253	/* descriptors in one message: the kernel's own limit (unix(7)) */

/*
 * Sends `size` bytes, at least one, over a socket of this machine, and `count` descriptors with them: the
 * receiver gets its own of the same open files (SCM_RIGHTS). Descriptors stay the caller's. Returns how many
 * bytes went, or -1 with errno: EINVAL above SYS_FDS_MAX, EPIPE (never a signal) when nobody reads.
 */
ssize_t sys_send_fds(int socket, const void *data, size_t size, const int *fds, size_t count);
/* Closes every descriptor from number `from` on but two, which are not below it. */
void sys_close_others(unsigned int from, int keep, int and_keep);
/* Bytes that programs could still take without the others being pushed out (proc(5)); 0: not known. */
uint64_t sys_memory_available(void);

#endif
