/*
 * What the user allows a spec beyond its project: words of --allow and of the configuration file. Each kind
 * of reach is a row of one table (allowed.c); outside.h finds the reaches of a spec, host_path.h opens
 * host paths by it.
 *
 *	all, mounts, mounts=/PATH (and below), paths, paths=/PATH (and below), capabilities,
 *	capabilities=NAME[+NAME...], seccomp, caches, caches=NAME, mirrors
 */
#ifndef DUET_CORE_ALLOWED_H
#define DUET_CORE_ALLOWED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mem.h"

enum outside_kind {
	OUTSIDE_MOUNT, OUTSIDE_PATH, OUTSIDE_CAPABILITIES, OUTSIDE_SECCOMP,
	OUTSIDE_CACHE,		/* of run steps, shared with other projects */
	OUTSIDE_MIRROR,		/* of Debian, or its keys: whose scripts are run */
	OUTSIDE_NETWORK,	/* told of, and never refused: there is no word for it */
	OUTSIDE_KINDS
};

struct allowed {
	bool kinds[OUTSIDE_KINDS];
	struct strv paths[OUTSIDE_KINDS];	/* of those that take =/PATH; absolute */
	struct strv caches;			/* names */
	uint64_t capabilities;
};

/*
 * Adds a list parted by commas. A relative path of a word starts from `base`; NULL: it is refused.
 * ERR_USAGE for a word that is none of them; the message names it.
 */
int allowed_add(struct allowed *allowed, const char *words, const char *base, struct err *err);
/* Adds all that is in `from`. */
void allowed_merge(struct allowed *allowed, const struct allowed *from);
void allowed_done(struct allowed *allowed);
/* Is `real`, a path without links, allowed to this kind, by a root that it is or lies below? */
bool allowed_covers_path(const struct allowed *allowed, enum outside_kind kind, const char *real);
/* Is the cache of run steps with this name allowed to be shared? */
bool allowed_covers_cache(const struct allowed *allowed, const char *name);
/* The word of a kind; NULL: it needs none. */
const char *allowed_word(enum outside_kind kind);
/* The word for a path: "paths=/etc"; a path that no word can hold gives "paths". Owned. */
char *allowed_path_word(enum outside_kind kind, const char *path);
/* The mend of an ERR_ALLOW: the option, and the line of the configuration for the project in `dir`. -1. */
int allowed_mend(struct err *err, const char *word, const char *dir);

#endif
