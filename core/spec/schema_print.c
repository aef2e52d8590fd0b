/* The JSON Schema and the key reference, both from the table: see schema.h. */
#include <inttypes.h>
#include <string.h>

#include "core/json.h"
#include "core/spec/schema.h"
#include "core/spec.h"
#include "core/str.h"

/* The members that describe a scalar of this key, into the open map. */
static void scalar_members(struct json_out *out, const struct schema_key *key)
{
	json_out_members(out, schema_value(key->type)->json);
	if (key->type == SCHEMA_NUMBER) {
		json_out_number(out, "minimum", key->min);
		json_out_number(out, "maximum", key->max);
	}
	if (!key->words)
		return;
	json_out_list(out, "enum");
	for (size_t i = 0; key->words[i]; i++)
		json_out_text(out, NULL, key->words[i]);
	json_out_end(out);
}

static void reference(struct json_out *out, const char *object)
{
	_cleanup_free_ char *target = xasprintf("#/definitions/%s", object);

	json_out_map(out, NULL);
	json_out_text(out, "$ref", target);
	json_out_end(out);
}

/* One entry of anyOf for each form that an item of this key may have. */
static void item_forms(struct json_out *out, const struct schema_key *key)
{
	if (key->type != SCHEMA_NONE) {
		json_out_map(out, NULL);
		scalar_members(out, key);
		json_out_end(out);
	}
	if (key->family && schema_is_object(key->family))
		reference(out, key->family);
	for (const struct schema_key *row = schema_keys; key->family && row->name; row++)
		if (schema_names_variant(row, key->family))
			reference(out, row->object);
}

static void list_form(struct json_out *out, const struct schema_key *key)
{
	json_out_map(out, NULL);
	json_out_text(out, "type", "array");
	json_out_number(out, "maxItems", key->items_max ? key->items_max : SCHEMA_ITEMS_MAX);
	json_out_map(out, "items");
	json_out_list(out, "anyOf");
	item_forms(out, key);
	json_out_end(out);
	json_out_end(out);
	json_out_end(out);
}

static void pairs_form(struct json_out *out, const struct schema_key *key)
{
	json_out_map(out, NULL);
	json_out_text(out, "type", "object");
	json_out_number(out, "maxProperties", key->items_max ? key->items_max : SCHEMA_ITEMS_MAX);
	json_out_map(out, "additionalProperties");
	json_out_list(out, "anyOf");
	item_forms(out, key);
	json_out_end(out);
	json_out_end(out);
	json_out_end(out);
}

static void property(struct json_out *out, const struct schema_key *key)
{
	_cleanup_free_ char *help = key->fallback ? xasprintf("%s Default: %s.", key->help,
							      key->fallback)
						  : xstrdup(key->help);

	json_out_map(out, key->name);
	json_out_text(out, "description", help);
	json_out_list(out, "anyOf");
	if (key->shape & SCHEMA_ONE)
		item_forms(out, key);
	if (key->shape & SCHEMA_LIST)
		list_form(out, key);
	if (key->shape & SCHEMA_PAIRS)
		pairs_form(out, key);
	json_out_end(out);
	json_out_end(out);
}

/* The members that describe an object, into the open map. */
static void object_members(struct json_out *out, const char *object)
{
	json_out_text(out, "type", "object");
	json_out_bool(out, "additionalProperties", false);
	json_out_map(out, "properties");
	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (!strcmp(key->object, object))
			property(out, key);
	json_out_end(out);
	json_out_list(out, "required");
	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (!strcmp(key->object, object) && key->required)
			json_out_text(out, NULL, key->name);
	json_out_end(out);
}

/* The rows of an object stand together: is this the first? */
static bool begins_object(const struct schema_key *key)
{
	return key == schema_keys || strcmp(key[-1].object, key->object);
}

char *spec_schema_json(void)
{
	struct json_out out;

	json_out_init(&out);
	json_out_text(&out, "$schema", "http://json-schema.org/draft-07/schema#");
	json_out_text(&out, "title", "duet.yaml");
	object_members(&out, SCHEMA_TOP);
	json_out_map(&out, "patternProperties");
	json_out_map(&out, "^x-");
	json_out_end(&out);
	json_out_end(&out);
	json_out_map(&out, "definitions");
	for (const struct schema_key *key = schema_keys; key->name; key++) {
		if (!begins_object(key) || !strcmp(key->object, SCHEMA_TOP))
			continue;
		json_out_map(&out, key->object);
		object_members(&out, key->object);
		json_out_end(&out);
	}
	json_out_end(&out);
	return json_out_finish(&out);
}

/* scdoc takes '_' and '*' for markup, '\' for an escape. */
static void add_prose(struct str *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("_*\\<>[]#~", *text))
			str_add(out, "\\");
		str_addn(out, text, 1);
	}
}

/* The row behind which an object may stand: the parent of its heading. */
static const struct schema_key *parent_of(const struct schema_key *child)
{
	size_t length = strcspn(child->object, ".");

	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (key->family && strlen(key->family) == length &&
		    !strncmp(key->family, child->object, length))
			return key;
	return NULL;
}

/* "target.container.capabilities", "image.steps" */
static void add_path(struct str *out, const struct schema_key *child)
{
	const struct schema_key *parent = parent_of(child);

	if (!parent)
		return;
	add_path(out, parent);
	str_addf(out, "%s%s", out->length > 0 ? "." : "", parent->name);
}

static void add_heading(struct str *out, const struct schema_key *first)
{
	_cleanup_(str_done) struct str path = { 0 };
	const char *dot = strchr(first->object, '.');

	add_path(&path, first);
	str_add(out, "## ");
	if (path.length == 0)
		str_add(out, "At the top");
	else
		add_prose(out, path.text);
	if (dot)
		str_addf(out, ", with the key %s", dot + 1);
	str_add(out, "\n\n");
}

static void add_key(struct str *out, const struct schema_key *key)
{
	_cleanup_free_ char *expected = schema_expected(key);

	str_add(out, "*");
	add_prose(out, key->name);
	str_add(out, "*: ");
	add_prose(out, expected);
	if (key->required)
		str_add(out, " (required)");
	if (key->fallback) {
		str_add(out, " (default: ");
		add_prose(out, key->fallback);
		str_add(out, ")");
	}
	str_add(out, "\n\t");
	add_prose(out, key->help);
	if (key->expands)
		str_add(out, " ${NAME} is put in.");
	str_add(out, "\n\n");
}

char *spec_schema_manual(void)
{
	struct str out = { 0 };

	for (const struct schema_key *key = schema_keys; key->name; key++) {
		if (begins_object(key))
			add_heading(&out, key);
		add_key(&out, key);
	}
	str_add(&out, "Keys that begin with x- may stand at the top with any value.\n");
	return out.text;
}
