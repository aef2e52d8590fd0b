/*
 * Opening the store. The usual case, a store that is there and at rest, costs some ten cheap calls:
 * open v1, look at its owner, mode and file system, open and lock `lock`, see that tmp/ is empty.
 * `lock` is the last thing that is made, so where it exists everything else does.
 *
 * flock on `lock`: shared by everybody who looks up or publishes, exclusive in gc. It belongs to
 * the open file, so it goes when the process is killed; it is never handed to another program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/flock.h"
#include "core/fs.h"
#include "core/path.h"
#include "core/store/internal.h"

#define LOCK_SHARED_WAIT_MS 60000	/* gc holds it while it marks and moves, not while it deletes */
#define LOCK_EXCLUSIVE_WAIT_MS 1000

/* File systems without O_TMPFILE, with flock that does not reach other machines, or ids of their own. */
static const struct {
	const char *name;
	unsigned long magic;
} refused[] = {
	{ "NFS", 0x6969 },
	{ "SMB", 0x517b },
	{ "CIFS", 0xff534d42 },
	{ "SMB2", 0xfe534d42 },
	{ "AFS", 0x5346414f },
	{ "9p", 0x01021997 },
	{ "FAT", 0x4d44 },
};

/* The folder that holds v1/: absolute, owned; NULL with err. */
static char *find_top(const char *path, struct err *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *here = NULL;

	if (!path || !*path)
		path = getenv("DUET_STORE");
	if (path && path[0] == '/')
		return xstrdup(path);
	if (path && *path) {
		here = getcwd(NULL, 0);
		if (!here)
			err_sys(err, errno, "find the current folder");
		return here ? path_join(here, path) : NULL;
	}
	if (geteuid() == 0)
		return xstrdup("/var/lib/duet");
	if (cache && cache[0] == '/')
		return path_join(cache, "duet");
	if (home && home[0] == '/')
		return path_join(home, ".cache/duet");
	err_set(err, ERR_STORE, "find the store: HOME is not set");
	err_mend(err, "name the store with --store DIR or DUET_STORE");
	return NULL;
}

static int make_top(struct store *store, const char *top, struct err *err)
{
	_cleanup_close_ int dir = -1;

	if (fs_make_dirs(top, 0700, err) < 0) {
		int failed = err->code < 0 ? -err->code : EIO;

		return store_fail(err, failed, "make store %s", top);
	}
	if (mkdir(store->path, 0700) < 0 && errno != EEXIST)
		return store_fail(err, errno, "make store %s", store->path);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return store_fail(err, errno, "open folder %s", top);
	return store_sync(dir, top, err);
}

static int check_file_system(struct store *store, struct err *err)
{
	struct statfs fs;

	if (fstatfs(store->dir, &fs) < 0)
		return store_fail(err, errno, "look at store %s", store->path);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if ((unsigned long)fs.f_type != refused[i].magic)
			continue;
		err_set(err, ERR_STORE, "open store %s: it is on %s, which cannot hold a store",
			store->path, refused[i].name);
		return err_mend(err, "name a folder on a local disk with --store DIR");
	}
	return 0;
}

/* A store that others could write or read is a way to run an image's setuid files on the host. */
static int check_owner(struct store *store, struct err *err)
{
	char path[40];
	struct stat st;

	if (fstat(store->dir, &st) < 0)
		return store_fail(err, errno, "look at store %s", store->path);
	if (st.st_uid != geteuid()) {
		err_set(err, ERR_STORE, "open store %s: it belongs to uid %u, not to you (%u)",
			store->path, st.st_uid, geteuid());
		return err_mend(err, "name a store of your own with --store DIR");
	}
	if ((st.st_mode & 07777) == 0700)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", store->dir);
	if (chmod(path, 0700) < 0 || fstat(store->dir, &st) < 0 || (st.st_mode & 07777) != 0700)
		return store_fail(err, errno ? errno : EPERM,
				  "take others' access to store %s away", store->path);
	return 0;
}

void store_reserve(struct store *store)
{
	_cleanup_close_ int fd = openat(store->dir, "reserve",
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0 && posix_fallocate(fd, 0, STORE_RESERVE_BYTES) != 0)
		(void)unlinkat(store->dir, "reserve", 0);
}

/* Backup programs leave a folder with this file alone. In v1/: beside it there may be volumes. */
static int tag(struct store *store, int dir, struct err *err)
{
	static const char text[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
		"# What is in this folder can be fetched or built again by duet.\n"
		"# See https://bford.info/cachedir/\n";
	_cleanup_(str_done) struct str content = { 0 };

	str_add(&content, text);
	return store_file_put(store, dir, "CACHEDIR.TAG", &content, STORE_PUT_KEEP, err);
}

/* Makes all that is missing, `lock` last. Several processes may do so at once. */
static int make_layout(struct store *store, struct err *err)
{
	static const char *const folders[] = { "blobs/sha256", "trees", "erofs", "kernels", "states",
					       "pins", "steps", "images", "stat",
					       "tmp" };
	_cleanup_close_ int dir = -1;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_close_ int fd = store_folder(store, folders[i], err);

		if (fd < 0)
			return -1;
	}
	store_reserve(store);
	dir = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return store_fail(err, errno, "open store %s", store->path);
	if (tag(store, dir, err) < 0)
		return -1;
	store->lock = openat(store->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (store->lock < 0 || fchmod(store->lock, 0600) < 0)
		return store_fail(err, errno, "make the lock of store %s", store->path);
	return store_sync(dir, store->path, err);
}

static int open_lock(struct store *store, struct err *err)
{
	store->lock = openat(store->dir, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (store->lock >= 0)
		return 0;
	if (errno == ENOENT)
		return make_layout(store, err);
	return store_fail(err, errno, "open the lock of store %s", store->path);
}

static int lock_within(struct store *store, int how, unsigned int wait_ms, const char *what,
		       struct err *err)
{
	_cleanup_free_ char *holder = NULL;

	if (flock_wait(store->lock, how, wait_ms, what) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return store_fail(err, errno, "lock store %s", store->path);
	holder = flock_holder(store->lock);
	err_set(err, ERR_STORE_BUSY, "lock store %s: %s uses it", store->path, holder);
	return err_mend(err, "try again when it has finished");
}

int store_lock_shared(struct store *store, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(store->path, 200);
	_cleanup_free_ char *what = xasprintf("the store %s", shown);

	return lock_within(store, LOCK_SH, LOCK_SHARED_WAIT_MS, what, err);
}

int store_lock_exclusive(struct store *store, struct err *err)
{
	_cleanup_(err_done) struct err ignored = { 0 };

	if (lock_within(store, LOCK_EX, LOCK_EXCLUSIVE_WAIT_MS, NULL, err) == 0)
		return 0;
	/* a conversion that fails has dropped the lock that we had */
	(void)store_lock_shared(store, &ignored);
	return -1;
}

void store_unlock(struct store *store)
{
	(void)flock(store->lock, LOCK_UN);
}

int store_open(struct store *ret, const char *path, struct idmap *map, struct err *err)
{
	_cleanup_(store_done) struct store store = { .dir = -1, .lock = -1, .map = *map };
	_cleanup_free_ char *top = find_top(path, err);
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	if (!top)
		return -1;
	store.path = path_join(top, "v1");
	store.dir = open(store.path, flags);
	if (store.dir < 0 && errno == ENOENT) {
		if (make_top(&store, top, err) < 0)
			return -1;
		store.dir = open(store.path, flags);
	}
	if (store.dir < 0)
		return store_fail(err, errno, "open store %s", store.path);
	if (check_owner(&store, err) < 0 || check_file_system(&store, err) < 0 ||
	    open_lock(&store, err) < 0 || store_lock_shared(&store, err) < 0)
		return -1;
	store_tmp_clean(&store);
	*ret = store;
	store = (struct store){ .dir = -1, .lock = -1 };
	return 0;
}

void store_done(struct store *store)
{
	if (!store || !store->path) /* zeroed: 0 is no descriptor of ours */
		return;
	if (store->dir >= 0)
		close(store->dir);
	if (store->lock >= 0)
		close(store->lock);
	free(store->path);
	*store = (struct store){ .dir = -1, .lock = -1 };
}
