/*
 * Reading everything again. What is found damaged is taken away, so that the next build makes it
 * again; steps that name it stay right, for they say what it must be.
 *
 *	blob	its bytes are hashed (by the caller's function) and compared with its name
 *	tree	its record `ok` and its `list` must be whole; the tree is walked and compared with the
 *		list entry by entry (type, mode, owner, size, time, target). The list was made when the
 *		tree was published and has no contents: hashing them then would double the cost of a
 *		build. The first check writes `sum`, the list with a digest of every file; later ones
 *		compare with that, so from then on a flipped bit is found too
 *	item	(EROFS file, kernel, saved state) its record must be whole and its files of the recorded
 *		sizes; `sum` has their digests from the first check on, for the same reason
 *	records	steps and images must be whole; a blob that one of them names must be there
 *
 * A tree that somebody uses is reported and stays where it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/store/internal.h"

struct check {
	struct store *store;	/* borrowed */
	int (*hash_blob)(int fd, struct digest *ret, struct err *err);
	struct store_damage *items;
	size_t count;
	struct sweep sweep;
	struct err *err;
};

/* Takes both texts over. */
static void damaged(struct check *check, char *name, char *what)
{
	check->items = xreallocarray(check->items, check->count + 1, sizeof(*check->items));
	check->items[check->count++] = (struct store_damage){ .name = name, .what = what };
}

static int drop_file(struct check *check, int dir, const char *name, char *shown, const char *what)
{
	struct stat st;

	damaged(check, shown, xstrdup(what));
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return store_remove(check->store, dir, name, check->err);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return store_fail(check->err, errno, "remove %s", name);
	return 0;
}

static char *strange_name(const char *folder, const char *name)
{
	_cleanup_free_ char *shown = str_escape(name, 128);

	return xasprintf("file %s/%s", folder, shown);
}

/* NULL when the blob is good; what is wrong with it; *ret_failed when that cannot be told. */
static const char *blob_fault(struct check *check, int dir, const char *name,
			      const struct digest *digest, bool *ret_failed)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest found;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		*ret_failed = !store_is_damage(errno);
		if (*ret_failed)
			store_fail(check->err, errno, "open it");
		return "cannot be opened";
	}
	*ret_failed = false;
	if (!S_ISREG(st.st_mode))
		return "not a file";
	if ((st.st_mode & 07777) != 0444)
		(void)fchmod(fd, 0444);
	if (check->hash_blob(fd, &found, check->err) < 0) {
		*ret_failed = check->err->code != -EIO;
		if (!*ret_failed)
			err_done(check->err);
		return "cannot be read: input/output error";
	}
	return digest_equal(&found, digest) ? NULL : "digest differs";
}

static int visit_blob(void *data, int dir, const char *name)
{
	struct check *check = data;
	struct digest digest;
	const char *what;
	bool failed;

	if (!digest_parse_hex(name, &digest))
		return drop_file(check, dir, name, strange_name("blobs", name), "not a blob");
	what = blob_fault(check, dir, name, &digest, &failed);
	if (failed)
		return err_wrap(check->err, "check blob sha256:%.12s", name);
	return what ? drop_file(check, dir, name, xasprintf("blob sha256:%s", name), what) : 0;
}

static int visit_shard(void *data, int dir, const char *name)
{
	struct check *check = data;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
		return drop_file(check, dir, name, strange_name("blobs/sha256", name),
				 "not a folder of blobs");
	return store_each(dir, name, visit_blob, check, check->err);
}

/* 0 for what the disk could not give (damage as well), -1 for other failures. */
static int read_failed(struct check *check, bool *ret_damaged)
{
	if (check->err->code != -EIO)
		return -1;
	err_done(check->err);
	*ret_damaged = true;
	return 0;
}

/* A layer that a reference says to have a blob. */
static int check_layer(struct check *check, const struct store_layer *layer)
{
	_cleanup_close_ int fd = -1;
	char text[DIGEST_TEXT_SIZE];
	uint64_t bytes;
	int found;

	if (!layer->has_blob)
		return 0;
	found = store_blob_open(check->store, &layer->blob, &fd, &bytes, check->err);
	if (found < 0)
		return -1;
	digest_text(&layer->blob, text);
	for (size_t i = 0; !found && i < check->count; i++)
		found = !strcmp(check->items[i].name + 5, text); /* told already */
	if (!found)
		damaged(check, xasprintf("blob %s", text), xstrdup("missing"));
	return 0;
}

static int visit_step(void *data, int dir, const char *name)
{
	struct check *check = data;
	struct store_layer layer;
	bool torn;
	int found = store_step_read(check->store, name, &layer, &torn, check->err);

	if (found < 0)
		found = read_failed(check, &torn);
	if (found < 0)
		return -1;
	if (found == 0)
		return torn ? drop_file(check, dir, name, xasprintf("step %s", name),
					"its record is not whole") : 0;
	return check_layer(check, &layer);
}

static int visit_image(void *data, int dir, const char *name)
{
	struct check *check = data;
	struct store_image image;
	int result = 0;
	bool torn;
	int found = store_image_read(check->store, name, &image, &torn, check->err);

	if (found < 0)
		found = read_failed(check, &torn);
	if (found < 0)
		return -1;
	if (found == 0)
		return torn ? drop_file(check, dir, name, xasprintf("image %s", name),
					"its record is not whole") : 0;
	for (size_t i = 0; result == 0 && i < image.layer_count; i++)
		result = check_layer(check, &image.layers[i]);
	store_image_done(&image);
	return result;
}

/* Compares with a list in the tree's folder: 1 equal, 0 not (with text), -1; 2 when it is absent. */
static int compare_list(struct check *check, int folder, const char *file, const char *key,
			const struct record *found, struct str *text)
{
	_cleanup_(record_done) struct record recorded = { 0 };
	bool torn;
	int whole = record_read(folder, file, STORE_SUM_BYTES_MAX, "list", key, &recorded, &torn,
				check->err);

	if (whole < 0)
		whole = read_failed(check, &torn);
	if (whole < 0)
		return -1;
	if (whole == 0 && !torn)
		return 2;
	if (whole == 0) {
		str_addf(text, "its %s is not whole", file);
		return 0;
	}
	return store_list_compare(&recorded, found, text) == 0;
}

/* What the first check saw, for the next ones. Without it (a full disk) they know less: no failure. */
static void write_sum(struct check *check, int folder, int out)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0 && fs_read_fd(out, "list", STORE_SUM_BYTES_MAX, &text.text, &text.length,
				   &ignored) == 0)
		(void)store_file_put(check->store, dir, "sum", &text, STORE_PUT_KEEP, &ignored);
}

/* 1: good, 0: damaged with the differences in `text`, -1. */
static int compare_tree(struct check *check, int folder, int tree, const char *key,
			struct str *text)
{
	_cleanup_(record_done) struct record found = { 0 };
	/* in memory, so that a full or read-only disk can be checked */
	_cleanup_close_ int out = memfd_create("duet-list", MFD_CLOEXEC);
	int result;

	if (out < 0)
		return store_fail(check->err, errno, "make a file in memory");
	if (store_list_write(check->store, tree, out, key, true, check->err) < 0)
		return -1;
	result = record_read_fd(out, "list", STORE_SUM_BYTES_MAX, "list", key, &found, check->err);
	if (result < 0)
		return -1;
	if (result == 0) {
		str_add(text, "it cannot be read whole");
		return 0;
	}
	result = compare_list(check, folder, "list", key, &found, text);
	if (result == 2)
		str_add(text, "its list is missing");
	if (result != 1)
		return result < 0 ? -1 : 0;
	result = compare_list(check, folder, "sum", key, &found, text);
	if (result == 2) {
		write_sum(check, folder, out);
		result = 1;
	}
	return result;
}

static int check_tree(struct check *check, int trees, const char *key, struct str *text)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, found;
	_cleanup_close_ int folder = openat(trees, key, flags), use = -1, tree = -1;
	struct store_layer layer;
	struct digest digest;
	bool is_chain, torn;

	if (folder < 0 && !store_is_damage(errno))
		return store_fail(check->err, errno, "open its folder");
	if (folder < 0 || !store_key_parse(key, &digest, &is_chain)) {
		str_add(text, "not a tree");
		return 0;
	}
	found = store_tree_record(folder, key, &use, &layer, check->err);
	if (found < 0)
		found = read_failed(check, &torn);
	if (found < 0)
		return -1;
	tree = openat(folder, "tree", flags);
	if (tree < 0 && !store_is_damage(errno))
		return store_fail(check->err, errno, "open it");
	if (found == 0 || tree < 0) {
		str_add(text, found == 0 ? "its record is not whole" : "its folder is missing");
		return 0;
	}
	return compare_tree(check, folder, tree, key, text);
}

/* Takes a damaged folder out of the way, unless it is in use; tells why either way. */
static int take_off(struct check *check, int dir, const char *name, const char *kind,
		    struct str *text)
{
	_cleanup_free_ char *shown = NULL;
	int moved = sweep_tree(&check->sweep, dir, name, check->err);

	if (moved < 0)
		return -1;
	if (moved == 0)
		str_add(text, " (in use, so it stays until it is not)");
	shown = str_escape(name, 128);
	damaged(check, xasprintf("%s%s", kind, shown), TAKE_PTR(text->text));
	return 0;
}

static int visit_tree(void *data, int dir, const char *name)
{
	struct check *check = data;
	_cleanup_(str_done) struct str text = { 0 };
	int good = check_tree(check, dir, name, &text);

	if (good != 0)
		return good < 0 ? err_wrap(check->err, "check tree %.12s", name) : 0;
	return take_off(check, dir, name, "tree sha256:", &text);
}

/* The digests of an item's files, as text: "image HEX". 1, 0 with *ret_text what is wrong, -1. */
static int sum_files(struct check *check, int folder, enum store_item_kind kind, struct str *sum,
		     struct str *text)
{
	const char *const *files = store_item_files(kind);

	for (size_t i = 0; files[i]; i++) {
		_cleanup_close_ int fd = openat(folder, files[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		struct digest digest;

		if (fd < 0)
			return store_fail(check->err, errno, "open %s", files[i]);
		if (check->hash_blob(fd, &digest, check->err) < 0) {
			if (check->err->code != -EIO)
				return -1;
			err_done(check->err);
			str_addf(text, "%s cannot be read: input/output error", files[i]);
			return 0;
		}
		record_digest(sum, files[i], &digest);
	}
	return 1;
}

static int check_item(struct check *check, int dir, const char *key, enum store_item_kind kind,
		      struct str *text)
{
	_cleanup_close_ int folder = openat(dir, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
						      O_CLOEXEC);
	_cleanup_(record_done) struct record record = { 0 };
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_(str_done) struct str sum = { 0 }, whole = { 0 };
	bool torn;
	int found;

	if (folder < 0 && !store_is_damage(errno))
		return store_fail(check->err, errno, "open its folder");
	found = folder < 0 ? 0 : store_item_record(folder, kind, key, NULL, NULL, check->err);
	if (found < 0)
		found = read_failed(check, &torn);
	if (found == 0)
		str_add(text, "its record is not whole, or a file is missing or of another size");
	if (found == 1)
		found = sum_files(check, folder, kind, &sum, text);
	if (found != 1)
		return found;
	found = record_read(folder, "sum", STORE_ITEM_TEXT_MAX, "sum", key, &record, &torn,
			    check->err);
	if (found < 0)
		found = read_failed(check, &torn);
	if (found < 0)
		return -1;
	if (found == 0 && torn) {
		str_add(text, "its sum is not whole");
		return 0;
	}
	/* without it (a full disk) the next check knows less: no failure */
	record_begin(&whole, "sum", key);
	str_add(&whole, sum.text);
	record_end(&whole);
	if (found == 0)
		(void)store_file_put(check->store, folder, "sum", &whole, STORE_PUT_KEEP, &ignored);
	else if (strcmp(sum.text, record.at))
		str_add(text, "digest differs");
	return text->length == 0;
}

struct item_visit {
	struct check *check;
	enum store_item_kind kind;
};

static int visit_item(void *data, int dir, const char *name)
{
	const struct item_visit *visit = data;
	struct check *check = visit->check;
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_free_ char *kind = NULL;
	int good = check_item(check, dir, name, visit->kind, &text);

	if (good != 0)
		return good < 0 ? err_wrap(check->err, "check %s %.12s",
					   store_item_folder(visit->kind), name) : 0;
	kind = xasprintf("%s ", store_item_folder(visit->kind));
	return take_off(check, dir, name, kind, &text);
}

static int check_items(struct check *check)
{
	for (enum store_item_kind kind = 0; kind < STORE_ITEM_KINDS; kind++) {
		struct item_visit visit = { check, kind };

		if (store_each(check->store->dir, store_item_folder(kind), visit_item, &visit,
			       check->err) < 0)
			return -1;
	}
	return 0;
}

int store_check(struct store *store,
		int (*hash_blob)(int fd, struct digest *ret, struct err *err),
		struct store_damage **ret, size_t *ret_count, struct err *err)
{
	struct check check = { .store = store, .hash_blob = hash_blob, .err = err,
			       .sweep = { .store = store, .tmp = { .dir = -1, .lock = -1 } } };
	_cleanup_(err_done) struct err second = { 0 };
	char trees[STORE_PATH_SIZE];
	int result;

	snprintf(trees, sizeof(trees), "trees/%s", store->map.id);
	result = store_each(store->dir, "blobs/sha256", visit_shard, &check, err);
	if (result == 0)
		result = store_each(store->dir, trees, visit_tree, &check, err);
	if (result == 0)
		result = check_items(&check);
	if (result == 0)
		result = store_each(store->dir, "steps", visit_step, &check, err);
	if (result == 0)
		result = store_each(store->dir, "images", visit_image, &check, err);
	if (sweep_end(&check.sweep, result < 0 ? &second : err) < 0)
		result = -1;
	if (result < 0) {
		store_damage_free(check.items, check.count);
		return err_wrap(err, "store check");
	}
	*ret = check.items;
	*ret_count = check.count;
	return 0;
}

void store_damage_free(struct store_damage *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].name);
		free(items[i].what);
	}
	free(items);
}
