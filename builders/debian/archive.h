/*
 * A Debian archive: its signed lists and its files. All of it may come over plain http or from a
 * folder (file:///): nothing is used before a signature or a digest has vouched for it.
 */
#ifndef DUET_BUILDERS_DEBIAN_ARCHIVE_H
#define DUET_BUILDERS_DEBIAN_ARCHIVE_H

#include "builders/debian/release.h"
#include "core/store.h"

/* $DUET_DEBIAN_KEYRING, or Debian's own. */
const char *archive_keyring(void);
/*
 * The base URL of a mirror: $DUET_DEBIAN_MIRROR, or the one from which this host's apt takes `suite`,
 * or another suite of Debian. Owned; NULL when there is none.
 */
char *archive_mirror(const char *suite);
/*
 * Fetches MIRROR/PATH into an unnamed file of the store. Without `expected` at most `bytes` bytes
 * come, else exactly so many. `what` is for progress. Errors: ERR_FETCH, ERR_FETCH_DIGEST.
 */
int archive_fetch(struct store *store, const char *mirror, const char *path,
		  const struct digest *expected, uint64_t bytes, const char *what, int *ret_fd,
		  struct err *err);
/*
 * Fetches the suite's InRelease, verifies it against `keys` (NULL: archive_keyring), and looks up
 * `file` in it. *ret_fd (owned; ret_fd may be NULL) is the InRelease, an unnamed file of the store.
 * Errors: ERR_SIGNATURE, ERR_FETCH, ERR_HOST.
 */
int archive_release(struct store *store, const char *mirror, const char *suite, const char *keys,
		    const char *file, struct release_file *ret, int *ret_fd, struct err *err);

#endif
