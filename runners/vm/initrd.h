/*
 * The initramfs of a guest: the kernel's modules, duet-init as /init, the mounts
 * that are the same for every job, a console. newc: Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst. Pure.
 */
#ifndef DUET_RUNNERS_VM_INITRD_H
#define DUET_RUNNERS_VM_INITRD_H

#include "core/str.h"

struct initrd {
	const void *modules;	/* an archive of its own (core/rootfs.h), which comes first */
	size_t modules_size;
	const void *init;	/* duet-init */
	size_t init_size;
	const struct str *mounts;	/* PROTO_FIXED_FILE */
};

void initrd_make(const struct initrd *initrd, struct str *ret);

#endif
