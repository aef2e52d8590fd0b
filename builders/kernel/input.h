/* Where a kernel is taken from, ready for the worker. */
#ifndef DUET_BUILDERS_KERNEL_INPUT_H
#define DUET_BUILDERS_KERNEL_INPUT_H

#include <stdbool.h>

#include "core/err.h"
#include "core/host_path.h"
#include "core/rootfs.h"

struct kernel_input {
	int fds[ROOTFS_DISKS_MAX];	/* owned; of WORKER_KERNEL, behind the two that are written */
	size_t fd_count;
	uint32_t flags;			/* WORKER_FROM_ARCHIVE, WORKER_FROM_DISKS, or 0 */
	char *release;		/* owned; NULL: as the package or the image has it */
	char *text;		/* owned; for people */
	struct digest package;	/* of the archive's .deb; zero: it is from elsewhere */
	char *question;		/* owned; what a pin remembers it by */
};

void kernel_input_done(struct kernel_input *input);

/* The running kernel's files. ERR_KERNEL_NONE when they are not there. */
int kernel_input_host(struct kernel_input *ret, struct err *err);
/*
 * A boot image by its path, opened as `host` has it. Its modules: ../lib/modules beside it (../usr/lib/modules),
 * or the folder lib/modules/RELEASE in which it lies, where the user allows to read that too; when there
 * are none all must be built in.
 */
int kernel_input_path(const struct host_paths *host, const char *path, struct kernel_input *ret,
		      struct err *err);
/*
 * The newest kernel of an image: boot/vmlinuz-RELEASE with lib/modules/RELEASE in the merged view. In
 * EROFS files the worker looks for it (ERR_KERNEL_NONE then), in trees it is found here: 1, 0 when it
 * has none, -1. `question` is left alone.
 */
int kernel_input_image(const struct rootfs *rootfs, struct kernel_input *ret, struct err *err);

#endif
