/*
 * The threads under a layer: see stream.h. Every thread ends by itself when its readers have left
 * (ring_leave) or its writer has ended; nothing is cancelled. The blob's digest is only known once
 * all of it was read: until stream_finish has compared it, what was unpacked is not trusted.
 */
#include "builders/layer/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/layer/hash.h"
#include "builders/layer/inflate.h"
#include "builders/layer/ring.h"
#include "core/mem.h"

enum { BY_INFLATE = 0, BLOB_READERS };		/* readers of the blob's ring */
enum { BY_CALLER = 0, BY_HASHER, PLAIN_READERS };	/* readers of the plain ring */

struct stream {
	struct stream_args args;
	bool is_file;		/* the blob can be read again */
	struct ring blob, plain;
	pthread_t reader, inflater, hasher;
	bool running;
	bool holds_plain;	/* the caller works in a buffer */
	_Atomic bool to_the_end;	/* the reader goes on though nobody takes its bytes */
	_Atomic uint64_t blob_done, plain_done;
	struct digest blob_digest, plain_digest;	/* once the threads have ended */
	bool blob_whole;	/* all of it was read and hashed */
	uint64_t handed;	/* plain bytes that the caller has seen */
	uint64_t after_data;	/* plain offset behind the last byte that is not zero */
	/* of the inflater */
	bool holds_blob;
	uint64_t again_offset;	/* of a second reading, by pread */
	uint8_t *again_buffer;	/* owned; set while the blob is read a second time */
};

/* Fills a buffer, so that pipes give whole ones too: its size, 0 at the end, -1 with errno. */
static ssize_t read_full(int fd, uint8_t *buffer, size_t room)
{
	size_t size = 0;

	while (size < room) {
		ssize_t got = read(fd, buffer + size, room - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static int check_size(const struct stream *stream, uint64_t done, bool whole, struct err *err)
{
	uint64_t expected = stream->args.blob_bytes;

	if (expected == 0 || done == expected || (!whole && done < expected))
		return 0;
	return err_set(err, ERR_FETCH_DIGEST, "the blob has %s than the expected %llu bytes",
		       done < expected ? "fewer" : "more", (unsigned long long)expected);
}

static int read_blob(struct stream *stream, struct hash *hash, struct err *err)
{
	_cleanup_free_ uint8_t *spare = NULL;
	uint64_t done = 0;

	for (;;) {
		uint8_t *room = ring_room(&stream->blob);
		bool nobody = !room;
		ssize_t got;

		if (nobody && !stream->to_the_end)
			return 0;
		if (nobody && !spare)
			spare = xmalloc(RING_SLOT_BYTES);
		room = nobody ? spare : room;
		got = read_full(stream->args.blob, room, RING_SLOT_BYTES);
		if (got < 0)
			return err_sys_as(err, ERR_LAYER, errno, "read the blob");
		if (got == 0)
			break;
		done += (uint64_t)got;
		if (check_size(stream, done, false, err) < 0)
			return -1;
		stream->blob_done = done;
		if (!stream->args.verified)
			hash_add(hash, room, (size_t)got);
		if (!nobody)
			ring_put(&stream->blob, (size_t)got);
	}
	if (check_size(stream, done, true, err) < 0)
		return -1;
	stream->blob_whole = true;
	return 0;
}

static void *reader_main(void *data)
{
	struct stream *stream = data;
	struct err err = { 0 };
	struct hash hash;

	hash_init(&hash);
	read_blob(stream, &hash, &err);
	if (!stream->args.verified)
		hash_end(&hash, &stream->blob_digest);
	ring_end(&stream->blob, &err);
	hash_done(&hash);
	err_done(&err);
	return NULL;
}

/* The inflater's source, the first time: the ring. */
static int from_ring(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct stream *stream = data;
	int got;

	if (stream->holds_blob)
		ring_give_back(&stream->blob, BY_INFLATE);
	got = ring_take(&stream->blob, BY_INFLATE, ret, ret_size, err);
	stream->holds_blob = got == 1;
	return got;
}

/* The inflater's source, the second time: the file itself. */
static int from_file(void *data, const uint8_t **ret, size_t *ret_size, struct err *err)
{
	struct stream *stream = data;
	ssize_t got;

	do
		got = pread(stream->args.blob, stream->again_buffer, RING_SLOT_BYTES,
			    (off_t)stream->again_offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys_as(err, ERR_LAYER, errno, "read the blob");
	stream->again_offset += (uint64_t)got;
	*ret = stream->again_buffer;
	*ret_size = (size_t)got;
	return got > 0;
}

static int check_limits(const struct stream *stream, uint64_t plain, struct err *err)
{
	uint64_t blob = stream->blob_done;

	if (plain > LAYER_BYTES_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "inflate: more than %llu bytes",
			       (unsigned long long)LAYER_BYTES_MAX);
	if (plain > LAYER_RATIO_FROM && plain / LAYER_RATIO_MAX > blob)
		return err_set(err, ERR_LAYER_LIMIT,
			       "inflate: more than %u times the size of the blob",
			       LAYER_RATIO_MAX);
	return 0;
}

/* Inflates into the ring, but for the first `skip` bytes, which are there already. */
static int inflate_all(struct stream *stream, struct inflate *inflate, uint64_t skip,
		       struct err *err)
{
	for (;;) {
		uint8_t *room = ring_room(&stream->plain);
		size_t want = RING_SLOT_BYTES;
		ssize_t got;

		if (!room)
			return 0;
		if (skip > 0 && skip < want)
			want = (size_t)skip;
		got = inflate_read(inflate, room, want, err);
		if (got <= 0)
			return (int)got;
		if (skip > 0) {
			skip -= (uint64_t)got;
			continue;
		}
		stream->plain_done += (uint64_t)got;
		if (check_limits(stream, stream->plain_done, err) < 0)
			return -1;
		ring_put(&stream->plain, (size_t)got);
	}
}

/*
 * ISA-L refused the stream; zlib has the last word. Bytes that are out already are the same ones:
 * the digest of the plain bytes covers what was handed on, whoever inflated it.
 */
static int inflate_again(struct stream *stream, struct err *err)
{
	const struct inflate_source source = { from_file, stream };
	struct inflate *inflate = NULL;
	int result;

	stream->again_buffer = xmalloc(RING_SLOT_BYTES);
	err_done(err);
	result = inflate_new(&source, INFLATE_ZLIB, &inflate, err);
	if (result == 0)
		result = inflate_all(stream, inflate, stream->plain_done, err);
	inflate_free(inflate);
	return result;
}

static void *inflater_main(void *data)
{
	struct stream *stream = data;
	const struct inflate_source source = { from_ring, stream };
	struct inflate *inflate = NULL;
	struct err err = { 0 };
	int result;

	result = inflate_new(&source, stream->args.allow_xz ? INFLATE_XZ : 0, &inflate, &err);
	if (result == 0)
		result = inflate_all(stream, inflate, 0, &err);
	if (result < 0 && stream->is_file && inflate_may_retry(inflate)) {
		stream->to_the_end = true;
		ring_leave(&stream->blob, BY_INFLATE);
		inflate_again(stream, &err);
	} else {
		if (result < 0 && stream->args.has_expected && stream->is_file)
			stream->to_the_end = true; /* for stream_blame */
		ring_leave(&stream->blob, BY_INFLATE);
	}
	ring_end(&stream->plain, &err);
	inflate_free(inflate);
	err_done(&err);
	return NULL;
}

static void *hasher_main(void *data)
{
	struct stream *stream = data;
	const uint8_t *bytes;
	struct err err = { 0 };
	struct hash hash;
	size_t size;

	hash_init(&hash);
	while (ring_take(&stream->plain, BY_HASHER, &bytes, &size, &err) == 1) {
		hash_add(&hash, bytes, size);
		ring_give_back(&stream->plain, BY_HASHER);
	}
	ring_leave(&stream->plain, BY_HASHER);
	hash_end(&hash, &stream->plain_digest);
	hash_done(&hash);
	err_done(&err);
	return NULL;
}

/* Lets every thread come to its end, and waits for it. */
static void stop(struct stream *stream, unsigned int started)
{
	ring_stop(&stream->plain);
	ring_stop(&stream->blob);
	if (started > 2)
		pthread_join(stream->hasher, NULL);
	if (started > 1)
		pthread_join(stream->inflater, NULL);
	if (started > 0)
		pthread_join(stream->reader, NULL);
	stream->running = false;
}

static int start(struct stream *stream, struct err *err)
{
	void *(*const mains[])(void *) = { reader_main, inflater_main, hasher_main };
	pthread_t *const threads[] = { &stream->reader, &stream->inflater, &stream->hasher };

	for (unsigned int i = 0; i < ARRAY_SIZE(mains); i++) {
		int error = pthread_create(threads[i], NULL, mains[i], stream);

		if (error) {
			mem_blame(error);
			stop(stream, i);
			return err_sys(err, error, "start a thread");
		}
	}
	stream->running = true;
	return 0;
}

int stream_new(const struct stream_args *args, struct stream **ret, struct err *err)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));
	struct stat st;

	stream->args = *args;
	stream->is_file = fstat(args->blob, &st) == 0 && S_ISREG(st.st_mode);
	ring_init(&stream->blob, BLOB_READERS);
	ring_init(&stream->plain, PLAIN_READERS);
	if (start(stream, err) < 0) {
		stream_free(stream);
		return -1;
	}
	*ret = stream;
	return 0;
}

/* The offset behind the last byte of a piece that is not zero; 0 when all are. */
static size_t after_last_data(const uint8_t *bytes, size_t size)
{
	while (size > 0 && bytes[size - 1] == 0)
		size--;
	return size;
}

int stream_read(struct stream *stream, const void **ret, size_t *ret_size, struct err *err)
{
	const uint8_t *bytes;
	size_t data;
	int got;

	if (stream->holds_plain)
		ring_give_back(&stream->plain, BY_CALLER);
	stream->holds_plain = false;
	got = ring_take(&stream->plain, BY_CALLER, &bytes, ret_size, err);
	if (got != 1)
		return got;
	stream->holds_plain = true;
	data = after_last_data(bytes, *ret_size);
	if (data > 0)
		stream->after_data = stream->handed + data;
	stream->handed += *ret_size;
	if (stream->args.progress)
		stream->args.progress(stream->args.progress_data, stream->blob_done,
				      stream->args.blob_bytes);
	*ret = bytes;
	return 1;
}

/* Compares the blob with what was asked for; its threads have ended. */
static int check_digest(const struct stream *stream, struct err *err)
{
	char expected[DIGEST_TEXT_SIZE], found[DIGEST_TEXT_SIZE];

	if (!stream->args.has_expected ||
	    digest_equal(&stream->blob_digest, &stream->args.expected))
		return 0;
	digest_text(&stream->args.expected, expected);
	digest_text(&stream->blob_digest, found);
	return err_set(err, ERR_FETCH_DIGEST, "digest differs: expected %s, found %s", expected,
		       found);
}

int stream_finish(struct stream *stream, uint64_t tar_end, struct layer_result *ret,
		  struct err *err)
{
	const void *bytes;
	size_t size;
	int got;

	while ((got = stream_read(stream, &bytes, &size, err)) == 1)
		if (stream->after_data > tar_end)
			break;
	if (got < 0)
		return -1;
	if (stream->after_data > tar_end)
		return err_set(err, ERR_LAYER, "data after the end of the archive");
	/* the reader and the hasher come to the end by themselves; nothing is cut short */
	pthread_join(stream->reader, NULL);
	pthread_join(stream->inflater, NULL);
	pthread_join(stream->hasher, NULL);
	stream->running = false;
	if (!stream->blob_whole)
		return err_set(err, ERR_LAYER, "read the blob: it was not read whole");
	if (check_digest(stream, err) < 0)
		return -1;
	ret->blob = stream->blob_digest;
	ret->diff_id = stream->plain_digest;
	ret->blob_bytes = stream->blob_done;
	ret->plain_bytes = stream->plain_done;
	return 0;
}

int stream_blame(struct stream *stream, struct err *err)
{
	struct err other = { 0 };

	if (!stream->args.has_expected || !stream->is_file || !stream->running)
		return -1;
	stream->to_the_end = true;
	stop(stream, 3);
	if (stream->blob_whole && check_digest(stream, &other) < 0)
		err_move(err, &other);
	return -1;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	if (stream->running)
		stop(stream, 3);
	ring_done(&stream->blob);
	ring_done(&stream->plain);
	free(stream->again_buffer);
	free(stream);
}
