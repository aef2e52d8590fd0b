/*
 * YAML: see yaml.h. libyaml gives events; depth and number are checked at each event and before
 * going further down, because libyaml itself has no limit and becomes slow on deep nesting.
 */
#include "core/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/mem.h"
#include "core/str.h"

#define MESSAGE_TEXT_MAX 60	/* bytes of the user's text in a message */

struct reader {
	yaml_parser_t parser;
	const char *file;	/* borrowed */
	const char *text;	/* borrowed */
	size_t size;
	const struct yaml_limits *limits;
	size_t nodes;
	struct err *err;
};

static struct place place_of(yaml_mark_t mark)
{
	return (struct place){ (unsigned int)mark.line + 1, (unsigned int)mark.column + 1 };
}

static int refuse(struct reader *r, yaml_mark_t mark, const char *what, const char *mend)
{
	place_fail(r->err, r->file, place_of(mark), ERR_SPEC_SYNTAX, "%s", what);
	if (mend)
		err_mend(r->err, "%s", mend);
	return -1;
}

static size_t lead_size(unsigned char lead)
{
	return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* What is wrong with the character at `s`, or NULL. Its length goes to *ret_size. */
static const char *bad_character(const unsigned char *s, size_t left, size_t *ret_size)
{
	size_t size = lead_size(s[0]);

	*ret_size = size;
	if (s[0] >= ' ' && s[0] < 0x7f)
		return NULL;
	if (size > left || !str_is_utf8((const char *)s, size))
		return "not UTF-8";
	if (s[0] == 0)
		return "a NUL byte";
	if ((s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r') || s[0] == 0x7f ||
	    (s[0] == 0xc2 && s[1] < 0xa0))
		return "a control character";
	if (size == 3 && !memcmp(s, "\xef\xbb\xbf", 3))
		return "a byte order mark";
	if (size == 3 && !memcmp(s, "\xe2\x80", 2) && (s[2] == 0xa8 || s[2] == 0xa9))
		return "a line separator that editors do not show";
	if (size == 3 && !memcmp(s, "\xef\xbf", 2) && s[2] >= 0xbe)
		return "a character that is none (U+FFFE, U+FFFF)";
	return NULL;
}

/*
 * The whole text before libyaml sees it: its reader knows no line for a bad byte, takes three more
 * characters for line ends than editors do, and its list of %TAG directives is searched linearly.
 */
static int check_text(struct reader *r)
{
	struct place at = { 1, 1 };
	size_t size;

	if (r->size > r->limits->bytes)
		return place_fail(r->err, r->file, at, ERR_SPEC_LIMIT,
				  "%zu bytes, of at most %zu", r->size, r->limits->bytes);
	for (size_t i = 0; i < r->size; i += size) {
		const unsigned char *s = (const unsigned char *)r->text + i;
		const char *bad = bad_character(s, r->size - i, &size);

		if (bad)
			return place_fail(r->err, r->file, at, ERR_SPEC_SYNTAX, "%s in the text",
					  bad);
		if (s[0] == '%' && at.column == 1)
			return place_fail(r->err, r->file, at, ERR_SPEC_SYNTAX,
					  "a line begins with %%: directives are refused");
		if (s[0] == '\n' || (s[0] == '\r' && (i + 1 == r->size || s[1] != '\n'))) {
			at.line++;
			at.column = 1;
		} else {
			at.column++;
		}
	}
	return 0;
}

/* The byte at a mark, or 0 past the end. */
static char byte_at(const struct reader *r, yaml_mark_t mark)
{
	size_t i = 0;

	for (size_t n = 0; n < mark.index && i < r->size; n++)
		i += lead_size((unsigned char)r->text[i]);
	return i < r->size ? r->text[i] : '\0';
}

static int parser_failed(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	_cleanup_free_ char *context = NULL;
	char byte = byte_at(r, p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return err_sys(r->err, ENOMEM, "read %s", r->file);
	if (p->context && p->context_mark.line != p->problem_mark.line)
		context = xasprintf("%s that begins at line %zu", p->context,
				    p->context_mark.line + 1);
	else if (p->context)
		context = xstrdup(p->context);
	place_fail(r->err, r->file, place_of(p->problem_mark), ERR_SPEC_SYNTAX, "%s%s%s",
		   p->problem ? p->problem : "not YAML", context ? " " : "",
		   context ? context : "");
	if (byte == '\t')
		err_mend(r->err, "indent with blanks, not with tabs");
	else if (byte == '@' || byte == '`' || byte == '%')
		err_mend(r->err, "put a value that begins with %c in quotes", byte);
	return -1;
}

static int next_event(struct reader *r, yaml_event_t *ret)
{
	if (!yaml_parser_parse(&r->parser, ret)) {
		*ret = (yaml_event_t){ 0 };
		return parser_failed(r);
	}
	return 0;
}

static int read_node(struct reader *r, const yaml_event_t *event, unsigned int depth,
		     struct yaml_node *ret);

static int check_anchor_and_tag(struct reader *r, const yaml_event_t *event,
				const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return refuse(r, event->start_mark, "anchors (&NAME) are refused",
			      "write the value at each place where it is needed");
	if (tag)
		return refuse(r, event->start_mark, "tags (!NAME) are refused",
			      "values are typed by their key; leave the tag out");
	return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, struct yaml_node *ret)
{
	const char *text = (const char *)event->data.scalar.value;

	if (check_anchor_and_tag(r, event, event->data.scalar.anchor, event->data.scalar.tag) < 0)
		return -1;
	if (memchr(text, '\0', event->data.scalar.length))
		return refuse(r, event->start_mark, "a NUL character in a value", NULL);
	ret->kind = YAML_TEXT;
	ret->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	ret->text = xstrndup(text, event->data.scalar.length);
	return 0;
}

/* By text, then by place. */
static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *x = *(const struct yaml_node *const *)a;
	const struct yaml_node *y = *(const struct yaml_node *const *)b;
	int order = strcmp(x->text, y->text);

	return order ? order : x < y ? -1 : x > y;
}

/* Sorted, so that a map of 50,000 keys costs no more than it must. */
static int check_duplicates(struct reader *r, const struct yaml_node *map)
{
	_cleanup_free_ const struct yaml_node **keys = xcalloc(map->count, sizeof(*keys));
	const struct yaml_node *first = NULL, *second = NULL;
	_cleanup_free_ char *name = NULL;

	for (size_t i = 0; i < map->count; i++)
		keys[i] = yaml_key(map, i);
	qsort(keys, map->count, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < map->count; i++) {
		if (strcmp(keys[i - 1]->text, keys[i]->text) || (second && second < keys[i]))
			continue;
		first = keys[i - 1];
		second = keys[i];
	}
	if (!second)
		return 0;
	name = str_escape(second->text, MESSAGE_TEXT_MAX);
	place_fail(r->err, r->file, second->place, ERR_SPEC_SYNTAX,
		   "duplicate key \"%s\", first at %s:%u:%u", name, r->file, first->place.line,
		   first->place.column);
	return err_mend(r->err, "keep one of the two");
}

static int check_key(struct reader *r, const yaml_event_t *event)
{
	if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
		return refuse(r, event->start_mark, "a list or a map as a key", NULL);
	if (event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 2 &&
	    event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    !memcmp(event->data.scalar.value, "<<", 2))
		return refuse(r, event->start_mark, "merge keys (<<) are refused",
			      "write the values at each place where they are needed");
	return 0;
}

static int read_items(struct reader *r, unsigned int depth, yaml_event_type_t end,
		      struct yaml_node *ret)
{
	bool is_map = end == YAML_MAPPING_END_EVENT;
	size_t used = 0, room = 0;

	ret->kind = is_map ? YAML_MAP : YAML_LIST;
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };

		if (next_event(r, &event) < 0)
			return -1;
		if (event.type == end)
			break;
		if (is_map && used % 2 == 0 && check_key(r, &event) < 0)
			return -1;
		/* room for a key and its value at once: yaml_done looks at both of a pair */
		if (used + 2 > room) {
			room = room ? room * 2 : 4;
			ret->items = xreallocarray(ret->items, room, sizeof(*ret->items));
		}
		memset(&ret->items[used], 0, 2 * sizeof(*ret->items));
		used++;
		ret->count = is_map ? (used + 1) / 2 : used;
		if (read_node(r, &event, depth, &ret->items[used - 1]) < 0)
			return -1;
	}
	return is_map ? check_duplicates(r, ret) : 0;
}

static int read_collection(struct reader *r, const yaml_event_t *event, unsigned int depth,
			   struct yaml_node *ret)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor
					   : event->data.sequence_start.anchor;
	const yaml_char_t *tag = is_map ? event->data.mapping_start.tag
					: event->data.sequence_start.tag;

	if (check_anchor_and_tag(r, event, anchor, tag) < 0)
		return -1;
	if (depth >= r->limits->depth)
		return place_fail(r->err, r->file, ret->place, ERR_SPEC_LIMIT,
				  "more than %u maps and lists in each other", r->limits->depth);
	return read_items(r, depth + 1,
			  is_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, ret);
}

/* `depth`: how many collections are open around this node. */
static int read_node(struct reader *r, const yaml_event_t *event, unsigned int depth,
		     struct yaml_node *ret)
{
	ret->place = place_of(event->start_mark);
	if (++r->nodes > r->limits->nodes)
		return place_fail(r->err, r->file, ret->place, ERR_SPEC_LIMIT,
				  "more than %zu values", r->limits->nodes);
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(r, event, ret);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return read_collection(r, event, depth, ret);
	case YAML_ALIAS_EVENT:
		return refuse(r, event->start_mark, "aliases (*NAME) are refused",
			      "write the value at each place where it is needed");
	default:
		return refuse(r, event->start_mark, "a value was expected", NULL);
	}
}

/* Reads the event that must come now; false in *ret_is when it is another one. */
static int expect_event(struct reader *r, yaml_event_type_t type, bool *ret_is,
			struct place *ret_place)
{
	_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };

	if (next_event(r, &event) < 0)
		return -1;
	*ret_is = event.type == type;
	*ret_place = place_of(event.start_mark);
	return 0;
}

static int read_document(struct reader *r, struct yaml_node *ret)
{
	_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
	struct place place;
	bool is;

	if (expect_event(r, YAML_STREAM_START_EVENT, &is, &place) < 0 ||
	    expect_event(r, YAML_DOCUMENT_START_EVENT, &is, &place) < 0)
		return -1;
	if (!is)
		return place_fail(r->err, r->file, (struct place){ 1, 1 }, ERR_SPEC_MISSING,
				  "the file is empty");
	if (next_event(r, &event) < 0 || read_node(r, &event, 0, ret) < 0 ||
	    expect_event(r, YAML_DOCUMENT_END_EVENT, &is, &place) < 0 ||
	    expect_event(r, YAML_STREAM_END_EVENT, &is, &place) < 0)
		return -1;
	if (!is) {
		place_fail(r->err, r->file, place, ERR_SPEC_SYNTAX, "a second document");
		return err_mend(r->err, "keep one document in the file");
	}
	return 0;
}

int yaml_parse(struct yaml_node *ret, const char *file, const char *text, size_t size,
	       const struct yaml_limits *limits, struct err *err)
{
	_cleanup_(yaml_done) struct yaml_node root = { 0 };
	struct reader r = {
		.file = file, .text = text, .size = size, .limits = limits, .err = err,
	};
	int result;

	if (check_text(&r) < 0)
		return -1;
	if (!yaml_parser_initialize(&r.parser))
		return err_sys(err, ENOMEM, "read %s", file);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
	result = read_document(&r, &root);
	yaml_parser_delete(&r.parser);
	if (result < 0)
		return -1;
	*ret = root;
	root = (struct yaml_node){ 0 };
	return 0;
}

void yaml_done(struct yaml_node *node)
{
	size_t items = node->kind == YAML_MAP ? node->count * 2 : node->count;

	for (size_t i = 0; i < items; i++)
		yaml_done(&node->items[i]);
	free(node->items);
	free(node->text);
	*node = (struct yaml_node){ 0 };
}

const struct yaml_node *yaml_key(const struct yaml_node *map, size_t index)
{
	return &map->items[2 * index];
}

const struct yaml_node *yaml_value(const struct yaml_node *map, size_t index)
{
	return &map->items[2 * index + 1];
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (!strcmp(yaml_key(map, i)->text, key))
			return yaml_value(map, i);
	return NULL;
}

bool yaml_is_nothing(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT && node->plain &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}
