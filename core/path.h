/* Paths as text. Pure: no file is looked at. */
#ifndef DUET_CORE_PATH_H
#define DUET_CORE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define PATH_LENGTH_MAX 4095	/* bytes, as the kernel's PATH_MAX without the NUL */
#define PATH_NAME_MAX 255	/* bytes of one component */

/*
 * The clean relative form of a path out of an archive or an image: leading slashes, "." components
 * and doubled slashes go; "" stands for the root. False when a component is "..", is longer than
 * PATH_NAME_MAX, or the whole is longer than PATH_LENGTH_MAX. `ret` holds PATH_LENGTH_MAX + 1 bytes.
 */
bool path_clean(const char *path, char *ret);
/* An absolute path without "..", ".", and doubled slashes: what it says when no link is in it. Owned. */
char *path_normal(const char *path);
/* DIR/NAME, owned; NAME alone when it is absolute or DIR is "" or NULL. */
char *path_join(const char *dir, const char *name);
/* The last component, borrowed from `path`. */
const char *path_base(const char *path);
/* Lexical: is the clean absolute `path` equal to or below the clean absolute `dir`? */
bool path_is_below(const char *path, const char *dir);

#endif
