/*
 * The initramfs of a guest: the kernel's modules, duet-init as /init, a console. newc: Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst. Pure.
 */
#ifndef DUET_RUNNERS_VM_INITRD_H
#define DUET_RUNNERS_VM_INITRD_H

#include "core/str.h"

/* `modules` is an archive of its own (core/rootfs.h); the two stand one behind the other. */
void initrd_make(const void *modules, size_t modules_size, const void *init, size_t init_size,
		 struct str *ret);

#endif
