/*
 * Removal that a kill cannot spoil: what is to go is first renamed into tmp/ (one call, it is gone
 * for everybody) under a held lock, then deleted. Also the sets of digests that gc marks with.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/store/internal.h"

void digest_set_add(struct digest_set *set, const struct digest *digest)
{
	if ((set->count & (set->count - 1)) == 0)
		set->items = xreallocarray(set->items, set->count * 2 + 1, sizeof(*set->items));
	set->items[set->count++] = *digest;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

void digest_set_sort(struct digest_set *set)
{
	if (set->count > 0)
		qsort(set->items, set->count, sizeof(*set->items), by_bytes);
}

bool digest_set_has(const struct digest_set *set, const struct digest *digest)
{
	return set->count > 0 &&
	       bsearch(digest, set->items, set->count, sizeof(*set->items), by_bytes);
}

void digest_set_done(struct digest_set *set)
{
	free(set->items);
	*set = (struct digest_set){ 0 };
}

bool store_key_parse(const char *key, struct digest *ret, bool *ret_is_chain)
{
	char hex[DIGEST_HEX_SIZE];

	snprintf(hex, sizeof(hex), "%.64s", key);
	if (!digest_parse_hex(hex, ret))
		return false;
	*ret_is_chain = !strcmp(key + strlen(hex), ".chain") ||
			!strcmp(key + strlen(hex), ".merged");
	return *ret_is_chain || key[strlen(hex)] == '\0';
}

bool store_map_is_ours(const struct store *store, const char *map)
{
	switch (store->map.kind) {
	case IDMAP_RANGE:
		return true; /* root */
	case IDMAP_SUBIDS:
		return !strcmp(map, store->map.id) || str_has_prefix(map, "single-");
	default:
		return !strcmp(map, store->map.id);
	}
}

/* The lock comes first: without it a cleaner would take what we move for dead. */
static int begin(struct sweep *sweep, struct err *err)
{
	if (sweep->tmp.id[0])
		return 0;
	return store_tmp_lock(sweep->store, &sweep->tmp, err);
}

int sweep_tree(struct sweep *sweep, int trees, const char *key, struct err *err)
{
	char path[STORE_PATH_SIZE], record[STORE_PATH_SIZE];
	_cleanup_close_ int use = -1;

	snprintf(record, sizeof(record), "%.150s/ok", key);
	use = openat(trees, record, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (use >= 0 && flock(use, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : store_fail(err, errno, "lock tree %.12s", key);
	if (begin(sweep, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "tmp/%s.%u", sweep->tmp.id, sweep->count);
	if (renameat(trees, key, sweep->store->dir, path) < 0)
		return errno == ENOENT ? 1 : store_fail(err, errno, "move tree %.12s off", key);
	sweep->count++;
	return 1;
}

int sweep_end(struct sweep *sweep, struct err *err)
{
	char path[STORE_PATH_SIZE];
	int result = 0;

	if (!sweep->tmp.id[0])
		return 0;
	for (unsigned int i = 0; i < sweep->count && result == 0; i++) {
		snprintf(path, sizeof(path), "tmp/%s.%u", sweep->tmp.id, i);
		result = store_remove(sweep->store, sweep->store->dir, path, err);
	}
	/* what could not be removed belongs to nobody: the next open tries again */
	if (result < 0) {
		_cleanup_(err_done) struct err ignored = { 0 };

		(void)store_tmp_drop(sweep->store, &sweep->tmp, &ignored);
		return -1;
	}
	return store_tmp_drop(sweep->store, &sweep->tmp, err);
}
