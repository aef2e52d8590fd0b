/* The map of a bind mount of root's: see idmap.h. */
#include "core/jail/idmap.h"

#include <stddef.h>

struct extents {
	struct idmap_extent *at;
	uint32_t count;
};

static void add(struct extents *extents, uint32_t disk, uint32_t inside, uint32_t count)
{
	extents->at[extents->count++] =
		(struct idmap_extent){ disk, IDMAP_ROOT_BASE + inside, count };
}

/* The ids from `from` on, below `to`, stand for themselves. */
static void add_same(struct extents *extents, uint64_t from, uint64_t to)
{
	if (to > IDMAP_COUNT)
		to = IDMAP_COUNT;
	if (from < to)
		add(extents, (uint32_t)from, (uint32_t)from, (uint32_t)(to - from));
}

uint32_t idmap_bind(uint32_t owner, uint32_t inside, bool with_root,
		    struct idmap_extent ret[IDMAP_EXTENTS_MAX])
{
	uint64_t low = owner < inside ? owner : inside, high = owner < inside ? inside : owner;
	struct extents extents = { .at = ret };

	add_same(&extents, with_root ? 0 : 1, low);
	add(&extents, owner, inside, 1);
	add_same(&extents, low + 1, high);
	if (owner != inside && owner < IDMAP_COUNT && (inside != 0 || with_root))
		add(&extents, inside, owner, 1);
	add_same(&extents, high + 1, IDMAP_COUNT);
	return extents.count;
}
