/* Bytes of a file: see bytes.h. */
#include "builders/kernel/bytes.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

#define UNPACK_STEP (1u << 20)

int bytes_map(int fd, size_t max, struct bytes *ret, struct err *err)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at it");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_KERNEL, "it is not a regular file");
	if ((uint64_t)st.st_size > max)
		return err_set(err, ERR_KERNEL, "it has more than %zu bytes", max);
	*ret = (struct bytes){ .size = (size_t)st.st_size };
	if (st.st_size == 0)
		return 0;
	map = mmap(NULL, ret->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return err_sys(err, errno, "map it");
	ret->map = map;
	ret->data = map;
	return 0;
}

int bytes_source_read(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct bytes_source *source = data;

	(void)err;
	if (source->size == 0)
		return 0;
	*ret = source->data;
	*ret_size = source->size;
	source->size = 0;
	return 1;
}

int file_source_read(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct file_source *source = data;
	size_t part = source->left < FILE_SOURCE_CHUNK ? (size_t)source->left : FILE_SOURCE_CHUNK;
	ssize_t got;

	if (part == 0)
		return 0;
	do
		got = pread(source->fd, source->chunk, part, (off_t)source->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, errno, "read it");
	if (got == 0)
		return err_set(err, ERR_KERNEL, "it ends early");
	source->offset += (uint64_t)got;
	source->left -= (uint64_t)got;
	*ret = source->chunk;
	*ret_size = (size_t)got;
	return 1;
}

static bool is_packed(const struct bytes *bytes)
{
	static const struct {
		uint8_t magic[4];
	} formats[] = { { { 0x1f, 0x8b, 8, 0 } }, { { 0x28, 0xb5, 0x2f, 0xfd } },
			{ { 0xfd, '7', 'z', 'X' } } };

	for (size_t i = 0; bytes->size >= 4 && i < ARRAY_SIZE(formats); i++)
		if (!memcmp(bytes->data, formats[i].magic, i == 0 ? 3 : 4))
			return true;
	return false;
}

int bytes_unpack(struct bytes *bytes, size_t max, struct err *err)
{
	struct bytes_source part = { bytes->data, bytes->size };
	struct inflate_source source = { bytes_source_read, &part };
	_cleanup_free_ uint8_t *out = NULL;
	size_t size = 0, room = 0;
	struct inflate *inflate;
	ssize_t got;

	if (!is_packed(bytes))
		return 0;
	if (inflate_new(&source, INFLATE_XZ, &inflate, err) < 0)
		return -1;
	do {
		room = size + UNPACK_STEP;
		out = xrealloc(out, room);
		got = inflate_read(inflate, out + size, room - size, err);
		size += got > 0 ? (size_t)got : 0;
	} while (got > 0 && size == room && size <= max);
	inflate_free(inflate);
	if (got < 0)
		return -1;
	if (size > max)
		return err_set(err, ERR_KERNEL, "unpacked it has more than %zu bytes", max);
	bytes_done(bytes);
	bytes->heap = TAKE_PTR(out);
	bytes->data = bytes->heap;
	bytes->size = size;
	return 0;
}

void bytes_done(struct bytes *bytes)
{
	free(bytes->heap);
	if (bytes->map)
		munmap(bytes->map, bytes->size);
	*bytes = (struct bytes){ 0 };
}
