/*
 * What a failed run step had written: failed/MAP/HEX, named by the image, with the step's layers in its
 * record; for `duet shell --failed`, for a day. Not synced: it is for looking at, nothing is made of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/store/internal.h"

#define WORDS_MAX 65536

static char *folder_of(const struct store *store)
{
	return xasprintf("failed/%s", store->map.id);
}

static void key_of(const char *name, char ret[DIGEST_HEX_SIZE])
{
	struct digest digest;

	digest_of(name, strlen(name), &digest);
	digest_hex(&digest, ret);
}

void store_failed_done(struct store_failed *failed)
{
	free(failed->name);
	free(failed->layers);
	process_done(&failed->process);
	*failed = (struct store_failed){ 0 };
}

/* ---- the record ------------------------------------------------------------------------------ */

static void write_record(struct str *out, const char *key, const struct store_failed *failed)
{
	const struct process *process = &failed->process;

	record_begin(out, "failed", key);
	record_bytes(out, "name", failed->name);
	record_layers(out, failed->layers, failed->layer_count);
	record_u64(out, "environment", process->environment.count);
	for (size_t i = 0; i < process->environment.count; i++)
		record_bytes(out, "variable", process->environment.items[i]);
	record_bytes(out, "user", process->user);
	record_bytes(out, "workdir", process->workdir);
	record_u64(out, "network", failed->network);
	record_end(out);
}

static bool take_optional(struct record *record, const char *name, char **ret)
{
	if (!record_take_bytes(record, name, ret))
		return false;
	if (!**ret) {
		free(*ret);
		*ret = NULL;
	}
	return true;
}

static bool parse(struct record *record, struct store_failed *ret)
{
	uint64_t words, network;

	if (!record_take_bytes(record, "name", &ret->name) ||
	    !record_take_layers(record, &ret->layers, &ret->layer_count) ||
	    !record_take_u64(record, "environment", &words) || words > WORDS_MAX)
		return false;
	for (size_t i = 0; i < words; i++) {
		char *text = NULL;

		if (!record_take_bytes(record, "variable", &text))
			return false;
		strv_take(&ret->process.environment, text);
	}
	if (!take_optional(record, "user", &ret->process.user) ||
	    !take_optional(record, "workdir", &ret->process.workdir) ||
	    !record_take_u64(record, "network", &network) || network > NETWORK_NAT)
		return false;
	ret->network = (enum network_kind)network;
	return record_at_end(record);
}

int store_failed_read(int dir, const char *key, struct store_failed *ret, struct err *err)
{
	_cleanup_(store_failed_done) struct store_failed failed = { 0 };
	_cleanup_(record_done) struct record record = { 0 };
	char path[STORE_PATH_SIZE];
	int found;

	snprintf(path, sizeof(path), "%.150s/ok", key);
	found = record_read(dir, path, STORE_RECORD_BYTES_MAX, "failed", key, &record, NULL, err);
	if (found <= 0)
		return found;
	if (!parse(&record, &failed))
		return 0;
	*ret = failed;
	failed = (struct store_failed){ 0 };
	return 1;
}

/* ---- keeping and opening --------------------------------------------------------------------- */

/* The one that is there goes, unless somebody looks at it: 1 when the name is free, 0, -1. */
static int make_room(struct store *store, int dir, const char *key, struct err *err)
{
	_cleanup_close_ int use = -1;
	char path[STORE_PATH_SIZE];

	snprintf(path, sizeof(path), "%.150s/ok", key);
	use = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (use >= 0 && flock(use, LOCK_EX | LOCK_NB) < 0)
		return 0;
	return store_remove(store, dir, key, err) < 0 ? -1 : 1;
}

int store_failed_keep(struct store *store, struct store_tmp *tmp, const struct store_failed *failed,
		      struct err *err)
{
	_cleanup_free_ char *folder = folder_of(store);
	_cleanup_close_ int dir = store_folder(store, folder, err), ok = -1;
	_cleanup_(str_done) struct str record = { 0 };
	char key[DIGEST_HEX_SIZE], path[STORE_PATH_SIZE];
	int free_name;

	if (dir < 0)
		return -1;
	key_of(failed->name, key);
	write_record(&record, key, failed);
	ok = openat(tmp->dir, "ok", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (ok < 0 || fs_write_all(ok, record.text, record.length) < 0)
		return store_fail(err, errno, "write a record");
	free_name = make_room(store, dir, key, err);
	if (free_name <= 0)
		return free_name;
	snprintf(path, sizeof(path), "tmp/%s", tmp->id);
	if (renameat(store->dir, path, dir, key) < 0)
		return store_fail(err, errno, "keep what the step wrote");
	return 1;
}

int store_failed_open(struct store *store, const char *name, struct store_failed *ret, int *ret_dir,
		      int *ret_use, struct err *err)
{
	_cleanup_free_ char *folder = folder_of(store);
	_cleanup_close_ int dir = -1, kept = -1, use = -1;
	char key[DIGEST_HEX_SIZE];
	int found;

	dir = openat(store->dir, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : store_fail(err, errno, "open %s", folder);
	key_of(name, key);
	kept = openat(dir, key, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	use = kept < 0 ? -1 : openat(kept, "ok", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (use < 0)
		return 0;
	if (flock(use, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, ERR_STORE_BUSY, "another shell is open on it");
	found = store_failed_read(dir, key, ret, err);
	if (found != 1)
		return found;
	*ret_dir = TAKE_FD(kept);
	*ret_use = TAKE_FD(use);
	return 1;
}

int store_failed_fresh(struct store *store, int dir, const char *name, struct err *err)
{
	return store_remove(store, dir, name, err);
}
