/*
 * JSON to write, value after value in the order of the calls. Inside a map every value has a key;
 * inside a list `key` is NULL. Text must be UTF-8; what is not is written escaped (str_escape).
 * And JSON of others to read.
 */
#ifndef DUET_CORE_JSON_H
#define DUET_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mem.h"

#define JSON_OUT_DEPTH_MAX 16

struct json_out {
	void *open[JSON_OUT_DEPTH_MAX];	/* the collections around the next value */
	unsigned int depth;
};

/* Begins with an open map. */
void json_out_init(struct json_out *out);
void json_out_map(struct json_out *out, const char *key);
void json_out_list(struct json_out *out, const char *key);
/* Closes the innermost map or list. */
void json_out_end(struct json_out *out);
void json_out_text(struct json_out *out, const char *key, const char *value);
/* At most INT64_MAX: JSON readers take larger numbers for fractions. */
void json_out_number(struct json_out *out, const char *key, uint64_t value);
void json_out_bool(struct json_out *out, const char *key, bool value);
void json_out_texts(struct json_out *out, const char *key, const struct strv *values);
struct json_in;
/* A value that was read, as it was; `value` may go afterwards. */
void json_out_in(struct json_out *out, const char *key, const struct json_in *value);
/* The members of `text`, a constant JSON map, into the open map. */
void json_out_members(struct json_out *out, const char *text);
/* The whole, indented by two blanks, with a newline behind it. Owned. Releases `out`. */
char *json_out_finish(struct json_out *out);

/*
 * Looks into a JSON text of others (strict: no duplicate keys, UTF-8): is there a member at `path`,
 * keys parted by dots ("error.desc"), a number for a list's member ("errors.0.code")? *ret: its text
 * when it is one, else NULL; owned; may be NULL.
 */
bool json_look(const char *text, size_t size, const char *path, char **ret);
/* The same for a whole number that is not negative; false for anything else. */
bool json_look_number(const char *text, size_t size, const char *path, uint64_t *ret);

/* ---- reading what others wrote -------------------------------------------------------------- */

#define JSON_IN_VALUES_MAX 100000	/* values of one text: memory grows by some 300 bytes for each */

struct json_in;	/* a value; those inside a document live as long as the document */

/*
 * Reads a whole text: no duplicate keys, no NUL, UTF-8, numbers within int64_t or double, at most
 * `depth_max` collections in each other and JSON_IN_VALUES_MAX values; both bounds are looked at
 * before anything is made. A failure has `code`, says why, and does not name the text.
 */
int json_in_new(const char *text, size_t size, unsigned int depth_max, int code,
		struct json_in **ret, struct err *err);
void json_in_free(struct json_in *document);

/* Each of these takes NULL and a value of another kind. */
bool json_in_is_map(const struct json_in *value);
bool json_in_is_list(const struct json_in *value);
/* A member; NULL when it is missing or null. */
const struct json_in *json_in_get(const struct json_in *map, const char *key);
/* How many there are in a list or map; an item, which may be a null. */
size_t json_in_count(const struct json_in *value);
const struct json_in *json_in_item(const struct json_in *list, size_t index);
/* The text, without any NUL in it; NULL when it is none. */
const char *json_in_text(const struct json_in *value);
/* Whole numbers only: 1.0 and 1e3 are none. */
bool json_in_number(const struct json_in *value, int64_t *ret);
/* Calls `each` for every member, nulls too, in the order of the text; stops when it gives not 0. */
int json_in_each(const struct json_in *map,
		 int (*each)(void *data, const char *key, const struct json_in *value,
			     struct err *err),
		 void *data, struct err *err);

/*
 * The same for keys that may have dots in them: `keys` one by one from the outermost, ended by NULL.
 * A null counts as nothing. *ret: the text, owned; NULL unless it is JSON_FOUND_TEXT; may be NULL.
 */
enum json_found { JSON_FOUND_BROKEN, JSON_FOUND_NOTHING, JSON_FOUND_TEXT, JSON_FOUND_MAP,
		  JSON_FOUND_OTHER };
enum json_found json_seek(const char *text, size_t size, const char *const *keys, char **ret);
/*
 * A JSON text of others with one member changed, all else kept: the text `value` is put at `keys`,
 * maps on the way are made; NULL takes the member out. Owned; NULL when the text is broken, or a
 * key on the way has no map.
 */
char *json_with(const char *text, size_t size, const char *const *keys, const char *value);

#endif
