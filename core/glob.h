/*
 * Patterns of names (glob(7)) and the rules of a .duetignore. Pure: no file is looked at. In time a match
 * takes at most pattern times text, whatever stands in either.
 */
#ifndef DUET_CORE_GLOB_H
#define DUET_CORE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#define IGNORE_FILE ".duetignore"
#define IGNORE_BYTES_MAX (256 * 1024)	/* of one file */
#define IGNORE_RULES_MAX 10000

/* Is there anything in it but plain names: *, ?, [ or a backslash? */
bool glob_is_pattern(const char *text);
/*
 * Cuts the first pattern off the path in front of it; `from` is where to look for one. Returns it, relative,
 * owned; NULL: there is none, and `path` is as it was.
 */
char *glob_cut(char *path, size_t from);
/*
 * Does one component match? *, ? and [...] as in glob(7); a backslash takes its meaning from what
 * follows. `hidden`: wildcards match a "." at the start of a name, too.
 */
bool glob_match_name(const char *pattern, size_t length, const char *name, bool hidden);

enum glob_match { GLOB_NO, GLOB_ITSELF, GLOB_BELOW /* a folder above it matches */ };

/*
 * Both relative, parted by "/". A component "**" stands for any number of them, at the end of a pattern for
 * at least one. Hidden names match as others do.
 */
enum glob_match glob_match(const char *pattern, const char *path);

/* One line of a .duetignore. */
struct ignore_rule {
	char *pattern;	/* owned; relative to the file's folder */
	bool keep;	/* "!": what it matches is not ignored after all */
	bool folder;	/* "/" at the end: folders only, with what is below */
};

struct ignore {
	struct ignore_rule *rules;	/* owned, in order: the last one that matches decides */
	size_t count;
	bool has_keep;
};

/*
 * Lines: "#" begins a comment; "!" takes back; patterns as above that match hidden names too, from the
 * file's own folder. `file` is for messages. ERR_SPEC_VALUE with the line as the place.
 */
int ignore_parse(struct ignore *ret, const char *file, const char *text, size_t size,
		 struct err *err);
/* *ignored is changed where a rule matches `path` or a folder above it. NULL: no rules. */
void ignore_apply(const struct ignore *ignore, const char *path, bool is_folder, bool *ignored);
void ignore_done(struct ignore *ignore);

#endif
