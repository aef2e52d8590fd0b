/*
 * Debian's control files (deb822, Debian Policy 5.1): stanzas of "Field: value" lines, parted by
 * empty lines; a line that begins with a blank continues the field before it. Pure.
 */
#ifndef DUET_BUILDERS_DEBIAN_CONTROL_H
#define DUET_BUILDERS_DEBIAN_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

struct control {
	const char *text;	/* borrowed; what is left to read */
	size_t size;
};

/* One stanza: a part of the text, borrowed. */
struct stanza {
	const char *text;
	size_t size;
};

/* The next stanza; false when there is none. Lines that begin with "#" belong to none. */
bool control_next(struct control *control, struct stanza *ret);
/*
 * The value of a field (names are compared without case), owned: without the blanks around it,
 * continuation lines joined by newlines, each without its first blank; NULL when the field is
 * missing, is there twice, or holds a NUL.
 */
char *stanza_get(const struct stanza *stanza, const char *field);
/* Does the list, parted by blanks or commas, hold the word? */
bool control_has_word(const char *list, const char *word);

#endif
