/* Files that are published whole, and tars in them: see tarfile.h. */
#include "builders/oci/tarfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"

#define CHUNK (1024 * 1024)

static int failed(struct tarfile *file, int errnum, struct err *err)
{
	return err_sys(err, errnum, "write %s", file->name);
}

/*
 * What is no regular file keeps its place: a pipe, a terminal's or the null device. A rename would put
 * a file where /dev/stdout or /dev/null was. 1: it is one, and open.
 */
static int open_stream(struct tarfile *file, struct err *err)
{
	bool standard = !strcmp(file->name, "-");
	struct stat stat_of;

	if (standard ? fstat(STDOUT_FILENO, &stat_of) < 0 : stat(file->name, &stat_of) < 0)
		return errno == ENOENT ? 0 : failed(file, errno, err);
	if (S_ISREG(stat_of.st_mode) && !standard)
		return 0;
	if (S_ISDIR(stat_of.st_mode)) {
		failed(file, EISDIR, err);
		return err_mend(err, "name the file in it: duet export [NAME] FILE");
	}
	file->fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			    : open(file->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (file->fd < 0)
		return failed(file, errno, err);
	if (isatty(file->fd)) {
		err_set(err, ERR_USAGE, "export: %s is a terminal", file->name);
		return err_mend(err, "name a file, or send it into a pipe");
	}
	/* what has to be a file on the way */
	file->dir = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file->stream = true;
	return 1;
}

/* Opens the folder and the temporary file in it; a link to a file stays a link. */
static int open_beside(struct tarfile *file)
{
	_cleanup_free_ char *real = xrealpath(file->name), *folder = NULL;
	const char *path = real ? real : file->name;

	if (!real && errno != ENOENT)
		return -1;
	folder = xstrndup(path, (size_t)(path_base(path) - path));
	file->base = xstrdup(path_base(path));
	file->dir = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->dir < 0)
		return -1;
	file->temporary = xasprintf(".%s.%d~", file->base, (int)getpid());
	(void)unlinkat(file->dir, file->temporary, 0);
	file->fd = openat(file->dir, file->temporary,
			  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	return file->fd < 0 ? -1 : 0;
}

int tarfile_new(struct tarfile *ret, const char *path, struct err *err)
{
	struct tarfile file = { .name = xstrdup(path), .dir = -1, .fd = -1 };
	int stream = open_stream(&file, err);

	if (stream == 0 && open_beside(&file) < 0)
		stream = failed(&file, errno, err);
	if (stream < 0) {
		tarfile_done(&file);
		return -1;
	}
	*ret = file;
	return 0;
}

int tarfile_bytes(struct tarfile *file, const void *bytes, size_t size, struct err *err)
{
	return fs_write_all(file->fd, bytes, size) < 0 ? failed(file, errno, err) : 0;
}

int tarfile_entry(struct tarfile *file, const struct tar_entry *entry, struct err *err)
{
	struct str header = { 0 };
	int result;

	tarwrite_header(&header, entry);
	result = tarfile_bytes(file, header.text, header.length, err);
	str_done(&header);
	return result;
}

int tarfile_pad(struct tarfile *file, uint64_t size, struct err *err)
{
	static const char zeros[TARWRITE_BLOCK];

	return tarfile_bytes(file, zeros, (size_t)(-size % TARWRITE_BLOCK), err);
}

int tarfile_text(struct tarfile *file, const char *path, const char *text, size_t size,
		 int64_t mtime_s, struct err *err)
{
	const struct tar_entry entry = { .path = path, .type = TAR_FILE, .mode = 0644, .size = size,
					 .mtime_s = mtime_s };

	if (tarfile_entry(file, &entry, err) < 0 || tarfile_bytes(file, text, size, err) < 0)
		return -1;
	return tarfile_pad(file, size, err);
}

int tarfile_copy(struct tarfile *file, const char *path, int from, uint64_t size, int64_t mtime_s,
		 struct err *err)
{
	const struct tar_entry entry = { .path = path, .type = TAR_FILE, .mode = 0644, .size = size,
					 .mtime_s = mtime_s };
	_cleanup_free_ char *chunk = xmalloc(CHUNK);

	if (tarfile_entry(file, &entry, err) < 0)
		return -1;
	for (uint64_t done = 0; done < size;) {
		size_t wanted = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
		ssize_t got = pread(from, chunk, wanted, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, errno, "read %s", path);
		if (got == 0)
			return err_set(err, ERR_STORE, "read %s: it ends too soon", path);
		if (tarfile_bytes(file, chunk, (size_t)got, err) < 0)
			return -1;
		done += (uint64_t)got;
	}
	return tarfile_pad(file, size, err);
}

int tarfile_end(struct tarfile *file, struct err *err)
{
	static const char zeros[TARWRITE_END];

	return tarfile_bytes(file, zeros, sizeof(zeros), err);
}

int tarfile_publish(struct tarfile *file, struct err *err)
{
	if (file->stream)
		return 0;
	if (fsync(file->fd) < 0 ||
	    renameat(file->dir, file->temporary, file->dir, file->base) < 0)
		return failed(file, errno, err);
	free(TAKE_PTR(file->temporary));
	return fs_sync_dir(file->dir, err);
}

void tarfile_done(struct tarfile *file)
{
	if (file->temporary)
		(void)unlinkat(file->dir, file->temporary, 0);
	free(file->temporary);
	free(file->base);
	free(file->name);
	mem_closep(&file->dir);
	mem_closep(&file->fd);
	*file = (struct tarfile){ .dir = -1, .fd = -1 };
}
