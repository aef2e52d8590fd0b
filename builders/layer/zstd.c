/* zstd, both ways: see inflate.h and zstd.h. The only file that knows libzstd. */
#include "builders/layer/zstd.h"

#include <stdint.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "builders/layer/inflate.h"
#include "builders/layer/layer.h"
#include "core/mem.h"

static void *start(void)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();

	if (!context)
		mem_out();
	ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, LAYER_ZSTD_WINDOW_LOG_MAX);
	return context;
}

static enum inflate_step step(void *state, struct inflate_io *io, const char **error)
{
	ZSTD_inBuffer in = { io->in, io->in_size, 0 };
	ZSTD_outBuffer out = { io->out, io->out_room, 0 };
	size_t result = ZSTD_decompressStream(state, &out, &in);

	io->in += in.pos;
	io->in_size -= in.pos;
	io->out += out.pos;
	io->out_room -= out.pos;
	if (ZSTD_isError(result)) {
		if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
			mem_out();
		*error = ZSTD_getErrorName(result);
		return INFLATE_BROKEN;
	}
	return result == 0 ? INFLATE_END : INFLATE_MORE;
}

static void again(void *state)
{
	ZSTD_DCtx_reset(state, ZSTD_reset_session_only);
}

static void stop(void *state)
{
	ZSTD_freeDCtx(state);
}

const struct inflate_decoder inflate_zstd = { "zstd", start, step, again, stop };

void *zstd_pack_new(void)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();

	if (!context)
		mem_out();
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_PACK_LEVEL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	return context;
}

int zstd_pack(void *state, const void *bytes, size_t size, bool end, zstd_sink *sink, void *data)
{
	ZSTD_inBuffer in = { bytes, size, 0 };
	uint8_t buffer[64 * 1024];
	size_t left;

	do {
		ZSTD_outBuffer out = { buffer, sizeof(buffer), 0 };

		left = ZSTD_compressStream2(state, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left) && ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
			mem_out();
		if (ZSTD_isError(left))
			return -1;
		if (out.pos > 0 && sink(data, buffer, out.pos) < 0)
			return -1;
	} while (in.pos < in.size || (end && left > 0));
	return 0;
}

void zstd_pack_free(void *state)
{
	ZSTD_freeCCtx(state);
}
