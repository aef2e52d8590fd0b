/* ELF64 files for x86-64 (System V ABI), as far as kernels and modules need it. Pure; all hostile. */
#ifndef DUET_BUILDERS_KERNEL_ELF_H
#define DUET_BUILDERS_KERNEL_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool elf_is_x86_64(const uint8_t *data, size_t size);
/* A section by its name: where it lies, within the file. */
bool elf_section(const uint8_t *data, size_t size, const char *name, const uint8_t **ret,
		 size_t *ret_size);
/* Is there a note "Xen" of the type 18 (XEN_ELFNOTE_PHYS32_ENTRY): the entry of a PVH boot? */
bool elf_has_pvh_note(const uint8_t *data, size_t size);

#endif
