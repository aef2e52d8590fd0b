/* target.mounts: "SRC:DST[:ro|:rw]", {bind: ...}, {tmpfs: ...}. */
#include "core/spec/values.h"

#include <stdlib.h>
#include <string.h>

#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */
#define TMPFS_MODE 01777

/* The first ':' of `text` that is not inside ${...}, or its end. */
static size_t part_length(const char *text)
{
	size_t i = 0;

	while (text[i] && text[i] != ':') {
		if (text[i] == '$' && text[i + 1] == '{')
			i += strcspn(text + i, "}");
		else if (text[i] == '$' && text[i + 1] == '$')
			i += 2;
		else
			i++;
	}
	return i;
}

/*
 * Splits at ':' before variables are put in, so that a ':' in a variable's value stays where it is.
 * Returns the number of parts, 4 when there are more than 3.
 */
static size_t split(const char *text, char *parts[3])
{
	size_t count = 0;

	for (;;) {
		size_t length = part_length(text);

		if (count == 3)
			return 4;
		parts[count++] = xstrndup(text, length);
		if (!text[length])
			return count;
		text += length + 1;
	}
}

static int not_a_mount(struct spec_reader *r, const struct schema_key *key,
		       const struct yaml_node *node)
{
	_cleanup_free_ char *shown = str_escape(node->text, MESSAGE_TEXT_MAX);

	place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE, "%s: expected %s, found %s",
		   key->name, schema_value(key->type)->what, shown);
	return err_mend(r->err, "%s", schema_value(key->type)->mend);
}

static bool is_path(const char *text)
{
	return text[0] == '/' || text[0] == '~' || !strcmp(text, ".") || !strcmp(text, "..") ||
	       str_has_prefix(text, "./") || str_has_prefix(text, "../");
}

static int read_host_path(struct spec_reader *r, const struct schema_key *key,
			  const struct yaml_node *node, const char *text, char **ret)
{
	if (spec_host_path(r, key, node, text, ret) < 0)
		return -1;
	r->spec->host_uses[r->spec->host_use_count - 1].is_mount = true;
	return 0;
}

static int read_source(struct spec_reader *r, const struct schema_key *key,
		       const struct yaml_node *node, const char *part, char **ret)
{
	_cleanup_free_ char *text = NULL, *shown = NULL;

	if (spec_expand(r, key, node, part, &text) < 0)
		return -1;
	if (is_path(text))
		return read_host_path(r, key, node, text, ret);
	shown = str_escape(text, MESSAGE_TEXT_MAX);
	place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
		   "%s: named volumes (\"%s\") are not available", key->name, shown);
	return err_mend(r->err, "begin the path of a folder or file with ./ or /");
}

static int read_destination(struct spec_reader *r, const struct schema_key *key,
			    const struct yaml_node *node, const char *part, char **ret)
{
	const struct schema_value *inside = schema_value(SCHEMA_INSIDE);
	_cleanup_free_ char *text = NULL, *shown = NULL;

	if (spec_expand(r, key, node, part, &text) < 0)
		return -1;
	if (inside->check(text)) {
		*ret = spec_inside(text);
		return 0;
	}
	shown = str_escape(text, MESSAGE_TEXT_MAX);
	place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE, "%s: expected %s, found %s",
		   key->name, inside->what, shown);
	return err_mend(r->err, "%s", inside->mend);
}

static int read_short(struct spec_reader *r, const struct schema_key *key,
		      const struct yaml_node *node, struct mount *ret)
{
	char *parts[3] = { NULL };
	size_t count = split(node->text, parts);
	int result = -1;

	ret->kind = MOUNT_BIND;
	if (count < 2 || count > 3 || !*parts[0] || !*parts[1] ||
	    (count == 3 && strcmp(parts[2], "ro") && strcmp(parts[2], "rw")))
		not_a_mount(r, key, node);
	else if (read_source(r, key, node, parts[0], &ret->source) == 0)
		result = read_destination(r, key, node, parts[1], &ret->target);
	ret->read_only = parts[2] && !strcmp(parts[2], "ro");
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		free(parts[i]);
	return result;
}

static int read_bind(struct spec_reader *r, const struct yaml_node *map, struct mount *ret)
{
	const struct schema_key *key = schema_find("mount.bind", "bind");
	_cleanup_free_ char *source = NULL, *to = NULL;

	ret->kind = MOUNT_BIND;
	if (spec_text(r, map, "mount.bind", "bind", &source) < 0 ||
	    read_host_path(r, key, yaml_get(map, "bind"), source, &ret->source) < 0 ||
	    spec_text(r, map, "mount.bind", "to", &to) < 0)
		return -1;
	ret->target = spec_inside(to);
	ret->read_only = spec_is_true(yaml_get(map, "read_only"));
	return 0;
}

static int read_tmpfs(struct spec_reader *r, const struct yaml_node *map, struct mount *ret)
{
	const struct yaml_node *size = yaml_get(map, "size"), *mode = yaml_get(map, "mode");
	_cleanup_free_ char *target = NULL;

	ret->kind = MOUNT_TMPFS;
	ret->mode = TMPFS_MODE;
	if (spec_text(r, map, "mount.tmpfs", "tmpfs", &target) < 0)
		return -1;
	ret->target = spec_inside(target);
	if (size)
		parse_size(size->text, &ret->size_bytes);
	if (mode)
		parse_mode(mode->text, &ret->mode);
	return 0;
}

/* duet mounts /proc and /sys itself, and the root is the image. */
static int check_target(struct spec_reader *r, const struct yaml_node *node,
			const struct target *target, const struct mount *mount)
{
	const char *at = mount->target;
	_cleanup_free_ char *shown = str_escape(at, MESSAGE_TEXT_MAX);

	if (!strcmp(at, "/") || path_is_below(at, "/proc") || path_is_below(at, "/sys"))
		return place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
				  "mounts: nothing can be mounted at %s", shown);
	for (size_t i = 0; i < target->mount_count; i++) {
		if (strcmp(target->mounts[i].target, at))
			continue;
		place_fail(r->err, r->file, node->place, ERR_SPEC_VALUE,
			   "mounts: a second mount at %s", shown);
		return err_mend(r->err, "keep one of the two");
	}
	return 0;
}

static int read_mount(struct spec_reader *r, const struct schema_key *key,
		      const struct yaml_node *node, struct mount *ret)
{
	if (node->kind == YAML_TEXT)
		return read_short(r, key, node, ret);
	return yaml_get(node, "tmpfs") ? read_tmpfs(r, node, ret) : read_bind(r, node, ret);
}

int spec_read_mounts(struct spec_reader *r, const struct yaml_node *list, struct target *ret)
{
	const struct schema_key *key = schema_find("target", "mounts");

	ret->mounts = xcalloc(list->count, sizeof(*ret->mounts));
	for (size_t i = 0; i < list->count; i++) {
		_cleanup_(mount_done) struct mount mount = { .fd = -1 };

		if (read_mount(r, key, &list->items[i], &mount) < 0 ||
		    check_target(r, &list->items[i], ret, &mount) < 0)
			return -1;
		mount.place = list->items[i].place;
		ret->mounts[ret->mount_count++] = mount;
		mount = (struct mount){ .fd = -1 };
	}
	return 0;
}
