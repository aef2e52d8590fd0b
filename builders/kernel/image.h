/* Boot images (Documentation/arch/x86/boot.rst): the vmlinux in them. */
#ifndef DUET_BUILDERS_KERNEL_IMAGE_H
#define DUET_BUILDERS_KERNEL_IMAGE_H

#include "builders/kernel/bytes.h"
#include "core/digest.h"
#include "core/err.h"

/*
 * Writes the ELF of a bzImage (gzip, xz, zstd, or lz4's legacy frames), or an ELF as it is, and checks
 * that it is one for x86-64 with a PVH note (ERR_KERNEL_UNFIT).
 */
int image_extract(const struct bytes *image, int out, struct digest *ret, struct err *err);
/* The release that the image says of itself; `ret` has KERNEL_RELEASE_MAX + 1 bytes. */
bool image_release(const struct bytes *image, char *ret);

/* Where unpacked bytes go: 0 or -1. */
typedef int image_sink(void *data, const uint8_t *bytes, size_t size, struct err *err);
/* lz4.c: the legacy frames that the kernel's build makes (doc/lz4_Frame_format.md of lz4). */
int lz4_unpack(const uint8_t *data, size_t size, image_sink *sink, void *to, struct err *err);

#endif
