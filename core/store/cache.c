/*
 * Cache folders of run steps: caches/MAP/HEX/data, kept from build to build. HEX is the hash of whose it
 * is and of the path inside, so that no text of a spec is ever a path here. One build at a time has a
 * cache: an exclusive flock on caches/MAP/HEX/ok, whose time says to gc when it was last asked for.
 * (Folders under the hash of a path alone, of an older duet, are asked for by nobody: gc takes them.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/flock.h"
#include "core/store/internal.h"

static int lock_cache(int folder, const char *path, struct err *err)
{
	_cleanup_close_ int lock = openat(folder, "ok", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
					  0600);
	_cleanup_free_ char *what = NULL;

	if (lock < 0)
		return store_fail(err, errno, "open the cache of %s", path);
	what = xasprintf("the cache %s", path);
	if (flock_wait(lock, LOCK_EX, FLOCK_FOREVER, what) < 0)
		return store_fail(err, errno, "lock the cache of %s", path);
	(void)futimens(lock, NULL); /* for gc */
	return TAKE_FD(lock);
}

/*
 * Steps of all users may write to it. What is inside may give it to one of them later, or take rights
 * away: it stays so.
 */
static int open_data(struct store *store, int folder, const char *path, struct err *err)
{
	uint32_t uid, gid;
	int data;

	if (!idmap_uid_outside(&store->map, 0, &uid) || !idmap_gid_outside(&store->map, 0, &gid))
		return err_set(err, ERR_STORE, "the id map has no root");
	if (mkdirat(folder, "data", 0777) == 0) {
		if (fchmodat(folder, "data", 0777, 0) < 0 ||
		    (geteuid() == 0 && fchownat(folder, "data", uid, gid, AT_SYMLINK_NOFOLLOW) < 0))
			return store_fail(err, errno, "give away the cache of %s", path);
	} else if (errno != EEXIST) {
		return store_fail(err, errno, "make the cache of %s", path);
	}
	data = openat(folder, "data", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return data >= 0 ? data : store_fail(err, errno, "open the cache of %s", path);
}

void store_cache_id(const struct store_cache *cache, struct digest *ret)
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add_text(&hash, cache->share ? "shared cache" : "cache of a project");
	sha256_add_text(&hash, cache->share ? cache->share : cache->project);
	sha256_add_text(&hash, cache->path);
	sha256_end(&hash, ret);
}

int store_cache_open(struct store *store, const struct store_cache *cache, int *ret_data,
		     int *ret_lock, struct err *err)
{
	_cleanup_free_ char *where = NULL, *shown = str_escape(cache->path, 200);
	_cleanup_close_ int folder = -1, lock = -1;
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	store_cache_id(cache, &digest);
	digest_hex(&digest, hex);
	where = xasprintf("caches/%s/%s", store->map.id, hex);
	folder = store_folder(store, where, err);
	lock = folder < 0 ? -1 : lock_cache(folder, shown, err);
	if (lock < 0)
		return -1;
	*ret_data = open_data(store, folder, shown, err);
	if (*ret_data < 0)
		return -1;
	*ret_lock = TAKE_FD(lock);
	return 0;
}
