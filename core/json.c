/* JSON: see json.h. The only file of core that knows jansson. */
#include "core/json.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#include "core/parse.h"
#include "core/str.h"

/* Puts `value` into the innermost collection, which takes it over. */
static void put(struct json_out *out, const char *key, json_t *value)
{
	json_t *in = out->open[out->depth - 1];
	int failed = json_is_object(in) ? json_object_set_new(in, key, value)
					: json_array_append_new(in, value);

	/* memory cannot be out here (xmalloc): a key is missing, or a text is not UTF-8 */
	assert(!failed);
	(void)failed;
}

static void open_collection(struct json_out *out, const char *key, json_t *value)
{
	assert(out->depth < JSON_OUT_DEPTH_MAX);
	put(out, key, value);
	out->open[out->depth++] = value;
}

/* Every document begins here or in json_out_init: jansson has no memory but xmalloc's. */
static json_t *load(const char *text, size_t size, json_error_t *ret_error)
{
	json_set_alloc_funcs(xmalloc, free);
	return json_loadb(text, size, JSON_REJECT_DUPLICATES, ret_error);
}

void json_out_init(struct json_out *out)
{
	json_set_alloc_funcs(xmalloc, free);
	*out = (struct json_out){ .open = { json_object() }, .depth = 1 };
}

void json_out_map(struct json_out *out, const char *key)
{
	open_collection(out, key, json_object());
}

void json_out_list(struct json_out *out, const char *key)
{
	open_collection(out, key, json_array());
}

void json_out_end(struct json_out *out)
{
	assert(out->depth > 1);
	out->depth--;
}

void json_out_text(struct json_out *out, const char *key, const char *value)
{
	_cleanup_free_ char *escaped = NULL;

	if (!str_is_utf8(value, strlen(value)))
		escaped = str_escape(value, SIZE_MAX);
	put(out, key, json_string(escaped ? escaped : value));
}

void json_out_number(struct json_out *out, const char *key, uint64_t value)
{
	put(out, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
	put(out, key, json_boolean(value));
}

void json_out_texts(struct json_out *out, const char *key, const struct strv *values)
{
	json_out_list(out, key);
	for (size_t i = 0; i < values->count; i++)
		json_out_text(out, NULL, values->items[i]);
	json_out_end(out);
}

void json_out_members(struct json_out *out, const char *text)
{
	json_t *members = load(text, strlen(text), NULL);

	assert(members);
	json_object_update(out->open[out->depth - 1], members);
	json_decref(members);
}

char *json_out_finish(struct json_out *out)
{
	struct str text = { 0 };
	char *dumped = json_dumps(out->open[0], JSON_INDENT(2));
	_cleanup_free_ char *visible = NULL;

	assert(dumped);
	/* a terminal may show it: JSON's own rules leave C1 and the bidirectional controls */
	visible = str_visible(dumped, STR_LINES | STR_JSON);
	str_add(&text, visible);
	str_add(&text, "\n");
	free(dumped);
	json_decref(out->open[0]);
	*out = (struct json_out){ 0 };
	return text.text;
}

void json_out_in(struct json_out *out, const char *key, const struct json_in *value)
{
	put(out, key, json_incref((json_t *)value));
}

/* The member at `path`, borrowed from *ret_root (owned), or NULL. */
static json_t *look(const char *text, size_t size, const char *path, json_t **ret_root)
{
	json_t *at = load(text, size, NULL);

	*ret_root = at;
	while (at && *path) {
		_cleanup_free_ char *key = xstrndup(path, strcspn(path, "."));
		uint64_t index;

		if (json_is_array(at))
			at = parse_u64(key, &index) ? json_array_get(at, index) : NULL;
		else
			at = json_object_get(at, key);
		path += strlen(key);
		path += *path == '.';
	}
	return at;
}

bool json_look(const char *text, size_t size, const char *path, char **ret)
{
	json_t *root, *at = look(text, size, path, &root);

	if (at && ret)
		*ret = json_string_value(at) ? xstrdup(json_string_value(at)) : NULL;
	json_decref(root);
	return at != NULL;
}

/* ---- reading what others wrote -------------------------------------------------------------- */

/* What would make a parser recurse or take memory, found without one. NULL, or what is too much. */
static const char *too_much(const char *text, size_t size, unsigned int depth_max)
{
	size_t depth = 0, values = 1;
	bool in_text = false;

	for (size_t i = 0; i < size; i++) {
		switch (text[i]) {
		case '"':
			in_text = !in_text;
			continue;
		case '\\':
			i += in_text;
			continue;
		}
		if (in_text)
			continue;
		depth += text[i] == '[' || text[i] == '{';
		depth -= depth > 0 && (text[i] == ']' || text[i] == '}');
		values += text[i] == '[' || text[i] == '{' || text[i] == ',';
		if (depth > depth_max)
			return "nested too deep";
		if (values > JSON_IN_VALUES_MAX)
			return "too many values";
	}
	return NULL;
}

int json_in_new(const char *text, size_t size, unsigned int depth_max, int code,
		struct json_in **ret, struct err *err)
{
	const char *refused = too_much(text, size, depth_max);
	_cleanup_free_ char *why = NULL;
	json_error_t error = { 0 };
	json_t *root;

	if (refused)
		return err_set(err, code, "JSON %s", refused);
	root = load(text, size, &error);
	if (!root) {
		why = str_escape(error.text, 160);
		return err_set(err, code, "line %d: %s", error.line, why);
	}
	*ret = (struct json_in *)root;
	return 0;
}

void json_in_free(struct json_in *document)
{
	json_decref((json_t *)document);
}

static const json_t *raw(const struct json_in *value)
{
	return (const json_t *)value;
}

bool json_in_is_map(const struct json_in *value)
{
	return json_is_object(raw(value));
}

bool json_in_is_list(const struct json_in *value)
{
	return json_is_array(raw(value));
}

const struct json_in *json_in_get(const struct json_in *map, const char *key)
{
	const json_t *member = json_object_get(raw(map), key);

	return json_is_null(member) ? NULL : (const struct json_in *)member;
}

size_t json_in_count(const struct json_in *value)
{
	return json_in_is_map(value) ? json_object_size(raw(value)) : json_array_size(raw(value));
}

const struct json_in *json_in_item(const struct json_in *list, size_t index)
{
	return (const struct json_in *)json_array_get(raw(list), index);
}

const char *json_in_text(const struct json_in *value)
{
	return json_string_value(raw(value));
}

bool json_in_number(const struct json_in *value, int64_t *ret)
{
	if (!json_is_integer(raw(value)))
		return false;
	*ret = json_integer_value(raw(value));
	return true;
}

int json_in_each(const struct json_in *map,
		 int (*each)(void *data, const char *key, const struct json_in *value,
			     struct err *err),
		 void *data, struct err *err)
{
	/* walking does not change it, but jansson's walk knows no const */
	json_t *object = (json_t *)map, *value;
	const char *key;
	int result;

	json_object_foreach(object, key, value) {
		result = each(data, key, (const struct json_in *)value, err);
		if (result != 0)
			return result;
	}
	return 0;
}

enum json_found json_seek(const char *text, size_t size, const char *const *keys, char **ret)
{
	json_t *root = load(text, size, NULL), *at = root;
	enum json_found found = JSON_FOUND_OTHER;

	for (; at && *keys; keys++)
		at = json_object_get(at, *keys);
	if (!root)
		found = JSON_FOUND_BROKEN;
	else if (!at || json_is_null(at))
		found = JSON_FOUND_NOTHING;
	else if (json_is_string(at))
		found = JSON_FOUND_TEXT;
	else if (json_is_object(at))
		found = JSON_FOUND_MAP;
	if (ret)
		*ret = found == JSON_FOUND_TEXT ? xstrdup(json_string_value(at)) : NULL;
	json_decref(root);
	return found;
}

/* 0 or -1; `map` is borrowed. */
static int change(json_t *map, const char *const *keys, const char *value)
{
	for (; keys[1]; keys++) {
		json_t *next = json_object_get(map, keys[0]);

		if (!json_is_object(map))
			return -1;
		if (!next || json_is_null(next)) {
			if (!value)
				return 0;
			next = json_object();
			if (json_object_set_new(map, keys[0], next) < 0)
				return -1;
		}
		map = next;
	}
	if (!json_is_object(map))
		return -1;
	if (value)
		return json_object_set_new(map, keys[0], json_string(value));
	(void)json_object_del(map, keys[0]);
	return 0;
}

char *json_with(const char *text, size_t size, const char *const *keys, const char *value)
{
	json_t *root = load(text, size, NULL);
	char *dumped = NULL, *ret = NULL;

	if (root && change(root, keys, value) == 0)
		dumped = json_dumps(root, JSON_INDENT(2));
	if (dumped)
		ret = xasprintf("%s\n", dumped);
	free(dumped);
	json_decref(root);
	return ret;
}

bool json_look_number(const char *text, size_t size, const char *path, uint64_t *ret)
{
	json_t *root, *at = look(text, size, path, &root);
	bool good = json_is_integer(at) && json_integer_value(at) >= 0;

	if (good)
		*ret = (uint64_t)json_integer_value(at);
	json_decref(root);
	return good;
}
