/* What happens to an entry and to what was there: see output.h. */
#include "builders/layer/output.h"

#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"

void output_init(struct output *output, const struct output_ops *ops, void *state,
		 const struct view_layer *lower, size_t lower_count, struct view_layer own)
{
	*output = (struct output){ .ops = ops, .state = state, .layer_count = lower_count + 1 };
	output->layers = xreallocarray(NULL, lower_count + 1, sizeof(*output->layers));
	if (lower_count > 0)
		memcpy(output->layers, lower, lower_count * sizeof(*lower));
	output->layers[lower_count] = own;
}

void output_done(struct output *output)
{
	free(output->layers);
	*output = (struct output){ 0 };
}

static int remove_name(struct output *output, const char *base, struct err *err)
{
	output->stale = true;
	return output->ops->remove(output->state, base, err);
}

/* Into the current folder; what stands under the name goes. */
static int put(struct output *output, const char *base, const struct tar_entry *entry,
	       struct tar *tar, struct err *err)
{
	int made = output->ops->put(output->state, base, entry, tar, err);

	if (made == 0 && remove_name(output, base, err) == 0)
		made = output->ops->put(output->state, base, entry, tar, err);
	else if (made == 0)
		return -1;
	if (made == 0)
		return err_set(err, ERR_LAYER, "it cannot be replaced");
	return made < 0 ? -1 : 0;
}

int output_folder(struct output *output, const char *base, const struct tar_entry *entry,
		  struct err *err)
{
	int made = output->ops->put(output->state, base, entry, NULL, err);

	if (made != 0)
		return made < 0 ? -1 : 0;
	/* what stood there before removed what lies below; the new folder must not show it again */
	if (put(output, base, entry, NULL, err) < 0)
		return -1;
	if (output->layer_count > 1 || output->alone)
		return output->ops->hide(output->state, base, err);
	/* nothing lies below; the mark would be seen where one layer is no overlay (a VM's) */
	output->needs_lower = true;
	return 0;
}

int output_put(struct output *output, const char *path, const struct tar_entry *entry,
	       struct tar *tar, struct err *err)
{
	const char *base;

	if (output_find_parent(output, path, &base, err) < 0)
		return -1;
	if (entry->type == TAR_FOLDER)
		return output_folder(output, base, entry, err);
	return put(output, base, entry, tar, err);
}

int output_link(struct output *output, const char *path, const char *target, struct err *err)
{
	char real[PATH_LENGTH_MAX + PATH_NAME_MAX + 2];
	struct tar_entry entry = { .type = TAR_HARDLINK, .target = real };
	const char *base;

	if (!*target)
		return err_set(err, ERR_LAYER, "a hard link to the root");
	if (output_find_parent(output, target, &base, err) < 0)
		return -1;
	stpcpy(stpcpy(stpcpy(real, output->at), *output->at ? "/" : ""), base);
	if (output_find_parent(output, path, &base, err) < 0)
		return -1;
	return put(output, base, &entry, NULL, err);
}

int output_nothing(struct output *output, const char *path, struct err *err)
{
	const char *base;

	if (output_find_parent(output, path, &base, err) < 0)
		return -1;
	return remove_name(output, base, err);
}

/*
 * Is there a folder that holds `path`, here or below? Where there is none, nothing is to be hidden, and
 * a folder made for the whiteout alone would list it: an overlay hides whiteouts in folders only that
 * it merges. 1, 0, -1.
 */
static int parent_exists(struct output *output, const char *path, struct err *err)
{
	const char *base = path_base(path);
	struct view_entry folder = { .node.fd = -1 };
	char parent[PATH_LENGTH_MAX + 1];
	int found;

	/* alone: what has to be asked of the layers below ends it anyway */
	if (base == path || output->alone)
		return 1;
	memcpy(parent, path, (size_t)(base - path) - 1);
	parent[base - path - 1] = '\0';
	found = view_find(output->layers, output->layer_count, parent, true, &folder, err);
	if (found == 1 && !S_ISDIR(folder.node.mode))
		found = 0;
	view_node_done(&folder.node);
	if (found == 0)
		output->needs_lower = true;
	return found;
}

int output_whiteout(struct output *output, const char *path, const char *name, struct err *err)
{
	const struct tar_entry entry = { .type = TAR_CHAR, .mtime_s = LAYER_TIME };
	const char *base;
	int made = parent_exists(output, path, err);

	if (made != 1)
		return made;
	if (output_find_parent(output, path, &base, err) < 0)
		return -1;
	made = output->ops->put(output->state, name, &entry, NULL, err);
	if (made != 0)
		return made < 0 ? -1 : 0;
	/* this layer's own entry stays; were it a folder, what lies below would show through */
	return output->ops->hide(output->state, name, err);
}

int output_opaque(struct output *output, const char *path, struct err *err)
{
	const char *base;

	if (output_find_parent(output, path, &base, err) < 0)
		return -1;
	if (strcmp(output->at, output->asked))
		return err_set(err, ERR_LAYER, "an opaque mark behind a symbolic link");
	return output->ops->hide(output->state, "", err);
}

int output_content(const struct tar_entry *entry, struct tar *tar,
		   int (*write)(void *data, const void *bytes, size_t size, uint64_t offset,
				struct err *err),
		   void *data, uint64_t *bytes, struct err *err)
{
	uint64_t offset, end = 0;
	const void *piece;
	size_t size;
	int got;

	if (entry->size == 0)
		return 0;
	if (entry->size > LAYER_BYTES_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "it is larger than %llu bytes",
			       (unsigned long long)LAYER_BYTES_MAX);
	while ((got = tar_data(tar, &piece, &size, &offset, err)) == 1) {
		if (offset < end || offset > entry->size || size > entry->size - offset)
			return err_set(err, ERR_LAYER, "a damaged sparse file");
		if (write(data, piece, size, offset, err) < 0)
			return -1;
		end = offset + size;
		*bytes += size;
	}
	return got;
}
