/*
 * Files: bounded reads, durable writes, removal of trees, and the one way (`openat2`) in which a
 * path that an image can influence is opened. Directory descriptors come before paths; O_CLOEXEC
 * is always set.
 */
#ifndef DUET_CORE_FS_H
#define DUET_CORE_FS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/err.h"

/*
 * Opens `path` as if `root` were "/" : symbolic links are followed inside it, magic links never.
 * Returns the descriptor, or -1 with errno (nothing in err: callers add what they attempted).
 */
int fs_open_in_root(int root, const char *path, int flags, mode_t mode);
/* As above, but any symbolic link on the way, the last component too, is ELOOP. */
int fs_open_no_links(int root, const char *path, int flags, mode_t mode);
/*
 * What is at `path` below `root`: links that stay below are followed (but for the last with O_NOFOLLOW),
 * one that leads out is EXDEV, and so is an absolute one.
 */
int fs_open_beneath(int root, const char *path, int flags);

/* Reads a regular file whole; refuses more than max bytes (-EFBIG), fifos and devices (-EINVAL). */
int fs_read_file(int dir, const char *path, size_t max, char **ret_text, size_t *ret_size,
		 struct err *err);
/* The same from a descriptor, from its start. `name` is for the message. */
int fs_read_fd(int fd, const char *name, size_t max, char **ret_text, size_t *ret_size,
	       struct err *err);
/* All of it or -1 with errno. */
int fs_write_all(int fd, const void *data, size_t size);
int fs_pwrite_all(int fd, const void *data, size_t size, uint64_t offset);
/* How many bytes there are, fewer than `size` only at the file's end; or -1 with errno. */
ssize_t fs_pread_all(int fd, void *data, size_t size, uint64_t offset);

/* Makes every missing folder of `path` with `mode`. */
int fs_make_dirs(const char *path, mode_t mode, struct err *err);
/* Opens a folder O_PATH|O_DIRECTORY beneath dir, made with `mode` when it is missing. */
int fs_open_dir_made(int dir, const char *name, mode_t mode, struct err *err);
/* Writes name durably: temporary name beside it, fsync, rename, fsync of dir. */
int fs_replace_file(int dir, const char *name, const void *data, size_t size, mode_t mode,
		    struct err *err);
int fs_sync_dir(int dir, struct err *err);
/* An O_PATH descriptor made usable for reading (reopened through /proc/self/fd). */
int fs_reopen(int fd, int flags);
/* Where an open file is now. Owned; NULL when it has no path any more. */
char *fs_path_of(int fd);
/* Removes dir/name and all below; never follows a link, never leaves the file system. Missing is 0. */
int fs_remove_tree(int dir, const char *name, struct err *err);

#endif
