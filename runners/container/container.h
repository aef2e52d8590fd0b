/* The container runner: what its files share. */
#ifndef DUET_RUNNERS_CONTAINER_CONTAINER_H
#define DUET_RUNNERS_CONTAINER_CONTAINER_H

#include "core/jail/idmap.h"
#include "core/job.h"
#include "core/rootfs.h"
#include "runners/mounts.h"
#include "runners/runner.h"

#define CONTAINER_BINDS_MAX JOB_MOUNTS_MAX

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
	int layers[ROOTFS_LAYERS_MAX];	/* the trees, opened in the new mount namespace */
	/*
	 * The writable layer: two folders in a temporary folder of the store (writes: disk), or on a
	 * tmpfs inside (both -1).
	 */
	struct store_tmp tmp;
	bool has_tmp;
	int upper, work;
};

extern const struct runner container_runner;

/* The two halves of the child (struct jail_entry): see enter.c. */
int container_before(void *data);
int container_enter(void *data);
/* root.c: mounts the overlay; *ret_root is an O_PATH descriptor of it. */
int container_mount_root(struct container *container, int *ret_root, struct err *err);

#endif
