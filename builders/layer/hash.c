/* SHA-256 by OpenSSL: see hash.h. The only file that knows OpenSSL. */
#include "builders/layer/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "core/mem.h"

static EVP_MD *sha256;	/* fetched once: an implicit fetch for every hash is slow */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void *allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return xmalloc(size);
}

static void *allocate_again(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size > 0)
		return xrealloc(old, size);
	free(old);
	return NULL;
}

static void release(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

void hash_begin(void)
{
	if (!CRYPTO_set_mem_functions(allocate, allocate_again, release))
		abort(); /* somebody was here before */
}

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort(); /* it was built without */
}

/* OpenSSL fails here only when memory is out. */
static void must(int ok)
{
	if (!ok)
		mem_out();
}

void hash_init(struct hash *hash)
{
	pthread_once(&fetched, fetch);
	hash->context = EVP_MD_CTX_new();
	must(hash->context && EVP_DigestInit_ex2(hash->context, sha256, NULL));
}

void hash_add(struct hash *hash, const void *data, size_t size)
{
	must(EVP_DigestUpdate(hash->context, data, size));
}

void hash_end(struct hash *hash, struct digest *ret)
{
	must(EVP_DigestFinal_ex(hash->context, ret->bytes, NULL));
}

void hash_done(struct hash *hash)
{
	EVP_MD_CTX_free(hash->context);
	hash->context = NULL;
}
