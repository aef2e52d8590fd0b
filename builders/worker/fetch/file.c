/* The file that is fetched: see file.h. */
#include "builders/worker/fetch/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/layer/hash.h"
#include "core/mem.h"

#define READ_BYTES (256 * 1024)

static int trouble(struct err *err, int errnum, const char *verb)
{
	err_sys(err, errnum, "%s the file", verb);
	if (errnum == ENOSPC || errnum == EDQUOT)
		err_mend(err, "make room, or name another store with --store DIR");
	return -1;
}

int fetch_file_empty(struct fetch_file *file, struct err *err)
{
	if (ftruncate(file->fd, 0) < 0)
		return trouble(err, errno, "truncate");
	hash_done(&file->hash);
	hash_init(&file->hash);
	file->have = 0;
	return 0;
}

int fetch_file_take_up(struct fetch_file *file, int fd, uint64_t limit, struct err *err)
{
	_cleanup_free_ char *buffer = xmalloc(READ_BYTES);
	struct stat st;

	file->fd = fd;
	file->have = 0;
	hash_init(&file->hash);
	if (fstat(fd, &st) < 0)
		return trouble(err, errno, "look at");
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "write the file: not a regular file");
	if ((uint64_t)st.st_size > limit)
		return fetch_file_empty(file, err);
	while (file->have < (uint64_t)st.st_size) {
		ssize_t got = pread(fd, buffer, READ_BYTES, (off_t)file->have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return trouble(err, errno, "read");
		if (got == 0)
			break;
		hash_add(&file->hash, buffer, (size_t)got);
		file->have += (uint64_t)got;
	}
	return 0;
}

int fetch_file_reserve(const struct fetch_file *file, uint64_t bytes, struct err *err)
{
	if (bytes <= file->have)
		return 0;
	if (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)file->have,
		      (off_t)(bytes - file->have)) < 0 &&
	    (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
		return trouble(err, errno, "make room for");
	return 0;
}

int fetch_file_add(struct fetch_file *file, const void *data, size_t size,
		   struct err *err)
{
	const char *at = data;
	size_t done = 0;

	while (done < size) {
		ssize_t put = pwrite(file->fd, at + done, size - done,
				     (off_t)(file->have + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return trouble(err, errno, "write");
		done += (size_t)put;
	}
	hash_add(&file->hash, data, size);
	file->have += size;
	return 0;
}

void fetch_file_digest(struct fetch_file *file, struct digest *ret)
{
	hash_end(&file->hash, ret);
}

void fetch_file_done(struct fetch_file *file)
{
	hash_done(&file->hash);
}
