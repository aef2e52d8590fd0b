/* SHA-256 of bulk data, by OpenSSL (it uses the CPU's instructions for it). */
#ifndef DUET_BUILDERS_LAYER_HASH_H
#define DUET_BUILDERS_LAYER_HASH_H

#include <stddef.h>

#include "core/digest.h"

struct hash;

struct hash *hash_new(void);
void hash_add(struct hash *hash, const void *data, size_t size);
/* The digest of all that was added; afterwards only hash_free may follow. */
void hash_end(struct hash *hash, struct digest *ret);
void hash_free(struct hash *hash);

#endif
