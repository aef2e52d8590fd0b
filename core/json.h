/*
 * JSON to write, value after value in the order of the calls. Inside a map every value has a key;
 * inside a list `key` is NULL. Text must be UTF-8; what is not is written escaped (str_escape).
 */
#ifndef DUET_CORE_JSON_H
#define DUET_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
