/*
 * Partial blobs: what came of a blob before its fetch was broken off, kept for the next one. A file is
 * the fetcher's for as long as it holds the lock. Nothing in it is believed: who takes it up hashes it
 * from the first byte on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/flock.h"
#include "core/log.h"
#include "core/store/internal.h"

static void partial_path(const struct digest *digest, char path[STORE_PATH_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	snprintf(path, STORE_PATH_SIZE, "partial/%s", hex);
}

/*
 * 1: open, ours, and the only name of its file; 0: somebody else has it; -1. A file with another name
 * was published right before a kill: writing on would change a blob.
 */
static int open_named(struct store *store, const char *path, int *ret_fd, struct err *err)
{
	for (;;) {
		_cleanup_close_ int fd = openat(store->dir, path,
						O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat st;

		/* read-only: it has been published */
		if (fd < 0 && errno != EACCES && errno != EPERM && errno != ELOOP)
			return store_fail(err, errno, "open %s", path);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? 0 : store_fail(err, errno, "lock %s", path);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
			struct stat named;

			if (fstatat(store->dir, path, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			    named.st_ino != st.st_ino || named.st_dev != st.st_dev)
				continue; /* whoever had it was done with it */
			if (st.st_nlink == 1) {
				*ret_fd = TAKE_FD(fd);
				return 1;
			}
		}
		if (unlinkat(store->dir, path, 0) < 0 && errno != ENOENT)
			return store_fail(err, errno, "remove %s", path);
	}
}

int store_partial_open(struct store *store, const struct digest *digest, uint64_t bytes, int *ret_fd,
		       struct err *err)
{
	_cleanup_close_ int dir = store_folder(store, "partial", err), blob = -1, fd = -1;
	char path[STORE_PATH_SIZE];
	uint64_t there;
	int result;

	if (dir < 0)
		return -1;
	partial_path(digest, path);
	result = open_named(store, path, &fd, err);
	if (result != 1)
		return result;
	/* whoever had it published it between the caller's look and our lock */
	result = store_blob_open(store, digest, &blob, &there, err);
	if (result < 0)
		return -1;
	if (result == 1 && (bytes == 0 || bytes == there)) {
		(void)unlinkat(store->dir, path, 0);
		return 0;
	}
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static int open_others(struct store *store, const struct digest *digest)
{
	char path[STORE_PATH_SIZE];

	partial_path(digest, path);
	return openat(store->dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int store_partial_wait(struct store *store, const struct digest *digest, const char *what,
		       struct err *err)
{
	_cleanup_close_ int fd = open_others(store, digest);

	if (fd >= 0 && flock_wait(fd, LOCK_SH, FLOCK_FOREVER, what) < 0)
		return store_fail(err, errno, "wait for %s", what);
	return 0;
}

void store_partial_tell(struct store *store, const struct digest *digest, const char *what)
{
	_cleanup_close_ int fd = open_others(store, digest);
	_cleanup_free_ char *holder = fd < 0 ? NULL : flock_holder(fd);

	if (holder)
		log_note("waiting for %s: %s fetches it", what, holder);
}

int store_partial_publish(struct store *store, int fd, const struct digest *digest,
			  struct err *err)
{
	char path[STORE_PATH_SIZE];
	struct stat ours, named;

	if (store_blob_publish(store, fd, digest, err) < 0)
		return -1;
	partial_path(digest, path);
	if (fstat(fd, &ours) == 0 &&
	    fstatat(store->dir, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
		(void)unlinkat(store->dir, path, 0);
	return 0;
}
