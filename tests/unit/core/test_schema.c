/* core/schema: the table is whole, and what is printed from it says all of it. */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/spec/schema.h"
#include "core/spec.h"
#include "core/str.h"
#include "tests/unit/unit.h"

static json_t *object_of(json_t *schema, const char *name)
{
	if (!strcmp(name, SCHEMA_TOP))
		return schema;
	return json_object_get(json_object_get(schema, "definitions"), name);
}

static bool list_has(json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(json_string_value(json_array_get(list, i)), text))
			return true;
	return false;
}

START_TEST(test_table)
{
	for (const struct schema_key *key = schema_keys; key->name; key++) {
		_cleanup_free_ char *expected = schema_expected(key);

		ck_assert_ptr_eq(schema_find(key->object, key->name), key);
		ck_assert_msg(key->shape != 0, "%s has no shape", key->name);
		ck_assert_msg(key->help && *key->help, "%s has no help", key->name);
		ck_assert_msg(!strchr(key->help, '\n'), "%s: help of one line", key->name);
		ck_assert_msg(key->type != SCHEMA_NONE || key->family, "%s takes nothing",
			      key->name);
		ck_assert_msg(key->type != SCHEMA_WORD || key->words, "%s has no words", key->name);
		ck_assert_msg(*expected, "%s expects nothing", key->name);
		ck_assert_ptr_nonnull(schema_value(key->type)->what);
	}
}
END_TEST

START_TEST(test_json)
{
	_cleanup_free_ char *text = spec_schema_json();
	json_error_t error;
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	ck_assert_msg(schema != NULL, "%d: %s", error.line, error.text);
	ck_assert_str_eq(json_string_value(json_object_get(schema, "$schema")),
			 "http://json-schema.org/draft-07/schema#");
	ck_assert_ptr_nonnull(json_object_get(json_object_get(schema, "patternProperties"), "^x-"));
	for (const struct schema_key *key = schema_keys; key->name; key++) {
		json_t *object = object_of(schema, key->object);
		json_t *property = json_object_get(json_object_get(object, "properties"), key->name);

		ck_assert_msg(property != NULL, "%s.%s", key->object, key->name);
		ck_assert(json_is_false(json_object_get(object, "additionalProperties")));
		ck_assert(str_has_prefix(json_string_value(json_object_get(property, "description")),
					 key->help));
		ck_assert_uint_gt(json_array_size(json_object_get(property, "anyOf")), 0);
		ck_assert_int_eq(list_has(json_object_get(object, "required"), key->name),
				 key->required);
	}
	json_decref(schema);
}
END_TEST

static void check_references(json_t *value, json_t *definitions)
{
	const char *target, *key;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member)
		check_references(member, definitions);
	json_object_foreach(value, key, member) {
		check_references(member, definitions);
		if (strcmp(key, "$ref"))
			continue;
		target = json_string_value(member);
		ck_assert(str_has_prefix(target, "#/definitions/"));
		ck_assert_msg(json_object_get(definitions, strrchr(target, '/') + 1) != NULL, "%s",
			      target);
	}
}

START_TEST(test_json_references)
{
	_cleanup_free_ char *text = spec_schema_json();
	json_t *schema = json_loads(text, 0, NULL);

	check_references(schema, json_object_get(schema, "definitions"));
	json_decref(schema);
}
END_TEST

START_TEST(test_manual)
{
	_cleanup_free_ char *text = spec_schema_manual();

	for (const struct schema_key *key = schema_keys; key->name; key++) {
		_cleanup_(str_done) struct str name = { 0 };

		str_add(&name, "*");
		for (const char *at = key->name; *at; at++)
			str_addf(&name, *at == '_' ? "\\%c" : "%c", *at);
		str_add(&name, "*: ");
		ck_assert_msg(strstr(text, name.text) != NULL, "%s", name.text);
	}
	ck_assert_ptr_nonnull(strstr(text, "## target.container.capabilities\n"));
	ck_assert_ptr_nonnull(strstr(text, "## image.steps, with the key copy\n"));
}
END_TEST

static void unknown(const char *key, const char *mend)
{
	_cleanup_free_ char *text = xasprintf("duet: 1\n%s: 1\n", key);
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	static const struct yaml_limits limits = { 1000, 10, 100 };

	ck_assert_int_eq(yaml_parse(&root, "t.yaml", text, strlen(text), &limits, &err), 0);
	ck_assert_int_eq(schema_check(&root, "t.yaml", &err), -1);
	ck_assert_int_eq(err.code, ERR_SPEC_UNKNOWN_KEY);
	ck_assert_str_eq(err.place, "t.yaml:2:1");
	ck_assert_str_eq(err.mend, mend);
}

START_TEST(test_unknown)
{
	unknown("taget", "did you mean \"target\"?");
	unknown("NAME", "did you mean \"name\"?");
	unknown("elephant", "known here: duet, name, image, images, secrets, on, target, $schema");
	unknown("services", "it has no meaning yet; begin keys of your own with x-");
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_table, 1 }, { test_json, 1 }, { test_json_references, 1 },
		{ test_manual, 1 }, { test_unknown, 1 },
	};
	const struct unit unit = { "schema" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
