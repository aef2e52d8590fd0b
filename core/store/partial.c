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
#include <time.h>
#include <unistd.h>

#include "core/store/internal.h"

#define LOCK_TRIES 25
#define LOCK_PAUSE_MS 20

static void partial_path(const struct digest *digest, char path[STORE_PATH_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	snprintf(path, STORE_PATH_SIZE, "partial/%s", hex);
}

/*
 * The worker of a duet that was killed a moment ago still has the file open until it is dead too: that
 * is worth a wait.
 */
static bool lock_soon(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000l };

	for (unsigned int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
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
		if (fd >= 0 && !lock_soon(fd))
			return 0;
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

int store_partial_open(struct store *store, const struct digest *digest, int *ret_fd,
		       struct err *err)
{
	_cleanup_close_ int dir = store_folder(store, "partial", err);
	char path[STORE_PATH_SIZE];
	int opened;

	if (dir < 0)
		return -1;
	partial_path(digest, path);
	opened = open_named(store, path, ret_fd, err);
	if (opened != 0)
		return opened < 0 ? -1 : 0;
	/* another duet fetches the same; both come to their end */
	return store_blob_new(store, ret_fd, err);
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
