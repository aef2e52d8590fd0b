/* Id maps, finding them: see idmap.h. */
#include "core/jail/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/digest.h"
#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/proc.h"
#include "core/str.h"

#define PASSWD_BYTES_MAX (16u << 20)	/* of the host's /etc/passwd */
#define SUBIDS_BYTES_MAX (1u << 20)	/* of /etc/subuid */
#define MAP_BYTES_MAX 16384u /* of /proc/self/uid_map: the kernel's own bound is a page */
#define ID_MAX 4294967293u		/* the two ids above mean "none" to the kernel */

/* uids and gids go the same way; this is what differs. */
static const struct side {
	const char *helper;
	const char *subids;
	const char *own_map;
} sides[] = {
	{ "newuidmap", "/etc/subuid", "/proc/self/uid_map" },
	{ "newgidmap", "/etc/subgid", "/proc/self/gid_map" },
};

/* --- pure --------------------------------------------------------------------------- */

static bool is_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool overlaps(const struct idmap_extent *list, uint32_t count, uint32_t start,
		     uint32_t length)
{
	for (uint32_t i = 0; i < count; i++)
		if (start < (uint64_t)list[i].outside + list[i].count &&
		    list[i].outside < (uint64_t)start + length)
			return true;
	return false;
}

/* One line, "NAME:START:COUNT" without its end; false when it is another's or
 * malformed. */
static bool parse_subid_line(char *line, const char *name, uint32_t id,
			     uint32_t *ret_start, uint32_t *ret_count)
{
	char *start = strchr(line, ':');
	char *count = start ? strchr(start + 1, ':') : NULL;
	uint32_t line_id, first, length;

	if (!count)
		return false;
	*start++ = '\0';
	*count++ = '\0';
	if (is_digits(line) ? !parse_id(line, &line_id) || line_id != id
			    : !name || strcmp(line, name) != 0)
		return false;
	if (!parse_id(start, &first) || first == 0 ||
	    !parse_u32_max(count, UINT32_MAX, &length) || length == 0 ||
	    (uint64_t)first + length - 1 > ID_MAX)
		return false;
	*ret_start = first;
	*ret_count = length;
	return true;
}

uint32_t idmap_parse_subids(const char *text, const char *name, uint32_t id,
			    struct idmap_extent *ret, uint32_t max)
{
	uint32_t found = 0, inside = 1;

	while (*text && found < max) {
		size_t length = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, length);
		uint32_t start, count;

		text += length + (text[length] == '\n');
		if (!parse_subid_line(line, name, id, &start, &count) ||
		    overlaps(ret, found, start, count))
			continue;
		ret[found++] = (struct idmap_extent){ inside, start, count };
		inside += count;
	}
	return found;
}

uint32_t idmap_parse_map(const char *text, struct idmap_extent *ret, uint32_t max)
{
	uint32_t found = 0;

	while (*text && found < max) {
		unsigned long long inside, outside, count;
		int length = 0;

		if (sscanf(text, "%llu %llu %llu%n", &inside, &outside, &count,
			   &length) != 3 ||
		    (text[length] != '\n' && text[length] != '\0') ||
		    inside > UINT32_MAX || outside > UINT32_MAX || count > UINT32_MAX ||
		    count == 0 || inside + count > UINT64_C(1) << 32)
			return 0;
		text += length + (text[length] == '\n');
		ret[found++] = (struct idmap_extent){ (uint32_t)inside, (uint32_t)outside,
						      (uint32_t)count };
	}
	return found;
}

char *idmap_text(const struct idmap_extent *extents, uint32_t count)
{
	struct str text = { 0 };

	str_add(&text, "");
	for (uint32_t i = 0; i < count; i++)
		str_addf(&text, "%u %u %u\n", extents[i].inside, extents[i].outside,
			 extents[i].count);
	return text.text;
}

void idmap_leave_out(struct idmap_extent *extents, uint32_t *count, uint32_t outside)
{
	for (uint32_t i = 0; i < *count; i++) {
		struct idmap_extent *extent = &extents[i];
		uint32_t next = i + 1;

		/* at the front of its extent: the caller's own id is the first of all */
		if (extent->outside != outside || (*count == 1 && extent->count == 1))
			continue;
		extent->outside++;
		if (--extent->count == 0) {
			memmove(extent, extent + 1, (*count - i - 1) * sizeof(*extent));
			(*count)--;
			next = i;
		}
		for (uint32_t j = next; j < *count; j++)
			extents[j].inside--;
		return;
	}
}

static bool outside_of(const struct idmap_extent *extents, uint32_t count,
		       uint32_t inside, uint32_t *ret)
{
	for (uint32_t i = 0; i < count; i++) {
		if (inside < extents[i].inside ||
		    inside - extents[i].inside >= extents[i].count)
			continue;
		*ret = extents[i].outside + (inside - extents[i].inside);
		return true;
	}
	return false;
}

bool idmap_uid_outside(const struct idmap *map, uint32_t inside, uint32_t *ret)
{
	return outside_of(map->uids, map->uid_extents, inside, ret);
}

bool idmap_gid_outside(const struct idmap *map, uint32_t inside, uint32_t *ret)
{
	return outside_of(map->gids, map->gid_extents, inside, ret);
}

static bool inside_of(const struct idmap_extent *extents, uint32_t count, uint32_t outside,
		      uint32_t *ret)
{
	for (uint32_t i = 0; i < count; i++) {
		if (outside < extents[i].outside || outside - extents[i].outside >= extents[i].count)
			continue;
		*ret = extents[i].inside + (outside - extents[i].outside);
		return true;
	}
	return false;
}

bool idmap_uid_inside(const struct idmap *map, uint32_t outside, uint32_t *ret)
{
	return inside_of(map->uids, map->uid_extents, outside, ret);
}

bool idmap_gid_inside(const struct idmap *map, uint32_t outside, uint32_t *ret)
{
	return inside_of(map->gids, map->gid_extents, outside, ret);
}

/* Two maps that give a tree's files different owners must not share a name. */
static void name_map(struct idmap *map)
{
	const struct idmap_extent *more = &map->uids[1];
	bool same =
	    map->uid_extents == map->gid_extents &&
	    memcmp(map->uids, map->gids, map->uid_extents * sizeof(map->uids[0])) == 0;

	if (map->kind == IDMAP_RANGE && map->uids[0].outside == IDMAP_ROOT_BASE) {
		snprintf(map->id, sizeof(map->id), "range");
	} else if (same && map->kind == IDMAP_SINGLE) {
		snprintf(map->id, sizeof(map->id), "single-%u", map->uids[0].outside);
	} else if (same && map->kind == IDMAP_SUBIDS && map->uid_extents == 2) {
		snprintf(map->id, sizeof(map->id), "sub-%u-%u-%u", map->uids[0].outside,
			 more->outside, more->count);
	} else {
		_cleanup_free_ char *uids = idmap_text(map->uids, map->uid_extents);
		_cleanup_free_ char *gids = idmap_text(map->gids, map->gid_extents);
		_cleanup_free_ char *both = xasprintf("%s/%s", uids, gids);
		char hex[DIGEST_HEX_SIZE];
		struct digest digest;

		digest_of(both, strlen(both), &digest);
		digest_hex(&digest, hex);
		snprintf(map->id, sizeof(map->id), "map-%.32s", hex);
	}
}

/* --- finding ------------------------------------------------------------------------ */

/* The ids of the caller's own user namespace. */
struct own_ids {
	struct idmap_extent at[IDMAP_EXTENTS_MAX];
	uint32_t count;
};

static int read_own_ids(const struct side *side, struct own_ids *ret, struct err *err)
{
	_cleanup_close_ int fd = open(side->own_map, O_RDONLY | O_CLOEXEC);
	char text[MAP_BYTES_MAX];
	/* not fs_read_file: a file of /proc has no size; and gives a page at a time */
	ssize_t size = fd < 0 ? -1 : fs_pread_all(fd, text, sizeof(text) - 1, 0);

	if (size < 0)
		return err_sys_as(err, ERR_HOST, errno, "read %s", side->own_map);
	text[size] = '\0';
	ret->count = idmap_parse_map(text, ret->at, ARRAY_SIZE(ret->at));
	if (ret->count == 0)
		return err_set(err, ERR_HOST, "read %s: this user namespace has no ids",
			       side->own_map);
	return 0;
}

/* The kernel wants each extent of a new map within one extent of ours. */
static bool covers(const struct own_ids *own, uint32_t start, uint32_t count)
{
	for (uint32_t i = 0; i < own->count; i++)
		if (start >= own->at[i].inside &&
		    (uint64_t)start + count <=
			(uint64_t)own->at[i].inside + own->at[i].count)
			return true;
	return false;
}

static uint64_t extents_total(const struct idmap_extent *extents, uint32_t count)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < count; i++)
		total += extents[i].count;
	return total;
}

static bool has_caps(const char *const *names)
{
	uint64_t mask = 0, bit;

	for (; *names; names++)
		if (caps_parse(*names, &bit))
			mask |= bit;
	return caps_have(mask);
}

/* Nested root: 0 is the caller, 1.. all other ids that its namespace has. Returns the
 * extents. */
static uint32_t share_own_ids(const struct own_ids *own, uint32_t self,
			      struct idmap_extent ret[IDMAP_EXTENTS_MAX])
{
	uint32_t extents = 1, inside = 1;

	ret[0] = (struct idmap_extent){ 0, self, 1 };
	for (uint32_t i = 0; i < own->count && extents < IDMAP_EXTENTS_MAX; i++) {
		uint32_t start = own->at[i].inside, count = own->at[i].count;

		if (start <= self && self - start < count) {
			/* what follows the caller's own id; root's is the first of its
			 * extent */
			count -= self - start + 1;
			start = self + 1;
		}
		if (count > IDMAP_COUNT - inside)
			count = IDMAP_COUNT - inside;
		if (count == 0)
			continue;
		ret[extents++] = (struct idmap_extent){ inside, start, count };
		inside += count;
	}
	return extents;
}

/* For root; returns why the map is not IDMAP_RANGE, or NULL. */
static const char *find_for_root(struct idmap *map, const struct own_ids own[2])
{
	static const char *const to_map[] = { "SETUID", "SETGID", NULL };
	static const char *const to_map_root[] = { "SETFCAP", NULL };

	if (!has_caps(to_map))
		return "CAP_SETUID or CAP_SETGID is missing";
	/* with the stranger behind it */
	if (covers(&own[0], IDMAP_ROOT_BASE, IDMAP_COUNT + 1) &&
	    covers(&own[1], IDMAP_ROOT_BASE, IDMAP_COUNT + 1)) {
		map->kind = IDMAP_RANGE;
		map->uid_extents = map->gid_extents = 1;
		map->uids[0] = map->gids[0] =
			(struct idmap_extent){ 0, IDMAP_ROOT_BASE, IDMAP_COUNT };
		return NULL;
	}
	/* since Linux 5.12 whoever maps a namespace's 0 must have this */
	if (!has_caps(to_map_root))
		return "this user namespace lacks the fixed range, and CAP_SETFCAP is "
		       "missing";
	map->uid_extents = share_own_ids(&own[0], geteuid(), map->uids);
	map->gid_extents = share_own_ids(&own[1], getegid(), map->gids);
	if (extents_total(map->uids, map->uid_extents) < IDMAP_SUBIDS_MIN ||
	    extents_total(map->gids, map->gid_extents) < IDMAP_SUBIDS_MIN)
		return "this user namespace has fewer than 1000 ids";
	map->kind = IDMAP_SUBIDS;
	return "this user namespace lacks the fixed range; its own ids are shared";
}

/* newuidmap needs rights of its own: setuid root or file capabilities. */
static const char *check_helper(const struct side *side)
{
	_cleanup_free_ char *path = proc_find_helper(side->helper);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return "newuidmap or newgidmap is not installed (Debian: uidmap)";
	if (!(st.st_uid == 0 && (st.st_mode & S_ISUID)) &&
	    getxattr(path, "security.capability", NULL, 0) <= 0)
		return "newuidmap or newgidmap is neither setuid root nor has file "
		       "capabilities";
	return NULL;
}

/*
 * The caller's name, owned, or NULL: of /etc/passwd, or of a user who is not in there what the
 * environment says. It only picks lines of /etc/subuid; newuidmap looks for itself whose they are.
 */
static char *own_name(void)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *fallback = getenv("LOGNAME");
	char *rest = NULL;

	if (fs_read_file(AT_FDCWD, "/etc/passwd", PASSWD_BYTES_MAX, &text, NULL, &ignored) == 0)
		rest = text;
	while (rest && *rest) {
		char *line = strsep(&rest, "\n"), *name = strsep(&line, ":");
		uint32_t uid;

		(void)strsep(&line, ":");
		if (line && parse_id(strsep(&line, ":"), &uid) && uid == geteuid())
			return xstrdup(name);
	}
	return fallback && parse_is_name(fallback) ? xstrdup(fallback) : NULL;
}

static uint32_t find_subids(const struct side *side, const struct own_ids *own,
			    const char *name, uint32_t self,
			    struct idmap_extent ret[IDMAP_EXTENTS_MAX])
{
	struct idmap_extent listed[IDMAP_EXTENTS_MAX - 1];
	const struct idmap_extent caller = { 0, self, 1 };
	uint32_t extents = 1, inside = 1, count;
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;

	ret[0] = caller;
	/* subuids by uid belong to the user, in /etc/subgid too */
	if (fs_read_file(AT_FDCWD, side->subids, SUBIDS_BYTES_MAX, &text, &size,
			 &ignored) < 0)
		return extents;
	count = idmap_parse_subids(text, name, geteuid(), listed, ARRAY_SIZE(listed));
	for (uint32_t i = 0; i < count; i++) {
		if (!covers(own, listed[i].outside, listed[i].count) ||
		    overlaps(&caller, 1, listed[i].outside, listed[i].count))
			continue;
		ret[extents] = listed[i];
		ret[extents++].inside = inside;
		inside += listed[i].count;
	}
	return extents;
}

/* For everybody else; returns why there is no IDMAP_SUBIDS, or NULL. */
static const char *find_for_user(struct idmap *map, const struct own_ids own[2])
{
	_cleanup_free_ char *name = NULL;
	const char *why;

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return "no_new_privs is set, under which newuidmap has no rights";
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		why = check_helper(&sides[i]);
		if (why)
			return why;
	}
	name = own_name();
	map->uid_extents = find_subids(&sides[0], &own[0], name, geteuid(), map->uids);
	map->gid_extents = find_subids(&sides[1], &own[1], name, getegid(), map->gids);
	if (extents_total(&map->uids[1], map->uid_extents - 1) < IDMAP_SUBIDS_MIN)
		return "fewer than 1000 ids in /etc/subuid are this user's";
	if (extents_total(&map->gids[1], map->gid_extents - 1) < IDMAP_SUBIDS_MIN)
		return "fewer than 1000 ids in /etc/subgid are this user's";
	map->kind = IDMAP_SUBIDS;
	return NULL;
}

int idmap_find(struct idmap *ret, bool force_single, const char **ret_why,
	       struct err *err)
{
	struct idmap map = { .kind = IDMAP_SINGLE };
	struct own_ids own[2];
	const char *why = NULL;

	if (!force_single) {
		for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
			if (read_own_ids(&sides[i], &own[i], err) < 0)
				return -1;
		why =
		    geteuid() == 0 ? find_for_root(&map, own) : find_for_user(&map, own);
	}
	if (map.kind == IDMAP_SINGLE) {
		/* drops what was collected before it turned out not to do */
		map = (struct idmap){
		    .kind = IDMAP_SINGLE, .uid_extents = 1, .gid_extents = 1};
		map.uids[0] = (struct idmap_extent){ 0, geteuid(), 1 };
		map.gids[0] = (struct idmap_extent){ 0, getegid(), 1 };
	}
	name_map(&map);
	*ret = map;
	*ret_why = why;
	return 0;
}

/* Splits the last of the extents in two and lets them change places outside. */
static bool swap_halves(struct idmap_extent extents[IDMAP_EXTENTS_MAX], uint32_t *count)
{
	struct idmap_extent *last = &extents[*count - 1];
	const struct idmap_extent whole = *last;
	uint32_t half = whole.count / 2;

	if (half == 0 || *count == IDMAP_EXTENTS_MAX)
		return false;
	last[0] = (struct idmap_extent){ whole.inside, whole.outside + whole.count - half, half };
	last[1] = (struct idmap_extent){ whole.inside + half, whole.outside, whole.count - half };
	(*count)++;
	return true;
}

bool idmap_vary(struct idmap *map)
{
	struct idmap other = *map;

	if (map->kind == IDMAP_SINGLE || !swap_halves(other.uids, &other.uid_extents) ||
	    !swap_halves(other.gids, &other.gid_extents))
		return false;
	name_map(&other);
	*map = other;
	return true;
}
