/* What is set on folders at the end: see folders.h. */
#include "builders/layer/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

#define DEFAULT_ACL "system.posix_acl_default"

/* Followed by the path with its NUL, and the bytes of the default ACL. */
struct record {
	uint64_t inode;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode;
	uint32_t path_size;
	uint32_t acl_size;
};

static const struct tar_xattr *default_acl(const struct tar_entry *entry)
{
	for (size_t i = 0; i < entry->xattr_count; i++)
		if (!strcmp(entry->xattrs[i].name, DEFAULT_ACL))
			return &entry->xattrs[i];
	return NULL;
}

static void append(struct folders *folders, const void *data, size_t size)
{
	if (size > 0)
		memcpy(folders->bytes + folders->size, data, size);
	folders->size += size;
}

int folders_add(struct folders *folders, const char *path, ino_t inode,
		const struct tar_entry *entry, struct err *err)
{
	const struct tar_xattr *acl = default_acl(entry);
	struct record record = {
		.inode = inode,
		.mtime_s = entry->mtime_s,
		.mtime_ns = entry->mtime_ns,
		.mode = entry->mode,
		.path_size = (uint32_t)strlen(path) + 1,
		.acl_size = acl ? (uint32_t)acl->size : 0,
	};
	size_t size = sizeof(record) + record.path_size + record.acl_size;

	if (folders->size + size > FOLDERS_BYTES_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "too many folders");
	if (folders->size + size > folders->room) {
		folders->room = folders->size + size + (folders->room + 65536) / 2;
		folders->bytes = xrealloc(folders->bytes, folders->room);
	}
	append(folders, &record, sizeof(record));
	append(folders, path, record.path_size);
	append(folders, acl ? acl->value : NULL, record.acl_size);
	return 0;
}

static int apply(const struct record *record, const char *path, const void *acl, int root,
		 struct err *err)
{
	_cleanup_close_ int fd = fs_open_no_links(root, path, O_RDONLY | O_DIRECTORY, 0);
	_cleanup_free_ char *safe = NULL;
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = record->mtime_s, .tv_nsec = record->mtime_ns },
	};
	struct stat st;
	mode_t mode;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (st.st_ino != record->inode)
			return 0;
		/* group bits are left alone: with an ACL they are its mask */
		mode = (st.st_mode & 01077) | (record->mode & 06700);
		if ((mode == (st.st_mode & 07777) || fchmod(fd, mode) == 0) &&
		    (record->acl_size == 0 ||
		     fsetxattr(fd, DEFAULT_ACL, acl, record->acl_size, 0) == 0) &&
		    futimens(fd, times) == 0)
			return 0;
	}
	safe = str_escape(path, 200);
	return err_sys(err, errno, "finish folder %s", safe);
}

int folders_apply(const struct folders *folders, int root, struct err *err)
{
	struct record record;

	for (size_t at = 0; at < folders->size;) {
		const char *path = (const char *)folders->bytes + at + sizeof(record);

		memcpy(&record, folders->bytes + at, sizeof(record));
		if (apply(&record, path, path + record.path_size, root, err) < 0)
			return -1;
		at += sizeof(record) + record.path_size + record.acl_size;
	}
	return 0;
}

void folders_done(struct folders *folders)
{
	free(folders->bytes);
	*folders = (struct folders){ 0 };
}
