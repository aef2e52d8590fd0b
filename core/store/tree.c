/*
 * Trees: layers unpacked. Stages of a publication, in this order:
 *
 *	1 tmp/ID/tree is filled by the unpacker, owners through the id map
 *	2 tmp/ID/list says entry by entry what is there (for `store check`), tmp/ID/ok holds the record
 *	3 one syncfs: contents, folders, list and record are on the disk
 *	4 tmp/ID becomes trees/MAP/KEY by one rename; when somebody was quicker theirs stays
 *	5 the folder trees/MAP is synced
 *
 * A shared flock on `ok` says that a tree is in use; who moves one off needs an exclusive one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/store/internal.h"

#define PUBLISH_TRIES 8	/* a torn tree in the way is moved off, and somebody may put one there */

void store_tree_key(const struct digest *diff_id, const struct digest *chain, bool needs_lower,
		    char ret[STORE_KEY_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(needs_lower ? chain : diff_id, hex);
	snprintf(ret, STORE_KEY_SIZE, "%s%s", hex, needs_lower ? ".chain" : "");
}

int store_tree_record(int folder, const char *key, int *ret_use, struct store_layer *ret,
		      struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	_cleanup_close_ int use = openat(folder, "ok", O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						       O_CLOEXEC);
	int found;

	if (use < 0)
		return errno == ENOENT || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open the record of tree %.12s", key);
	if (flock(use, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : /* it is being removed */
		       store_fail(err, errno, "lock tree %.12s", key);
	found = record_read_fd(use, "ok", STORE_RECORD_BYTES_MAX, "tree", key, &record, err);
	if (found <= 0)
		return found;
	if (!record_take_layer(&record, ret) || !record_at_end(&record))
		return 0;
	*ret_use = TAKE_FD(use);
	return 1;
}

static int open_key(struct store *store, const char *key, int *ret_tree, int *ret_use,
		    struct err *err)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, found;
	_cleanup_close_ int folder = -1, use = -1, tree = -1;
	struct store_layer layer;
	char path[2 * STORE_PATH_SIZE];
	struct stat opened, named;

	snprintf(path, sizeof(path), "trees/%s/%s", store->map.id, key);
	folder = openat(store->dir, path, flags);
	if (folder < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open tree %.12s", key);
	found = store_tree_record(folder, key, &use, &layer, err);
	if (found <= 0)
		return found;
	/* whoever moves a tree off has an exclusive flock meanwhile: now it stays, or it is gone */
	if (fstat(folder, &opened) < 0 || fstatat(store->dir, path, &named, 0) < 0 ||
	    opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
		return 0;
	/* from the same folder, so that the flock and the tree belong together */
	tree = openat(folder, "tree", flags);
	if (tree < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open tree %.12s", key);
	*ret_tree = TAKE_FD(tree);
	*ret_use = TAKE_FD(use);
	return 1;
}

int store_tree_open(struct store *store, const struct digest *diff_id, const struct digest *chain,
		    int *ret_tree, int *ret_use, struct err *err)
{
	char key[STORE_KEY_SIZE];
	int found;

	store_tree_key(diff_id, NULL, false, key);
	found = open_key(store, key, ret_tree, ret_use, err);
	if (found != 0 || !chain)
		return found;
	store_tree_key(diff_id, chain, true, key);
	return open_key(store, key, ret_tree, ret_use, err);
}

int store_tree_new(struct store *store, struct store_tmp *tmp, int *ret_tree, struct err *err)
{
	_cleanup_close_ int fd = -1;
	uint32_t uid, gid;

	if (mkdirat(tmp->dir, "tree", 0700) < 0 || fchmodat(tmp->dir, "tree", 0700, 0) < 0)
		return store_fail(err, errno, "make a tree in the store");
	fd = openat(tmp->dir, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return store_fail(err, errno, "open a new tree");
	if (!idmap_uid_outside(&store->map, 0, &uid) || !idmap_gid_outside(&store->map, 0, &gid))
		return err_set(err, ERR_STORE, "make a tree: id map %s has no root", store->map.id);
	if ((uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) < 0)
		return store_fail(err, errno, "give a new tree to %u:%u", uid, gid);
	if (fchmod(fd, 0755) < 0)
		return store_fail(err, errno, "set the mode of a new tree");
	*ret_tree = TAKE_FD(fd);
	return 0;
}

/* Stages 2 and 3. */
static int write_record(struct store *store, struct store_tmp *tmp, const char *key,
			const struct store_layer *layer, struct err *err)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int tree = -1, list = -1, ok = -1;
	struct stat st;

	tree = openat(tmp->dir, "tree", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	list = openat(tmp->dir, "list", flags, 0600);
	ok = openat(tmp->dir, "ok", flags, 0600);
	if (tree < 0 || list < 0 || ok < 0)
		return store_fail(err, errno, "make the record of a tree");
	if (store_list_write(store, tree, list, key, false, err) < 0)
		return -1;
	if (fstat(list, &st) < 0 || st.st_size > STORE_LIST_BYTES_MAX)
		return err_set(err, ERR_STORE, "list a tree: too many entries");
	record_begin(&text, "tree", key);
	record_layer(&text, layer);
	record_end(&text);
	if (fs_write_all(ok, text.text, text.length) < 0 || fchmod(ok, 0444) < 0 ||
	    fchmod(list, 0444) < 0)
		return store_fail(err, errno, "write the record of a tree");
	if (syncfs(ok) < 0)
		return store_fail(err, errno, "sync a tree");
	return 0;
}

/* A tree is good when its record is whole and its folder is there. */
static bool tree_is_good(int folder, const char *key, int *ret_use)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	struct store_layer layer;
	struct stat st;

	return store_tree_record(folder, key, ret_use, &layer, &ignored) == 1 &&
	       fstatat(folder, "tree", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* What is not good is in the way: 1 when it has been moved off, 0 when it is good. */
static int move_torn(struct store *store, int dir, const char *key,
		     bool (*is_good)(int folder, const char *key, int *ret_use), struct err *err)
{
	struct sweep sweep = { .store = store, .tmp = { .dir = -1, .lock = -1 } };
	_cleanup_close_ int folder = openat(dir, key, O_PATH | O_DIRECTORY | O_NOFOLLOW |
						      O_CLOEXEC);
	_cleanup_close_ int use = -1;

	if (folder < 0 && errno == ENOENT)
		return 1;
	if (folder >= 0 && is_good(folder, key, &use))
		return 0;
	if (use >= 0) /* our own shared lock must not stand in our way */
		close(TAKE_FD(use));
	if (sweep_tree(&sweep, dir, key, err) < 0 || sweep_end(&sweep, err) < 0)
		return -1;
	return 1;
}

int store_rename_into(struct store *store, struct store_tmp *tmp, int dir, const char *key,
		      bool (*is_good)(int folder, const char *key, int *ret_use), struct err *err)
{
	char path[STORE_PATH_SIZE];

	snprintf(path, sizeof(path), "tmp/%s", tmp->id);
	for (int i = 0; i < PUBLISH_TRIES; i++) {
		int moved;

		if (renameat2(store->dir, path, dir, key, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST && errno != ENOTEMPTY)
			return store_fail(err, errno, "rename to %.12s", key);
		moved = move_torn(store, dir, key, is_good, err);
		if (moved <= 0)
			return moved;
	}
	return err_set(err, ERR_STORE_BUSY, "publish %.12s: a torn one is in use", key);
}

int store_tree_publish(struct store *store, struct store_tmp *tmp, const struct store_layer *layer,
		       const struct digest *chain, struct err *err)
{
	char key[STORE_KEY_SIZE], path[STORE_PATH_SIZE];
	_cleanup_close_ int trees = -1;

	if (layer->needs_lower && !chain)
		return err_set(err, ERR_STORE, "publish a tree: its layer needs a chain-id");
	store_tree_key(&layer->diff_id, chain, layer->needs_lower, key);
	snprintf(path, sizeof(path), "trees/%s", store->map.id);
	trees = store_folder(store, path, err);
	if (trees < 0)
		return -1;
	if (write_record(store, tmp, key, layer, err) < 0 ||
	    store_rename_into(store, tmp, trees, key, tree_is_good, err) < 0)
		return err_wrap(err, "publish tree %.12s", key);
	return store_sync(trees, path, err);
}
