/* POSIX ACLs as bytes: see acl.h. Pure. */
#include "builders/layer/acl.h"

#include <errno.h>
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

void acl_sort(struct acl *acl)
{
	qsort(acl->entries, acl->count, sizeof(acl->entries[0]), compare);
}

size_t acl_bytes(const struct acl *acl, uint8_t *ret)
{
	uint8_t *at = put(ret, ACL_VERSION, 4);

	for (size_t i = 0; i < acl->count; i++) {
		at = put(at, acl->entries[i].tag, 2);
		at = put(at, acl->entries[i].bits, 2);
		at = put(at, acl->entries[i].id, 4);
	}
	return (size_t)(at - ret);
}

static uint32_t get(const uint8_t *at, int size)
{
	uint32_t value = 0;

	for (int i = 0; i < size; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

/* One entry after what came before it: `expected` is the tag that has to come at the latest. */
static bool in_order(const struct acl_entry *entry, uint16_t *expected, bool *needs_mask)
{
	switch (entry->tag) {
	case ACL_USER_OBJ:
		if (*expected != ACL_USER_OBJ)
			return false;
		*expected = ACL_GROUP_OBJ;
		return true;
	case ACL_USER:
		*needs_mask = true;
		return *expected == ACL_GROUP_OBJ && entry->id != ACL_NO_ID;
	case ACL_GROUP_OBJ:
		if (*expected != ACL_GROUP_OBJ)
			return false;
		*expected = ACL_MASK;
		return true;
	case ACL_GROUP:
		*needs_mask = true;
		return *expected == ACL_MASK && entry->id != ACL_NO_ID;
	case ACL_MASK:
		if (*expected != ACL_MASK)
			return false;
		*expected = ACL_OTHER;
		return true;
	case ACL_OTHER:
		if (*expected != ACL_OTHER && (*expected != ACL_MASK || *needs_mask))
			return false;
		*expected = 0;
		return true;
	}
	return false;
}

int acl_parse(const void *bytes, size_t size, struct acl *ret)
{
	uint16_t expected = ACL_USER_OBJ;
	const uint8_t *at = bytes;
	bool needs_mask = false;

	ret->count = 0;
	if (size < 4)
		return -EINVAL;
	if (get(at, 4) != ACL_VERSION)
		return -EOPNOTSUPP;
	if ((size - 4) % 8 != 0)
		return -EINVAL;
	if (size > ACL_BYTES_MAX)
		return -ENOSPC;
	for (size_t i = 4; i < size; i += 8) {
		struct acl_entry entry = { (uint16_t)get(at + i, 2), (uint16_t)get(at + i + 2, 2),
					   get(at + i + 4, 4) };

		if (entry.bits > 7 || !in_order(&entry, &expected, &needs_mask))
			return -EINVAL;
		if (entry.tag != ACL_USER && entry.tag != ACL_GROUP)
			entry.id = ACL_NO_ID;
		ret->entries[ret->count++] = entry;
	}
	return ret->count > 0 && expected != 0 ? -EINVAL : 0;
}

bool acl_mode(const struct acl *acl, uint32_t *mode)
{
	uint32_t bits[3] = { 0 };
	bool more = false;

	for (size_t i = 0; i < acl->count; i++) {
		const struct acl_entry *entry = &acl->entries[i];

		if (entry->tag == ACL_USER_OBJ)
			bits[0] = entry->bits;
		else if (entry->tag == ACL_GROUP_OBJ)
			bits[1] = entry->bits;
		else if (entry->tag == ACL_OTHER)
			bits[2] = entry->bits;
		else
			more = true;
	}
	/* the group's bits of a mode are the mask's */
	for (size_t i = 0; i < acl->count; i++)
		if (acl->entries[i].tag == ACL_MASK)
			bits[1] = acl->entries[i].bits;
	*mode = (*mode & ~0777u) | bits[0] << 6 | bits[1] << 3 | bits[2];
	return more;
}

void acl_chmod(struct acl *acl, uint32_t mode)
{
	struct acl_entry *group = NULL;

	for (size_t i = 0; i < acl->count; i++) {
		struct acl_entry *entry = &acl->entries[i];

		if (entry->tag == ACL_USER_OBJ)
			entry->bits = mode >> 6 & 7;
		else if (entry->tag == ACL_OTHER)
			entry->bits = mode & 7;
		else if (entry->tag == ACL_MASK || (entry->tag == ACL_GROUP_OBJ && !group))
			group = entry;
	}
	if (group)
		group->bits = mode >> 3 & 7;
}
