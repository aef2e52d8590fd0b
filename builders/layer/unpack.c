/*
 * layer_unpack: see layer.h. The stages: bytes (stream.c, in threads) -> entries (tar.c) -> checks
 * of names and numbers (here) -> what becomes of the names that are there (output.c, parents.c) -> the
 * tree (tree.c) or the EROFS file (erofs/output.c), and at the end folders, the rest of the bytes, and
 * the digests. Nothing is trusted until the last stage; the caller drops the output when any fails.
 */
#include <string.h>

#include "builders/layer/erofs/writer.h"
#include "builders/layer/layer.h"
#include "builders/layer/output.h"
#include "builders/layer/stream.h"
#include "builders/layer/tree.h"
#include "builders/layer/whiteout.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

#define NAME_SHOWN 200	/* bytes of an entry's name in a message */

static int read_stream(void *data, const void **ret, size_t *ret_size, struct err *err)
{
	return stream_read(data, ret, ret_size, err);
}

/* The clean form of a path of the archive: no "..", not too long, not too deep. */
static int clean(const char *path, char ret[PATH_LENGTH_MAX + 1], struct err *err)
{
	unsigned int depth = 1;

	if (strlen(path) > PATH_LENGTH_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "a path of more than %d bytes",
			       PATH_LENGTH_MAX);
	if (!path_clean(path, ret))
		return err_set(err, ERR_LAYER,
			       "its path has \"..\" or a component of more than %d bytes",
			       PATH_NAME_MAX);
	for (const char *at = ret; *at; at++)
		depth += *at == '/';
	if (depth > LAYER_DEPTH_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "a path of more than %d components",
			       LAYER_DEPTH_MAX);
	return 0;
}

static int unpack_hardlink(struct output *output, const char *path, const struct tar_entry *entry,
			   struct err *err)
{
	char target[PATH_LENGTH_MAX + 1];

	if (clean(entry->target, target, err) < 0)
		return err_wrap(err, "hard link");
	return output_link(output, path, target, err);
}

static int unpack_device(struct output *output, const char *path, const struct tar_entry *entry,
			 struct layer_result *result, struct err *err)
{
	if (entry->type == TAR_CHAR && entry->dev_major == 0 && entry->dev_minor == 0)
		return err_set(err, ERR_LAYER, "a device 0:0 is no device but a whiteout");
	result->devices++;
	return output_nothing(output, path, err);
}

static int unpack_plain(struct output *output, const char *path, const struct tar_entry *entry,
			struct tar *tar, struct layer_result *result, struct err *err)
{
	if (!*path && entry->type != TAR_FOLDER)
		return err_set(err, ERR_LAYER, "the root is not a folder");
	switch (entry->type) {
	case TAR_FILE:
	case TAR_FOLDER:
	case TAR_SYMLINK:
	case TAR_FIFO:
		return output_put(output, path, entry, tar, err);
	case TAR_HARDLINK:
		return unpack_hardlink(output, path, entry, err);
	case TAR_CHAR:
	case TAR_BLOCK:
		return unpack_device(output, path, entry, result, err);
	}
	return err_set(err, ERR_LAYER, "an entry of an unknown type");
}

static int unpack_entry(struct output *output, const struct tar_entry *entry, struct tar *tar,
			struct layer_result *result, struct err *err)
{
	char path[PATH_LENGTH_MAX + 1];
	const char *name;

	if (clean(entry->path, path, err) < 0)
		return -1;
	switch (whiteout_of(path, &name)) {
	case WHITEOUT_NONE:
		return unpack_plain(output, path, entry, tar, result, err);
	case WHITEOUT_NAME:
		return output_whiteout(output, path, name, err);
	case WHITEOUT_OPAQUE:
		return output_opaque(output, path, err);
	case WHITEOUT_IGNORED:
		return 0;
	case WHITEOUT_MALFORMED:
		break;
	}
	return err_set(err, ERR_LAYER, "a whiteout of nothing that has a name");
}

static int unpack_entries(struct output *output, struct tar *tar, struct layer_result *result,
			  struct err *err)
{
	const struct tar_entry *entry;
	int got;

	while ((got = tar_next(tar, &entry, err)) == 1) {
		if (++result->entries > LAYER_ENTRIES_MAX)
			return err_set(err, ERR_LAYER_LIMIT, "more than %u entries",
				       LAYER_ENTRIES_MAX);
		if (unpack_entry(output, entry, tar, result, err) < 0) {
			_cleanup_free_ char *safe = str_escape(entry->path, NAME_SHOWN);

			return err_wrap(err, "unpack %s", safe);
		}
	}
	return got;
}

/* The root of a layer that does not mention it. An entry "./" comes later and wins. */
static int begin_root(struct output *output, struct err *err)
{
	const struct tar_entry entry = {
		.type = TAR_FOLDER, .mode = 0755, .mtime_s = LAYER_TIME
	};

	return output_put(output, "", &entry, NULL, err);
}

static int unpack(struct output *output, struct stream *stream, struct tar *tar,
		  struct layer_result *result, struct err *err)
{
	if (begin_root(output, err) < 0 || unpack_entries(output, tar, result, err) < 0 ||
	    output->ops->finish(output->state, result, err) < 0)
		return -1;
	result->needs_lower = output->needs_lower;
	if (stream_finish(stream, tar_end(tar), result, err) < 0)
		return -1;
	return output->ops->seal ? output->ops->seal(output->state, result, err) : 0;
}

static int unpack_tree(const struct layer_unpack *args, struct stream *stream, struct tar *tar,
		       struct layer_result *result, struct err *err)
{
	_cleanup_(output_done) struct output output = { 0 };
	_cleanup_(tree_done) struct tree tree = { .at = -1 };

	if (tree_init(&tree, args->out, args->single_uid, err) < 0)
		return -1;
	tree_output(&tree, args->lower, args->lower_count, &output);
	output.alone = args->alone;
	return unpack(&output, stream, tar, result, err);
}

struct images {
	struct erofs **list;	/* owned, each owned */
	size_t count;
};

static void images_done(struct images *images)
{
	while (images->count > 0)
		erofs_free(images->list[--images->count]);
	free(images->list);
}

static int unpack_erofs(const struct layer_unpack *args, struct stream *stream, struct tar *tar,
			struct layer_result *result, struct err *err)
{
	_cleanup_free_ struct view_layer *layers =
		xcalloc(args->lower_count + 1, sizeof(*layers));
	_cleanup_(images_done) struct images images = {
		xcalloc(args->lower_count + 1, sizeof(*images.list)), 0
	};
	_cleanup_(output_done) struct output output = { 0 };
	_cleanup_(writer_done) struct writer writer;

	writer_init(&writer, args->out);
	for (size_t i = 0; i < args->lower_count; i++) {
		if (erofs_new(args->lower[i], &images.list[i], err) < 0)
			return err_wrap(err, "layer %zu below", i + 1);
		images.count++;
		layers[i] = view_of_erofs(images.list[i]);
	}
	writer_output(&writer, layers, args->lower_count, &output);
	output.alone = args->alone;
	return unpack(&output, stream, tar, result, err);
}

int layer_unpack(const struct layer_unpack *args, struct layer_result *ret, struct err *err)
{
	const struct stream_args stream_args = {
		.blob = args->blob,
		.blob_bytes = args->blob_bytes,
		.has_expected = args->has_expected,
		.expected = args->expected,
		.allow_xz = args->allow_xz,
		.verified = args->verified,
		.progress = args->progress,
		.progress_data = args->progress_data,
	};
	struct layer_result result = { 0 };
	struct stream *stream;
	struct tar *tar;
	int unpacked;

	if (stream_new(&stream_args, &stream, err) < 0)
		return -1;
	/* no byte at all is a layer to others, and one here when it is known that none is missing */
	tar = tar_new(&(struct tar_source){ read_stream, stream,
					    args->has_expected || args->verified });
	unpacked = (args->form == LAYER_EROFS ? unpack_erofs : unpack_tree)(args, stream, tar,
									     &result, err);
	if (unpacked < 0)
		stream_blame(stream, err);
	tar_free(tar);
	stream_free(stream);
	if (unpacked == 0)
		*ret = result;
	return unpacked;
}
