/*
 * Where an entry belongs: see output.h. A parent that the layer leaves out is looked up in the merged
 * view of the layers below and this one, as an unpacker would find it that works on the whole root:
 * a folder there gives the new folder its owner, mode, attributes and time; a symbolic link is
 * followed, inside the view; where there is nothing, a folder is made up (0755, 0:0, LAYER_TIME).
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/output.h"
#include "core/mem.h"

/* The attributes that a layer may set, of a folder below. */
static int take_xattr(void *data, const char *name, const void *value, size_t size,
		      struct err *err)
{
	struct tar_entry *entry = data;

	(void)err;
	if (!tar_keeps_xattr(name) || entry->xattr_count == TAR_XATTRS_MAX)
		return 0;
	entry->xattrs[entry->xattr_count++] = (struct tar_xattr){
		.name = xstrdup(name),
		.value = xmemdup(value, size),
		.size = size,
	};
	return 0;
}

/* A folder in the current one, as it is in a layer below. */
static int copy_folder(struct output *output, const char *base, const struct view_entry *below,
		       struct err *err)
{
	_cleanup_(tar_drop_xattrs) struct tar_entry entry = { .type = TAR_FOLDER };
	const struct view_layer *layer = &output->layers[below->layer];
	const struct view_node *node = &below->node;

	if (layer->ops->xattrs(layer, below->path, node, take_xattr, &entry, err) < 0)
		return -1;
	entry.mode = node->mode & 07777;
	entry.uid = node->uid;
	entry.gid = node->gid;
	entry.mtime_s = node->mtime_s;
	entry.mtime_ns = node->mtime_ns;
	return output_folder(output, base, &entry, err);
}

static int make_up(struct output *output, const char *base, struct err *err)
{
	const struct tar_entry entry = {
		.type = TAR_FOLDER, .mode = 0755, .mtime_s = LAYER_TIME
	};

	return output_folder(output, base, &entry, err);
}

/* Enters a folder that this layer is known to have. */
static int enter(struct output *output, const char *path, struct err *err)
{
	int entered = output->ops->enter(output->state, path, err);

	if (entered == 0)
		return err_sys(err, ENOENT, "open its folder");
	return entered < 0 ? -1 : 0;
}

/* A walk down the way to a parent. */
struct way {
	char at[PATH_LENGTH_MAX + 1];	/* a folder of the tree, without links */
	char *rest;			/* owned; what is still to go */
	unsigned int links;
};

static void way_done(struct way *way)
{
	free(way->rest);
}

static int follow(struct output *output, struct way *way, const struct view_entry *link,
		  struct err *err)
{
	const struct view_layer *layer = &output->layers[link->layer];
	char target[PATH_LENGTH_MAX + 1], *joined;

	if (layer->ops->target(layer, &link->node, target, err) < 0)
		return -1;
	joined = xasprintf("%s/%s", target, way->rest);
	free(way->rest);
	way->rest = joined;
	if (++way->links > VIEW_LINKS_MAX || strlen(joined) > PATH_LENGTH_MAX)
		return err_set(err, ERR_LAYER, "too many links in the way");
	if (target[0] == '/')
		way->at[0] = '\0';
	return 0;
}

static void entry_done(struct view_entry *entry)
{
	view_node_done(&entry->node);
}

/* One component down: to a folder that is in this layer after it, or along a link. */
static int step(struct output *output, struct way *way, const char *name, struct err *err)
{
	char path[PATH_LENGTH_MAX + PATH_NAME_MAX + 2];
	_cleanup_(entry_done) struct view_entry below = { .node.fd = -1 };
	bool folder, ours;
	int found, made;

	stpcpy(stpcpy(stpcpy(path, way->at), *way->at ? "/" : ""), name);
	if (strlen(path) > PATH_LENGTH_MAX)
		return err_set(err, ERR_LAYER, "its path is too long behind a link");
	found = view_find(output->layers, output->layer_count, path, false, &below, err);
	if (found < 0)
		return -1;
	ours = found && below.layer == output->layer_count - 1;
	folder = found && S_ISDIR(below.node.mode);
	if (!ours && output->alone)
		return err_set(err, ERR_LAYER_LOWER, "its folder is left to the layers below");
	if (!ours)
		output->needs_lower = true;
	if (found && S_ISLNK(below.node.mode))
		return follow(output, way, &below, err);
	if (ours && !folder)
		return err_set(err, ERR_LAYER, "what holds it is not a folder");
	if (!ours) {
		if (enter(output, way->at, err) < 0)
			return -1;
		made = folder ? copy_folder(output, name, &below, err) :
				make_up(output, name, err);
		if (made < 0)
			return -1;
	}
	strcpy(way->at, path);
	return 0;
}

/* Goes the whole way to `asked`; way->at is the folder then. */
static int go(struct output *output, struct way *way, const char *asked, struct err *err)
{
	char name[PATH_NAME_MAX + 1];

	way->rest = xstrdup(asked);
	for (;;) {
		size_t skip = strspn(way->rest, "/");
		size_t length = strcspn(way->rest + skip, "/");
		char *slash = strrchr(way->at, '/');

		if (length == 0)
			return 0;
		if (length > PATH_NAME_MAX)
			return err_set(err, ERR_LAYER, "a link in the way has too long a name");
		memcpy(name, way->rest + skip, length);
		name[length] = '\0';
		memmove(way->rest, way->rest + skip + length,
			strlen(way->rest + skip + length) + 1);
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, ".."))
			*(slash ? slash : way->at) = '\0';
		else if (step(output, way, name, err) < 0)
			return -1;
	}
}

static int resolve(struct output *output, const char *asked, struct err *err)
{
	_cleanup_(way_done) struct way way = { 0 };
	int entered = output->ops->enter(output->state, asked, err);

	if (entered < 0)
		return -1;
	strcpy(output->at, asked);
	if (entered == 0) {
		if (go(output, &way, asked, err) < 0 || enter(output, way.at, err) < 0)
			return -1;
		strcpy(output->at, way.at);
	}
	strcpy(output->asked, asked);
	output->entered = true;
	output->stale = false;
	return 0;
}

int output_find_parent(struct output *output, const char *path, const char **ret_base,
		       struct err *err)
{
	const char *base = path_base(path);
	size_t length = base == path ? 0 : (size_t)(base - path) - 1;
	char asked[PATH_LENGTH_MAX + 1];

	*ret_base = base;
	if (output->entered && !output->stale && !strncmp(output->asked, path, length) &&
	    output->asked[length] == '\0')
		return 0;
	memcpy(asked, path, length);
	asked[length] = '\0';
	output->entered = false;
	return resolve(output, asked, err);
}
