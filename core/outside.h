/*
 * What of a spec reaches outside its project: files and folders of the host, capabilities, no filter, the
 * network, caches that other projects write to, a mirror of its own. A spec is its user's own code, but it may come with somebody else's project: these things
 * take the word of the person at the keyboard as well (allowed.h), or are at least told of by a plan.
 */
#ifndef DUET_CORE_OUTSIDE_H
#define DUET_CORE_OUTSIDE_H

#include "core/allowed.h"
#include "core/spec.h"

/* When it matters: what a build does not open needs no leave for a build. */
enum outside_when { OUTSIDE_ALWAYS, OUTSIDE_JOB, OUTSIDE_VM };

struct outside {
	enum outside_kind kind;
	enum outside_when when;
	struct place place;
	const char *key;	/* OUTSIDE_PATH: borrowed; for messages */
	/* owned, absolute; OUTSIDE_MOUNT, OUTSIDE_PATH (of a pattern the folder that it begins at) */
	char *path;
	int flags;		/* OUTSIDE_PATH: O_NOFOLLOW, as it is opened */
	uint64_t capabilities;	/* OUTSIDE_CAPABILITIES */
	const char *share;	/* OUTSIDE_CACHE: borrowed from the spec; a name */
	char *text;		/* owned, escaped; "mount /etc at /etc, read-only" */
};

/*
 * All of it, in the order of the spec; owned. Where a path leads is told by its text, and with `look`
 * by the file system too, where a link in the project can lead out of it.
 */
void outside_find(const struct spec *spec, bool look, struct outside **ret, size_t *ret_count);
void outside_free(struct outside *items, size_t count);

/*
 * Opens the sources of the target's bind mounts, each where it leads now, and looks by the descriptor whether
 * that is in the project or allowed: what was checked is what is mounted, whatever becomes of its name.
 * ERR_ALLOW with the place and the word that would do; ERR_SPEC_VALUE when it is not there.
 */
int outside_open_mounts(struct spec *spec, const struct allowed *allowed, struct err *err);
/*
 * May a run step have this cache? One of the project's own, yes; a shared one if spec->host allows it.
 * ERR_ALLOW as above.
 */
int outside_check_cache(const struct spec *spec, const struct step_cache *cache, struct err *err);

/* A path of the host is opened to see: where it is not there, that is for its use to say. */
bool outside_is_allowed(const struct spec *spec, const struct allowed *allowed,
			const struct outside *item);
/* The word that would allow it: "mounts=/etc". Owned. */
char *outside_word(const struct outside *item);
/* ERR_ALLOW for it, with its place, the word and where it can be written down. */
int outside_refuse(const struct spec *spec, const struct outside *item, struct err *err);

#endif
