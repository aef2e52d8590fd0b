/* xz by liblzma: archives only, never layers of an image. */
#include "builders/layer/inflate.h"

#include <lzma.h>

#include "core/mem.h"

#define MEMORY_MAX (96ull << 20)	/* xz -9 takes 65 MiB to unpack */

static void begin(lzma_stream *stream)
{
	if (lzma_stream_decoder(stream, MEMORY_MAX, 0) != LZMA_OK)
		mem_out();
}

static void *start(void)
{
	lzma_stream *stream = xmalloc(sizeof(*stream));

	*stream = (lzma_stream)LZMA_STREAM_INIT;
	begin(stream);
	return stream;
}

static enum inflate_step step(void *state, struct inflate_io *io, const char **error)
{
	lzma_stream *stream = state;
	lzma_ret result;

	stream->next_in = io->in;
	stream->avail_in = io->in_size;
	stream->next_out = io->out;
	stream->avail_out = io->out_room;
	result = lzma_code(stream, LZMA_RUN);
	io->in = stream->next_in;
	io->in_size = stream->avail_in;
	io->out = stream->next_out;
	io->out_room = stream->avail_out;
	if (result == LZMA_STREAM_END)
		return INFLATE_END;
	if (result == LZMA_OK || result == LZMA_BUF_ERROR)
		return INFLATE_MORE;
	if (result == LZMA_MEM_ERROR)
		mem_out();
	if (result == LZMA_MEMLIMIT_ERROR)
		*error = "its dictionary is too large";
	return INFLATE_BROKEN;
}

static void again(void *state)
{
	begin(state);
}

static void stop(void *state)
{
	lzma_end(state);
	free(state);
}

const struct inflate_decoder inflate_xz = { "xz", start, step, again, stop };
