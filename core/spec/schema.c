/* The checker of duet.yaml: see schema.h. */
#include "core/spec/schema.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */
#define WORDS_MAX 64		/* keys of one object or family */

struct checker {
	const char *file;	/* borrowed */
	struct err *err;
};

/* Words of the language that have no meaning yet, at the top. */
static const char *const reserved[] = { "services", NULL };

const struct schema_key *schema_find(const char *object, const char *name)
{
	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (!strcmp(key->object, object) && !strcmp(key->name, name))
			return key;
	return NULL;
}

bool schema_is_object(const char *name)
{
	for (const struct schema_key *key = schema_keys; key->name; key++)
		if (!strcmp(key->object, name))
			return true;
	return false;
}

static bool in_family(const struct schema_key *key, const char *family)
{
	size_t length = strlen(family);

	return !strncmp(key->object, family, length) && key->object[length] == '.';
}

bool schema_names_variant(const struct schema_key *key, const char *family)
{
	return in_family(key, family) && !strcmp(key->object + strlen(family) + 1, key->name);
}

static bool in_words(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

/* "a, b, c", or with the last joined by `last`: "a, b or c". Owned. */
static char *join(const char *const *words, const char *last)
{
	struct str text = { 0 };

	str_add(&text, "");
	for (size_t i = 0; words[i]; i++) {
		if (i > 0)
			str_add(&text, words[i + 1] ? ", " : last);
		str_add(&text, words[i]);
	}
	return text.text;
}

/* The keys of an object, or of all objects of a family; only those that name one with `naming`. */
static void key_words(const char *object, bool naming, const char *ret[WORDS_MAX + 1])
{
	size_t count = 0;

	ret[0] = NULL;
	for (const struct schema_key *key = schema_keys; key->name && count < WORDS_MAX; key++) {
		bool fits = naming ? schema_names_variant(key, object)
				   : !strcmp(key->object, object) || in_family(key, object);

		if (!fits || in_words(key->name, ret))
			continue;
		ret[count++] = key->name;
		ret[count] = NULL;
	}
}

/* What a scalar of this key must be. Owned. */
static char *expected_scalar(const struct schema_key *key)
{
	const struct schema_value *value = schema_value(key->type);

	if (key->words)
		return join(key->words, " or ");
	if (key->type == SCHEMA_NUMBER)
		return xasprintf("%s from %" PRIu64 " to %" PRIu64, value->what, key->min,
				 key->max);
	if (key->type == SCHEMA_SIZE)
		return xasprintf("%s, at least %" PRIu64 " bytes", value->what, key->min);
	return xstrdup(value->what);
}

static char *expected_item(const struct schema_key *key)
{
	_cleanup_free_ char *scalar = expected_scalar(key);

	if (!key->family)
		return TAKE_PTR(scalar);
	if (key->type == SCHEMA_NONE)
		return xstrdup("a map");
	return xasprintf("%s, or a map", scalar);
}

char *schema_expected(const struct schema_key *key)
{
	_cleanup_free_ char *item = key->shape & SCHEMA_ONE ? expected_item(key) : NULL;
	const char *words[4];
	size_t count = 0;

	if (item)
		words[count++] = item;
	if (key->shape & SCHEMA_PAIRS)
		words[count++] = "a map";
	if (key->shape & SCHEMA_LIST)
		words[count++] = "a list";
	words[count] = NULL;
	return join(words, " or ");
}

static char *found(const struct yaml_node *node, const char *text)
{
	_cleanup_free_ char *escaped = NULL;

	if (node->kind == YAML_MAP)
		return xstrdup("a map");
	if (node->kind == YAML_LIST)
		return xstrdup("a list");
	if (yaml_is_nothing(node) && !*text)
		return xstrdup("nothing");
	escaped = str_escape(text, MESSAGE_TEXT_MAX);
	return xasprintf(node->plain ? "%s" : "\"%s\"", escaped);
}

static int wrong_kind(struct checker *c, const struct schema_key *key, const char *expected,
		      const struct yaml_node *node)
{
	_cleanup_free_ char *what = found(node, node->text);

	return place_fail(c->err, c->file, node->place, ERR_SPEC_TYPE, "%s: expected %s, found %s",
			  key->name, expected, what);
}

static int mend_value(struct err *err, const struct schema_key *key, const char *text)
{
	static const char *const yes[] = { "yes", "on", "y", "1", "true", NULL };
	static const char *const no[] = { "no", "off", "n", "0", "false", NULL };
	const char *mend = schema_value(key->type)->mend;

	if (key->type == SCHEMA_BOOL) {
		for (size_t i = 0; yes[i]; i++)
			if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i]))
				return err_mend(err, "write %s, without quotes",
						strcasecmp(text, yes[i]) ? "false" : "true");
		return -1;
	}
	if (key->words) {
		const char *near = str_nearest(text, key->words);

		return near ? err_mend(err, "did you mean %s?", near) : -1;
	}
	if (key->type == SCHEMA_SHA256 && str_has_prefix(text, "sha256:"))
		return err_mend(err, "leave out \"sha256:\"");
	if (key->type == SCHEMA_SHA256 && strspn(text, "0123456789abcdefABCDEF") == 64)
		return err_mend(err, "write the digits in lower case");
	return mend ? err_mend(err, "%s", mend) : -1;
}

static bool value_is_good(const struct schema_key *key, const struct yaml_node *node,
			  const char *text)
{
	const struct schema_value *value = schema_value(key->type);
	uint64_t number = 0;

	if (key->words)
		return in_words(text, key->words);
	if (value->check && !value->check(text))
		return false;
	if (key->type == SCHEMA_BOOL)
		return node->plain;
	if (key->type == SCHEMA_NUMBER && !parse_u64(text, &number))
		return false;
	if (key->type == SCHEMA_SIZE && !parse_size(text, &number))
		return false;
	return number >= key->min && (key->max == 0 || number <= key->max);
}

int schema_check_text(const struct schema_key *key, const struct yaml_node *node, const char *text,
		      const char *file, struct err *err)
{
	_cleanup_free_ char *expected = NULL, *what = NULL;

	if (value_is_good(key, node, text))
		return 0;
	expected = expected_item(key);
	what = found(node, text);
	place_fail(err, file, node->place, ERR_SPEC_VALUE, "%s: expected %s, found %s", key->name,
		   expected, what);
	mend_value(err, key, text);
	return -1;
}

/* "did you mean", or all keys that may stand here. */
static int unknown_key(struct checker *c, const struct yaml_node *node, const char *object,
		       bool naming)
{
	_cleanup_free_ char *name = str_escape(node->text, MESSAGE_TEXT_MAX), *list = NULL;
	const char *words[WORDS_MAX + 1];
	const char *near;

	if (!strcmp(object, SCHEMA_TOP) && in_words(node->text, reserved)) {
		place_fail(c->err, c->file, node->place, ERR_SPEC_UNKNOWN_KEY,
			   "\"%s\" is a reserved word", name);
		return err_mend(c->err, "it has no meaning yet; begin keys of your own with x-");
	}
	place_fail(c->err, c->file, node->place, ERR_SPEC_UNKNOWN_KEY, "unknown key \"%s\"", name);
	key_words(object, false, words);
	near = str_nearest(node->text, words);
	if (near)
		return err_mend(c->err, "did you mean \"%s\"?", near);
	key_words(object, naming, words);
	list = join(words, ", ");
	return err_mend(c->err, "known here: %s", list);
}

static int check_object(struct checker *c, const struct yaml_node *map, const char *object);
static int check_variant(struct checker *c, const struct yaml_node *map, const char *family);

static int check_item(struct checker *c, const struct schema_key *key,
		      const struct yaml_node *node)
{
	_cleanup_free_ char *expected = NULL;

	if (node->kind == YAML_MAP && key->family)
		return schema_is_object(key->family) ? check_object(c, node, key->family)
						     : check_variant(c, node, key->family);
	if (node->kind == YAML_TEXT && key->type != SCHEMA_NONE && !yaml_is_nothing(node))
		return key->expands ? 0 : schema_check_text(key, node, node->text, c->file, c->err);
	expected = expected_item(key);
	wrong_kind(c, key, expected, node);
	if (node->kind == YAML_TEXT && key->type == SCHEMA_TEXT)
		err_mend(c->err, "write \"%s\" in quotes if the text is meant", node->text);
	return -1;
}

static int check_items(struct checker *c, const struct schema_key *key,
		       const struct yaml_node *node)
{
	uint64_t most = key->items_max ? key->items_max : SCHEMA_ITEMS_MAX;
	bool pairs = node->kind == YAML_MAP;

	if (node->count > most)
		return place_fail(c->err, c->file, node->place, ERR_SPEC_LIMIT,
				  "%s: %zu entries, of at most %" PRIu64, key->name, node->count,
				  most);
	for (size_t i = 0; i < node->count; i++)
		if (check_item(c, key, pairs ? yaml_value(node, i) : &node->items[i]) < 0)
			return -1;
	return 0;
}

static int check_value(struct checker *c, const struct schema_key *key,
		       const struct yaml_node *node)
{
	_cleanup_free_ char *expected = NULL;

	if (node->kind == YAML_LIST && key->shape & SCHEMA_LIST)
		return check_items(c, key, node);
	if (node->kind == YAML_MAP && key->shape & SCHEMA_PAIRS)
		return check_items(c, key, node);
	if (node->kind != YAML_LIST && key->shape & SCHEMA_ONE &&
	    (node->kind != YAML_MAP || key->family))
		return check_item(c, key, node);
	expected = schema_expected(key);
	return wrong_kind(c, key, expected, node);
}

static int check_required(struct checker *c, const struct yaml_node *map, const char *object)
{
	for (const struct schema_key *key = schema_keys; key->name; key++) {
		if (!key->required || strcmp(key->object, object) || yaml_get(map, key->name))
			continue;
		place_fail(c->err, c->file, map->place, ERR_SPEC_MISSING,
			   "the key \"%s\" is missing", key->name);
		return err_mend(c->err, "%s: %s", key->name, key->help);
	}
	return 0;
}

static int check_object(struct checker *c, const struct yaml_node *map, const char *object)
{
	bool top = !strcmp(object, SCHEMA_TOP);

	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *name = yaml_key(map, i);
		const struct schema_key *key = schema_find(object, name->text);

		if (key && check_value(c, key, yaml_value(map, i)) < 0)
			return -1;
		if (!key && !(top && str_has_prefix(name->text, "x-")))
			return unknown_key(c, name, object, false);
	}
	return check_required(c, map, object);
}

/* Which key of the map names its object; NULL when none does. Two are an error. */
static int find_variant(struct checker *c, const struct yaml_node *map, const char *family,
			const struct schema_key **ret)
{
	_cleanup_free_ char *list = NULL;
	const char *words[WORDS_MAX + 1];
	const struct schema_key *variant = NULL;

	for (size_t i = 0; i < map->count; i++)
		for (const struct schema_key *key = schema_keys; key->name; key++) {
			const struct yaml_node *name = yaml_key(map, i);

			if (!schema_names_variant(key, family) || strcmp(key->name, name->text))
				continue;
			if (!variant) {
				variant = key;
				continue;
			}
			key_words(family, true, words);
			list = join(words, ", ");
			place_fail(c->err, c->file, name->place, ERR_SPEC_VALUE,
				   "both \"%s\" and \"%s\" in one entry", variant->name,
				   key->name);
			return err_mend(c->err, "each entry has exactly one of: %s", list);
		}
	*ret = variant;
	return 0;
}

static int check_variant(struct checker *c, const struct yaml_node *map, const char *family)
{
	_cleanup_free_ char *list = NULL;
	const char *words[WORDS_MAX + 1];
	const struct schema_key *variant = NULL;

	if (find_variant(c, map, family, &variant) < 0)
		return -1;
	if (variant)
		return check_object(c, map, variant->object);
	key_words(family, false, words);
	for (size_t i = 0; i < map->count; i++)
		if (!in_words(yaml_key(map, i)->text, words))
			return unknown_key(c, yaml_key(map, i), family, true);
	key_words(family, true, words);
	list = join(words, ", ");
	return place_fail(c->err, c->file, map->place, ERR_SPEC_MISSING,
			  "expected one of the keys %s", list);
}

int schema_check(const struct yaml_node *root, const char *file, struct err *err)
{
	struct checker c = { file, err };

	if (root->kind != YAML_MAP) {
		place_fail(err, file, root->place, ERR_SPEC_TYPE, "expected a map, found %s",
			   root->kind == YAML_LIST ? "a list" : "text");
		return err_mend(err, "a spec begins with the line: duet: 1");
	}
	return check_object(&c, root, SCHEMA_TOP);
}
