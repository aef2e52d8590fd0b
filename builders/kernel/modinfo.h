/* What a module says of itself: "key=value" texts in its section .modinfo. Pure; hostile. */
#ifndef DUET_BUILDERS_KERNEL_MODINFO_H
#define DUET_BUILDERS_KERNEL_MODINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mem.h"

#define MODINFO_WORDS_MAX 10000	/* dependencies or aliases of one module */

struct modinfo {
	struct strv depends;	/* names of modules, with "_" */
	struct strv before;	/* names or aliases that softdeps ask for before it ("pre:") */
	struct strv aliases;	/* may hold "*", "?" and "[]" */
};

/* Of an ELF file. A module without the section has none of them. */
int modinfo_read(const uint8_t *elf, size_t size, struct modinfo *ret, struct err *err);
/* Of the section itself. */
int modinfo_parse(const uint8_t *section, size_t size, struct modinfo *ret, struct err *err);
void modinfo_done(struct modinfo *info);

/*
 * The name of the module in a file, with "_" for "-": "kernel/crypto/crc32c-intel.ko.xz" is
 * crc32c_intel. Owned; NULL when the file is no module or has a name that no module has.
 */
char *modinfo_name_of(const char *path);

#endif
