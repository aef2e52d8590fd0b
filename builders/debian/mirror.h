/* Which Debian mirror this host takes its packages from. */
#ifndef DUET_BUILDERS_DEBIAN_MIRROR_H
#define DUET_BUILDERS_DEBIAN_MIRROR_H

#include <stdbool.h>

#include "core/err.h"

/*
 * The base URL of the first entry of apt's sources that has binary packages of `suite` and the
 * component main, or NULL. Owned; without slashes at the end. Pure.
 */
char *mirror_in_list(const char *text, const char *suite);	/* sources.list(5), one line each */
char *mirror_in_deb822(const char *text, const char *suite);	/* *.sources */

/*
 * The mirror for `suite` by the sources of this host's apt ($DUET_APT_SOURCES: another folder
 * instead of /etc/apt, for tests). Owned; NULL when no entry has it.
 */
char *mirror_of_host(const char *suite);

#endif
