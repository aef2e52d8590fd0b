/*
 * POSIX ACLs as the kernel keeps them in system.posix_acl_access and _default
 * (include/uapi/linux/posix_acl_xattr.h: version 2, then tag, permissions and id of each entry,
 * little-endian, sorted by tag and id).
 */
#ifndef DUET_BUILDERS_LAYER_ACL_H
#define DUET_BUILDERS_LAYER_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_ENTRIES_MAX 512
#define ACL_BYTES_MAX (4 + 8 * ACL_ENTRIES_MAX)
#define ACL_NO_ID 0xffffffffu

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

struct acl {
	struct acl_entry {
		uint16_t tag;	/* enum acl_tag */
		uint16_t bits;	/* 4 read, 2 write, 1 execute */
		uint32_t id;	/* ACL_NO_ID unless ACL_USER or ACL_GROUP */
	} entries[ACL_ENTRIES_MAX];
	size_t count;
};

/* False when it is full. */
bool acl_add(struct acl *acl, uint16_t tag, uint16_t bits, uint32_t id);
void acl_sort(struct acl *acl);
/* Writes its bytes (ACL_BYTES_MAX at most); returns how many. */
size_t acl_bytes(const struct acl *acl, uint8_t *ret);

/*
 * What the kernel does when one is set and when a mode is (fs/posix_acl.c): 0 or the -errno with which
 * it refuses these bytes (without entries: there is no ACL then); the mode that an ACL gives, and
 * whether it says more than that mode; what chmod makes of an ACL.
 */
int acl_parse(const void *bytes, size_t size, struct acl *ret);
bool acl_mode(const struct acl *acl, uint32_t *mode);
void acl_chmod(struct acl *acl, uint32_t mode);

#endif
