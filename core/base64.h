/* Base 64 (RFC 4648, section 4). Pure. */
#ifndef DUET_CORE_BASE64_H
#define DUET_CORE_BASE64_H

#include <stddef.h>

/* Owned. */
char *base64_encode(const void *data, size_t size);
/*
 * The bytes, with a NUL behind them; owned. NULL for what is none: other characters, blanks too, a
 * length that cannot be. The padding may be left out.
 */
char *base64_decode(const char *text, size_t *ret_size);

#endif
