/* The user's configuration file: see config.h. */
#include "core/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/path.h"
#include "core/ref.h"
#include "core/str.h"
#include "core/yaml.h"

#define CONFIG_BYTES_MAX (64u << 10)
#define SHOWN 60	/* bytes of a text in a message */

/* Keys of one map and what reads their values into `object`. */
struct key {
	const char *name;
	int (*take)(const char *file, const struct yaml_node *value, void *object, struct err *err);
};

/* $XDG_CONFIG_HOME/duet/config.yaml, ~/.config/duet/config.yaml; NULL without a home. Owned. */
static char *config_path(void)
{
	const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (folder && folder[0] == '/')
		return xasprintf("%s/duet/config.yaml", folder);
	return home && home[0] == '/' ? xasprintf("%s/.config/duet/config.yaml", home) : NULL;
}

static int refuse_key(const char *file, const struct yaml_node *key, const struct key *keys,
		      size_t count, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(key->text, SHOWN);
	_cleanup_(str_done) struct str known = { 0 };
	const char *names[8] = { 0 }, *near;

	for (size_t i = 0; i < count; i++) {
		names[i] = keys[i].name;
		str_addf(&known, "%s%s", i ? ", " : "", keys[i].name);
	}
	near = str_nearest(key->text, names);
	place_fail(err, file, key->place, ERR_SPEC_UNKNOWN_KEY, "unknown key \"%s\"", shown);
	if (near)
		return err_mend(err, "did you mean \"%s\"?", near);
	return err_mend(err, "known here: %s", known.text);
}

static int take_map(const char *file, const struct yaml_node *map, const char *what,
		    const struct key *keys, size_t count, void *object, struct err *err)
{
	if (map->kind != YAML_MAP)
		return place_fail(err, file, map->place, ERR_SPEC_TYPE, "%s: expected a map", what);
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *key = yaml_key(map, i);
		size_t n = 0;

		while (n < count && strcmp(keys[n].name, key->text))
			n++;
		if (n == count)
			return refuse_key(file, key, keys, count, err);
		if (keys[n].take(file, yaml_value(map, i), object, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- allow ----------------------------------------------------------------------------------- */

/* Words for `allowed`, one or a list of them; `base`: where relative paths start. */
static int take_words(const char *file, const struct yaml_node *value, const char *base,
		      struct allowed *allowed, struct err *err)
{
	const struct yaml_node *items = value->kind == YAML_LIST ? value->items : value;
	size_t count = value->kind == YAML_LIST ? value->count : 1;

	for (size_t i = 0; i < count; i++) {
		if (items[i].kind != YAML_TEXT)
			return place_fail(err, file, items[i].place, ERR_SPEC_TYPE,
					  "allow: expected a list of words");
		if (allowed_add(allowed, items[i].text, base, err) < 0)
			return err_place(err, file, items[i].place.line, items[i].place.column);
	}
	return 0;
}

/* FOLDER: WORDS. A folder may come twice. */
static int take_projects(const char *file, const struct yaml_node *map, struct config *config,
			 struct err *err)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *key = yaml_key(map, i);
		struct config_project *project;

		if (key->text[0] != '/') {
			place_fail(err, file, key->place, ERR_SPEC_VALUE,
				   "allow: expected the folder of a project");
			return err_mend(err, "write its absolute path: allow: {/home/me/shop: paths=../lib}");
		}
		if (config->project_count == CONFIG_PROJECTS_MAX)
			return place_fail(err, file, key->place, ERR_SPEC_LIMIT,
					  "allow: more than %d projects", CONFIG_PROJECTS_MAX);
		config->projects = xreallocarray(config->projects, config->project_count + 1,
						 sizeof(*config->projects));
		project = &config->projects[config->project_count++];
		*project = (struct config_project){ .folder = xstrdup(key->text) };
		if (take_words(file, yaml_value(map, i), project->folder, &project->allowed, err) < 0)
			return -1;
	}
	return 0;
}

/* Words, and maps of projects; alone, or in a list. */
static int take_allow(const char *file, const struct yaml_node *value, void *object,
		      struct err *err)
{
	const struct yaml_node *items = value->kind == YAML_LIST ? value->items : value;
	size_t count = value->kind == YAML_LIST ? value->count : 1;
	struct config *config = object;

	for (size_t i = 0; i < count; i++)
		if ((items[i].kind == YAML_MAP
			     ? take_projects(file, &items[i], config, err)
			     : take_words(file, &items[i], NULL, &config->allowed, err)) < 0)
			return -1;
	return 0;
}

/* ---- registries ------------------------------------------------------------------------------ */

static int refuse_host(const char *file, const struct yaml_node *node, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(node->text, SHOWN);

	place_fail(err, file, node->place, ERR_SPEC_VALUE, "\"%s\" is no host of a registry", shown);
	return err_mend(err, "write HOST or HOST:PORT, as a reference has it: registry.example.org, "
			     "\"127.0.0.1:5000\", localhost");
}

static int take_plain_http(const char *file, const struct yaml_node *value, void *object,
			   struct err *err)
{
	struct config_registry *registry = object;

	registry->plain_http = value->kind == YAML_TEXT && value->plain &&
			       !strcmp(value->text, "true");
	if (registry->plain_http ||
	    (value->kind == YAML_TEXT && value->plain && !strcmp(value->text, "false")))
		return 0;
	return place_fail(err, file, value->place, ERR_SPEC_TYPE,
			  "plain_http: expected true or false");
}

static int take_mirrors(const char *file, const struct yaml_node *list, void *object,
			struct err *err)
{
	struct config_registry *registry = object;

	if (list->kind != YAML_LIST)
		return place_fail(err, file, list->place, ERR_SPEC_TYPE,
				  "mirrors: expected a list of hosts");
	if (list->count > CONFIG_MIRRORS_MAX)
		return place_fail(err, file, list->place, ERR_SPEC_LIMIT, "mirrors: more than %d",
				  CONFIG_MIRRORS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		const struct yaml_node *item = &list->items[i];
		char *host;

		if (item->kind != YAML_TEXT)
			return place_fail(err, file, item->place, ERR_SPEC_TYPE,
					  "mirrors: expected a list of hosts");
		host = ref_host(item->text);
		if (!host)
			return refuse_host(file, item, err);
		strv_take(&registry->mirrors, host);
	}
	return 0;
}

static int take_registry(const char *file, const struct yaml_node *map,
			 struct config_registry *registry, struct err *err)
{
	static const struct key keys[] = {
		{ "plain_http", take_plain_http },
		{ "mirrors", take_mirrors },
	};

	return take_map(file, map, registry->host, keys, ARRAY_SIZE(keys), registry, err);
}

static int take_registries(const char *file, const struct yaml_node *map, void *object,
			   struct err *err)
{
	struct config *config = object;

	if (map->kind != YAML_MAP)
		return place_fail(err, file, map->place, ERR_SPEC_TYPE,
				  "registries: expected a map of hosts");
	if (map->count > CONFIG_REGISTRIES_MAX)
		return place_fail(err, file, map->place, ERR_SPEC_LIMIT, "registries: more than %d",
				  CONFIG_REGISTRIES_MAX);
	config->registries = xcalloc(map->count + 1, sizeof(*config->registries));
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *key = yaml_key(map, i);
		_cleanup_free_ char *host = ref_host(key->text);
		struct config_registry *registry = &config->registries[config->registry_count];

		if (!host)
			return refuse_host(file, key, err);
		/* docker.io has other spellings */
		if (config_registry(config, host))
			return place_fail(err, file, key->place, ERR_SPEC_VALUE,
					  "registries: %s stands there twice", host);
		registry->host = TAKE_PTR(host);
		config->registry_count++;
		if (take_registry(file, yaml_value(map, i), registry, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

int config_parse(struct config *ret, const char *file, const char *text, size_t size,
		 struct err *err)
{
	static const struct yaml_limits limits = { CONFIG_BYTES_MAX, 8, 16384 };
	static const struct key keys[] = {
		{ "allow", take_allow },
		{ "registries", take_registries },
	};
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	struct config config = { 0 };

	if (yaml_parse(&root, file, text, size, &limits, err) < 0)
		return -1;
	if (take_map(file, &root, "the configuration", keys, ARRAY_SIZE(keys), &config, err) < 0) {
		config_done(&config);
		return -1;
	}
	*ret = config;
	return 0;
}

int config_load(struct config *ret, struct err *err)
{
	_cleanup_free_ char *path = config_path(), *text = NULL;
	size_t size;

	*ret = (struct config){ 0 };
	if (!path)
		return 0;
	if (fs_read_file(AT_FDCWD, path, CONFIG_BYTES_MAX, &text, &size, err) < 0) {
		if (err->code != -ENOENT && err->code != -ENOTDIR)
			return err_wrap(err, "read the configuration");
		err_done(err);
		return 0;
	}
	return config_parse(ret, path, text, size, err);
}

const struct config_registry *config_registry(const struct config *config, const char *host)
{
	for (size_t i = 0; i < config->registry_count; i++)
		if (!strcmp(config->registries[i].host, host))
			return &config->registries[i];
	return NULL;
}

void config_allowed(const struct config *config, const char *dir, struct allowed *ret)
{
	_cleanup_free_ char *real = xrealpath(dir);

	allowed_merge(ret, &config->allowed);
	for (size_t i = 0; real && i < config->project_count; i++) {
		_cleanup_free_ char *folder = xrealpath(config->projects[i].folder);

		if (folder && path_is_below(real, folder))
			allowed_merge(ret, &config->projects[i].allowed);
	}
}

void config_done(struct config *config)
{
	for (size_t i = 0; i < config->registry_count; i++) {
		free(config->registries[i].host);
		strv_done(&config->registries[i].mirrors);
	}
	free(config->registries);
	for (size_t i = 0; i < config->project_count; i++) {
		free(config->projects[i].folder);
		allowed_done(&config->projects[i].allowed);
	}
	free(config->projects);
	allowed_done(&config->allowed);
	*config = (struct config){ 0 };
}
