/*
 * Removal of what no image needs. Stages:
 *
 *	1 `reserve` is given up, so that a full disk has room for a lock file and a folder entry
 *	2 the exclusive lock: nobody looks anything up or publishes
 *	3 mark: the layers of all images that are to stay, the kernels of all pins
 *	4 references first: images (with `all`), pins, steps, remembered digests; then blobs; trees and
 *	  items are moved into tmp/, unless somebody has a shared flock on their record
 *	5 back to the shared lock, and the trees are deleted; `reserve` is made again
 *
 * A kill at any point leaves complete items and what the next store_open removes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/store/internal.h"

struct gc {
	struct store *store;	/* borrowed */
	struct digest_set diff_ids, chains, blobs, kernels;	/* to be kept */
	struct sweep sweep;
	struct store_gc result;
	bool all;
	struct err *err;
};

static void mark_layers(struct gc *gc, const struct store_layer *layers, size_t count)
{
	struct digest chain = { { 0 } };

	for (size_t i = 0; i < count; i++) {
		const struct store_layer *layer = &layers[i];
		struct digest below = chain;

		digest_chain(i ? &below : NULL, &layer->diff_id, &chain);
		digest_set_add(&gc->diff_ids, &layer->diff_id);
		digest_set_add(&gc->chains, &chain);
		if (layer->has_blob)
			digest_set_add(&gc->blobs, &layer->blob);
	}
}

/* Images that are to go (all, or torn) go at once; the others are marked. */
static int visit_image(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct store_image image;
	int found = 0;

	if (!gc->all) {
		found = store_image_read(gc->store, name, &image, NULL, gc->err);
		if (found < 0)
			return -1;
	}
	if (found == 0 && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return store_fail(gc->err, errno, "remove image %s", name);
	if (found) {
		mark_layers(gc, image.layers, image.layer_count);
		store_image_done(&image);
	}
	return 0;
}

static int visit_step(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct store_layer layer;
	int found = store_step_read(gc->store, name, &layer, NULL, gc->err);

	if (found < 0)
		return -1;
	if (found && digest_set_has(&gc->diff_ids, &layer.diff_id))
		return 0;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return store_fail(gc->err, errno, "remove step %s", name);
	gc->result.removed_steps++;
	return 0;
}

/* Has nobody taken it for STORE_UNUSED_DAYS? */
static bool is_unused(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_mtim.tv_sec + STORE_UNUSED_DAYS * 86400ll < time(NULL);
}

static int visit_stat(void *data, int dir, const char *name)
{
	struct gc *gc = data;

	/* whether one of many files has changed only who walks through all of them can tell */
	if (!gc->all && (str_has_suffix(name, ".sources") ? !is_unused(dir, name)
							  : store_stat_is_current(gc->store, name)))
		return 0;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return store_fail(gc->err, errno, "remove remembered digest %s", name);
	return 0;
}

static int visit_blob(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct digest digest;
	struct stat st;

	if (digest_parse_hex(name, &digest) && digest_set_has(&gc->blobs, &digest))
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : store_fail(gc->err, errno, "look at blob %s", name);
	if (unlinkat(dir, name, 0) < 0)
		return store_fail(gc->err, errno, "remove blob %s", name);
	gc->result.removed_blobs++;
	gc->result.freed_bytes += (uint64_t)st.st_blocks * 512;
	return 0;
}

static int visit_pin(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct digest kernel;
	int found = 0;

	if (!gc->all && !is_unused(dir, name))
		found = store_pin_read(gc->store, name, &kernel, NULL, gc->err);
	if (found < 0)
		return -1;
	if (found) {
		/* a kernel, or a blob: a digest is of one thing only */
		digest_set_add(&gc->kernels, &kernel);
		digest_set_add(&gc->blobs, &kernel);
	} else if (unlinkat(dir, name, 0) < 0 && errno != ENOENT) {
		return store_fail(gc->err, errno, "remove pin %s", name);
	}
	return 0;
}

static int visit_shard(void *data, int dir, const char *name)
{
	struct gc *gc = data;

	return store_each(dir, name, visit_blob, gc, gc->err);
}

/* What the record says, for the sum; 0 when it is torn. */
static uint64_t tree_bytes(int dir, const char *key, struct err *err)
{
	_cleanup_close_ int folder = openat(dir, key, O_PATH | O_DIRECTORY | O_NOFOLLOW |
						      O_CLOEXEC);
	_cleanup_close_ int use = -1;
	struct store_layer layer;

	if (folder < 0 || store_tree_record(folder, key, &use, &layer, err) <= 0) {
		err_done(err);
		return 0;
	}
	return layer.tree_bytes;
}

static int visit_tree(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct digest digest;
	uint64_t bytes;
	bool is_chain;
	int moved;

	if (store_key_parse(name, &digest, &is_chain) &&
	    digest_set_has(is_chain ? &gc->chains : &gc->diff_ids, &digest))
		return 0;
	bytes = tree_bytes(dir, name, gc->err);
	moved = sweep_tree(&gc->sweep, dir, name, gc->err);
	if (moved < 0)
		return -1;
	if (moved == 0) {
		gc->result.kept_in_use++;
		return 0;
	}
	gc->result.removed_trees++;
	gc->result.freed_bytes += bytes;
	return 0;
}

static uint64_t files_bytes(int dir, const char *key, enum store_item_kind kind)
{
	const char *const *files = store_item_files(kind);
	char path[STORE_PATH_SIZE];
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; files[i]; i++) {
		snprintf(path, sizeof(path), "%.150s/%s", key, files[i]);
		if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	return bytes;
}

static int drop_item(struct gc *gc, int dir, const char *key, enum store_item_kind kind)
{
	uint64_t bytes = files_bytes(dir, key, kind);
	int moved = sweep_tree(&gc->sweep, dir, key, gc->err);

	if (moved < 0)
		return -1;
	if (moved == 0) {
		gc->result.kept_in_use++;
		return 0;
	}
	gc->result.removed_items++;
	gc->result.freed_bytes += bytes;
	return 0;
}

static int visit_erofs(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct digest digest;
	bool is_chain;

	if (store_key_parse(name, &digest, &is_chain) &&
	    digest_set_has(is_chain ? &gc->chains : &gc->diff_ids, &digest))
		return 0;
	return drop_item(gc, dir, name, STORE_EROFS);
}

static int visit_kernel(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	struct digest digest;

	if (digest_parse_hex(name, &digest) && digest_set_has(&gc->kernels, &digest))
		return 0;
	return drop_item(gc, dir, name, STORE_KERNEL);
}

static int visit_state(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	char ok[STORE_PATH_SIZE];

	snprintf(ok, sizeof(ok), "%.150s/ok", name);
	if (!gc->all && faccessat(dir, ok, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && !is_unused(dir, ok))
		return 0;
	return drop_item(gc, dir, name, STORE_STATE);
}

static int visit_partial(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (!gc->all && !is_unused(dir, name))
		return 0;
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0; /* being fetched */
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return store_fail(gc->err, errno, "remove partial blob %s", name);
	return 0;
}

/* A cache that no build asked for in a long time; a build that has it holds its lock. */
static int visit_cache(void *data, int dir, const char *name)
{
	struct gc *gc = data;
	char ok[STORE_PATH_SIZE];
	int moved;

	snprintf(ok, sizeof(ok), "%.150s/ok", name);
	if (!gc->all && faccessat(dir, ok, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && !is_unused(dir, ok))
		return 0;
	moved = sweep_tree(&gc->sweep, dir, name, gc->err);
	gc->result.kept_in_use += moved == 0;
	gc->result.removed_items += moved == 1;
	return moved < 0 ? -1 : 0;
}

/* What a failed step wrote goes after a day; until then its layers stay. */
static int visit_failed(void *data, int dir, const char *name)
{
	_cleanup_(store_failed_done) struct store_failed failed = { 0 };
	struct gc *gc = data;
	int found = store_failed_read(dir, name, &failed, gc->err), moved = 0;
	char ok[STORE_PATH_SIZE];
	struct stat st;

	if (found < 0)
		return -1;
	snprintf(ok, sizeof(ok), "%.150s/ok", name);
	if (gc->all || found == 0 || fstatat(dir, ok, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_mtim.tv_sec + STORE_FAILED_HOURS * 3600ll < time(NULL))
		moved = sweep_tree(&gc->sweep, dir, name, gc->err);
	gc->result.removed_items += moved == 1;
	if (moved == 0)
		mark_layers(gc, failed.layers, failed.layer_count);
	return moved < 0 ? -1 : 0;
}

static int visit_cache_map(void *data, int dir, const char *name)
{
	struct gc *gc = data;

	return store_map_is_ours(gc->store, name) ? store_each(dir, name, visit_cache, gc, gc->err)
						  : 0;
}

static int visit_failed_map(void *data, int dir, const char *name)
{
	struct gc *gc = data;

	return store_map_is_ours(gc->store, name) ? store_each(dir, name, visit_failed, gc, gc->err)
						  : 0;
}

static int visit_map(void *data, int dir, const char *name)
{
	struct gc *gc = data;

	if (!store_map_is_ours(gc->store, name))
		return 0;
	return store_each(dir, name, visit_tree, gc, gc->err);
}

/* Stages 3 and 4. */
static int mark_and_move(struct gc *gc)
{
	static const struct {
		const char *path;
		int (*visit)(void *data, int dir, const char *name);
	} folders[] = {
		{ "images", visit_image }, { "failed", visit_failed_map },
		{ "pins", visit_pin }, /* these three mark */
		{ "caches", visit_cache_map },
		{ "steps", visit_step }, { "stat", visit_stat }, { "blobs/sha256", visit_shard },
		{ "trees", visit_map }, { "erofs", visit_erofs }, { "kernels", visit_kernel },
		{ "states", visit_state }, { "partial", visit_partial },
	};

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (store_each(gc->store->dir, folders[i].path, folders[i].visit, gc, gc->err) < 0)
			return -1;
		if (i != 2)
			continue;
		digest_set_sort(&gc->diff_ids);
		digest_set_sort(&gc->chains);
		digest_set_sort(&gc->blobs);
		digest_set_sort(&gc->kernels);
	}
	return 0;
}

int store_gc(struct store *store, bool all, struct store_gc *ret, struct err *err)
{
	struct gc gc = { .store = store, .all = all, .err = err,
			 .sweep = { .store = store, .tmp = { .dir = -1, .lock = -1 } } };
	_cleanup_(err_done) struct err second = { 0 };
	int result;

	(void)unlinkat(store->dir, "reserve", 0);
	result = store_lock_exclusive(store, err);
	if (result == 0) {
		result = mark_and_move(&gc);
		if (store_lock_shared(store, result < 0 ? &second : err) < 0)
			result = -1;
		if (sweep_end(&gc.sweep, result < 0 ? &second : err) < 0)
			result = -1;
	}
	store_reserve(store);
	digest_set_done(&gc.diff_ids);
	digest_set_done(&gc.chains);
	digest_set_done(&gc.blobs);
	digest_set_done(&gc.kernels);
	if (result < 0)
		return err_wrap(err, "gc");
	*ret = gc.result;
	return 0;
}
