/* Where a kernel is taken from, ready for the worker. */
#ifndef DUET_BUILDERS_KERNEL_INPUT_H
#define DUET_BUILDERS_KERNEL_INPUT_H

#include <stdbool.h>

#include "core/err.h"
#include "core/rootfs.h"

struct kernel_input {
	int fds[2];		/* owned; a package, or a boot image and lib/modules (or -1) */
	bool package;
	char *release;		/* owned; NULL: as the package or the image has it */
	char *text;		/* owned; for people */
	char *question;		/* owned; what a pin remembers it by */
};

#define KERNEL_INPUT_NONE { .fds = { -1, -1 } }
void kernel_input_done(struct kernel_input *input);

/* The running kernel's files. ERR_KERNEL_NONE when they are not there. */
int kernel_input_host(struct kernel_input *ret, struct err *err);
/*
 * A boot image by its path. Its modules: ../lib/modules beside it (../usr/lib/modules), or the folder
 * lib/modules/RELEASE in which it lies; when there are none all must be built in.
 */
int kernel_input_path(const char *path, struct kernel_input *ret, struct err *err);
/*
 * The newest kernel of an image: boot/vmlinuz-RELEASE with lib/modules/RELEASE in the merged view of
 * its trees. 1, 0 when it has none, -1. `question` is left alone.
 */
int kernel_input_image(const struct rootfs *rootfs, struct kernel_input *ret, struct err *err);

#endif
