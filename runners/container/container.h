/* The container runner: what its files share. */
#ifndef DUET_RUNNERS_CONTAINER_CONTAINER_H
#define DUET_RUNNERS_CONTAINER_CONTAINER_H

#include "core/jail/idmap.h"
#include "core/job.h"
#include "core/rootfs.h"
#include "runners/mounts.h"
#include "runners/runner.h"

#define CONTAINER_BINDS_MAX JOB_MOUNTS_MAX
#define CONTAINER_OPTIONS_MAX 4000	/* bytes: mount(2) takes one page */
#define RESOLVER_FILE "/etc/resolv.conf"
#define SECRETS_FOLDER "/run/secrets"

/* What the child needs; everything is made by the parent before the clone. */
struct container {
	const struct rootfs *rootfs;
	const struct job *job;
	const struct idmap *map;
	struct mount_list mounts;
	int init;		/* sealed memfd of duet-init */
	int channel;		/* the child's end of the agent's socketpair */
	int report;		/* write end of a pipe: why the child could not start */
	int binds[CONTAINER_BINDS_MAX];	/* detached mounts, by number of the job's mount; or -1 */
	int *images[CONTAINER_BINDS_MAX];	/* MOUNT_IMAGE: its trees, as `layers`; the child's */
	int layers[ROOTFS_LAYERS_MAX];	/* the trees, opened in the new mount namespace */
	/*
	 * The writable layer: two folders in a temporary folder of the store (writes: disk), or on a
	 * tmpfs inside (both -1). `stubs` of a step: an empty folder beside them.
	 */
	int upper, work, stubs;
	uint64_t memory_bytes;	/* of that tmpfs, and a file for each 4 KiB; 0: the kernel's own limit */
	/*
	 * network: nat. The child waits in `before`, while it still is who pasta may look at, for a byte
	 * of `net_go`; pasta writes to net_ready, which the child has open for it.
	 */
	int net_go, net_ready;
	char *resolver;		/* owned; resolv.conf inside, or NULL */
	int texts;		/* the child's: a folder of the tmpfs below the root, for bind_text */
	void (*printed)(void *data, const void *bytes, size_t size);	/* as in struct agent_run */
	void *printed_data;
};

#define CONTAINER_UPPER "upper"	/* as runners/step.h promises */

extern const struct runner container_runner;

/* Fills it in and opens what the child gets; container_done also after a failure. */
int container_prepare(struct container *container, struct store *store,
		      const struct rootfs *rootfs, const struct job *job, struct err *err);
/* Starts it and waits for the job's end: nothing of it is left then. */
int container_start(struct container *container, int *ret_code, struct err *err);
void container_done(struct container *container);

/* upper.c: the folders of the writable layer where they are to be on disk; `tmp` is made if it is not. */
int container_make_upper(struct container *container, struct store *store, struct store_tmp *tmp,
			 struct err *err);
/* Makes them in `dir`. */
int container_upper_folders(struct container *container, struct store *store, int dir,
			    struct err *err);
/* Removes them; a failure is not the job's, and the next command tries again. */
void container_drop_upper(struct store *store, struct store_tmp *tmp);

/* The two halves of the child (struct jail_entry): see enter.c. */
int container_before(void *data);
int container_enter(void *data);
/*
 * root.c: adds ",lowerdir=..." to an overlay's options (room CONTAINER_OPTIONS_MAX). `top` and `bottom`
 * are further folders, or -1.
 */
struct overlay_layers {
	const int *trees;	/* lowest first */
	size_t count;
	int bottom, top;
};
int container_lower_option(const struct overlay_layers *layers, char *options, struct err *err);
/* root.c: mounts the overlay; *ret_root is an O_PATH descriptor of it. */
int container_mount_root(struct container *container, int *ret_root, struct err *err);
/*
 * inside.c: everything that is mounted below the root, by descriptor, in the order: what every instance has,
 * with its sysctls and masks; files of its own; the job's mounts, none of which may land on the former.
 */
int container_mount_below(const struct container *container, int root, struct err *err);
/* inside.c: after pivot_root: is what was to be written, masked and read-only so? */
int container_check_inside(const struct container *container, struct err *err);
/*
 * inside.c: opens `path` as the image's links have it, but never through one into /proc, /sys or /dev:
 * ERR_CONTAINER. -1 with errno and nothing in err when it cannot be opened.
 */
int container_open_inside(int root, const char *path, int flags, struct err *err);
/* image.c: opens the trees of other images in `before`; makes container->binds of them. */
int container_open_images(struct container *container, struct err *err);
int container_bind_images(struct container *container, struct err *err);
/*
 * files.c: makes a folder or an empty file. In a folder of the host where root inside has no id, it belongs
 * to the folder's owner. -1 with errno.
 */
int container_make_target(int parent, const char *name, bool folder);
/* files.c: binds a file with this text over `target` of the image; nothing where there is none. */
int container_bind_text(const struct container *container, int root, const char *target,
			const char *text, struct err *err);
int container_put_secrets(const struct container *container, int root, struct err *err);
/*
 * stubs.c: makes in the folder `stubs` what a step's mounts need and its layers lack, so that no mount
 * point is made in the upper: it goes on top of the layers. *ret_any: there is something.
 */
int container_make_stubs(const struct container *container, bool *ret_any, struct err *err);

#endif
