/*
 * The language of duet.yaml as one table: every key with its type, range, default and a line of
 * help. The table drives the checker, the JSON Schema and the key reference of the manual page.
 *
 * Keys stand in objects, named "image", "target", ... An object of a family, such as "step.copy",
 * is told from the others of "step" by the one key that bears its name ("copy").
 */
#ifndef DUET_CORE_SPEC_SCHEMA_H
#define DUET_CORE_SPEC_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/place.h"
#include "core/yaml.h"

#define SCHEMA_TOP "spec"		/* the object at the top of the file */
#define SCHEMA_ITEMS_MAX 4096		/* items of a list or pairs of a map, unless said */

/* What a scalar must be; core/schema.c has a row for each. */
enum schema_type {
	SCHEMA_NONE,		/* no scalar will do */
	SCHEMA_TEXT,
	SCHEMA_VERSION,
	SCHEMA_BOOL,
	SCHEMA_NUMBER,		/* whole, min to max */
	SCHEMA_WORD,		/* one of `words` */
	SCHEMA_NAME,
	SCHEMA_HOSTNAME,
	SCHEMA_USER,
	SCHEMA_INSIDE,		/* an absolute path inside the instance, without ".." */
	SCHEMA_HOST_PATH,
	SCHEMA_REFERENCE,	/* https:// URL, file:// URL or path of the host */
	SCHEMA_SHA256,
	SCHEMA_SIZE,		/* at least min bytes */
	SCHEMA_DURATION,
	SCHEMA_MODE,
	SCHEMA_OWNER,
	SCHEMA_MOUNT,		/* SRC:DST[:ro|:rw] */
	SCHEMA_CAPABILITY,
	SCHEMA_SUITE,
	SCHEMA_PACKAGE,		/* NAME or NAME=VERSION of Debian */
	SCHEMA_MIRROR,		/* http://, https:// or file:/// */
	SCHEMA_KERNEL,		/* auto, debian, host, or a path of the host that begins with / or . */
	SCHEMA_SOURCE,		/* scratch, or a reference of an OCI image */
	SCHEMA_PLATFORM,	/* linux/ARCHITECTURE[/VARIANT] */
	SCHEMA_EXPOSED,		/* PORT[/PROTOCOL] */
	SCHEMA_SIGNAL,
	SCHEMA_TYPE_COUNT
};

/* Bits: in which shapes the scalar, or the object, may come. */
enum schema_shape { SCHEMA_ONE = 1, SCHEMA_LIST = 2, SCHEMA_PAIRS = 4 };

struct schema_key {
	const char *object;		/* in which this key stands */
	const char *name;
	enum schema_type type;
	unsigned int shape;		/* enum schema_shape, or'ed */
	const char *family;		/* the object that may stand here, or a family of them */
	bool required;
	bool expands;			/* ${NAME} is put in; the text is checked afterwards */
	uint64_t min, max;		/* of a number or size; max 0: no bound */
	uint64_t items_max;		/* 0: SCHEMA_ITEMS_MAX */
	const char *const *words;
	const char *fallback;		/* the default, as text; NULL: none */
	const char *help;		/* one line, for people */
};

struct schema_value {
	const char *what;		/* "a duration such as 90s" */
	bool (*check)(const char *text);	/* NULL: any text */
	const char *mend;		/* or NULL */
	const char *json;		/* its JSON Schema: members of a map */
	bool is_host_path;		/* it may name a path of the host: see host_path.h */
};

extern const struct schema_key schema_keys[];	/* ended by a row without a name */

const struct schema_value *schema_value(enum schema_type type);
const struct schema_key *schema_find(const char *object, const char *name);
/* Is this row the one that tells its object from the others of `family`? */
bool schema_names_variant(const struct schema_key *key, const char *family);
/* Is there an object of exactly this name (else it is a family)? */
bool schema_is_object(const char *name);
/* "a duration such as 90s", "a word of on or a list": what may stand behind the key. Owned. */
char *schema_expected(const struct schema_key *key);

/*
 * Checks keys, shapes and values of the whole tree; texts that expand only for their shape. Errors:
 * ERR_SPEC_UNKNOWN_KEY, _TYPE, _VALUE, _LIMIT, _MISSING, with place, and a mend where one is known.
 */
int schema_check(const struct yaml_node *root, const char *file, struct err *err);
/* Checks the text of one value of `key`, as it is after ${NAME} was put in. */
int schema_check_text(const struct schema_key *key, const struct yaml_node *node, const char *text,
		      const char *file, struct err *err);

#endif
