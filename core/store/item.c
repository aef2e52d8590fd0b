/*
 * Items: EROFS files, kernels, saved states. Stages of a publication, in this order:
 *
 *	1 tmp/ID holds the kind's files, finished and verified by whoever made them
 *	2 each file is made 0444 and synced; tmp/ID/ok holds the record with their sizes, synced
 *	3 tmp/ID becomes KIND/KEY by one rename; when somebody was quicker theirs stays
 *	4 the folder KIND is synced
 *
 * A shared flock on `ok` says that an item is in use; who moves one off needs an exclusive one.
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

static const struct {
	const char *folder, *word;
	const char *files[STORE_ITEM_FILES_MAX + 1];
} kinds[STORE_ITEM_KINDS] = {
	[STORE_EROFS] = { "erofs", "EROFS file", { "image" } },
	[STORE_KERNEL] = { "kernels", "kernel", { "vmlinux", "modules" } },
	[STORE_STATE] = { "states", "saved state", { "ram", "state" } },
};

const char *const *store_item_files(enum store_item_kind kind)
{
	return kinds[kind].files;
}

const char *store_item_folder(enum store_item_kind kind)
{
	return kinds[kind].folder;
}

/* Opens `ok` with a shared flock: 1, 0 (absent, or being removed), -1. */
static int open_record(int folder, const char *word, const char *key, int *ret, struct err *err)
{
	_cleanup_close_ int use = openat(folder, "ok", O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						       O_CLOEXEC);

	if (use < 0)
		return errno == ENOENT || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open the record of %s %.12s", word, key);
	if (flock(use, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 :
		       store_fail(err, errno, "lock %s %.12s", word, key);
	*ret = TAKE_FD(use);
	return 1;
}

/* Is the file there with the size that the record has? */
static bool same_size(int folder, const char *name, uint64_t bytes)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == bytes;
}

int store_item_record(int folder, enum store_item_kind kind, const char *key, int *ret_use,
		      char **ret_text, struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	const char *const *files = kinds[kind].files;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int use = -1;
	uint64_t bytes;
	int found = open_record(folder, kinds[kind].word, key, &use, err);

	if (found == 1)
		found = record_read_fd(use, "ok", STORE_ITEM_TEXT_MAX + 4096, kinds[kind].folder, key,
				       &record, err);
	if (found != 1)
		return found;
	for (size_t i = 0; files[i]; i++)
		if (!record_take_u64(&record, files[i], &bytes) ||
		    !same_size(folder, files[i], bytes))
			return 0;
	if (!record_take_bytes(&record, "text", &text) || !record_at_end(&record))
		return 0;
	if (ret_use)
		*ret_use = TAKE_FD(use);
	if (ret_text)
		*ret_text = TAKE_PTR(text);
	return 1;
}

void store_item_done(struct store_item *item)
{
	for (size_t i = 0; i < STORE_ITEM_FILES_MAX; i++)
		mem_closep(&item->files[i]);
	mem_closep(&item->use);
	free(item->text);
	*item = (struct store_item){ .files = { -1, -1 }, .use = -1 };
}

static int open_files(int folder, enum store_item_kind kind, const char *key,
		      struct store_item *ret, struct err *err)
{
	const char *const *files = kinds[kind].files;

	for (size_t i = 0; files[i]; i++) {
		ret->files[i] = openat(folder, files[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (ret->files[i] < 0)
			return store_fail(err, errno, "open %s of %s %.12s", files[i],
					  kinds[kind].word, key);
	}
	return 1;
}

int store_item_open(struct store *store, enum store_item_kind kind, const char *key,
		    struct store_item *ret, struct err *err)
{
	_cleanup_(store_item_done) struct store_item item = { .files = { -1, -1 }, .use = -1 };
	_cleanup_close_ int folder = -1;
	char path[STORE_PATH_SIZE];
	struct stat opened, named;
	int found;

	snprintf(path, sizeof(path), "%s/%.80s", kinds[kind].folder, key);
	folder = openat(store->dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 :
		       store_fail(err, errno, "open %s %.12s", kinds[kind].word, key);
	found = store_item_record(folder, kind, key, &item.use, &item.text, err);
	if (found != 1)
		return found;
	/* whoever moves it off has an exclusive flock meanwhile: now it stays, or it is gone */
	if (fstat(folder, &opened) < 0 || fstatat(store->dir, path, &named, 0) < 0 ||
	    opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
		return 0;
	if (open_files(folder, kind, key, &item, err) < 0)
		return -1;
	if (kind != STORE_EROFS) /* for gc: when somebody took it last; a failure costs a rebuild */
		(void)utimensat(folder, "ok", NULL, 0);
	*ret = item;
	item = (struct store_item){ .files = { -1, -1 }, .use = -1 };
	return 1;
}

/* Stage 2. */
static int finish_files(struct store_tmp *tmp, enum store_item_kind kind, struct str *record,
			struct err *err)
{
	const char *const *files = kinds[kind].files;

	for (size_t i = 0; files[i]; i++) {
		_cleanup_close_ int fd = openat(tmp->dir, files[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || fchmod(fd, 0444) < 0)
			return store_fail(err, errno, "write %s", files[i]);
		/* an error of this call is final: what was lost is not written again */
		if (fsync(fd) < 0 || fstat(fd, &st) < 0)
			return store_fail(err, errno, "sync %s", files[i]);
		record_u64(record, files[i], (uint64_t)st.st_size);
	}
	return 0;
}

static int write_record(struct store_tmp *tmp, const struct str *record, struct err *err)
{
	_cleanup_close_ int ok = openat(tmp->dir, "ok", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
							O_CLOEXEC, 0600);
	_cleanup_close_ int dir = openat(tmp->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (ok < 0 || dir < 0 || fs_write_all(ok, record->text, record->length) < 0 ||
	    fchmod(ok, 0644) < 0 || fsync(ok) < 0 || fsync(dir) < 0)
		return store_fail(err, errno, "write a record");
	return 0;
}

/* The store's is_good functions take no kind: one for each. */
static bool is_good(int folder, enum store_item_kind kind, const char *key, int *ret_use)
{
	_cleanup_(err_done) struct err ignored = { 0 };

	return store_item_record(folder, kind, key, ret_use, NULL, &ignored) == 1;
}

static bool good_erofs(int folder, const char *key, int *ret_use)
{
	return is_good(folder, STORE_EROFS, key, ret_use);
}

static bool good_kernel(int folder, const char *key, int *ret_use)
{
	return is_good(folder, STORE_KERNEL, key, ret_use);
}

static bool good_state(int folder, const char *key, int *ret_use)
{
	return is_good(folder, STORE_STATE, key, ret_use);
}

int store_item_publish(struct store *store, struct store_tmp *tmp, enum store_item_kind kind,
		       const char *key, const char *text, struct err *err)
{
	static bool (*const good[])(int, const char *, int *) = {
		[STORE_EROFS] = good_erofs, [STORE_KERNEL] = good_kernel,
		[STORE_STATE] = good_state,
	};
	_cleanup_(str_done) struct str record = { 0 };
	_cleanup_close_ int dir = store_folder(store, kinds[kind].folder, err);

	if (dir < 0)
		return -1;
	record_begin(&record, kinds[kind].folder, key);
	if (finish_files(tmp, kind, &record, err) < 0)
		return err_wrap(err, "publish %s %.12s", kinds[kind].word, key);
	record_bytes(&record, "text", text);
	record_end(&record);
	if (write_record(tmp, &record, err) < 0 ||
	    store_rename_into(store, tmp, dir, key, good[kind], err) < 0)
		return err_wrap(err, "publish %s %.12s", kinds[kind].word, key);
	return store_sync(dir, kinds[kind].folder, err);
}

static int open_erofs(struct store *store, const char *key, int *ret_image, int *ret_use,
		      struct err *err)
{
	struct store_item item;
	int found = store_item_open(store, STORE_EROFS, key, &item, err);

	if (found != 1)
		return found;
	*ret_image = TAKE_FD(item.files[0]);
	*ret_use = TAKE_FD(item.use);
	store_item_done(&item);
	return 1;
}

static void merged_key(const struct digest *chain, char ret[STORE_KEY_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(chain, hex);
	snprintf(ret, STORE_KEY_SIZE, "%s.merged", hex);
}

int store_erofs_open(struct store *store, const struct digest *diff_id, const struct digest *chain,
		     bool merged, int *ret_image, int *ret_use, struct err *err)
{
	char key[STORE_KEY_SIZE];
	int found;

	if (merged) {
		merged_key(chain, key);
		return open_erofs(store, key, ret_image, ret_use, err);
	}
	store_tree_key(diff_id, NULL, false, key);
	found = open_erofs(store, key, ret_image, ret_use, err);
	if (found != 0 || !chain)
		return found;
	store_tree_key(diff_id, chain, true, key);
	return open_erofs(store, key, ret_image, ret_use, err);
}

int store_erofs_publish(struct store *store, struct store_tmp *tmp,
			const struct store_layer *layer, const struct digest *chain,
			struct err *err)
{
	char key[STORE_KEY_SIZE];

	if (layer)
		store_tree_key(&layer->diff_id, chain, layer->needs_lower, key);
	else
		merged_key(chain, key);
	return store_item_publish(store, tmp, STORE_EROFS, key, NULL, err);
}
