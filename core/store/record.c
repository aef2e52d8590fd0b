/*
 * Records: small texts that say what is in the store.
 *
 *	duet-step 1
 *	for 6c1f...			what the file stands for: a record in a wrong place is refused
 *	diff_id sha256:...
 *	...
 *	end 09ab...			sha256 of all bytes above: a torn or rotten record is refused
 *
 * Each kind has its lines in one order and no others. What is not whole counts as absent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/parse.h"
#include "core/store/internal.h"

#define SEAL_SIZE (4 + 64 + 1)	/* "end HEX\n" */

void record_begin(struct str *out, const char *kind, const char *subject)
{
	str_addf(out, "duet-%s 1\nfor %s\n", kind, subject);
}

void record_digest(struct str *out, const char *name, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	str_addf(out, "%s %s\n", name, text);
}

void record_u64(struct str *out, const char *name, uint64_t value)
{
	str_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

void record_bytes(struct str *out, const char *name, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	record_u64(out, name, length);
	str_addn(out, text ? text : "", length);
	str_addn(out, "\n", 1);
}

void record_layer(struct str *out, const struct store_layer *layer)
{
	record_digest(out, "diff_id", &layer->diff_id);
	record_digest(out, "blob", &layer->blob);
	record_u64(out, "blob_bytes", layer->blob_bytes);
	record_u64(out, "has_blob", layer->has_blob);
	record_u64(out, "needs_lower", layer->needs_lower);
	record_u64(out, "entries", layer->entries);
	record_u64(out, "tree_bytes", layer->tree_bytes);
}

void record_layers(struct str *out, const struct store_layer *layers, size_t count)
{
	record_u64(out, "layers", count);
	for (size_t i = 0; i < count; i++)
		record_layer(out, &layers[i]);
}

void record_end(struct str *out)
{
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	digest_of(out->text, out->length, &digest);
	digest_hex(&digest, hex);
	str_addf(out, "end %s\n", hex);
}

/* Is the text sealed, and does it begin as it must? Sets the reader up behind the head. */
static bool parse_head(struct record *record, size_t size, const char *kind, const char *subject)
{
	_cleanup_(str_done) struct str head = { 0 };
	struct digest digest, sealed;

	if (size < SEAL_SIZE)
		return false;
	record->end = record->text + size - SEAL_SIZE;
	if (memcmp(record->end, "end ", 4) || record->text[size - 1] != '\n')
		return false;
	record->text[size - 1] = '\0';
	digest_of(record->text, size - SEAL_SIZE, &digest);
	if (!digest_parse_hex(record->end + 4, &sealed) || !digest_equal(&digest, &sealed))
		return false;
	record_begin(&head, kind, subject);
	if (size - SEAL_SIZE < head.length || memcmp(record->text, head.text, head.length))
		return false;
	*record->end = '\0';
	record->at = record->text + head.length;
	return true;
}

/*
 * What a file that cannot be read means: 0 as good as absent, -1 a failure. An error of the disk is
 * a failure, for it may pass, and gc must not take an image away for it.
 */
static int unreadable(struct err *err)
{
	switch (err->code) {
	case -EINVAL: case -EFBIG: case -ELOOP: case -EISDIR: case -ENOTDIR:
		err_done(err);
		return 0;
	default:
		return err_wrap(err, "store");
	}
}

int record_read_fd(int fd, const char *path, size_t max, const char *kind, const char *subject,
		   struct record *ret, struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	size_t size;

	if (fs_read_fd(fd, path, max, &record.text, &size, err) < 0)
		return unreadable(err);
	if (!parse_head(&record, size, kind, subject))
		return 0;
	*ret = record;
	record = (struct record){ 0 };
	return 1;
}

int record_read(int dir, const char *path, size_t max, const char *kind, const char *subject,
		struct record *ret, bool *ret_torn, struct err *err)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	bool torn = fd >= 0 || errno != ENOENT;
	int found;

	if (fd < 0 && errno == ENOENT) {
		found = 0;
	} else if (fd < 0) {
		err_sys(err, errno, "open %s", path);
		found = unreadable(err);
	} else {
		found = record_read_fd(fd, path, max, kind, subject, ret, err);
	}
	if (ret_torn)
		*ret_torn = found == 0 && torn;
	return found;
}

/* The value of the next line, or NULL when its name is another. */
static char *take_line(struct record *record, const char *name)
{
	size_t length = strlen(name);
	char *line = record->at, *stop;

	if ((size_t)(record->end - line) < length + 2 || memcmp(line, name, length) ||
	    line[length] != ' ')
		return NULL;
	stop = memchr(line, '\n', (size_t)(record->end - line));
	if (!stop)
		return NULL;
	*stop = '\0';
	record->at = stop + 1;
	return line + length + 1;
}

bool record_take_digest(struct record *record, const char *name, struct digest *ret)
{
	const char *value = take_line(record, name);

	return value && digest_parse(value, ret);
}

bool record_take_u64(struct record *record, const char *name, uint64_t *ret)
{
	const char *value = take_line(record, name);

	return value && parse_u64(value, ret);
}

static bool take_bool(struct record *record, const char *name, bool *ret)
{
	uint64_t value;

	if (!record_take_u64(record, name, &value) || value > 1)
		return false;
	*ret = value == 1;
	return true;
}

bool record_take_bytes(struct record *record, const char *name, char **ret)
{
	uint64_t length;

	if (!record_take_u64(record, name, &length))
		return false;
	if (length >= (uint64_t)(record->end - record->at) || record->at[length] != '\n' ||
	    memchr(record->at, '\0', length))
		return false;
	*ret = xstrndup(record->at, length);
	record->at += length + 1;
	return true;
}

bool record_take_layer(struct record *record, struct store_layer *ret)
{
	struct store_layer layer = { 0 };

	if (!record_take_digest(record, "diff_id", &layer.diff_id) ||
	    !record_take_digest(record, "blob", &layer.blob) ||
	    !record_take_u64(record, "blob_bytes", &layer.blob_bytes) ||
	    !take_bool(record, "has_blob", &layer.has_blob) ||
	    !take_bool(record, "needs_lower", &layer.needs_lower) ||
	    !record_take_u64(record, "entries", &layer.entries) ||
	    !record_take_u64(record, "tree_bytes", &layer.tree_bytes))
		return false;
	*ret = layer;
	return true;
}

bool record_take_layers(struct record *record, struct store_layer **ret, size_t *ret_count)
{
	uint64_t count;

	if (!record_take_u64(record, "layers", &count) || count > STORE_LAYERS_MAX)
		return false;
	*ret = xcalloc(count, sizeof(**ret));
	*ret_count = count;
	for (size_t i = 0; i < count; i++)
		if (!record_take_layer(record, &(*ret)[i]))
			return false;
	return true;
}

bool record_at_end(const struct record *record)
{
	return record->at == record->end;
}

void record_done(struct record *record)
{
	free(record->text);
	*record = (struct record){ 0 };
}

/* The date of a step's layer, where it has one. */
static bool take_time(struct record *record, struct store_layer *ret)
{
	uint64_t time_s;

	if (record_at_end(record))
		return true;
	if (!record_take_u64(record, "time", &time_s) || time_s > INT64_MAX)
		return false;
	ret->time_s = (int64_t)time_s;
	return record_at_end(record);
}

int store_step_read(struct store *store, const char *hex, struct store_layer *ret, bool *ret_torn,
		    struct err *err)
{
	_cleanup_(record_done) struct record record = { 0 };
	char path[STORE_PATH_SIZE];
	int found;

	snprintf(path, sizeof(path), "steps/%.128s", hex);
	found = record_read(store->dir, path, STORE_RECORD_BYTES_MAX, "step", hex, &record,
			    ret_torn, err);
	if (found <= 0)
		return found;
	if (record_take_layer(&record, ret) && take_time(&record, ret))
		return 1;
	if (ret_torn)
		*ret_torn = true;
	return 0;
}

int store_step_get(struct store *store, const struct digest *key, struct store_layer *ret,
		   struct err *err)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	return store_step_read(store, hex, ret, NULL, err);
}

int store_step_set(struct store *store, const struct digest *key, const struct store_layer *layer,
		   struct err *err)
{
	_cleanup_(str_done) struct str text = { 0 };
	_cleanup_close_ int dir = store_folder(store, "steps", err);
	char hex[DIGEST_HEX_SIZE];

	if (dir < 0)
		return -1;
	digest_hex(key, hex);
	record_begin(&text, "step", hex);
	record_layer(&text, layer);
	if (layer->time_s > 0)
		record_u64(&text, "time", (uint64_t)layer->time_s);
	record_end(&text);
	if (store_file_put(store, dir, hex, &text, STORE_PUT_REPLACE, err) < 0)
		return err_wrap(err, "record step %.12s", hex);
	return 0;
}
