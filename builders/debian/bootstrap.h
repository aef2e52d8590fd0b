/* mmdebstrap in a jail: a Debian root as a tar, its packages, and what they are. */
#ifndef DUET_BUILDERS_DEBIAN_BOOTSTRAP_H
#define DUET_BUILDERS_DEBIAN_BOOTSTRAP_H

#include <stdint.h>

#include "core/err.h"
#include "core/spec.h"
#include "core/store.h"

struct bootstrap {
	struct store *store;		/* borrowed */
	const struct source *source;	/* borrowed; SOURCE_DEBIAN */
	const char *mirror;		/* borrowed; NULL: mmdebstrap's own */
	int64_t epoch_s;		/* no file is newer: SOURCE_DATE_EPOCH */
	int packages_before;		/* borrowed; a tar of packages that may be taken; -1: none */
	int root;			/* borrowed; writable, empty: gets the root as a plain tar */
	int packages;			/* borrowed; likewise: a tar of all packages that were used */
	int list;			/* borrowed; likewise: a line "SHA256  FILE" for each of them */
	const char *what;		/* borrowed; for progress: "debian bookworm" */
};

/*
 * Runs it and waits; stages are shown as they come. What the jail has: the host's tree, read-only, the
 * host's network, a temporary folder of the store as /tmp, the store's id map. Errors: ERR_HOST when
 * there is no mmdebstrap, ERR_DEBIAN with its own last words. *ret_partial: it failed, and `packages`
 * has what was fetched until then: handed in as packages_before it is not fetched again.
 */
int bootstrap_run(const struct bootstrap *bootstrap, bool *ret_partial, struct err *err);

/* mmdebstrap's argv. Pure; for tests. */
void bootstrap_argv(const struct bootstrap *bootstrap, bool single_uid, struct strv *ret);

#endif
