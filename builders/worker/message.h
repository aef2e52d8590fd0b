/*
 * What goes between duet and duet-worker: one request with its descriptors, progress, one reply; with
 * a registry a conversation of many. All are fixed structs over a SOCK_SEQPACKET pair on the worker's descriptor 3; a message of
 * another size, version or operation ends the conversation.
 */
#ifndef DUET_BUILDERS_WORKER_MESSAGE_H
#define DUET_BUILDERS_WORKER_MESSAGE_H

#include <stdint.h>

#include "core/digest.h"

#define WORKER_VERSION 2u
#define WORKER_FD 3			/* the worker's end of the socket */
#define WORKER_EXIT_MEMORY 3		/* exit code: it met the limit of its memory (memory.h) */
#define WORKER_URL_MAX 4096
#define WORKER_LOWER_MAX 240		/* lower trees that fit one message (SCM_MAX_FD is 253) */

#define WORKER_DISKS_MAX 8		/* EROFS files that a kernel is looked for in */

enum worker_op {
	WORKER_FETCH = 1,	/* fds: output file */
	WORKER_UNPACK,		/* fds: blob, tree, lower trees */
	WORKER_EROFS,		/* fds: blob, output file, lower EROFS files */
	WORKER_MERGE,		/* fds: output file, EROFS files to merge */
	/*
	 * fds: output file; then an archive, or a selection's text (core/select.h) and its sources, or
	 * (WORKER_FROM_IMAGE) the trees that they are in
	 */
	WORKER_PACK,
	WORKER_HASH,		/* fds: file */
	WORKER_DIGEST_SOURCE,	/* fds: a selection's text, its sources */
	WORKER_INDEX,		/* fds: output file, packed list of packages */
	/*
	 * fds: vmlinux and modules to write; then a package, or EROFS files of an image, or a boot
	 * image and perhaps lib/modules
	 */
	WORKER_KERNEL,
	/*
	 * fds: a manifest or index (text: what media type it came as, name: the platform), or with
	 * WORKER_LAYOUT a layout's index.json (text: the tag). The reply: blob, blob_bytes and name are the
	 * descriptor, needs_lower is enum oci_document (not with WORKER_LAYOUT)
	 */
	WORKER_PICK,
	/* fds: output record, manifest, config. `expected` is the manifest's digest */
	WORKER_IMAGE,
	/*
	 * fds: output file, input. `bytes` from `offset` on (0: to the end), or with WORKER_INFLATE all of
	 * it, inflated. The reply: blob and blob_bytes are what was copied, inflated: of the input, and
	 * diff_id and plain_bytes of what was written. With WORKER_REPACK all of it, inflated and packed
	 * with zstd: blob and blob_bytes are of what was written
	 */
	WORKER_COPY,
	/* fds: output record, output config, archive (a plain tar). text: tag or name, or "" */
	WORKER_DOCKER_ARCHIVE,
	/*
	 * A conversation with one repository of a registry. fds: struct worker_login. text: "HOST[:PORT]/
	 * REPOSITORY". When the worker is ready it answers WORKER_DONE with id 0; after that it takes the
	 * requests below, several at a time, and answers each under its id, in any order, until the
	 * socket closes.
	 */
	WORKER_REGISTRY,
	/* text: tag or digest. fds: output file. The reply: blob, blob_bytes, name is the media type. */
	WORKER_GET_MANIFEST,
	/*
	 * fds: output file (what is in it is taken up), then pipes that get the same bytes from the first
	 * on, at most two; a pipe whose reader is gone is dropped. One that cannot go on (the file had to
	 * be started over) is closed too soon.
	 */
	WORKER_GET_BLOB,
	/*
	 * fds: file, read from offset 0. text: a repository of the registry to mount it from, or "". The reply:
	 * entries is 1 when it was sent, 0 when it was there or has been mounted
	 */
	WORKER_PUT_BLOB,
	WORKER_PUT_MANIFEST,	/* fds: file. text: tag or digest; name: the media type */
	WORKER_PACK_UPPER,	/* fds: output file, upper folder of an overlay; in the store's id map */
	/*
	 * Is the login good? fds: a file that stays empty. The reply: entries is 1 when the registry asked
	 * for a login, 0 when it lets everybody in. The conversation's repository does not matter.
	 */
	WORKER_TRY_LOGIN,
	WORKER_OP_END
};

/* Flags of a request. */
#define WORKER_HAS_EXPECTED	(1u << 0)
#define WORKER_ALLOW_XZ		(1u << 1)
#define WORKER_SINGLE_UID	(1u << 2)
/* WORKER_FETCH */
#define WORKER_PLAIN_HTTP	(1u << 3)	/* http:// too: what comes is signed, or its digest is known */
#define WORKER_ANY_DIGEST	(1u << 4)	/* no digest is known; `bytes` is then the most that is taken */
/* WORKER_UNPACK, WORKER_EROFS */
#define WORKER_ALONE		(1u << 5)	/* see layer_unpack.alone */
#define WORKER_VERIFIED		(1u << 17)	/* see layer_unpack.verified */
#define WORKER_SHARED		(1u << 18)	/* others work at the same time: less memory for each */
/* WORKER_PACK */
#define WORKER_KEEP		(1u << 6)
#define WORKER_HAS_MODE		(1u << 7)
#define WORKER_FROM_ARCHIVE	(1u << 8)
#define WORKER_FROM_IMAGE	(1u << 9)	/* out of trees, in the store's id map */
#define WORKER_KEEP_OWNERS	(1u << 10)
#define WORKER_INTO		(1u << 11)	/* files land under their own names */
/* WORKER_KERNEL */
#define WORKER_FROM_DISKS	(1u << 12)
/* WORKER_PICK */
#define WORKER_LAYOUT		(1u << 13)	/* text is the tag, or "" */
/* WORKER_REGISTRY */
#define WORKER_PUSH		(1u << 14)	/* rights to push are asked for too */
/* WORKER_COPY */
#define WORKER_INFLATE		(1u << 15)
#define WORKER_REPACK		(1u << 16)

#define WORKER_OPEN_MAX 16		/* requests of one conversation at a time */

/* Who duet is to a registry. Texts ended by NUL; "" is none. */
struct worker_login {
	uint32_t version;
	char user[256];
	char secret[8192];
	char identity_token[8192];
	char user_agent[64];
};

struct worker_request {
	uint32_t version;
	uint32_t op;			/* enum worker_op */
	uint32_t id;			/* in a conversation: not 0, not in use */
	uint32_t flags;			/* WORKER_* above */
	uint32_t fd_count;
	uint64_t bytes;			/* expected size; 0: unknown */
	int64_t time_s;			/* WORKER_PACK_UPPER: later times become this one */
	uint64_t offset;		/* WORKER_COPY: where to begin */
	struct digest expected;
	uint32_t strip, owner_uid, owner_gid, mode;
	/* URL, where a pack lands inside, how names of packages begin; ended by NUL */
	char text[WORKER_URL_MAX];
	/* the source's name, how names end, a kernel's release, a platform, a media type */
	char name[256];
};

enum worker_message { WORKER_PROGRESS = 1, WORKER_DONE, WORKER_FAILED };

struct worker_reply {
	uint32_t version;
	uint32_t message;		/* enum worker_message */
	uint32_t id;			/* of the request */
	uint64_t done, total;		/* WORKER_PROGRESS: bytes */
	struct digest blob, diff_id;	/* WORKER_DONE; WORKER_KERNEL: vmlinux, modules */
	uint64_t blob_bytes, plain_bytes, entries, tree_bytes, owners_lost, devices;
	uint32_t needs_lower;
	int32_t code;			/* WORKER_FAILED: err.code */
	char name[256];			/* a kernel's release, a media type; ended by NUL */
	char msg[2048];			/* WORKER_FAILED; ended by NUL */
	char mend[512];
};

#endif
