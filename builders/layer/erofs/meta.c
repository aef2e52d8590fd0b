/* Modes, owners and attributes: see meta.h. */
#include "builders/layer/erofs/meta.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/acl.h"
#include "builders/layer/layer.h"
#include "core/erofs_format.h"
#include "core/mem.h"
#include "core/str.h"

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define CAPABILITY "security.capability"
#define NAME_SIZE_MAX 255	/* the kernel's, of a whole name */

static struct tar_xattr *find(const struct meta *meta, const char *name)
{
	for (size_t i = 0; i < meta->xattr_count; i++)
		if (!strcmp(meta->xattrs[i].name, name))
			return &meta->xattrs[i];
	return NULL;
}

static void remove_xattr(struct meta *meta, const char *name)
{
	struct tar_xattr *xattr = find(meta, name);

	if (!xattr)
		return;
	free(xattr->name);
	free(xattr->value);
	meta->xattr_count--;
	memmove(xattr, xattr + 1,
		(size_t)(meta->xattrs + meta->xattr_count - xattr) * sizeof(*xattr));
}

int meta_set_xattr(struct meta *meta, const char *name, const void *value, size_t size,
		   struct err *err)
{
	size_t total = strlen(name) + size;

	remove_xattr(meta, name);
	for (size_t i = 0; i < meta->xattr_count; i++)
		total += strlen(meta->xattrs[i].name) + meta->xattrs[i].size;
	/* a folder may be named again and again, and the opaque mark comes on top */
	if (total > LAYER_XATTRS_MAX + 64)
		return err_set(err, ERR_LAYER_LIMIT, "more than %d bytes of extended attributes",
			       LAYER_XATTRS_MAX);
	meta->xattrs = xreallocarray(meta->xattrs, meta->xattr_count + 1, sizeof(*meta->xattrs));
	meta->xattrs[meta->xattr_count++] = (struct tar_xattr){
		.name = xstrdup(name), .value = xmemdup(value, size), .size = size
	};
	return 0;
}

static int set_acl(struct meta *meta, const char *name, const struct acl *acl, struct err *err)
{
	uint8_t bytes[ACL_BYTES_MAX];

	return meta_set_xattr(meta, name, bytes, acl_bytes(acl, bytes), err);
}

static int refuse(struct err *err, int error, const char *name)
{
	_cleanup_free_ char *safe = str_escape(name, ATTRIBUTE_SHOWN);

	return err_sys(err, error, "set its attribute %s", safe);
}

/* chmod: an access ACL that says more than the mode follows it. */
static int set_mode(struct meta *meta, uint32_t mode, struct err *err)
{
	struct tar_xattr *xattr = find(meta, ACCESS);
	struct acl acl;

	meta->mode = (meta->mode & S_IFMT) | mode;
	if (!xattr || acl_parse(xattr->value, xattr->size, &acl) < 0)
		return 0;
	acl_chmod(&acl, mode);
	return set_acl(meta, ACCESS, &acl, err);
}

static int set_access(struct meta *meta, const struct tar_xattr *xattr, struct err *err)
{
	struct acl acl;
	int error = acl_parse(xattr->value, xattr->size, &acl);

	if (error < 0)
		return refuse(err, -error, xattr->name);
	if (acl.count > 0 && acl_mode(&acl, &meta->mode))
		return set_acl(meta, ACCESS, &acl, err);
	remove_xattr(meta, ACCESS);
	return 0;
}

static int set_default(struct meta *meta, const struct tar_xattr *xattr, struct err *err)
{
	struct acl acl;
	int error = acl_parse(xattr->value, xattr->size, &acl);

	if (error < 0)
		return err_sys(err, -error, "finish folder");
	if (acl.count > 0)
		return set_acl(meta, DEFAULT, &acl, err);
	remove_xattr(meta, DEFAULT);
	return 0;
}

/* Version 2 or 3 of what linux/capability.h calls vfs_cap_data. */
static bool is_capability(const struct tar_xattr *xattr)
{
	uint32_t magic;

	if (xattr->size != 20 && xattr->size != 24)
		return false;
	memcpy(&magic, xattr->value, sizeof(magic));
	return le32toh(magic) >> 24 == (xattr->size == 20 ? 2 : 3);
}

static int set_one(struct meta *meta, const struct tar_xattr *xattr, struct err *err)
{
	bool folder = S_ISDIR(meta->mode);

	if (!strcmp(xattr->name, DEFAULT))
		return folder ? set_default(meta, xattr, err) : 0;
	if (!strcmp(xattr->name, ACCESS))
		return set_access(meta, xattr, err);
	if (strlen(xattr->name) > NAME_SIZE_MAX)
		return refuse(err, ERANGE, xattr->name);
	if (!strcmp(xattr->name, CAPABILITY) && !is_capability(xattr))
		return refuse(err, EINVAL, xattr->name);
	if (!strncmp(xattr->name, "user.", 5) && !xattr->name[5])
		return refuse(err, EINVAL, xattr->name);
	if (!strncmp(xattr->name, "user.", 5) && !folder && !S_ISREG(meta->mode))
		return refuse(err, EPERM, xattr->name);
	return meta_set_xattr(meta, xattr->name, xattr->value, xattr->size, err);
}

static const uint32_t types[] = {
	[TAR_FILE] = S_IFREG, [TAR_FOLDER] = S_IFDIR, [TAR_SYMLINK] = S_IFLNK,
	[TAR_FIFO] = S_IFIFO, [TAR_CHAR] = S_IFCHR,   [TAR_BLOCK] = S_IFBLK,
};

int meta_set(struct meta *meta, const struct tar_entry *entry, struct err *err)
{
	bool folder = entry->type == TAR_FOLDER;
	uint32_t mode = entry->type == TAR_SYMLINK ? 0777 : entry->mode & 07777;

	meta->uid = entry->uid;
	meta->gid = entry->gid;
	meta->mtime_s = entry->mtime_s;
	meta->mtime_ns = entry->mtime_ns;
	meta->mode = types[entry->type];
	if (set_mode(meta, folder ? (mode & 01777) | 0700 : mode, err) < 0)
		return -1;
	/* a tree does not set any on a symbolic link either */
	for (size_t i = 0; i < entry->xattr_count && entry->type != TAR_SYMLINK; i++)
		if (set_one(meta, &entry->xattrs[i], err) < 0)
			return -1;
	if (!folder)
		return 0;
	/* as folders.c does at the end: with an ACL the group's bits are its mask */
	return set_mode(meta, (meta->mode & 01077) | (mode & 06700), err);
}

/* ---- as bytes -------------------------------------------------------------------------------- */

int meta_one_xattr(const struct tar_xattr *xattr, struct str *out, struct err *err)
{
	struct erofs_disk_xattr disk = { .value_size = htole16((uint16_t)xattr->size) };
	size_t skip = 0;

	for (uint8_t i = 0; i < EROFS_PREFIX_END; i++) {
		const char *prefix = erofs_prefixes[i];
		bool whole = i == EROFS_PREFIX_ACL_ACCESS || i == EROFS_PREFIX_ACL_DEFAULT;

		if (!prefix || !str_has_prefix(xattr->name, prefix) ||
		    (whole && strcmp(xattr->name, prefix)))
			continue;
		disk.prefix = i;
		skip = strlen(prefix);
	}
	if (skip == 0 || strlen(xattr->name + skip) > UINT8_MAX || xattr->size > UINT16_MAX) {
		_cleanup_free_ char *safe = str_escape(xattr->name, ATTRIBUTE_SHOWN);

		return err_set(err, ERR_LAYER, "an attribute that EROFS cannot hold: %s", safe);
	}
	disk.name_size = (uint8_t)strlen(xattr->name + skip);
	str_addn(out, (const char *)&disk, sizeof(disk));
	str_addn(out, xattr->name + skip, disk.name_size);
	str_addn(out, xattr->value, xattr->size);
	str_addn(out, "\0\0\0", -out->length % 4);
	return 0;
}

int meta_xattr_bytes(const struct meta *meta, struct str *out, struct err *err)
{
	const struct erofs_disk_xattrs header = { 0 };

	if (meta->xattr_count == 0)
		return 0;
	str_addn(out, (const char *)&header, sizeof(header));
	for (size_t i = 0; i < meta->xattr_count; i++)
		if (meta_one_xattr(&meta->xattrs[i], out, err) < 0)
			return -1;
	return 0;
}

void meta_done(struct meta *meta)
{
	for (size_t i = 0; i < meta->xattr_count; i++) {
		free(meta->xattrs[i].name);
		free(meta->xattrs[i].value);
	}
	free(meta->xattrs);
	*meta = (struct meta){ 0 };
}
