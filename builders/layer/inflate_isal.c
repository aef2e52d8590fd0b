/* gzip by ISA-L. Its inflater is about twice as fast as zlib's; on x86-64 only (see configure). */
#include "builders/layer/inflate.h"

#if defined(HAVE_CONFIG_H)
#include "config.h"
#endif
#include "core/mem.h"

#if defined(HAVE_ISAL) && defined(__x86_64__)
#include <isa-l/igzip_lib.h>

static void *start(void)
{
	struct inflate_state *state = xmalloc(sizeof(*state));

	isal_inflate_init(state);
	state->crc_flag = ISAL_GZIP;
	return state;
}

static void again(void *data)
{
	struct inflate_state *state = data;

	isal_inflate_reset(state);
	state->crc_flag = ISAL_GZIP;
}

static enum inflate_step step(void *data, struct inflate_io *io, const char **error)
{
	struct inflate_state *state = data;
	int result;

	state->next_in = (uint8_t *)io->in;
	state->avail_in = (uint32_t)io->in_size;
	state->next_out = io->out;
	state->avail_out = (uint32_t)io->out_room;
	result = isal_inflate(state);
	io->in = state->next_in;
	io->in_size = state->avail_in;
	io->out = state->next_out;
	io->out_room = state->avail_out;
	if (result < 0) {
		*error = result == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "damaged";
		return INFLATE_BROKEN;
	}
	return state->block_state == ISAL_BLOCK_FINISH ? INFLATE_END : INFLATE_MORE;
}

const struct inflate_decoder inflate_isal = { "gzip", start, step, again, free };
#else
static void *absent(void)
{
	return NULL;
}

const struct inflate_decoder inflate_isal = { "gzip", absent, NULL, NULL, NULL };
#endif
