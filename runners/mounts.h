/*
 * The mounts of an instance as a list, the same for both runners: pure, so that --explain prints it
 * and a golden test holds it. A container's are made by container/enter.c, in order; a guest's by
 * duet-init (init/root.c), which makes the fixed ones first.
 */
#ifndef DUET_RUNNERS_MOUNTS_H
#define DUET_RUNNERS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/job.h"

enum mount_op_kind {
	MOUNT_OP_FS,		/* a new instance of file system `source` */
	MOUNT_OP_DEVICE,	/* the host's device `source`, bound */
	MOUNT_OP_LINK,		/* a symbolic link to `source` */
	MOUNT_OP_BIND,		/* the host's `source`; number `bind` of the job's mounts */
	MOUNT_OP_FILE,		/* a file with the text `source`, when the image has none or an empty one */
	MOUNT_OP_SYSCTL,	/* `source` is written into the file */
	MOUNT_OP_MASK,		/* hidden when it exists: /dev/null over a file, an empty folder */
	MOUNT_OP_READ_ONLY,	/* made read-only when it exists */
};

struct mount_op {
	enum mount_op_kind kind;
	char *target;		/* owned; absolute inside */
	char *source;		/* owned or NULL */
	char *options;		/* owned or NULL: data for the file system */
	unsigned long flags;	/* MS_* */
	size_t bind;		/* index into job.mounts */
	bool fixed;		/* the same for every job and image: a guest does it before it is saved */
};

struct mount_list {
	struct mount_op *ops;	/* owned */
	size_t count;
};

/* `single_uid`: one id only, so that devpts cannot give its files to group 5 (tty). */
void mounts_plan(const struct job *job, bool single_uid, struct mount_list *ret);
/* One line an operation. Owned. */
char *mounts_text(const struct mount_list *list);
void mounts_done(struct mount_list *list);

#endif
