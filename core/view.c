/* The merged view of layers: see view.h. */
#include "core/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"

/* Where a walk stands: a folder of the merged view, links resolved. */
struct walk {
	const struct view_layer *layers;	/* borrowed; lowest first */
	size_t count;
	size_t lowest;		/* layers below this one are hidden here */
	char path[PATH_LENGTH_MAX + 1];
	struct err *err;
};

/* What stands under one name of the merged view. */
struct seen {
	bool found;
	struct view_node node;	/* owned, when found */
	size_t layer;
	size_t lowest;		/* for what is below it, when it is a folder */
};

void view_node_done(struct view_node *node)
{
	mem_closep(&node->fd);
	node->fd = -1;
}

/* Looks from the topmost layer down at `path`, whose parent is a folder of the view. */
static int look(const struct walk *walk, const char *path, struct seen *ret)
{
	struct seen seen = { .lowest = walk->lowest };

	for (size_t i = walk->count; i-- > walk->lowest;) {
		const struct view_layer *layer = &walk->layers[i];
		_cleanup_(view_node_done) struct view_node node = { .fd = -1 };
		int there = layer->ops->look(layer, path, &node, walk->err), opaque = 0;
		bool folder = there == 1 && S_ISDIR(node.mode);

		if (there == 1 && folder && i > walk->lowest)
			opaque = layer->ops->opaque(layer, path, &node, walk->err);
		if (there < 0 || opaque < 0) {
			if (seen.found)
				view_node_done(&seen.node);
			return -1;
		}
		if (there == 0)
			continue;
		if (!seen.found && !node.whiteout) {
			seen.found = true;
			seen.layer = i;
			seen.node = node;
			node.fd = -1;
		}
		if (!folder || opaque) {
			seen.lowest = folder ? i : i + 1;
			break;
		}
	}
	*ret = seen;
	return 0;
}

/* Puts the walk at the clean, link-free folder walk->path again, whose `lowest` is not known. */
static int walk_again(struct walk *walk)
{
	char prefix[PATH_LENGTH_MAX + 1];
	size_t length = 0;

	walk->lowest = 0;
	while (walk->path[length]) {
		struct seen seen;

		length += walk->path[length] == '/';
		length += strcspn(walk->path + length, "/");
		memcpy(prefix, walk->path, length);
		prefix[length] = '\0';
		if (look(walk, prefix, &seen) < 0)
			return -1;
		if (seen.found)
			view_node_done(&seen.node);
		walk->lowest = seen.lowest;
	}
	return 0;
}

static int walk_up(struct walk *walk)
{
	char *slash = strrchr(walk->path, '/');

	*(slash ? slash : walk->path) = '\0';
	return walk_again(walk);
}

/* Replaces the rest of the way by the link's target and what was left; -1 with err. */
static int follow_link(struct walk *walk, const struct seen *link, char **rest)
{
	const struct view_layer *layer = &walk->layers[link->layer];
	char target[PATH_LENGTH_MAX + 1], *joined;

	if (layer->ops->target(layer, &link->node, target, walk->err) < 0)
		return err_wrap(walk->err, "follow links in %s", walk->path);
	joined = xasprintf("%s/%s", target, *rest);
	free(*rest);
	*rest = joined;
	if (strlen(joined) > PATH_LENGTH_MAX)
		return err_sys(walk->err, ENAMETOOLONG, "follow links in %s", walk->path);
	if (target[0] == '/') {
		walk->path[0] = '\0';
		walk->lowest = 0;
	}
	return 0;
}

/* Takes the next component off *rest into `name`; false when nothing is left. */
static bool next_name(char *rest, char name[PATH_NAME_MAX + 2])
{
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/");
	size_t kept = length > PATH_NAME_MAX ? PATH_NAME_MAX + 1 : length;

	memcpy(name, rest + skip, kept);
	name[kept] = '\0';
	memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
	return length > 0;
}

static int found_root(const struct walk *walk, struct view_entry *ret)
{
	const struct view_layer *top = &walk->layers[walk->count - 1];

	ret->layer = walk->count - 1;
	ret->path[0] = '\0';
	return top->ops->look(top, "", &ret->node, walk->err);
}

static int find(struct walk *walk, char **rest, bool follow_last, struct view_entry *ret)
{
	char name[PATH_NAME_MAX + 2], path[PATH_LENGTH_MAX + PATH_NAME_MAX + 3];
	unsigned int links = 0;

	while (next_name(*rest, name)) {
		_cleanup_(view_node_done) struct view_node node = { .fd = -1 };
		bool last = (*rest)[strspn(*rest, "/")] == '\0';
		struct seen seen;

		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			if (walk_up(walk) < 0)
				return -1;
			continue;
		}
		snprintf(path, sizeof(path), "%s%s%s", walk->path, *walk->path ? "/" : "", name);
		if (strlen(name) > PATH_NAME_MAX || strlen(path) > PATH_LENGTH_MAX)
			return 0;
		if (look(walk, path, &seen) < 0)
			return -1;
		if (!seen.found)
			return 0;
		node = seen.node;
		if (S_ISLNK(node.mode) && (!last || follow_last)) {
			if (++links > VIEW_LINKS_MAX)
				return err_sys(walk->err, ELOOP, "look up %s", path);
			if (follow_link(walk, &seen, rest) < 0)
				return -1;
			continue;
		}
		if (last) {
			ret->node = node;
			node.fd = -1;
			ret->layer = seen.layer;
			strcpy(ret->path, path);
			return 1;
		}
		if (!S_ISDIR(node.mode))
			return 0;
		strcpy(walk->path, path);
		walk->lowest = seen.lowest;
	}
	/* the way ended in "." or "..", or at the root */
	if (walk->path[0] == '\0')
		return found_root(walk, ret);
	free(*rest);
	*rest = xstrdup(path_base(walk->path));
	return walk_up(walk) < 0 ? -1 : find(walk, rest, follow_last, ret);
}

int view_find(const struct view_layer *layers, size_t count, const char *path, bool follow_last,
	      struct view_entry *ret, struct err *err)
{
	struct walk walk = { .layers = layers, .count = count, .err = err };
	_cleanup_free_ char *rest = NULL;

	if (count == 0)
		return 0;
	rest = xstrdup(path);
	return find(&walk, &rest, follow_last, ret);
}
