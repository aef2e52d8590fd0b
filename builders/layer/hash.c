/* Bulk hashing: see hash.h. */
#include "builders/layer/hash.h"

#include <openssl/evp.h>

#include "core/mem.h"

struct hash {
	EVP_MD_CTX *context;	/* owned */
};

/* What can go wrong in here is memory, or an OpenSSL without SHA-256: neither can be gone on with. */
static void check(int ok)
{
	static const char text[] = "duet: error[host.system]: sha-256: OpenSSL gave up\n";

	if (ok == 1)
		return;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(125);
}

struct hash *hash_new(void)
{
	struct hash *hash = xcalloc(1, sizeof(*hash));

	hash->context = EVP_MD_CTX_new();
	check(hash->context != NULL);
	check(EVP_DigestInit_ex2(hash->context, EVP_sha256(), NULL));
	return hash;
}

void hash_add(struct hash *hash, const void *data, size_t size)
{
	check(EVP_DigestUpdate(hash->context, data, size));
}

void hash_end(struct hash *hash, struct digest *ret)
{
	check(EVP_DigestFinal_ex(hash->context, ret->bytes, NULL));
}

void hash_free(struct hash *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->context);
	free(hash);
}
