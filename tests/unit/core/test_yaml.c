/* core/yaml: the tree and its places; hostile text is refused before it costs anything. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/str.h"
#include "core/yaml.h"
#include "tests/unit/unit.h"

#define HOSTILE_BYTES (100 * 1000)
#define HOSTILE_SECONDS 5	/* generous: a quadratic reader takes minutes */

static const struct yaml_limits wide = { 1024 * 1024, 64, 100000 };

static int parse(struct yaml_node *ret, const char *text, const struct yaml_limits *limits,
		 struct err *err)
{
	return yaml_parse(ret, "t.yaml", text, strlen(text), limits, err);
}

static void refuse(const char *text, const struct yaml_limits *limits, int code)
{
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_int_eq(parse(&root, text, limits, &err), -1);
	ck_assert_int_eq(err.code, code);
	ck_assert_ptr_nonnull(err.place);
	ck_assert_ptr_null(root.items);
}

START_TEST(test_tree)
{
	static const char text[] = "a: 1.20\nb:\n  - \"x\"\n  - {c: , d: ~}\n'a b': |\n  l1\n  l2\n";
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	const struct yaml_node *list, *map;

	ck_assert_int_eq(parse(&root, text, &wide, &err), 0);
	ck_assert_int_eq(root.kind, YAML_MAP);
	ck_assert_uint_eq(root.count, 3);
	ck_assert_str_eq(yaml_get(&root, "a")->text, "1.20");
	ck_assert(yaml_get(&root, "a")->plain);
	ck_assert_str_eq(yaml_get(&root, "a b")->text, "l1\nl2\n");
	ck_assert(!yaml_get(&root, "a b")->plain);
	list = yaml_get(&root, "b");
	ck_assert_int_eq(list->kind, YAML_LIST);
	ck_assert_uint_eq(list->count, 2);
	ck_assert(!list->items[0].plain);
	map = &list->items[1];
	ck_assert_uint_eq(map->count, 2);
	ck_assert(yaml_is_nothing(yaml_value(map, 0)));
	ck_assert(yaml_is_nothing(yaml_get(map, "d")));
	ck_assert(!yaml_is_nothing(&list->items[0]));
	ck_assert_ptr_null(yaml_get(&root, "c"));
	ck_assert_ptr_null(yaml_get(list, "c"));
	ck_assert_ptr_null(yaml_get(NULL, "c"));
}
END_TEST

START_TEST(test_places)
{
	static const char text[] = "a: 1\nb:\n  \"\xc3\xa4\xc3\xa4\": x\r\n  c: [1,\n   2]\n";
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	const struct yaml_node *b;

	ck_assert_int_eq(parse(&root, text, &wide, &err), 0);
	b = yaml_get(&root, "b");
	ck_assert_uint_eq(yaml_key(b, 0)->place.line, 3);
	ck_assert_uint_eq(yaml_key(b, 0)->place.column, 3);
	/* characters, not bytes */
	ck_assert_uint_eq(yaml_value(b, 0)->place.column, 9);
	ck_assert_uint_eq(yaml_get(b, "c")->items[1].place.line, 5);
	ck_assert_uint_eq(yaml_get(b, "c")->items[1].place.column, 4);
}
END_TEST

START_TEST(test_limits)
{
	static const struct yaml_limits narrow = { 20, 2, 5 };
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_int_eq(parse(&root, "{a: [1, 2]}", &narrow, &err), 0);
	refuse("{a: [1, 2, 3]}", &narrow, ERR_SPEC_LIMIT);
	refuse("[[[1]]]", &narrow, ERR_SPEC_LIMIT);
	refuse("aaaaaaaaaaaaaaaaaaaaa", &narrow, ERR_SPEC_LIMIT);
	refuse("", &narrow, ERR_SPEC_MISSING);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const texts[] = {
		"a: &x 1", "a: *x", "&x a: 1", "- &x [1]", "a: !x 1", "a: ! 1", "!!map {}",
		"<<: {a: 1}", "a: 1\n---\nb: 1", "a: 1\na: 2", "{a: 1, \"a\": 2}", "? {a: b}\n: c",
		"%TAG ! x\n---\na: 1", "a: \"\\0\"", "a: \"\\x00b\"", "a: 1\x7f", "a: \xc2\x85",
		"\xef\xbb\xbf", "a: [", "a: 'b", "\ta: 1", "a: b: c", "a:\n - b\n c: d",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		refuse(texts[i], &wide, ERR_SPEC_SYNTAX);
}
END_TEST

/* The first of three equal keys is named as such, the second is where the message points. */
START_TEST(test_duplicate_place)
{
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_int_eq(parse(&root, "z: 1\nb: 1\na: 1\nz: 2\na: 2\nz: 3\n", &wide, &err), -1);
	ck_assert_str_eq(err.place, "t.yaml:4:1");
	ck_assert_ptr_nonnull(strstr(err.msg, "t.yaml:1:1"));
}
END_TEST

static void refuse_repeated(const char *before, const char *unit)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	str_add(&text, before);
	while (text.length < HOSTILE_BYTES)
		str_add(&text, unit);
	alarm(HOSTILE_SECONDS);
	ck_assert_msg(parse(&root, text.text, &wide, &err) == -1, "%s%s... is taken", before, unit);
	alarm(0);
	ck_assert_ptr_nonnull(err.place);
}

START_TEST(test_hostile)
{
	static const char *const units[] = {
		"[", "{", "- ", "[{", "{a: ", "? ", "{? ", "[[],", "&", "*", "!", "|", "\"", "'a\n",
		"a: &b [", "%TAG !a! b\n", "a\n: ", "\xff", "]", "}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		refuse_repeated("", units[i]);
		refuse_repeated("a: ", units[i]);
	}
	refuse_repeated("a: &", "x");
	refuse_repeated("a: *", "x");
	refuse_repeated("a: !", "x");
	refuse_repeated("a: \"", "\\");
	refuse_repeated("a: '", "''");
	refuse_repeated("", "\t");
}
END_TEST

/* As many keys as the limit on nodes lets in: the search for equal ones must stay cheap. */
START_TEST(test_many_keys)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	for (unsigned int i = 0; i < 49999; i++)
		str_addf(&text, "k%u: 1\n", i);
	alarm(HOSTILE_SECONDS);
	ck_assert_int_eq(parse(&root, text.text, &wide, &err), 0);
	ck_assert_uint_eq(root.count, 49999);
	yaml_done(&root);
	str_add(&text, "k7: 2\n");
	ck_assert_int_eq(parse(&root, text.text, &(struct yaml_limits){ 1 << 20, 64, 100001 }, &err),
			 -1);
	ck_assert_str_eq(err.place, "t.yaml:50000:1");
	alarm(0);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_tree, 1 }, { test_places, 1 }, { test_limits, 1 }, { test_refused, 1 },
		{ test_duplicate_place, 1 }, { test_hostile, 1 }, { test_many_keys, 1 },
	};
	const struct unit unit = { "yaml", .timeout_s = 120 };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
