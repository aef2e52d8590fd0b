/* A Debian root as a tar, made by mmdebstrap in the jail of tools.h, and what it is made of. */
#ifndef DUET_BUILDERS_DEBIAN_BOOTSTRAP_H
#define DUET_BUILDERS_DEBIAN_BOOTSTRAP_H

#include <stdint.h>

#include "builders/debian/packages.h"
#include "builders/debian/tools.h"
#include "core/err.h"

struct bootstrap {
	const struct suite *suite;	/* borrowed */
	int64_t epoch_s;		/* no file is newer: SOURCE_DATE_EPOCH */
	int root;			/* borrowed; writable, empty: gets the root as a plain tar */
};

/*
 * Fetches what is missing, runs mmdebstrap on it and waits; stages are shown as they come. *ret_list (owned):
 * a line "SHA256  NAME_VERSION_ARCHITECTURE.deb" for each package that is installed. Errors: those of
 * packages_mirror; ERR_DEBIAN with the tools' own words.
 */
int bootstrap_run(const struct bootstrap *bootstrap, char **ret_list, struct err *err);

/* The tools' environment. */
void bootstrap_environment(int64_t epoch_s, struct strv *ret);
/* Runs them; `name` is who failed when one did, with the reason that it gave. */
int bootstrap_tools(struct tools *tools, const char *what, const char *name, struct err *err);
/* mmdebstrap's argv; `mirror` is what the root's own sources.list says. Pure; for tests. */
void bootstrap_argv(const struct source *source, const char *mirror, bool single_uid,
		    struct strv *ret);

#endif
