/*
 * Work in progress. tmp/ID.lock is made and locked before tmp/ID, and removed after it; what is in
 * tmp/ without a held lock belongs to nobody any more. Ids are random and never used twice, so that
 * a cleaner which looks late finds nothing rather than somebody else's work.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/jail.h"
#include "core/store/internal.h"

void store_new_id(char ret[40])
{
	unsigned long long bits = 0;

	if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
		bits = (unsigned long long)(uintptr_t)ret ^ (unsigned long long)time(NULL) << 20;
	snprintf(ret, 40, "%d-%016llx", (int)getpid(), bits);
}

struct removal {
	int dir;
	const char *name;
};

static int remove_inside(void *data)
{
	const struct removal *removal = data;
	_cleanup_(err_done) struct err err = { 0 };

	return fs_remove_tree(removal->dir, removal->name, &err) < 0;
}

int store_remove(struct store *store, int dir, const char *name, struct err *err)
{
	struct removal removal = { .dir = dir, .name = name };

	if (fs_remove_tree(dir, name, err) == 0)
		return 0;
	if (store->map.kind == IDMAP_RANGE || (err->code != -EACCES && err->code != -EPERM))
		return err_wrap(err, "store");
	err_done(err);
	return jail_run(&store->map, remove_inside, &removal, "remove a tree of the store", err);
}

int store_tmp_lock(struct store *store, struct store_tmp *ret, struct err *err)
{
	for (;;) {
		struct store_tmp tmp = { .dir = -1, .lock = -1 };
		char path[STORE_PATH_SIZE];
		_cleanup_close_ int lock = -1;
		struct stat st;

		store_new_id(tmp.id);
		snprintf(path, sizeof(path), "tmp/%s.lock", tmp.id);
		lock = openat(store->dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			      0600);
		if (lock < 0 || fchmod(lock, 0600) < 0)
			return store_fail(err, errno, "make %s", path);
		if (flock(lock, LOCK_EX) < 0 || fstat(lock, &st) < 0)
			return store_fail(err, errno, "lock %s", path);
		if (st.st_nlink == 0)
			continue; /* a cleaner was quicker than our lock */
		tmp.lock = TAKE_FD(lock);
		*ret = tmp;
		return 0;
	}
}

int store_tmp_new(struct store *store, struct store_tmp *ret, struct err *err)
{
	struct store_tmp tmp;
	char path[STORE_PATH_SIZE];
	int failed;

	if (store_tmp_lock(store, &tmp, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "tmp/%s", tmp.id);
	if (mkdirat(store->dir, path, 0700) == 0 && fchmodat(store->dir, path, 0700, 0) == 0)
		tmp.dir = openat(store->dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	failed = errno;
	if (tmp.dir < 0) {
		_cleanup_(err_done) struct err ignored = { 0 };

		(void)store_tmp_drop(store, &tmp, &ignored);
		return store_fail(err, failed, "make a folder in the store");
	}
	*ret = tmp;
	return 0;
}

int store_tmp_drop(struct store *store, struct store_tmp *tmp, struct err *err)
{
	char path[STORE_PATH_SIZE];
	int result;

	if (!tmp || !tmp->id[0])
		return 0;
	if (tmp->dir >= 0)
		close(tmp->dir);
	snprintf(path, sizeof(path), "tmp/%s", tmp->id);
	result = store_remove(store, store->dir, path, err);
	snprintf(path, sizeof(path), "tmp/%s.lock", tmp->id);
	(void)unlinkat(store->dir, path, 0);
	if (tmp->lock >= 0)
		close(tmp->lock);
	*tmp = (struct store_tmp){ .dir = -1, .lock = -1 };
	return result;
}

/* An open descriptor with the lock when nobody holds it, -1 with EWOULDBLOCK, ENOENT, ... */
static int try_lock(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int clean_entry(void *data, int dir, const char *name)
{
	struct store *store = data;
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_close_ int held = -1;
	char lock[STORE_PATH_SIZE];

	if (str_has_suffix(name, ".part")) {
		held = try_lock(dir, name);
		if (held >= 0)
			(void)unlinkat(dir, name, 0);
		return 0;
	}
	if (strlen(name) < sizeof(lock) - 8) {
		snprintf(lock, sizeof(lock), "%.*s.lock", (int)strcspn(name, "."), name);
		held = try_lock(dir, lock);
		if (held < 0 && errno != ENOENT)
			return 0;
	}
	(void)store_remove(store, dir, name, &ignored);
	return 0;
}

void store_tmp_clean(struct store *store)
{
	_cleanup_close_ int fd = openat(store->dir, "tmp",
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(err_done) struct err ignored = { 0 };
	/* the usual case in three calls: nothing but "." and ".." */
	char some[512];
	ssize_t size = fd < 0 ? 0 : getdents64(fd, some, sizeof(some));
	unsigned int names = 0;

	for (ssize_t at = 0; at < size; names++) {
		uint16_t length;

		memcpy(&length, some + at + offsetof(struct dirent64, d_reclen), sizeof(length));
		at += length;
	}
	if (names > 2)
		(void)store_each(store->dir, "tmp", clean_entry, store, &ignored);
}
