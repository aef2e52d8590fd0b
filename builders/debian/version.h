/* Debian's package versions. Pure. */
#ifndef DUET_BUILDERS_DEBIAN_VERSION_H
#define DUET_BUILDERS_DEBIAN_VERSION_H

#include <stdbool.h>

/* [EPOCH:]UPSTREAM[-REVISION] with the characters that Debian Policy 5.6.12 allows. */
bool version_is_valid(const char *version);
/*
 * Below, equal or above 0 as a is older than, the same as, or newer than b (Debian Policy 5.6.12).
 * Any text will do: what is no version still has a place in the order.
 */
int version_compare(const char *a, const char *b);

#endif
