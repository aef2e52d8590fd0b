/* The gate for what reaches outside the project: --allow, and the user's configuration file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/fs.h"
#include "core/outside.h"
#include "core/str.h"
#include "core/yaml.h"

#define CONFIG_BYTES_MAX (64u << 10)

/* $XDG_CONFIG_HOME/duet/config.yaml, ~/.config/duet/config.yaml; NULL without a home. Owned. */
static char *config_path(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (folder && folder[0] == '/')
		return xasprintf("%s/duet/config.yaml", folder);
	return home && home[0] == '/' ? xasprintf("%s/.config/duet/config.yaml", home) : NULL;
}

static int take_list(struct allowed *allowed, const char *path, const struct yaml_node *list,
		     struct err *err)
{
	if (list->kind == YAML_TEXT)
		return allowed_add(allowed, list->text, err) < 0
			       ? err_place(err, path, list->place.line, list->place.column)
			       : 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *item = &list->items[i];

		if (list->kind != YAML_LIST || item->kind != YAML_TEXT)
			return place_fail(err, path, list->place, ERR_SPEC_TYPE,
					  "allow: expected a list of words");
		if (allowed_add(allowed, item->text, err) < 0)
			return err_place(err, path, item->place.line, item->place.column);
	}
	return 0;
}

static int take_config(struct allowed *allowed, const char *path, const struct yaml_node *root,
		       struct err *err)
{
	if (root->kind != YAML_MAP)
		return place_fail(err, path, root->place, ERR_SPEC_TYPE, "expected a map");
	for (size_t i = 0; i < root->count; i++) {
		const struct yaml_node *key = yaml_key(root, i);
		_cleanup_free_ char *shown = NULL;

		if (!strcmp(key->text, "allow"))
			continue;
		shown = str_escape(key->text, 60);
		place_fail(err, path, key->place, ERR_SPEC_UNKNOWN_KEY, "unknown key \"%s\"", shown);
		return err_mend(err, "known here: allow");
	}
	return yaml_get(root, "allow") ? take_list(allowed, path, yaml_get(root, "allow"), err) : 0;
}

static int read_config(struct allowed *allowed, struct err *err)
{
	static const struct yaml_limits limits = { CONFIG_BYTES_MAX, 8, 4096 };
	_cleanup_free_ char *path = config_path(), *text = NULL;
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	size_t size;

	if (!path)
		return 0;
	if (fs_read_file(AT_FDCWD, path, CONFIG_BYTES_MAX, &text, &size, err) < 0) {
		if (err->code != -ENOENT && err->code != -ENOTDIR)
			return err_wrap(err, "read the configuration");
		err_done(err);
		return 0;
	}
	if (yaml_parse(&root, path, text, size, &limits, err) < 0)
		return -1;
	return take_config(allowed, path, &root, err);
}

static int refuse(const struct spec *spec, const struct outside *item, struct err *err)
{
	_cleanup_free_ char *word = outside_word(item), *shown = str_escape(word, 300);

	place_fail(err, spec->file, item->place, ERR_ALLOW, "reaches outside the project: %s",
		   item->text);
	return err_mend(err, "if that is meant: --allow '%s', or `allow: [%s]` in "
			     "~/.config/duet/config.yaml", shown, shown);
}

static int check(const struct spec *spec, const struct allowed *allowed, struct err *err)
{
	struct outside *items;
	size_t count;
	int result = 0;

	outside_find(spec, true, &items, &count);
	for (size_t i = 0; result == 0 && i < count; i++)
		if (!allowed_covers(allowed, &items[i]))
			result = refuse(spec, &items[i], err);
	outside_free(items, count);
	return result;
}

int allow_check(const struct cli *cli, const struct spec *spec, struct err *err)
{
	_cleanup_(allowed_done) struct allowed allowed = { 0 };

	for (size_t i = 0; i < cli->allow_count; i++)
		if (allowed_add(&allowed, cli->allow[i], err) < 0)
			return -1;
	return read_config(&allowed, err) < 0 ? -1 : check(spec, &allowed, err);
}
