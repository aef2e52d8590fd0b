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
	json_t *members = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

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

/* The member at `path`, borrowed from *ret_root (owned), or NULL. */
static json_t *look(const char *text, size_t size, const char *path, json_t **ret_root)
{
	json_t *at = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

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

bool json_look_number(const char *text, size_t size, const char *path, uint64_t *ret)
{
	json_t *root, *at = look(text, size, path, &root);
	bool good = json_is_integer(at) && json_integer_value(at) >= 0;

	if (good)
		*ret = (uint64_t)json_integer_value(at);
	json_decref(root);
	return good;
}
