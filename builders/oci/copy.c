/* Copies: see copy.h. */
#include "builders/oci/copy.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/hash.h"
#include "builders/layer/stream.h"
#include "builders/layer/zstd.h"
#include "core/fs.h"
#include "core/mem.h"

#define CHUNK (1024 * 1024)

static int differs(struct err *err)
{
	return err_set(err, ERR_FETCH_DIGEST, "these are other bytes than were named: the digest differs");
}

/* The next bytes of a part; 0 bytes only when none are asked for. */
static ssize_t read_chunk(int in, uint64_t offset, uint64_t left, char *chunk, struct err *err)
{
	/* whole chunks: the first one tells by its first bytes what it is */
	ssize_t got = fs_pread_all(in, chunk, left < CHUNK ? left : CHUNK, offset);

	if (got < 0)
		return err_sys(err, errno, "read");
	if (got == 0 && left > 0)
		return err_set(err, ERR_LAYER, "the file ends %llu bytes too soon",
			       (unsigned long long)left);
	return got;
}

/* Reads a part, hashed into `hash`, and hands it to `out` (-1: nowhere). */
static int pass_part(const struct oci_copy *args, uint64_t bytes, struct hash *hash,
		     uint8_t ret_magic[4], struct err *err)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t got = read_chunk(args->in, args->offset + done, bytes - done, chunk, err);

		if (got < 0)
			return -1;
		if (done == 0 && ret_magic)
			memcpy(ret_magic, chunk, got < 4 ? (size_t)got : 4);
		hash_add(hash, chunk, (size_t)got);
		if (args->out >= 0 && fs_pwrite_all(args->out, chunk, (size_t)got, done) < 0)
			return err_sys(err, errno, "write");
		done += (uint64_t)got;
		if (args->progress)
			args->progress(args->progress_data, done, bytes);
	}
	return 0;
}

static int copy_part(const struct oci_copy *args, struct layer_result *ret, struct err *err)
{
	uint64_t bytes = args->bytes;
	struct hash hash;
	struct stat st;
	int result;

	if (bytes == 0) {
		if (fstat(args->in, &st) < 0)
			return err_sys(err, errno, "look at the file");
		bytes = (uint64_t)st.st_size > args->offset ? (uint64_t)st.st_size - args->offset : 0;
	}
	hash_init(&hash);
	result = pass_part(args, bytes, &hash, NULL, err);
	hash_end(&hash, &ret->blob);
	hash_done(&hash);
	ret->blob_bytes = bytes;
	if (result == 0 && args->has_expected && !digest_equal(&ret->blob, &args->expected))
		return differs(err);
	return result;
}

/* ---- what is inflated ------------------------------------------------------------------------- */

/* Where plain bytes go, as they are or packed. */
struct output {
	int file;
	uint64_t done;		/* bytes written */
	void *zstd;		/* owned; NULL: they are not packed */
	struct hash hash;	/* of what is written; with zstd only */
	struct err *err;
};

static int write_on(void *data, const void *bytes, size_t size)
{
	struct output *output = data;

	if (output->zstd)
		hash_add(&output->hash, bytes, size);
	if (fs_pwrite_all(output->file, bytes, size, output->done) < 0)
		return err_sys(output->err, errno, "write");
	output->done += size;
	return 0;
}

static int put(struct output *output, const void *bytes, size_t size, bool end)
{
	if (!output->zstd)
		return write_on(output, bytes, size);
	if (zstd_pack(output->zstd, bytes, size, end, write_on, output) == 0)
		return 0;
	return output->err->code ? -1 : err_set(output->err, ERR_LAYER, "pack with zstd");
}

static int copy_all(struct output *output, struct stream *stream, struct layer_result *ret)
{
	const void *bytes;
	uint64_t plain = 0;
	size_t size;
	int result;

	while ((result = stream_read(stream, &bytes, &size, output->err)) == 1) {
		if (put(output, bytes, size, false) < 0)
			return -1;
		plain += size;
	}
	if (result < 0 || put(output, "", 0, true) < 0)
		return -1;
	return stream_finish(stream, plain, ret, output->err);
}

static int copy_packed(const struct oci_copy *args, struct stream *stream, struct layer_result *ret,
		       struct err *err)
{
	struct output output = { .file = args->out, .zstd = zstd_pack_new(), .err = err };
	int result;

	hash_init(&output.hash);
	result = copy_all(&output, stream, ret);
	hash_end(&output.hash, &ret->blob);
	ret->blob_bytes = output.done;
	hash_done(&output.hash);
	zstd_pack_free(output.zstd);
	return result;
}

static int copy_inflated(const struct oci_copy *args, struct layer_result *ret, struct err *err)
{
	const struct stream_args stream_args = {
		.blob = args->in, .has_expected = args->has_expected, .expected = args->expected,
		.allow_xz = args->pack,
		.progress = args->progress, .progress_data = args->progress_data,
	};
	struct output plain = { .file = args->out, .err = err };
	struct stream *stream;
	int result;

	if (stream_new(&stream_args, &stream, err) < 0)
		return -1;
	result = args->pack ? copy_packed(args, stream, ret, err) : copy_all(&plain, stream, ret);
	stream_free(stream);
	return result;
}

int oci_copy_run(const struct oci_copy *args, struct layer_result *ret, struct err *err)
{
	return args->inflate || args->pack ? copy_inflated(args, ret, err) : copy_part(args, ret, err);
}

int oci_copy_hash(int in, uint64_t offset, uint64_t bytes, uint8_t ret_magic[4],
		  struct digest *ret, struct err *err)
{
	const struct oci_copy args = { .in = in, .out = -1, .offset = offset };
	struct hash hash;
	int result;

	memset(ret_magic, 0, 4);
	hash_init(&hash);
	result = pass_part(&args, bytes, &hash, ret_magic, err);
	hash_end(&hash, ret);
	hash_done(&hash);
	return result;
}
