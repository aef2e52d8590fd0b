/*
 * From an archive: its entries in its own order (a link comes after what it links to), with the
 * first `strip` components taken off and the rest put below `to`; hard link targets likewise.
 */
#include <string.h>

#include "builders/layer/pack.h"
#include "builders/layer/stream.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

#define NAME_SHOWN 200

/* Where a path of the archive goes: 1 and its new form; 0 when nothing of it is left; -1. */
static int move(const struct packer *packer, const char *path, char ret[PATH_LENGTH_MAX + 1])
{
	char clean[PATH_LENGTH_MAX + 1], to[PATH_LENGTH_MAX + 1];
	const char *rest = clean;

	if (strlen(path) > PATH_LENGTH_MAX || !path_clean(path, clean) ||
	    !path_clean(packer->args->to, to))
		return err_set(packer->err, ERR_LAYER,
			       "its path has \"..\" or is too long");
	for (uint32_t i = 0; i < packer->args->strip; i++) {
		rest = strchr(rest, '/');
		if (!rest)
			return 0;
		rest++;
	}
	if (!*rest)
		return 0;
	if (strlen(to) + 1 + strlen(rest) > PATH_LENGTH_MAX)
		return err_set(packer->err, ERR_LAYER_LIMIT, "its path becomes too long");
	stpcpy(stpcpy(stpcpy(ret, to), *to ? "/" : ""), rest);
	return 1;
}

static int copy_content(struct packer *packer, struct tar *tar, uint64_t size)
{
	uint64_t at = 0, offset;
	const void *data;
	size_t part;
	int got;

	while ((got = tar_data(tar, &data, &part, &offset, packer->err)) == 1) {
		if (offset < at || offset + part > size)
			return err_set(packer->err, ERR_LAYER, "a damaged sparse file");
		if (pack_zeros(packer, offset - at) < 0 || pack_data(packer, data, part) < 0)
			return -1;
		at = offset + part;
	}
	if (got < 0 || pack_zeros(packer, size - at) < 0)
		return -1;
	return pack_fill(packer, size);
}

static int pack_moved(struct packer *packer, struct tar *tar, const struct tar_entry *entry)
{
	char path[PATH_LENGTH_MAX + 1], target[PATH_LENGTH_MAX + 1];
	struct tar_entry moved = *entry;
	int kept = move(packer, entry->path, path);

	if (kept <= 0)
		return kept;
	if (entry->type == TAR_CHAR || entry->type == TAR_BLOCK) {
		packer->devices++;
		return 0;
	}
	moved.path = path;
	if (entry->type == TAR_HARDLINK) {
		kept = move(packer, entry->target, target);
		if (kept < 0)
			return -1;
		if (kept == 0)
			return err_set(packer->err, ERR_LAYER,
				       "a hard link to what `strip` takes away");
		moved.target = target;
	}
	if (entry->type != TAR_FILE)
		moved.size = 0;
	if (entry->size > LAYER_BYTES_MAX)
		return err_set(packer->err, ERR_LAYER_LIMIT, "it is larger than %llu bytes",
			       (unsigned long long)LAYER_BYTES_MAX);
	if (pack_entry(packer, &moved) < 0)
		return -1;
	return moved.size > 0 ? copy_content(packer, tar, moved.size) : 0;
}

static int pack_entries(struct packer *packer, struct tar *tar)
{
	const struct tar_entry *entry;
	uint64_t seen = 0;
	int got;

	while ((got = tar_next(tar, &entry, packer->err)) == 1) {
		if (++seen > LAYER_ENTRIES_MAX)
			return err_set(packer->err, ERR_LAYER_LIMIT, "more than %u entries",
				       LAYER_ENTRIES_MAX);
		if (pack_moved(packer, tar, entry) < 0) {
			_cleanup_free_ char *safe = str_escape(entry->path, NAME_SHOWN);

			return err_wrap(packer->err, "pack %s", safe);
		}
	}
	return got;
}

static int read_stream(void *data, const void **ret, size_t *ret_size, struct err *err)
{
	return stream_read(data, ret, ret_size, err);
}

int pack_archive(struct packer *packer)
{
	const struct layer_pack *args = packer->args;
	const struct stream_args stream_args = {
		.blob = args->archive,
		.has_expected = args->has_expected,
		.expected = args->expected,
		.allow_xz = true,
		.progress = args->progress,
		.progress_data = args->progress_data,
	};
	struct layer_result archive;
	struct stream *stream;
	struct tar *tar;
	int result;

	if (stream_new(&stream_args, &stream, packer->err) < 0)
		return -1;
	tar = tar_new(&(struct tar_source){ read_stream, stream, false });
	result = pack_entries(packer, tar);
	if (result == 0)
		result = stream_finish(stream, tar_end(tar), &archive, packer->err);
	if (result < 0)
		stream_blame(stream, packer->err);
	tar_free(tar);
	stream_free(stream);
	return result;
}
