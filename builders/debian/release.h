/*
 * InRelease: the signed list of an archive's files (Debian's wiki, RepositoryFormat). Pure. What
 * release_frame sees is anybody's; what release_parse sees was signed.
 */
#ifndef DUET_BUILDERS_DEBIAN_RELEASE_H
#define DUET_BUILDERS_DEBIAN_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

#define RELEASE_BYTES_MAX (4u << 20)	/* of an InRelease */

/*
 * One cleartext signature (RFC 4880, 7) and nothing else: no text before or behind it, no second
 * message in it. On false *ret_why tells (a literal).
 */
bool release_frame(const char *text, size_t size, const char **ret_why);

/* A file of the archive, as the signed text has it. */
struct release_file {
	struct digest sha256;
	uint64_t bytes;
	bool by_hash;	/* the archive keeps it under its digest too */
	int64_t date_s;	/* of the signed text, since 1970; 0 when it has none */
	struct digest in_release;	/* of the whole InRelease; set by archive_release */
};

/*
 * Looks up `path` in the signed text of `suite` (its Suite or Codename). `now_s`: seconds since 1970.
 * Errors: ERR_SIGNATURE for another suite, an expired text, a missing or malformed entry.
 */
int release_parse(const char *text, size_t size, const char *suite, const char *path, int64_t now_s,
		  struct release_file *ret, struct err *err);

/* "Sun, 29 Nov 2026 19:58:56 UTC" (also GMT, +0000) as seconds since 1970. */
bool release_date(const char *text, int64_t *ret_s);

#endif
