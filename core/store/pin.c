/* Pins: which kernel or blob a question gave. References: written when that is durable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "core/store/internal.h"

static void pin_file(const char *question, char ret[DIGEST_HEX_SIZE])
{
	struct digest digest;

	digest_of(question, strlen(question), &digest);
	digest_hex(&digest, ret);
}

int store_pin_read(struct store *store, const char *file, struct digest *ret, bool *ret_torn,
		   struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	char path[STORE_PATH_SIZE];
	int found;

	snprintf(path, sizeof(path), "pins/%.128s", file);
	found = record_read(store->dir, path, STORE_ITEM_TEXT_MAX, "pin", file, &record, ret_torn,
			    err);
	if (found <= 0)
		return found;
	if (record_take_digest(&record, "kernel", ret) && record_at_end(&record))
		return 1;
	if (ret_torn)
		*ret_torn = true;
	return 0;
}

int store_pin_get(struct store *store, const char *question, struct digest *ret, struct err *err)
{
	char file[DIGEST_HEX_SIZE], path[STORE_PATH_SIZE];
	int found;

	pin_file(question, file);
	found = store_pin_read(store, file, ret, NULL, err);
	if (found == 1) {
		snprintf(path, sizeof(path), "pins/%s", file);
		(void)utimensat(store->dir, path, NULL, AT_SYMLINK_NOFOLLOW); /* for gc */
	}
	return found;
}

int store_pin_set(struct store *store, const char *question, const struct digest *kernel,
		  struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = store_folder(store, "pins", err);
	char file[DIGEST_HEX_SIZE];

	if (dir < 0)
		return -1;
	pin_file(question, file);
	record_begin(&text, "pin", file);
	record_digest(&text, "kernel", kernel);
	record_end(&text);
	return store_file_put(store, dir, file, &text, STORE_PUT_REPLACE, err);
}

int store_text_get(struct store *store, const char *question, size_t max, char **ret,
		   size_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct digest digest;
	uint64_t bytes;
	int found = store_pin_get(store, question, &digest, err);

	if (found == 1)
		found = store_blob_open(store, &digest, &fd, &bytes, err);
	if (found != 1)
		return found;
	return fs_read_fd(fd, question, max, ret, ret_size, err) < 0 ? -1 : 1;
}

int store_text_set(struct store *store, const char *question, const char *text, size_t size,
		   struct err *err)
{
	_cleanup_close_ int fd = -1;
	struct digest digest;

	if (store_blob_new(store, &fd, err) < 0)
		return -1;
	if (fs_write_all(fd, text, size) < 0)
		return store_fail(err, errno, "write %s", question);
	digest_of(text, size, &digest);
	if (store_blob_publish(store, fd, &digest, err) < 0)
		return -1;
	return store_pin_set(store, question, &digest, err);
}
