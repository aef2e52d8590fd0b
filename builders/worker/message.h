/*
 * What goes between duet and duet-worker: one request with its descriptors, progress, one reply.
 * All are fixed structs over a SOCK_SEQPACKET pair on the worker's descriptor 3; a message of
 * another size, version or operation ends the conversation.
 */
#ifndef DUET_BUILDERS_WORKER_MESSAGE_H
#define DUET_BUILDERS_WORKER_MESSAGE_H

#include <stdint.h>

#include "core/digest.h"

#define WORKER_VERSION 1u
#define WORKER_FD 3			/* the worker's end of the socket */
#define WORKER_URL_MAX 4096
#define WORKER_LOWER_MAX 240		/* lower trees that fit one message (SCM_MAX_FD is 253) */

#define WORKER_DISKS_MAX 8		/* EROFS files that a kernel is looked for in */

enum worker_op {
	WORKER_FETCH = 1,	/* fds: output file */
	WORKER_UNPACK,		/* fds: blob, tree, lower trees */
	WORKER_EROFS,		/* fds: blob, output file, lower EROFS files */
	WORKER_MERGE,		/* fds: output file, EROFS files to merge */
	WORKER_PACK,		/* fds: output file, archive or source */
	WORKER_HASH,		/* fds: file */
	WORKER_DIGEST_SOURCE,	/* fds: file or folder */
	WORKER_INDEX,		/* fds: output file, packed list of packages */
	/*
	 * fds: vmlinux and modules to write; then a package, or EROFS files of an image, or a boot
	 * image and perhaps lib/modules
	 */
	WORKER_KERNEL,
	WORKER_OP_END
};

#define WORKER_HAS_EXPECTED 1u
#define WORKER_ALLOW_XZ 2u
#define WORKER_SINGLE_UID 4u
#define WORKER_KEEP 8u
#define WORKER_HAS_MODE 16u
#define WORKER_FROM_ARCHIVE 32u
#define WORKER_FROM_DISKS 256u
#define WORKER_PLAIN_HTTP 64u		/* http:// too: what comes is signed, or its digest is known */
#define WORKER_ANY_DIGEST 128u		/* no digest is known; `bytes` is then the most that is taken */

struct worker_request {
	uint32_t version;
	uint32_t op;			/* enum worker_op */
	uint32_t flags;			/* WORKER_* above */
	uint32_t fd_count;
	uint64_t bytes;			/* expected size; 0: unknown */
	struct digest expected;
	uint32_t strip, owner_uid, owner_gid, mode;
	/* URL, where a pack lands inside, how names of packages begin; ended by NUL */
	char text[WORKER_URL_MAX];
	char name[256];			/* the source's name, how names end, a kernel's release */
};

enum worker_message { WORKER_PROGRESS = 1, WORKER_DONE, WORKER_FAILED };

struct worker_reply {
	uint32_t version;
	uint32_t message;		/* enum worker_message */
	uint64_t done, total;		/* WORKER_PROGRESS: bytes */
	struct digest blob, diff_id;	/* WORKER_DONE; WORKER_KERNEL: vmlinux, modules */
	uint64_t blob_bytes, plain_bytes, entries, tree_bytes, owners_lost, devices;
	uint32_t needs_lower;
	int32_t code;			/* WORKER_FAILED: err.code */
	char name[256];			/* WORKER_KERNEL: its release; ended by NUL */
	char msg[2048];			/* WORKER_FAILED; ended by NUL */
	char mend[512];
};

#endif
