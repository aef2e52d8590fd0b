/* A stream without threads: see stream.h. */
#include "tests/fuzz/stream.h"

#include "builders/layer/stream.h"
#include "core/mem.h"

static struct fuzz_input plain;
static size_t piece;

void stream_set(struct fuzz_input input, size_t size)
{
	plain = input;
	piece = size;
}

struct stream {
	struct fuzz_input left;
	uint8_t *last;	/* owned */
};

int stream_new(const struct stream_args *args, struct stream **ret, struct err *err)
{
	(void)args;
	(void)err;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->left = plain;
	return 0;
}

int stream_read(struct stream *stream, const void **ret, size_t *ret_size, struct err *err)
{
	struct fuzz_input part = fuzz_part(&stream->left, piece);

	(void)err;
	free(stream->last);
	stream->last = NULL;
	if (part.left == 0)
		return 0;
	stream->last = xmemdup(part.at, part.left);
	*ret = stream->last;
	*ret_size = part.left;
	return 1;
}

int stream_finish(struct stream *stream, uint64_t tar_end, struct layer_result *ret,
		  struct err *err)
{
	(void)stream;
	(void)err;
	(void)tar_end;
	ret->plain_bytes = plain.left;
	return 0;
}

int stream_blame(struct stream *stream, struct err *err)
{
	(void)stream;
	(void)err;
	return -1;
}

void stream_free(struct stream *stream)
{
	free(stream->last);
	free(stream);
}
