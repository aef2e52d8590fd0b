/*
 * The packages of a Debian root: which they are, and a mirror of just those. Which is apt's word (tools.h:
 * without a network, from the suite's signed lists alone); they come through duet-worker, by digest.
 */
#ifndef DUET_BUILDERS_DEBIAN_PACKAGES_H
#define DUET_BUILDERS_DEBIAN_PACKAGES_H

#include "builders/debian/release.h"
#include "core/err.h"
#include "core/spec.h"
#include "core/store.h"

#define PACKAGES_LIST "main/binary-amd64/Packages.xz"

struct package {
	char *path;		/* owned; below the mirror: "pool/main/h/hello/hello_2.10-3_amd64.deb" */
	char *file;		/* owned; "NAME_VERSION_ARCHITECTURE.deb", a colon of the version as %3a */
	struct digest sha256;
	uint64_t bytes;
};

struct packages {
	struct package *items;	/* owned */
	size_t count;
};

/* What a root is made of, and where that comes from. */
struct suite {
	struct store *store;			/* borrowed */
	const struct source *source;		/* borrowed; SOURCE_DEBIAN */
	const char *mirror;			/* borrowed; URL */
	const struct release_file *release;	/* borrowed; PACKAGES_LIST as signed */
	int in_release;				/* borrowed; the signed text */
	int keyring;				/* borrowed; readable */
	const char *what;			/* borrowed; for progress: "debian bookworm" */
};

/*
 * Makes a mirror in the empty folder `dir` of the store: the signed lists, then all packages that apt may
 * take for the source. A package that the store has is not fetched; one that was fetched stays there, also
 * when a later one fails. Errors: ERR_FETCH, ERR_FETCH_DIGEST, ERR_HOST, ERR_DEBIAN.
 */
int packages_mirror(const struct suite *suite, int dir, struct packages *ret, struct err *err);
void packages_done(struct packages *packages);

/* "'file:/mirror/PATH' FILE BYTES SHA256:HEX", as apt prints it. Pure; false when it is malformed. */
bool packages_parse_line(const char *line, struct package *ret);
/* The package of that file name; NULL. */
const struct package *packages_find(const struct packages *packages, const char *file);

#endif
