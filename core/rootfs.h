/*
 * A rootfs: the waist of the program. Builders make one, runners take one, and neither knows the
 * other. Ordered layers, in the forms that were asked for, open and in use (so that gc leaves them
 * alone): trees for a container, EROFS files for a VM, which also gets a kernel. And the process
 * defaults of the image.
 */
#ifndef DUET_CORE_ROOTFS_H
#define DUET_CORE_ROOTFS_H

#include "core/digest.h"
#include "core/err.h"
#include "core/job.h"

#define ROOTFS_LAYERS_MAX 500
#define ROOTFS_DISKS_MAX 8	/* EROFS files that a VM gets; lower layers are merged beyond that */

/* Which forms a build makes. */
#define ROOTFS_TREES 1u		/* layers[].tree */
#define ROOTFS_DISKS 2u		/* disks[], and the kernel */

struct rootfs_layer {
	struct digest diff_id;
	int tree;	/* owned; O_PATH descriptor of the tree's root; -1: not in this form */
	int use;	/* owned; holds a shared flock for as long as the tree is in use; or -1 */
};

/* One EROFS file: a layer, or the lower layers merged. */
struct rootfs_disk {
	int image;	/* owned; O_RDONLY */
	int use;	/* owned; as above */
};

/* What a VM boots, made by builders/kernel from a package, the image, or the host. */
struct rootfs_kernel {
	char *release;		/* owned; "6.1.0-56-cloud-amd64"; NULL: no kernel here */
	struct digest id;	/* of the vmlinux and the modules: the same bytes, the same id */
	int vmlinux;		/* owned; O_RDONLY; an ELF with a PVH note (x86-64) */
	/*
	 * owned; O_RDONLY; a newc archive, uncompressed: modules/NAME.ko, and modules/order, whose lines
	 * are "FEATURE NAME NAME...", each feature's modules in the order in which they are loaded
	 * (none where all is built in). Features: base (virtio over PCI, its console), disk (virtio_blk,
	 * erofs, overlay), which every kernel here has; scratch (ext4), net (virtio_net), share
	 * (virtiofs) where the kernel has them. A module that a softdep names has a "?" behind its name
	 * and may fail to load. base's are loaded before all others, which do not name them again; else a
	 * module may stand in more than one line. A kernel without modules and without its own
	 * configuration in it gets all five lines: nobody knows what is built into it.
	 */
	int modules;
	int use;		/* owned; as above */
};

struct rootfs {
	struct rootfs_layer layers[ROOTFS_LAYERS_MAX];	/* lowest first */
	size_t layer_count;
	unsigned int forms;		/* ROOTFS_*: what is here */
	struct rootfs_disk disks[ROOTFS_DISKS_MAX];	/* lowest first */
	size_t disk_count;
	struct rootfs_kernel kernel;
	struct digest image_id;		/* sha256 of the OCI config */
	struct process process;
};

void rootfs_kernel_done(struct rootfs_kernel *kernel);
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
/*
 * Opens a regular file of the merged view for reading; -1 with -ENOENT in err when there is none.
 * From the trees, or from the EROFS files where there are no trees: then it is a copy in memory, of
 * ROOTFS_COPY_MAX bytes at most (-EFBIG).
 */
#define ROOTFS_COPY_MAX (64u << 20)
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
