/* gzip by zlib: where ISA-L is absent, and where it refuses a stream. */
#include "builders/layer/inflate.h"

#include <zlib.h>

#include "core/mem.h"

#define WINDOW_GZIP (15 + 16)	/* zlib.h: 15 bits of window, 16 for a gzip wrapper */

static void *start(void)
{
	z_stream *stream = xcalloc(1, sizeof(*stream));

	if (inflateInit2(stream, WINDOW_GZIP) != Z_OK)
		mem_out();
	return stream;
}

static void again(void *state)
{
	inflateReset(state);
}

static enum inflate_step step(void *state, struct inflate_io *io, const char **error)
{
	z_stream *stream = state;
	int result;

	stream->next_in = (uint8_t *)io->in;
	stream->avail_in = (unsigned int)io->in_size;
	stream->next_out = io->out;
	stream->avail_out = (unsigned int)io->out_room;
	result = inflate(stream, Z_NO_FLUSH);
	io->in = stream->next_in;
	io->in_size = stream->avail_in;
	io->out = stream->next_out;
	io->out_room = stream->avail_out;
	if (result == Z_STREAM_END)
		return INFLATE_END;
	if (result == Z_OK || result == Z_BUF_ERROR)
		return INFLATE_MORE;
	*error = stream->msg ? stream->msg : "damaged";
	return INFLATE_BROKEN;
}

static void stop(void *state)
{
	inflateEnd(state);
	free(state);
}

const struct inflate_decoder inflate_zlib = { "gzip", start, step, again, stop };
