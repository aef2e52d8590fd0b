/*
 * What of a spec reaches outside its project: folders of the host, capabilities, no filter, caches that
 * other projects write to. A spec is
 * its user's own code, but it may come with somebody else's project: these things take the word of the
 * person at the keyboard as well.
 */
#ifndef DUET_CORE_OUTSIDE_H
#define DUET_CORE_OUTSIDE_H

#include "core/spec.h"

enum outside_kind { OUTSIDE_MOUNT, OUTSIDE_CAPABILITIES, OUTSIDE_SECCOMP, OUTSIDE_CACHE,
		    OUTSIDE_KINDS };

struct outside {
	enum outside_kind kind;
	struct place place;
	const char *path;	/* OUTSIDE_MOUNT: borrowed from the spec, absolute */
	uint64_t capabilities;	/* OUTSIDE_CAPABILITIES */
	const char *share;	/* OUTSIDE_CACHE: borrowed from the spec; a name */
	char *text;		/* owned, escaped; "mount /etc at /etc, read-only" */
};

/*
 * All of it, in the order of the spec; owned. Where a mount leads is told by its text, and with `look`
 * by the file system too, where a link in the project can lead out of it.
 */
void outside_find(const struct spec *spec, bool look, struct outside **ret, size_t *ret_count);
void outside_free(struct outside *items, size_t count);

struct allowed;
/*
 * Opens the sources of the target's bind mounts, each where it leads now, and looks by the descriptor whether
 * that is in the project or allowed: what was checked is what is mounted, whatever becomes of its name.
 * ERR_ALLOW with the place and the word that would do; ERR_SPEC_VALUE when it is not there.
 */
int outside_open_mounts(struct spec *spec, const struct allowed *allowed, struct err *err);
/*
 * May a run step have this cache? One of the project's own, yes; a shared one if it is allowed (NULL: nothing
 * is). ERR_ALLOW as above.
 */
int outside_check_cache(const struct spec *spec, const struct allowed *allowed,
			const struct step_cache *cache, struct err *err);
/* Does it matter to a build already, or only to the job that is run afterwards? */
bool outside_is_of_build(const struct outside *item);

/*
 * What the user allows: words of --allow and of the configuration file, each one of
 *
 *	all, mounts, mounts=/PATH (and below), capabilities, capabilities=NAME[+NAME...], seccomp,
 *	caches, caches=NAME
 */
struct allowed {
	bool kinds[OUTSIDE_KINDS];
	struct strv paths, caches;
	uint64_t capabilities;
};

/* Adds a list parted by commas. ERR_USAGE for a word that is none of them; the message names it. */
int allowed_add(struct allowed *allowed, const char *words, struct err *err);
bool allowed_covers(const struct allowed *allowed, const struct outside *item);
void allowed_done(struct allowed *allowed);
/* The word that would allow it: "mounts=/etc". Owned. */
char *outside_word(const struct outside *item);
/* ERR_ALLOW for it, with its place, the word and where it can be written down. */
int outside_refuse(const struct spec *spec, const struct outside *item, struct err *err);

#endif
