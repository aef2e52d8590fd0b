/*
 * Blobs: bytes under the digest that they were verified to have. The file is synced before it gets
 * its name and the folder after; whoever links first wins, for equal bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/internal.h"

/* Nothing but a power cut on a file system that lies makes an empty file of one that is not. */
static bool may_be_empty(const struct digest *digest)
{
	struct digest empty;

	digest_of("", 0, &empty);
	return digest_equal(digest, &empty);
}

static void blob_folder(const struct digest *digest, char path[STORE_PATH_SIZE],
			char hex[DIGEST_HEX_SIZE])
{
	digest_hex(digest, hex);
	snprintf(path, STORE_PATH_SIZE, "blobs/sha256/%.2s", hex);
}

int store_blob_open(struct store *store, const struct digest *digest, int *ret_fd,
		    uint64_t *ret_bytes, struct err *err)
{
	char path[STORE_PATH_SIZE], whole[2 * STORE_PATH_SIZE], hex[DIGEST_HEX_SIZE];
	_cleanup_close_ int fd = -1;
	struct stat st;

	blob_folder(digest, path, hex);
	snprintf(whole, sizeof(whole), "%s/%s", path, hex);
	fd = openat(store->dir, whole, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open blob sha256:%.12s", hex);
	if (fstat(fd, &st) < 0)
		return store_fail(err, errno, "look at blob sha256:%.12s", hex);
	if (!S_ISREG(st.st_mode) || (st.st_size == 0 && !may_be_empty(digest)))
		return 0;
	*ret_fd = TAKE_FD(fd);
	*ret_bytes = (uint64_t)st.st_size;
	return 1;
}

/* Does the name stand for as many bytes as we have? (Equal digests, so else it is damaged.) */
static bool same_size(int dir, const char *name, uint64_t bytes)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == bytes;
}

int store_blob_publish(struct store *store, int fd, const struct digest *digest, struct err *err)
{
	char path[STORE_PATH_SIZE], hex[DIGEST_HEX_SIZE];
	_cleanup_close_ int dir = -1;
	struct stat st;
	int taken;

	blob_folder(digest, path, hex);
	dir = store_folder(store, path, err);
	if (dir < 0)
		return -1;
	if (fchmod(fd, 0444) < 0)
		return store_fail(err, errno, "write blob sha256:%.12s", hex);
	/* an error of this call is final for the file: what was lost is not written again */
	if (fsync(fd) < 0 || fstat(fd, &st) < 0)
		return store_fail(err, errno, "sync blob sha256:%.12s", hex);
	taken = store_file_link(store, fd, dir, hex, false, err);
	if (taken > 0 && !same_size(dir, hex, (uint64_t)st.st_size))
		taken = store_file_link(store, fd, dir, hex, true, err);
	if (taken < 0)
		return err_wrap(err, "publish blob sha256:%.12s", hex);
	return store_sync(dir, path, err);
}

int store_layer_blob_open(struct store *store, const struct store_layer *layer, int *ret_fd,
			  struct err *err)
{
	uint64_t bytes;
	int fd, found = store_blob_open(store, &layer->blob, &fd, &bytes, err);

	if (found != 1)
		return found;
	if (bytes != layer->blob_bytes) {
		close(fd);
		return 0;
	}
	*ret_fd = fd;
	return 1;
}
