/*
 * Layers: a tar stream in, forms out. All of this runs in duet-worker, in a jail without a network,
 * after the descriptors it needs were opened: nothing here opens a path of the host by name.
 *
 *	blob -> inflate -> tar -> unpack -> tree, or EROFS file
 *	              \-> digest of the plain tar (the diff-id), and of the blob as it is read
 *
 * Reading, both digests and writing run in threads of their own, so that a layer takes as long as
 * its slowest part. Everything in a layer is hostile.
 */
#ifndef DUET_BUILDERS_LAYER_LAYER_H
#define DUET_BUILDERS_LAYER_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

#define LAYER_ENTRIES_MAX 10000000u		/* entries of one layer */
#define LAYER_BYTES_MAX (1ull << 40)		/* bytes of one plain tar: 1 TiB */
#define LAYER_DEPTH_MAX 256			/* components of one path */
#define LAYER_XATTRS_MAX (64 * 1024)		/* bytes of one entry's extended attributes */
#define LAYER_ZSTD_WINDOW_LOG_MAX 27		/* zstd's window: 128 MiB */
#define LAYER_RATIO_MAX 2000u			/* plain bytes per stored byte, past LAYER_RATIO_FROM */
#define LAYER_RATIO_FROM (1ull << 30)
#define LAYER_TIME 315619200			/* 1980-01-02T00:00:00Z: the time of what duet makes itself */

/* Called now and then on the calling thread; `done` counts bytes of the blob. */
typedef void layer_progress(void *data, uint64_t done, uint64_t total);

struct layer_result {
	struct digest blob;	/* of the bytes read */
	struct digest diff_id;	/* of all inflated bytes */
	uint64_t blob_bytes;
	uint64_t plain_bytes;
	uint64_t entries;
	uint64_t tree_bytes;	/* bytes of file content written */
	bool needs_lower;	/* parents were taken from `lower`, or made up: keyed by chain-id */
	uint64_t owners_lost;	/* entries whose owner the id map cannot hold (single-uid mode) */
	uint64_t devices;	/* device nodes recorded, not made */
};

enum layer_form { LAYER_TREE, LAYER_EROFS };

struct layer_unpack {
	int blob;		/* borrowed; O_RDONLY, read from offset 0; a file or a pipe */
	uint64_t blob_bytes;	/* expected size; 0 when unknown */
	bool has_expected;
	struct digest expected;	/* of the blob */
	enum layer_form form;
	int out;		/* borrowed; LAYER_TREE: an empty folder; LAYER_EROFS: an empty file, O_RDWR */
	const int *lower;	/* borrowed; the layers below in the same form, lowest first */
	size_t lower_count;
	/*
	 * Without the layers below although there are some: ERR_LAYER_LOWER at the first entry that
	 * leaves its parent folders to them.
	 */
	bool alone;
	bool verified;		/* by who sends the blob: its digest is not computed here, and zero */
	bool allow_xz;		/* archives yes, OCI layers no */
	bool single_uid;	/* every owner becomes 0:0; owners_lost counts them */
	layer_progress *progress;	/* may be NULL */
	void *progress_data;
};

/*
 * Unpacks a layer. Fails with ERR_LAYER, ERR_LAYER_LIMIT, ERR_FETCH_DIGEST ("digest differs") or, for
 * what the host could not do (a full disk), -errno, and leaves the tree to be removed by the caller;
 * the message names the entry (escaped) and the cause. The caller compares nothing: a digest that
 * differs from `expected` is an error here, and the one that is told when there are others.
 *
 * A tree and an EROFS file of one layer are equal, entry by entry: names, types, modes, owners, times,
 * links, xattrs, content. (user.overlay.* and whiteouts are the same in both: the guest mounts its
 * overlay with userxattr too. single_uid is for trees: an EROFS file keeps every owner.) What a tree
 * cannot hold for its file system's sake, as attributes of more than 4 KiB on ext4, an EROFS file does.
 *
 * A tree: runs as uid 0 of its user namespace, with the capabilities to write for others (chown, dac_override,
 * fowner, fsetid, mknod, setfcap); needs no /proc. Device nodes are left out and counted. A root that
 * the tar does not mention is 0755, 0:0, LAYER_TIME, and does not set needs_lower: the topmost folder
 * of an overlay is the runner's.
 */
int layer_unpack(const struct layer_unpack *args, struct layer_result *ret, struct err *err);

/*
 * Writes what an overlay of the EROFS files `lower` (lowest first) would show as one EROFS file: whiteouts
 * are applied and gone, hard links of one layer stay. Sets ret->entries (names) and ret->tree_bytes, the
 * rest is 0. Errors as above; ERR_STORE for an image that is damaged.
 */
int layer_merge(const int *lower, size_t count, int out, struct layer_result *ret,
		struct err *err);

struct selection;

struct layer_pack {
	int blob;		/* borrowed; writable, empty: gets tar + zstd */
	/* absolute inside; its parents are left out of the tar, and so is `to` itself when a folder is
	 * put there (but for an empty one): what stands there keeps its mode and owner */
	const char *to;
	/* from an archive: */
	int archive;		/* borrowed, or -1 */
	bool has_expected;
	struct digest expected;
	uint32_t strip;
	/* from the upper folder of an overlay: */
	bool upper;		/* the selection is one; `to` and the owner mean nothing */
	int64_t time_s;		/* later times become this one */
	/* from files of the host or of an image: */
	const struct selection *selection;	/* borrowed; a file comes O_RDONLY (O_PATH needs /proc) */
	bool keep;		/* image.from directory: keep owners, modes and times as they are */
	bool keep_owners, keep_modes;	/* of an image's files, unless the step says */
	uint32_t owner_uid, owner_gid;
	bool has_mode;
	uint32_t mode;
	layer_progress *progress;
	void *progress_data;
};

/*
 * Writes a deterministic layer (tar with pax where ustar is not enough, numeric owners, zstd level 3)
 * and its digests. Files are sorted, folder by folder, by the bytes of their names; an
 * archive's entries keep its order, which is part of the input, so that it streams. Names that stand
 * for whiteouts, ".." and (but for `keep`) fifos, sockets and devices are refused with ERR_LAYER.
 */
int layer_pack(const struct layer_pack *args, struct layer_result *ret, struct err *err);

/*
 * The digest of what is selected on the host as `copy` sees it (where it lands, types, exec bits, link
 * targets, content; with `keep` owners, modes and times too): what a plan takes as the input of such
 * a step.
 */
int layer_digest_source(const struct selection *selection, bool keep, struct digest *ret,
			struct err *err);

#endif
