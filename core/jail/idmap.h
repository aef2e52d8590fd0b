/*
 * Id maps: which host ids stand for the ids inside. Everybody gets a user namespace.
 *
 *	IDMAP_RANGE	root: 0..65535 inside are IDMAP_ROOT_BASE.. outside (above every range that
 *			systemd and shadow hand out; documented in duet(1))
 *	IDMAP_SUBIDS	a user with subuids: 0 is the caller, 1.. the ranges of /etc/subuid and subgid,
 *			written by newuidmap and newgidmap side by side
 *	IDMAP_SINGLE	a user without: 0 is the caller and there is nobody else; the filter answers
 *			chown and mknod with success (said in the plan)
 */
#ifndef DUET_CORE_JAIL_IDMAP_H
#define DUET_CORE_JAIL_IDMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

#define IDMAP_ROOT_BASE 1879048192u	/* 0x70000000 */
#define IDMAP_COUNT 65536u
#define IDMAP_STRANGER (IDMAP_ROOT_BASE + IDMAP_COUNT)	/* in no container: owns nothing */
#define IDMAP_EXTENTS_MAX 8
#define IDMAP_SUBIDS_MIN 1000u		/* fewer subuids or subgids make no map */

enum idmap_kind { IDMAP_RANGE, IDMAP_SUBIDS, IDMAP_SINGLE };

struct idmap_extent {
	uint32_t inside, outside, count;
};

struct idmap {
	enum idmap_kind kind;
	struct idmap_extent uids[IDMAP_EXTENTS_MAX];
	struct idmap_extent gids[IDMAP_EXTENTS_MAX];
	uint32_t uid_extents, gid_extents;
	/*
	 * A name for this map in paths: "range", "single-1000", "sub-1000-100000-65536";
	 * "map-" and a digest where uids and gids differ or there are more ranges.
	 */
	char id[40];
};

/*
 * The map of the calling user. `force_single`: single-uid mode although there are
 * subuids. Single mode is also taken when newuidmap cannot work (absent, no_new_privs,
 * fewer than IDMAP_SUBIDS_MIN subuids or subgids); *ret_why then says so in one clause
 * (static text). It does so too where root gets another map than IDMAP_RANGE, since its
 * own user namespace lacks the fixed range: IDMAP_SUBIDS over the ids that it has, or
 * IDMAP_SINGLE. Else *ret_why is NULL: look at ret->kind for the mode.
 */
int idmap_find(struct idmap *ret, bool force_single, const char **ret_why,
	       struct err *err);
/*
 * The map for what reads the network and needs no file of anybody: 0 inside is an id that owns nothing,
 * and there is nobody else. IDMAP_STRANGER for root, the last subuid and subgid of a user who has some;
 * the caller's own id (IDMAP_SINGLE) of one who has none. Of no use for paths: `id` is empty.
 */
int idmap_find_stranger(struct idmap *ret, struct err *err);
/*
 * Other host ids for the same ids inside: what files on the disk belong to must not show in an image. The
 * last range changes its halves; false (nothing is changed) when there is none.
 */
bool idmap_vary(struct idmap *map);
/*
 * Takes a host id out of a map; the ids inside move up to where it was. What it was the only one of stays
 * a map: the last id is not taken.
 */
void idmap_leave_out(struct idmap_extent *extents, uint32_t *count, uint32_t outside);
/* Host id for an id inside; false when nobody stands for it. */
bool idmap_uid_outside(const struct idmap *map, uint32_t inside, uint32_t *ret);
bool idmap_gid_outside(const struct idmap *map, uint32_t inside, uint32_t *ret);
/* And back: the id inside that a host id stands for. */
bool idmap_uid_inside(const struct idmap *map, uint32_t outside, uint32_t *ret);
bool idmap_gid_inside(const struct idmap *map, uint32_t outside, uint32_t *ret);
/*
 * Writes the maps of a child that is waiting in a new user namespace, not yet waited for.
 * Directly, or with newuidmap and newgidmap for an ordinary user's IDMAP_SUBIDS, their
 * own words in err. Reads both maps back; a mismatch is an error.
 */
int idmap_write(const struct idmap *map, pid_t pid, struct err *err);
/* The text of uid_map or gid_map. Owned. */
char *idmap_text(const struct idmap_extent *extents, uint32_t count);

/*
 * Pure: the map of a bind mount of IDMAP_RANGE, for a user namespace that mount_setattr(2) takes: its
 * ids inside are those on the disk. `owner`, who has the folder on the host, and `inside`, below
 * IDMAP_COUNT, change places, so that what the job's user makes there is the owner's; all others below
 * IDMAP_COUNT stand for themselves. Without `with_root` the host's root stands for nobody, unless it is
 * `owner`: its files can be looked at, and nothing can be given to it. Returns how many extents.
 */
uint32_t idmap_bind(uint32_t owner, uint32_t inside, bool with_root,
		    struct idmap_extent ret[IDMAP_EXTENTS_MAX]);

/*
 * Pure: the ranges of a user in the text of /etc/subuid or /etc/subgid, by `name` (may be
 * NULL) or by `id`; digits are always an id. Lines that are malformed, empty, past the
 * last id, that begin at 0 (the host's root) or overlap an earlier one are skipped.
 * `inside` counts up from 1. At most `max` are written; returns how many.
 */
uint32_t idmap_parse_subids(const char *text, const char *name, uint32_t id,
			    struct idmap_extent *ret, uint32_t max);
/*
 * Pure: the ids that a namespace has, from the text of its uid_map or gid_map; `outside`
 * is what they are in its parent. Returns how many extents, 0 when the text is malformed.
 */
uint32_t idmap_parse_map(const char *text, struct idmap_extent *ret, uint32_t max);

#endif
