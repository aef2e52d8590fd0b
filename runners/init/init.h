/* duet-init: what its files share. libc only; nothing is allocated after start. */
#ifndef DUET_RUNNERS_INIT_INIT_H
#define DUET_RUNNERS_INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runners/init/proto.h"

#define CHANNEL_FD 3		/* the agent's channel in a container */
#define CONTROL_ROOM 4096	/* bytes of control frames that may wait */

enum session_state { SESSION_FREE, SESSION_RUNNING, SESSION_DRAINING, SESSION_EXITED };

/* One stream from the host to the job: what arrived and is not written yet. */
struct inflow {
	int fd;			/* the job's stdin pipe or pty; -1 when closed */
	bool ended;		/* the host sent EOF */
	uint32_t start, used;	/* ring */
	uint8_t ring[PROTO_WINDOW];
};

/* One stream from the job to the host. */
struct outflow {
	int fd;			/* -1 when closed */
	uint32_t credit;	/* bytes that may be sent */
	bool eof_sent;
};

struct session {
	enum session_state state;
	pid_t pid;
	bool tty;
	int status;		/* wait status, once it is dead */
	struct inflow in;
	struct outflow out[PROTO_STREAMS];	/* [PROTO_STDOUT], [PROTO_STDERR] */
};

struct init {
	int channel;
	bool guest;		/* of a VM, not of a container */
	bool broken;		/* SETUP failed: nothing can be started */
	int signals;		/* signalfd of SIGCHLD */
	int memory;		/* memory_watch */
	uint8_t nonce[16];
	bool welcomed;
	uint64_t repeat_ms;	/* when HELLO or EXIT is sent again; 0: never */
	struct session sessions[PROTO_SESSIONS_MAX];
	/* what comes in: one frame, perhaps not whole yet */
	uint8_t in[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];
	size_t in_used;
	/* what goes out: control frames first, then one data frame that may be partly sent */
	uint8_t control[CONTROL_ROOM];
	size_t control_used;
	uint8_t out[sizeof(struct proto_head) + PROTO_PAYLOAD_MAX];
	size_t out_start, out_used;
};

/* job.c: starts what START describes; answers STARTED or FAILED. */
void job_start(struct init *init, unsigned int session, const uint8_t *payload, size_t length);

/* channel.c: frames. Each ends the process when the host is gone or speaks nonsense. */
void channel_queue(struct init *init, enum proto_type type, unsigned int session,
		   unsigned int stream, const void *payload, size_t length);
void channel_read(struct init *init,
		  void (*take)(struct init *, const struct proto_head *, const uint8_t *));
/* Sends what waits; true when everything is out and a data frame may be made. */
bool channel_flush(struct init *init);
bool channel_has_room(const struct init *init);

/* guest.c: from the kernel to the channel of a guest; returns it. Ends the guest when it cannot. */
int guest_start(void);
/* Loads the modules of a feature (core/rootfs.h lists them); 0, or -1 with errno. */
int guest_load(const char *feature);
/* A file from where it stands, to its end or `room`: how many bytes, or -1 with errno. */
ssize_t guest_read(int fd, void *to, size_t room);
/* Ends the guest; the reason goes to the console with errno's text behind it. */
_Noreturn void guest_fail(const char *what);

/*
 * memory.c: what poll reports POLLPRI on when a guest runs out of memory, and what is done then. -1: the
 * kernel cannot tell.
 */
int memory_watch(void);
void memory_is_short(uint64_t now_ms);

/* root.c: what every root has alike; ends the guest when it cannot. */
void root_prepare(void);
/* root.c: can no file of the root grow, or no file be made? Of one that is read-only this is not asked. */
bool root_is_full(void);
/* root.c: the root that SETUP describes; answers FAILED when it cannot be made. */
void root_setup(struct init *init, const uint8_t *payload, size_t length);

/* Ends everything: PID 1 of a container exits, a guest restarts, which ends its machine. */
_Noreturn void init_end(int code);

#endif
