/* Pulls plain bytes out of a compressed stream: see inflate.h. */
#include "builders/layer/inflate.h"

#include <string.h>

#include "core/mem.h"

#define HEAD_BYTES 6	/* the longest magic */

struct inflate_format {
	const char *name;
	uint8_t magic[HEAD_BYTES];
	uint8_t mask[HEAD_BYTES];	/* which bits of the magic count */
	const struct inflate_decoder *decoders[2];	/* the first that is built in is used */
};

static const struct inflate_format formats[] = {
	{ "gzip", { 0x1f, 0x8b, 8 }, { 0xff, 0xff, 0xff }, { &inflate_isal, &inflate_zlib } },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, { 0xff, 0xff, 0xff, 0xff }, { &inflate_zstd } },
	/* a zstd stream may begin with a skippable frame */
	{ "zstd", { 0x50, 0x2a, 0x4d, 0x18 }, { 0xf0, 0xff, 0xff, 0xff }, { &inflate_zstd } },
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	  { &inflate_xz } },
};

struct inflate {
	struct inflate_source source;
	const struct inflate_decoder *decoder;	/* NULL: plain */
	void *state;		/* owned; the decoder's */
	struct inflate_io io;
	uint8_t head[HEAD_BYTES];	/* the first bytes, while they are `io.in` */
	const uint8_t *rest;	/* what the source gave behind the head */
	size_t rest_size;
	bool source_ended;
	bool between;		/* a member ended: another one, zero bytes or the end */
	bool padding;		/* only zero bytes may follow */
	bool broken;
};

/* More input behind an empty io.in: 1, 0 at the end, -1. */
static int refill(struct inflate *inflate, struct err *err)
{
	int got = 1;

	if (inflate->rest_size == 0 && inflate->source_ended)
		return 0;
	while (inflate->rest_size == 0 && got == 1)
		got = inflate->source.read(inflate->source.data, &inflate->rest,
					   &inflate->rest_size, err);
	if (got != 1) {
		inflate->rest_size = 0;
		inflate->source_ended = got == 0;
		return got;
	}
	inflate->io.in = inflate->rest;
	inflate->io.in_size = inflate->rest_size;
	inflate->rest_size = 0;
	return 1;
}

/* Collects the first bytes, which the source may give in small pieces. */
static int read_head(struct inflate *inflate, struct err *err)
{
	size_t size = 0;

	while (size < HEAD_BYTES) {
		int got = refill(inflate, err);
		size_t part = inflate->io.in_size;

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		if (part > HEAD_BYTES - size)
			part = HEAD_BYTES - size;
		memcpy(inflate->head + size, inflate->io.in, part);
		size += part;
		inflate->rest = inflate->io.in + part;
		inflate->rest_size = inflate->io.in_size - part;
	}
	inflate->io.in = inflate->head;
	inflate->io.in_size = size;
	return 0;
}

static const struct inflate_format *format_of(const uint8_t *head, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t j = 0;

		while (j < HEAD_BYTES && formats[i].mask[j] && j < size &&
		       (head[j] & formats[i].mask[j]) == formats[i].magic[j])
			j++;
		if (j == HEAD_BYTES || !formats[i].mask[j])
			return &formats[i];
	}
	return NULL;
}

int inflate_new(const struct inflate_source *source, unsigned int flags, struct inflate **ret,
		struct err *err)
{
	struct inflate *inflate = xcalloc(1, sizeof(*inflate));
	const struct inflate_format *format;

	inflate->source = *source;
	if (read_head(inflate, err) < 0) {
		inflate_free(inflate);
		return -1;
	}
	format = format_of(inflate->head, inflate->io.in_size);
	if (format && format->decoders[0] == &inflate_xz && !(flags & INFLATE_XZ)) {
		inflate_free(inflate);
		return err_set(err, ERR_LAYER, "inflate: a layer may not be packed with xz");
	}
	for (size_t i = 0; format && i < ARRAY_SIZE(format->decoders) && !inflate->state; i++) {
		inflate->decoder = format->decoders[i];
		if (inflate->decoder == &inflate_isal && (flags & INFLATE_ZLIB))
			continue;
		inflate->state = inflate->decoder->start();
	}
	*ret = inflate;
	return 0;
}

/* Behind a member: 1 when another one begins, 0 at the end, -1. */
static int next_member(struct inflate *inflate, struct err *err)
{
	struct inflate_io *io = &inflate->io;

	for (;;) {
		int got = io->in_size > 0 ? 1 : refill(inflate, err);

		if (got <= 0)
			return got;
		if (!inflate->padding && io->in[0] != 0) {
			inflate->decoder->again(inflate->state);
			inflate->between = false;
			return 1;
		}
		inflate->padding = true;
		for (; io->in_size > 0; io->in++, io->in_size--)
			if (*io->in != 0)
				return err_set(err, ERR_LAYER, "inflate: data after the end");
	}
}

static int read_plain(struct inflate *inflate, struct err *err)
{
	struct inflate_io *io = &inflate->io;
	int got = io->in_size > 0 ? 1 : refill(inflate, err);
	size_t part = io->in_size < io->out_room ? io->in_size : io->out_room;

	if (got <= 0)
		return got;
	memcpy(io->out, io->in, part);
	io->in += part;
	io->in_size -= part;
	io->out += part;
	io->out_room -= part;
	return 1;
}

/* One step: 1 to go on, 0 at the end, -1. */
static int read_member(struct inflate *inflate, struct err *err)
{
	struct inflate_io *io = &inflate->io;
	size_t room = io->out_room, in_size;
	const char *error = "damaged";
	int got;

	if (inflate->between) {
		got = next_member(inflate, err);
		if (got <= 0)
			return got;
	}
	if (io->in_size == 0 && refill(inflate, err) < 0)
		return -1;
	in_size = io->in_size;
	switch (inflate->decoder->step(inflate->state, io, &error)) {
	case INFLATE_END:
		inflate->between = true;
		return 1;
	case INFLATE_MORE:
		if (io->in_size != in_size || io->out_room != room)
			return 1;
		error = in_size == 0 ? "it ends early" : "no progress";
		break;
	case INFLATE_BROKEN:
		inflate->broken = true;
		break;
	}
	return err_set(err, ERR_LAYER, "inflate %s: %s", inflate->decoder->name, error);
}

ssize_t inflate_read(struct inflate *inflate, void *out, size_t room, struct err *err)
{
	int got = 1;

	inflate->io.out = out;
	inflate->io.out_room = room;
	while (got == 1 && inflate->io.out_room > 0)
		got = inflate->decoder ? read_member(inflate, err) : read_plain(inflate, err);
	return got < 0 ? -1 : (ssize_t)(room - inflate->io.out_room);
}

bool inflate_may_retry(const struct inflate *inflate)
{
	return inflate && inflate->broken && inflate->decoder == &inflate_isal;
}

void inflate_free(struct inflate *inflate)
{
	if (!inflate)
		return;
	if (inflate->state)
		inflate->decoder->stop(inflate->state);
	free(inflate);
}
