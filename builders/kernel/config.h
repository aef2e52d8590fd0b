/* A kernel's own configuration, where it carries one (CONFIG_IKCONFIG). */
#ifndef DUET_BUILDERS_KERNEL_CONFIG_H
#define DUET_BUILDERS_KERNEL_CONFIG_H

#include <stdbool.h>

#include "builders/kernel/bytes.h"

#define CONFIG_BYTES_MAX (4u << 20)	/* of the text */

/* The text, owned; NULL when the ELF has none, or one that cannot be read. */
char *config_find(const struct bytes *vmlinux);
/* "y", "m", or '\0' for an option ("CONFIG_EROFS_FS") that is neither. */
char config_value(const char *config, const char *option);

#endif
