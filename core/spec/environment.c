/* Environments and labels of a spec: maps, lists of NAME=VALUE, files of such lines. */
#include "core/spec/values.h"

#include <errno.h>
#include <string.h>

#include "core/parse.h"
#include "core/str.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */

static int bad_name(struct spec_reader *r, const struct schema_key *key, struct place place,
		    const char *name)
{
	_cleanup_free_ char *shown = str_escape(name, MESSAGE_TEXT_MAX);

	place_fail(r->err, r->file, place, ERR_SPEC_VALUE, "%s: \"%s\" cannot be a name", key->name,
		   shown);
	return err_mend(r->err, "a name is not empty and has no \"=\" and no control characters");
}

static int add_pair(struct spec_reader *r, const struct schema_key *key, const char *name,
		    const struct yaml_node *node, const char *value, struct strv *ret)
{
	_cleanup_free_ char *expanded = NULL;

	if (spec_expand(r, key, node, value, &expanded) < 0)
		return -1;
	strv_addf(ret, "%s=%s", name, expanded);
	return 0;
}

static int add_item(struct spec_reader *r, const struct schema_key *key,
		    const struct yaml_node *item, struct strv *ret)
{
	_cleanup_free_ char *name = NULL, *shown = NULL;
	const char *value = strchr(item->text, '=');

	if (!value) {
		shown = str_escape(item->text, MESSAGE_TEXT_MAX);
		place_fail(r->err, r->file, item->place, ERR_SPEC_VALUE,
			   "%s: expected NAME=VALUE, found %s", key->name, shown);
		return err_mend(r->err, "write NAME= for an empty value");
	}
	name = xstrndup(item->text, (size_t)(value - item->text));
	if (!parse_is_env_name(name))
		return bad_name(r, key, item->place, name);
	if (strv_getenv(ret, name)) {
		shown = str_escape(name, MESSAGE_TEXT_MAX);
		place_fail(r->err, r->file, item->place, ERR_SPEC_VALUE, "%s: \"%s\" stands twice",
			   key->name, shown);
		return err_mend(r->err, "keep one of the two");
	}
	return add_pair(r, key, name, item, value + 1, ret);
}

int spec_pairs(struct spec_reader *r, const struct yaml_node *map, const char *object,
	       const char *name, struct strv *ret)
{
	const struct schema_key *key = schema_find(object, name);
	const struct yaml_node *node = yaml_get(map, name);

	for (size_t i = 0; node && i < node->count; i++) {
		if (node->kind == YAML_LIST) {
			if (add_item(r, key, &node->items[i], ret) < 0)
				return -1;
			continue;
		}
		if (!parse_is_env_name(yaml_key(node, i)->text))
			return bad_name(r, key, yaml_key(node, i)->place, yaml_key(node, i)->text);
		if (add_pair(r, key, yaml_key(node, i)->text, yaml_value(node, i),
			     yaml_value(node, i)->text, ret) < 0)
			return -1;
	}
	return 0;
}

/* One line without its end. Blank lines and comments are let pass. */
static int add_line(const char *file, unsigned int number, const char *line, struct strv *ret,
		    struct err *err)
{
	_cleanup_free_ char *name = NULL;
	const char *value = strchr(line, '=');

	if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
		return 0;
	name = xstrndup(line, value ? (size_t)(value - line) : 0);
	if (!value || !parse_is_env_name(name) || strpbrk(name, " \t")) {
		place_fail(err, file, (struct place){ number, 1 }, ERR_SPEC_VALUE,
			   "expected NAME=VALUE or a comment");
		return err_mend(err, "no blanks around NAME, no \"export\", no quotes to take off");
	}
	if (ret->count >= SCHEMA_ITEMS_MAX && !strv_getenv(ret, name))
		return place_fail(err, file, (struct place){ number, 1 }, ERR_SPEC_LIMIT,
				  "more than %d variables", SCHEMA_ITEMS_MAX);
	strv_setenv(ret, name, value + 1);
	return 0;
}

static int add_lines(const char *file, char *text, size_t size, struct strv *ret,
		     struct err *err)
{
	unsigned int number = 0;
	char *next;

	if (memchr(text, '\0', size) || !str_is_utf8(text, size))
		return place_fail(err, file, (struct place){ 1, 1 }, ERR_SPEC_SYNTAX,
				  "a NUL byte or text that is not UTF-8");
	for (char *line = text; line && *line; line = next) {
		size_t length;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		length = strlen(line);
		if (length > 0 && line[length - 1] == '\r')
			line[length - 1] = '\0';
		if (add_line(file, ++number, line, ret, err) < 0)
			return -1;
	}
	return 0;
}

/* What is to be opened when the whole spec is known, and what its user allows. */
static int add_file(struct spec_reader *r, const struct schema_key *key,
		    const struct yaml_node *node, struct target *ret)
{
	_cleanup_free_ char *named = NULL, *path = NULL;

	if (spec_expand(r, key, node, node->text, &named) < 0 ||
	    spec_host_path(r, key, node, named, &path) < 0)
		return -1;
	ret->env_files = xreallocarray(ret->env_files, ret->env_file_count + 1,
				       sizeof(*ret->env_files));
	ret->env_files[ret->env_file_count++] = (struct env_file){ TAKE_PTR(path), node->place,
								   false };
	return 0;
}

int spec_env_files(struct spec_reader *r, const struct yaml_node *map, struct target *ret)
{
	const struct schema_key *key = schema_find("target", "env_file");
	const struct yaml_node *node = yaml_get(map, key->name);

	if (node && node->kind == YAML_TEXT)
		return add_file(r, key, node, ret);
	for (size_t i = 0; node && i < node->count; i++)
		if (add_file(r, key, &node->items[i], ret) < 0)
			return -1;
	return 0;
}

static int read_file(const struct spec *spec, struct env_file *file, struct strv *ret,
		     struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (host_path_read(spec->host, "env_file", file->path, SPEC_FILE_MAX, &text, &size, err) == 0) {
		file->is_read = true;
		return add_lines(file->path, text, size, ret, err);
	}
	if (err->code == ERR_ALLOW) {
		err_done(err);
		return 0;
	}
	err->code = err->code == -EFBIG ? ERR_SPEC_LIMIT : ERR_SPEC_MISSING;
	err_wrap(err, "env_file");
	return err_place(err, spec->file, file->place.line, file->place.column);
}

/* The environment of the spec goes on top of that of the files. */
int spec_read_env_files(struct spec *spec, struct err *err)
{
	struct target *target = &spec->target;
	_cleanup_(process_done) struct process files = { 0 };

	for (size_t i = 0; i < target->env_file_count; i++)
		if (read_file(spec, &target->env_files[i], &files.environment, err) < 0)
			return -1;
	process_overlay(&files, &target->process);
	strv_done(&target->process.environment);
	target->process.environment = files.environment;
	files.environment = (struct strv){ 0 };
	return 0;
}
