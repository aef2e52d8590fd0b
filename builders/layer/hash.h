/* SHA-256 of bulk data, by OpenSSL: it uses the processor's instructions where there are some. */
#ifndef DUET_BUILDERS_LAYER_HASH_H
#define DUET_BUILDERS_LAYER_HASH_H

#include <stddef.h>

#include "core/digest.h"

struct hash {
	void *context;	/* owned; OpenSSL's */
};

/*
 * From now on OpenSSL, here and below libcurl, ends the process when memory is out: it crashes where it
 * gets none. Before anything else that OpenSSL does in this process.
 */
void hash_begin(void);
void hash_init(struct hash *hash);
void hash_add(struct hash *hash, const void *data, size_t size);
void hash_end(struct hash *hash, struct digest *ret);
void hash_done(struct hash *hash);

#endif
