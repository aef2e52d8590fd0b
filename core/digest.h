/*
 * Digests. The strings are OCI's: "sha256:" and 64 lower-case hexadecimal digits (image-spec,
 * descriptor.md). The hash here is for plan keys and other small things; bulk data is hashed in
 * the worker, by OpenSSL.
 */
#ifndef DUET_CORE_DIGEST_H
#define DUET_CORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32			/* bytes of a SHA-256 */
#define DIGEST_HEX_SIZE 65		/* its hexadecimal form, with the NUL */
#define DIGEST_TEXT_SIZE (7 + 65)	/* "sha256:" + hex + NUL */

struct digest {
	uint8_t bytes[DIGEST_SIZE];
};

struct sha256 {
	uint32_t state[8];
	uint64_t length;	/* bytes so far */
	uint8_t block[64];
};

/* FIPS 180-4. */
void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t size);
/* Adds a length (8 bytes, little-endian) and then the bytes: fields that cannot run into each other. */
void sha256_add_field(struct sha256 *hash, const void *data, size_t size);
void sha256_add_text(struct sha256 *hash, const char *text);	/* NULL counts as its own value */
void sha256_end(struct sha256 *hash, struct digest *ret);
void digest_of(const void *data, size_t size, struct digest *ret);

/* "sha256:HEX", exactly. */
bool digest_parse(const char *text, struct digest *ret);
/* 64 lower-case hexadecimal digits, exactly. */
bool digest_parse_hex(const char *text, struct digest *ret);
void digest_hex(const struct digest *digest, char ret[DIGEST_HEX_SIZE]);
void digest_text(const struct digest *digest, char ret[DIGEST_TEXT_SIZE]);
bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *digest);

/* OCI's chain-id: of the first layer its diff-id, then sha256("CHAIN DIFF") over the texts. */
void digest_chain(const struct digest *below, const struct digest *diff_id, struct digest *ret);

#endif
