/*
 * Remembered digests of host files (a local archive, a copied file), so that a build does not read
 * them again. A record stands only while device, inode, size and both times are as they were, and
 * only when the file had been at rest for a while: two writes within one tick of the file system's
 * clock look alike (git calls it a racy entry).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/store/internal.h"

#define AT_REST_NS 2000000000ull

static uint64_t to_ns(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

static void stat_file(const char *path, char ret[DIGEST_HEX_SIZE])
{
	struct digest digest;

	digest_of(path, strlen(path), &digest);
	digest_hex(&digest, ret);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return S_ISREG(a->st_mode) && S_ISREG(b->st_mode) && a->st_dev == b->st_dev &&
	       a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       to_ns(&a->st_mtim) == to_ns(&b->st_mtim) &&
	       to_ns(&a->st_ctim) == to_ns(&b->st_ctim);
}

struct remembered {
	char *path;	/* owned */
	struct stat st;	/* the fields that same_file looks at */
	struct digest digest;
};

static bool parse_stat(struct record *record, struct remembered *ret)
{
	uint64_t device, inode, size, mtime_ns, ctime_ns;

	if (!record_take_bytes(record, "path", &ret->path) ||
	    !record_take_u64(record, "device", &device) ||
	    !record_take_u64(record, "inode", &inode) ||
	    !record_take_u64(record, "size", &size) ||
	    !record_take_u64(record, "mtime_ns", &mtime_ns) ||
	    !record_take_u64(record, "ctime_ns", &ctime_ns) ||
	    !record_take_digest(record, "digest", &ret->digest) || !record_at_end(record))
		return false;
	ret->st.st_mode = S_IFREG;
	ret->st.st_dev = device;
	ret->st.st_ino = inode;
	ret->st.st_size = (off_t)size;
	ret->st.st_mtim.tv_sec = (time_t)(mtime_ns / 1000000000u);
	ret->st.st_mtim.tv_nsec = (long)(mtime_ns % 1000000000u);
	ret->st.st_ctim.tv_sec = (time_t)(ctime_ns / 1000000000u);
	ret->st.st_ctim.tv_nsec = (long)(ctime_ns % 1000000000u);
	return true;
}

/* 1 when the record stat/FILE is whole and its file is as it was. */
static int read_stat(struct store *store, const char *file, struct digest *ret, struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	struct remembered known = { 0 };
	char path[STORE_PATH_SIZE], own_file[DIGEST_HEX_SIZE];
	struct stat now;
	int found;

	snprintf(path, sizeof(path), "stat/%.128s", file);
	found = record_read(store->dir, path, STORE_RECORD_BYTES_MAX, "stat", file, &record, NULL,
			    err);
	if (found <= 0)
		return found;
	found = 0;
	if (parse_stat(&record, &known)) {
		stat_file(known.path, own_file);
		found = !strcmp(own_file, file) && stat(known.path, &now) == 0 &&
			same_file(&known.st, &now);
	}
	if (found)
		*ret = known.digest;
	free(known.path);
	return found;
}

bool store_stat_is_current(struct store *store, const char *file)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	struct digest digest;

	return read_stat(store, file, &digest, &ignored) == 1;
}

int store_stat_get(struct store *store, const char *path, struct digest *ret, struct err *err)
{
	char file[DIGEST_HEX_SIZE];

	stat_file(path, file);
	return read_stat(store, file, ret, err);
}

static bool at_rest(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return to_ns(&st->st_mtim) + AT_REST_NS < to_ns(&now) &&
	       to_ns(&st->st_ctim) + AT_REST_NS < to_ns(&now);
}

int store_stat_set(struct store *store, const char *path, const struct stat *before,
		   const struct digest *digest, struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = -1;
	char file[DIGEST_HEX_SIZE];
	struct stat now;

	if (path[0] != '/' || stat(path, &now) < 0 || !same_file(before, &now) || !at_rest(&now) ||
	    now.st_mtim.tv_sec < 0)
		return 0;
	dir = store_folder(store, "stat", err);
	if (dir < 0)
		return -1;
	stat_file(path, file);
	record_begin(&text, "stat", file);
	record_bytes(&text, "path", path);
	record_u64(&text, "device", now.st_dev);
	record_u64(&text, "inode", now.st_ino);
	record_u64(&text, "size", (uint64_t)now.st_size);
	record_u64(&text, "mtime_ns", to_ns(&now.st_mtim));
	record_u64(&text, "ctime_ns", to_ns(&now.st_ctim));
	record_digest(&text, "digest", digest);
	record_end(&text);
	return store_file_put(store, dir, file, &text, STORE_PUT_CACHE, err);
}

/* ---- many files ------------------------------------------------------------------------------ */

static void sources_file(const char *question, char ret[DIGEST_HEX_SIZE + 8])
{
	char hex[DIGEST_HEX_SIZE];

	stat_file(question, hex);
	snprintf(ret, DIGEST_HEX_SIZE + 8, "%s.sources", hex);
}

int store_sources_get(struct store *store, const char *question, const struct digest *state,
		      struct digest *ret, struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	char file[DIGEST_HEX_SIZE + 8], path[STORE_PATH_SIZE];
	struct digest known, digest;
	int found;

	sources_file(question, file);
	snprintf(path, sizeof(path), "stat/%s", file);
	found = record_read(store->dir, path, STORE_RECORD_BYTES_MAX, "sources", file, &record, NULL,
			    err);
	if (found <= 0)
		return found;
	if (!record_take_digest(&record, "state", &known) ||
	    !record_take_digest(&record, "digest", &digest) || !record_at_end(&record) ||
	    !digest_equal(&known, state))
		return 0;
	*ret = digest;
	return 1;
}

int store_sources_set(struct store *store, const char *question, const struct digest *state,
		      const struct digest *digest, struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = store_folder(store, "stat", err);
	char file[DIGEST_HEX_SIZE + 8];

	if (dir < 0)
		return -1;
	sources_file(question, file);
	record_begin(&text, "sources", file);
	record_digest(&text, "state", state);
	record_digest(&text, "digest", digest);
	record_end(&text);
	return store_file_put(store, dir, file, &text, STORE_PUT_CACHE, err);
}
