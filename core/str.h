/* Text: building, escaping, guessing what was meant. Pure. */
#ifndef DUET_CORE_STR_H
#define DUET_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing text; `text` is always ended by NUL once something was added. */
struct str {
	char *text;	/* owned */
	size_t length;	/* bytes, without the NUL */
	size_t room;
};

void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *data, size_t length);
void str_addf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* RFC 3339 in UTC: "2024-01-02T03:04:05Z". Seconds since 1970, cut to the years 1970 to 9999. */
void str_add_time(struct str *s, int64_t seconds);
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

/* What str_visible leaves or writes in another way. */
enum str_visible_flags {
	STR_LINES = 1,	/* line feeds stay */
	STR_JSON = 2,	/* as \uNNNN, for a JSON text; a byte that is not UTF-8 stays */
};

/*
 * The net under str_escape, for a whole text on its way to the terminal: what str_escape makes
 * visible becomes visible here too, but backslashes stay, so that a text that was escaped before
 * does not change. Returns an owned text.
 */
char *str_visible(const char *text, unsigned int flags);

/*
 * The nearest of `words` (ended by NULL) to `text` by edit distance, or NULL when none is near
 * enough to be what was meant. Borrowed from `words`.
 */
const char *str_nearest(const char *text, const char *const *words);

#endif
