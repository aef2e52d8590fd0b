/*
 * A rootfs: the waist of the program. Builders make one, runners take one, and neither knows the
 * other. Ordered layers, each as a tree that is open and in use (so that gc leaves it alone), and
 * the process defaults of the image.
 */
#ifndef DUET_CORE_ROOTFS_H
#define DUET_CORE_ROOTFS_H

#include "core/digest.h"
#include "core/err.h"
#include "core/job.h"

#define ROOTFS_LAYERS_MAX 500

struct rootfs_layer {
	struct digest diff_id;
	int tree;	/* owned; O_PATH descriptor of the tree's root */
	int use;	/* owned; holds a shared flock for as long as the layer is in use */
};

struct rootfs {
	struct rootfs_layer layers[ROOTFS_LAYERS_MAX];	/* lowest first */
	size_t layer_count;
	struct digest image_id;		/* sha256 of the OCI config */
	struct process process;
};

void rootfs_init(struct rootfs *rootfs);
void rootfs_done(struct rootfs *rootfs);

/* What rootfs_find saw: the topmost entry of a path in the merged view. */
struct rootfs_entry {
	int fd;			/* owned; O_PATH|O_NOFOLLOW */
	size_t layer;		/* index into `trees` */
	char path[4096];	/* where it lies, clean and relative, links resolved */
};

/*
 * Finds a path in the merged view of `count` trees (lowest first), as an overlay of them would show
 * it: whiteouts (character device 0:0) and opaque folders (user.overlay.opaque=y) hide what is below,
 * symbolic links are followed inside the view (40 at most); with `follow_last` the last one as well.
 * Returns 1 and the entry, 0 when there is none, -1 with err.
 */
int rootfs_find(const int *trees, size_t count, const char *path, bool follow_last,
		struct rootfs_entry *ret, struct err *err);
/* Opens a regular file of the merged view for reading; -1 with -ENOENT in err when there is none. */
int rootfs_open(const struct rootfs *rootfs, const char *path, struct err *err);

/*
 * "USER[:GROUP]" against the image's /etc/passwd and /etc/group. Digits are always ids, never names;
 * a user without a group gets its own from passwd and its supplementary ones from group; with a
 * group given there are no supplementary ones. NULL is root. Files over 1 MiB, lines over 4 KiB
 * and malformed numbers are refused: on any doubt it fails (ERR_JOB_USER).
 */
int rootfs_identity(const struct rootfs *rootfs, const char *user, struct identity *ret,
		    struct err *err);

#endif
