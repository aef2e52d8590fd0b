/*
 * YAML into a small tree that is not changed afterwards; every node knows where it stands.
 *
 * Only what a spec needs is let in: one document of maps, lists and scalars in UTF-8. Refused,
 * each with its place: anchors, aliases, tags, merge keys, directives, further documents,
 * duplicate keys, keys that are not scalars, control characters, a byte order mark, and whatever
 * goes beyond the limits. Nothing is typed here: a scalar is its text, its key says what it means.
 */
#ifndef DUET_CORE_YAML_H
#define DUET_CORE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/place.h"

struct yaml_limits {
	size_t bytes;		/* of the text */
	unsigned int depth;	/* collections in each other */
	size_t nodes;		/* scalars and collections, keys too */
};

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	bool plain;			/* a scalar without quotes and not a block */
	struct place place;
	char *text;			/* owned; of a scalar; holds no NUL */
	struct yaml_node *items;	/* owned; of a map: key, value, key, value ... */
	size_t count;			/* items of a list, pairs of a map */
};

/*
 * Reads one document. `file` is for messages. An empty text is ERR_SPEC_MISSING, what the limits
 * forbid ERR_SPEC_LIMIT, all else ERR_SPEC_SYNTAX.
 */
int yaml_parse(struct yaml_node *ret, const char *file, const char *text, size_t size,
	       const struct yaml_limits *limits, struct err *err);
void yaml_done(struct yaml_node *node);

/* The value of `key` in a map, borrowed; NULL when it is absent, or `map` is NULL or not a map. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
const struct yaml_node *yaml_key(const struct yaml_node *map, size_t index);
const struct yaml_node *yaml_value(const struct yaml_node *map, size_t index);
/* A plain scalar that stands for nothing: empty, "~" or "null". */
bool yaml_is_nothing(const struct yaml_node *node);

#endif
