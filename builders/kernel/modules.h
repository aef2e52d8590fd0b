/* The modules of a kernel, and which of them a VM needs. */
#ifndef DUET_BUILDERS_KERNEL_MODULES_H
#define DUET_BUILDERS_KERNEL_MODULES_H

#include "builders/kernel/files.h"
#include "core/str.h"

/*
 * Writes the archive that core/rootfs.h describes into `ret` (owned by the caller). `release` is for
 * messages. ERR_KERNEL_UNFIT names all that is lacking: neither built in nor there as a module.
 * Without files what is built in is told by `config`, the kernel's own configuration; without that
 * (NULL) all is taken to be.
 */
int modules_pack(const struct kernel_files *files, const char *config, const char *release,
		 struct str *ret, struct err *err);

#endif
