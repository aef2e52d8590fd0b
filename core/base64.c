/* Base 64: see base64.h. */
#include "core/base64.h"

#include <stdint.h>
#include <string.h>

#include "core/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
	const unsigned char *in = data;
	char *text = xmalloc((size + 2) / 3 * 4 + 1), *at = text;

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16;

		if (i + 1 < size)
			bits |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < size)
			bits |= in[i + 2];
		*at++ = alphabet[bits >> 18];
		*at++ = alphabet[bits >> 12 & 63];
		*at++ = i + 1 < size ? alphabet[bits >> 6 & 63] : '=';
		*at++ = i + 2 < size ? alphabet[bits & 63] : '=';
	}
	*at = '\0';
	return text;
}

char *base64_decode(const char *text, size_t *ret_size)
{
	size_t length = strspn(text, alphabet), padding = strlen(text + length), used = 0;
	_cleanup_free_ char *data = NULL;
	uint32_t bits = 0;

	if (text[length + strspn(text + length, "=")] || length % 4 == 1 || padding > 2 ||
	    (padding && (length + padding) % 4))
		return NULL;
	data = xmalloc(length / 4 * 3 + 3);
	for (size_t i = 0; i < length; i++) {
		bits = bits << 6 | (uint32_t)(strchr(alphabet, text[i]) - alphabet);
		/* every character but the first of four ends a byte */
		if (i % 4)
			data[used++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	data[used] = '\0';
	*ret_size = used;
	return TAKE_PTR(data);
}
