/* POSIX ACLs as bytes: see acl.h. Pure. */
#include "builders/layer/acl.h"

#include <stdlib.h>

#define ACL_VERSION 2

bool acl_add(struct acl *acl, uint16_t tag, uint16_t bits, uint32_t id)
{
	if (acl->count == ACL_ENTRIES_MAX)
		return false;
	acl->entries[acl->count++] = (struct acl_entry){ tag, bits, id };
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static uint8_t *put(uint8_t *at, uint32_t value, int size)
{
	for (int i = 0; i < size; i++)
		*at++ = (uint8_t)(value >> 8 * i);
	return at;
}

size_t acl_bytes(struct acl *acl, uint8_t *ret)
{
	uint8_t *at = put(ret, ACL_VERSION, 4);

	qsort(acl->entries, acl->count, sizeof(acl->entries[0]), compare);
	for (size_t i = 0; i < acl->count; i++) {
		at = put(at, acl->entries[i].tag, 2);
		at = put(at, acl->entries[i].bits, 2);
		at = put(at, acl->entries[i].id, 4);
	}
	return (size_t)(at - ret);
}
