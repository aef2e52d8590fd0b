/* gzip by ISA-L. Its inflater is about twice as fast as zlib's; on x86-64 only (see configure). */
#include "builders/layer/inflate.h"

#if defined(HAVE_CONFIG_H)
#include "config.h"
#endif
#include "core/mem.h"

#if defined(HAVE_ISAL) && defined(__x86_64__)
#include <isa-l/igzip_lib.h>
#include <string.h>

/*
 * Headers are read here, not by isal_inflate: that one forgets what a header said (is there a name, a
 * comment?) when it comes in two pieces.
 */
struct member {
	struct inflate_state inflate;
	struct isal_gzip_header header;
	bool in_header;
};

static void begin(struct member *member)
{
	member->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
	memset(&member->header, 0, sizeof(member->header));
	isal_gzip_header_init(&member->header);
	member->in_header = true;
}

static void *start(void)
{
	struct member *member = xcalloc(1, sizeof(*member));

	isal_inflate_init(&member->inflate);
	begin(member);
	return member;
}

static void again(void *data)
{
	struct member *member = data;

	isal_inflate_reset(&member->inflate);
	begin(member);
}

static enum inflate_step step(void *data, struct inflate_io *io, const char **error)
{
	struct member *member = data;
	struct inflate_state *state = &member->inflate;
	bool in_header = member->in_header;
	int result;

	state->next_in = (uint8_t *)io->in;
	state->avail_in = (uint32_t)io->in_size;
	state->next_out = io->out;
	state->avail_out = (uint32_t)io->out_room;
	result = in_header ? isal_read_gzip_header(state, &member->header) : isal_inflate(state);
	io->in = state->next_in;
	io->in_size = state->avail_in;
	io->out = state->next_out;
	io->out_room = state->avail_out;
	if (result < 0) {
		*error = result == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "damaged";
		return INFLATE_BROKEN;
	}
	if (in_header)
		member->in_header = result != ISAL_DECOMP_OK;
	else if (state->block_state == ISAL_BLOCK_FINISH)
		return INFLATE_END;
	return INFLATE_MORE;
}

const struct inflate_decoder inflate_isal = { "gzip", start, step, again, free };
#else
static void *absent(void)
{
	return NULL;
}

const struct inflate_decoder inflate_isal = { "gzip", absent, NULL, NULL, NULL };
#endif
