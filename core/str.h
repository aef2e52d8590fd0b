/* Text: building, escaping, guessing what was meant. Pure. */
#ifndef DUET_CORE_STR_H
#define DUET_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>

/* A growing text; `text` is always ended by NUL once something was added. */
struct str {
	char *text;	/* owned */
	size_t length;	/* bytes, without the NUL */
	size_t room;
};

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *data, size_t length);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void str_done(struct str *s);

bool str_has_prefix(const char *text, const char *prefix);
bool str_has_suffix(const char *text, const char *suffix);
/* Valid UTF-8 without overlong forms and surrogates (RFC 3629). */
bool str_is_utf8(const char *text, size_t length);

/*
 * The one escaper for text that duet did not make (file names, server answers, labels): C0, C1,
 * DEL, bidirectional controls and bytes that are not UTF-8 become \xNN or \u{NNNN}; a backslash
 * is doubled; what is longer than `max` bytes is cut with "...". Returns an owned text.
 */
char *str_escape(const char *text, size_t max);
/*
 * The last wall, for a whole message in which escaped text stands already: as above, but backslashes
 * and line feeds are left alone and nothing is cut. Owned.
 */
char *str_printable(const char *text);

/*
 * The nearest of `words` (ended by NULL) to `text` by edit distance, or NULL when none is near
 * enough to be what was meant. Borrowed from `words`.
 */
const char *str_nearest(const char *text, const char *const *words);

#endif
