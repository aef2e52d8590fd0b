/* layer_pack: see layer.h. Entries -> tar -> zstd -> blob, with both digests on the way. */
#include "builders/layer/pack.h"

#include <errno.h>
#include <string.h>

#include "builders/layer/tarwrite.h"
#include "builders/layer/whiteout.h"
#include "builders/layer/zstd.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

static int sink(void *data, const void *bytes, size_t size)
{
	struct packer *packer = data;

	hash_add(&packer->blob, bytes, size);
	packer->blob_bytes += size;
	if (fs_write_all(packer->args->blob, bytes, size) < 0)
		return err_sys(packer->err, errno, "write the layer");
	return 0;
}

static int flush(struct packer *packer, bool end)
{
	size_t size = packer->used;

	packer->used = 0;
	hash_add(&packer->plain, packer->buffer, size);
	packer->plain_bytes += size;
	if (packer->plain_bytes > LAYER_BYTES_MAX)
		return err_set(packer->err, ERR_LAYER_LIMIT, "a layer of more than %llu bytes",
			       (unsigned long long)LAYER_BYTES_MAX);
	/* a tiny archive can say that it holds a terabyte of nothing; unpacking would refuse it then */
	if (packer->plain_bytes > LAYER_RATIO_FROM &&
	    packer->plain_bytes / LAYER_RATIO_MAX > packer->blob_bytes)
		return err_set(packer->err, ERR_LAYER_LIMIT,
			       "a layer of more than %u times the size of what is stored",
			       LAYER_RATIO_MAX);
	if (zstd_pack(packer->zstd, packer->buffer, size, end, sink, packer) == 0)
		return 0;
	return packer->err->code ? -1 : err_set(packer->err, ERR_LAYER, "pack with zstd");
}

int pack_data(struct packer *packer, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		size_t part = PACK_BUFFER_BYTES - packer->used;

		if (part > size)
			part = size;
		memcpy(packer->buffer + packer->used, at, part);
		packer->used += part;
		at += part;
		size -= part;
		if (packer->used == PACK_BUFFER_BYTES && flush(packer, false) < 0)
			return -1;
	}
	return 0;
}

int pack_zeros(struct packer *packer, uint64_t size)
{
	static const char zeros[4096];

	while (size > 0) {
		size_t part = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);

		if (pack_data(packer, zeros, part) < 0)
			return -1;
		size -= part;
	}
	return 0;
}

int pack_fill(struct packer *packer, uint64_t size)
{
	return pack_zeros(packer, -size % TARWRITE_BLOCK);
}

int pack_mark(struct packer *packer, const struct tar_entry *mark)
{
	_cleanup_(str_done) struct str header = { 0 };

	if (++packer->entries > LAYER_ENTRIES_MAX)
		return err_set(packer->err, ERR_LAYER_LIMIT, "more than %u entries",
			       LAYER_ENTRIES_MAX);
	tarwrite_header(&header, mark);
	return pack_data(packer, header.text, header.length);
}

int pack_entry(struct packer *packer, const struct tar_entry *entry)
{
	const char *name;

	if (whiteout_of(entry->path, &name) != WHITEOUT_NONE)
		return err_set(packer->err, ERR_LAYER,
			       "a name that begins with \".wh.\" cannot be in a layer");
	packer->content_bytes += entry->size;
	return pack_mark(packer, entry);
}

int pack_content(struct packer *packer, int fd, uint64_t size, const char *path)
{
	_cleanup_free_ char *buffer = xmalloc(PACK_BUFFER_BYTES);
	uint64_t at = 0;

	for (;;) {
		ssize_t got = pread(fd, buffer, PACK_BUFFER_BYTES, (off_t)at);
		_cleanup_free_ char *safe = NULL;

		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0 && at + (uint64_t)got <= size) {
			if (pack_data(packer, buffer, (size_t)got) < 0)
				return -1;
			at += (uint64_t)got;
			continue;
		}
		if (got == 0 && at == size)
			return pack_fill(packer, size);
		safe = str_escape(path, 200);
		if (got < 0)
			return err_sys(packer->err, errno, "read %s", safe);
		return err_set(packer->err, ERR_LAYER, "%s changed while it was read", safe);
	}
}

static int pack(struct packer *packer, struct layer_result *ret)
{
	const struct layer_pack *args = packer->args;

	if ((args->upper ? pack_upper : args->archive >= 0 ? pack_archive : pack_copy)(packer) < 0)
		return -1;
	if (pack_zeros(packer, TARWRITE_END) < 0 || flush(packer, true) < 0)
		return -1;
	hash_end(&packer->blob, &ret->blob);
	hash_end(&packer->plain, &ret->diff_id);
	ret->blob_bytes = packer->blob_bytes;
	ret->plain_bytes = packer->plain_bytes;
	ret->entries = packer->entries;
	ret->tree_bytes = packer->content_bytes;
	ret->devices = packer->devices;
	return 0;
}

int layer_pack(const struct layer_pack *args, struct layer_result *ret, struct err *err)
{
	struct packer packer = { .args = args, .err = err };
	struct layer_result result = { 0 };
	int packed;

	hash_init(&packer.blob);
	hash_init(&packer.plain);
	packer.zstd = zstd_pack_new();
	packer.buffer = xmalloc(PACK_BUFFER_BYTES);
	packed = pack(&packer, &result);
	hash_done(&packer.blob);
	hash_done(&packer.plain);
	zstd_pack_free(packer.zstd);
	free(packer.buffer);
	if (packed == 0)
		*ret = result;
	return packed;
}
