/*
 * The agent protocol: between the host side (runners/agent.c) and duet-init, over a socketpair in a
 * container and virtio-serial in a VM. This header is all that both sides share; it needs libc only.
 *
 * A frame is a head of 8 bytes, little-endian, and `length` bytes of payload. The peer is hostile to
 * the host side: a length above PROTO_PAYLOAD_MAX, an unknown type or a frame out of order ends the
 * conversation. Frames carry data, never names of host objects.
 *
 *	init                                host
 *	  HELLO(version, nonce 0)  ---->         sent again every 100 ms until WELCOME arrives
 *	                           <----  WELCOME(version, nonce)
 *	                           <----  SETUP(root)            to a guest only: its disks and mounts
 *	                           <----  START(session 0, job)      over a socketpair and to a
 *	                                         guest restored from a saved state, which has said
 *	                                         HELLO long ago, all three are sent at once
 *	  STARTED or FAILED        ---->
 *	  DATA / EOF               <--->  DATA / EOF     within the credit of each stream
 *	  CREDIT                   <--->  CREDIT
 *	                           <----  SIGNAL, RESIZE
 *	  EXIT(status)             ---->         after the last DATA and EOF of the session
 *	                           <----  EXIT_ACK       init repeats EXIT until it arrives
 *
 * Flow control: DATA on a stream may be sent only within its credit, PROTO_WINDOW bytes at first;
 * the receiver gives credit back as it hands bytes on. Control frames take no credit and are sent
 * before waiting data. Both EOFs are half-closes. When the channel closes, init kills everything.
 */
#ifndef DUET_RUNNERS_INIT_PROTO_H
#define DUET_RUNNERS_INIT_PROTO_H

#include <stdint.h>

#define PROTO_VERSION 3
#define PROTO_PAYLOAD_MAX 65536		/* bytes of one frame's payload */
#define PROTO_WINDOW 262144		/* bytes of credit of a stream at its start */
#define PROTO_SESSIONS_MAX 8		/* the job (0) and what exec adds */
#define PROTO_START_MAX 65536		/* bytes of a START payload: argv and env together */
#define PROTO_REPEAT_MS 100		/* HELLO and EXIT are sent again after this long */

enum proto_type {
	PROTO_HELLO = 1,	/* init: struct proto_hello */
	PROTO_WELCOME,		/* host: struct proto_hello */
	PROTO_SETUP,		/* host: struct proto_setup, its operations and strings */
	PROTO_START,		/* host: struct proto_start and its strings */
	PROTO_STARTED,		/* init: nothing */
	PROTO_FAILED,		/* init: struct proto_failed and text; the session is over */
	PROTO_DATA,		/* both: bytes of `stream` */
	PROTO_EOF,		/* both: `stream` ends */
	PROTO_CREDIT,		/* both: u32, bytes given back on `stream` */
	PROTO_SIGNAL,		/* host: u32, a signal number of Linux */
	PROTO_RESIZE,		/* host: u16 rows, u16 columns */
	PROTO_EXIT,		/* init: struct proto_exit */
	PROTO_EXIT_ACK,		/* host: nothing */
	PROTO_TYPE_END
};

enum proto_stream { PROTO_STDIN, PROTO_STDOUT, PROTO_STDERR, PROTO_STREAMS };

struct proto_head {
	uint32_t length;	/* of the payload */
	uint8_t type;		/* enum proto_type */
	uint8_t session;
	uint8_t stream;		/* enum proto_stream; 0 where it means nothing */
	uint8_t zero;
};

struct proto_hello {
	uint32_t version;
	uint32_t zero;
	uint8_t nonce[16];	/* in WELCOME chosen by the host; START and EXIT carry it back */
};

/* One mount operation, as runners/mounts.h lists them. */
enum proto_mount {
	PROTO_MOUNT_FS,		/* a new instance of file system `source` with `options` and `flags` */
	PROTO_MOUNT_DEVICE,	/* the character device that `source` names: "1:3" */
	PROTO_MOUNT_LINK,	/* a symbolic link to `source` */
	PROTO_MOUNT_FILE,	/* a file with the text `source`, where the image has none or an empty one */
	PROTO_MOUNT_SYSCTL,	/* `source` is written into the file */
	PROTO_MOUNT_MASK,	/* hidden where it exists */
	PROTO_MOUNT_READ_ONLY,	/* made read-only where it exists */
	PROTO_MOUNT_END
};

struct proto_mount_op {
	uint32_t kind;		/* enum proto_mount */
	uint32_t flags;		/* MS_* of Linux */
};

#define PROTO_SETUP_SCRATCH 1u		/* the disk behind the layers takes what the job writes */

/*
 * A file of the initramfs in the form of SETUP's payload; only its operations count. They are below
 * /proc, /sys and /dev, and the same for every job: they are made before HELLO, so that a guest that
 * starts from a saved state has them already.
 */
#define PROTO_FIXED_FILE "/mounts"

/*
 * Followed by: op_count struct proto_mount_op; then strings, each ended by NUL: the host name, and for
 * each operation target, source, options ("" where there is none). Disks are virtio-blk devices in
 * the order of the machine: `disks` layers, lowest first, then the scratch disk. What it asks for is
 * done in order; a failure is answered by FAILED, and START is then ignored.
 */
struct proto_setup {
	uint8_t nonce[16];
	uint64_t realtime_ns;	/* since 1970 */
	uint8_t seed[64];	/* for the random generator */
	uint32_t flags;		/* PROTO_SETUP_* */
	uint32_t disks;
	uint32_t op_count;
	uint32_t strings_length;
};

#define PROTO_PORT_NAME "duet.agent"	/* of the virtio-serial port in a guest */
#define PROTO_DISKS_MAX 8
#define PROTO_CONSOLE_MEMORY "duet-init ends all for want of memory"
#define PROTO_CONSOLE_MARK "duet-init: "	/* a line of the console that begins so says why it ended */

#define PROTO_START_TTY 1u
#define PROTO_START_STDIN 2u		/* stdin will come as DATA; without it: /dev/null */
#define PROTO_START_ONE_OUTPUT 8u	/* its standard error goes where its standard output goes */
#define PROTO_START_GAIN 4u		/* exec may give it rights (sudo); else no_new_privs */

/*
 * Followed by: argc strings, envc strings, workdir, each ended by NUL; then group_count u32.
 * The ids are numbers: names were looked up by the host.
 */
struct proto_start {
	uint8_t nonce[16];
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint32_t umask;
	uint32_t argc;
	uint32_t envc;
	uint32_t group_count;
	uint32_t strings_length;	/* bytes of all the strings, NULs included */
	uint16_t rows, columns;		/* with PROTO_START_TTY */
	uint64_t capabilities;		/* bit N: CAP_N; the job's bounding set */
};

/* What could not be done; the text behind it names the object ("exec nginx"). */
enum proto_step { PROTO_STEP_SETUP = 1, PROTO_STEP_WORKDIR, PROTO_STEP_EXEC };

struct proto_failed {
	uint32_t step;		/* enum proto_step */
	uint32_t error;		/* errno */
};

struct proto_exit {
	uint8_t nonce[16];
	uint32_t code;		/* exit status, when signal is 0 */
	uint32_t signal;	/* that ended the job */
	uint32_t flags;		/* PROTO_EXIT_* */
};

#define PROTO_EXIT_FULL 1u	/* nothing more can be written to the job's root */

#endif
