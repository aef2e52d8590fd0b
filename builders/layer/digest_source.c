/* layer_digest_source: see layer.h. Fields cannot run into each other (sha256_add_field). */
#include <errno.h>
#include <unistd.h>

#include "builders/layer/hash.h"
#include "builders/layer/layer.h"
#include "builders/layer/walk.h"
#include "core/mem.h"

#define BUFFER_BYTES (256 * 1024)
#define VERSION "duet source 2"	/* another one when anything below changes */

struct summary {
	struct sha256 hash;
	bool keep;
	char *buffer;	/* owned; BUFFER_BYTES */
};

static int digest_content(struct summary *summary, int fd, struct digest *ret, struct err *err)
{
	struct hash hash;
	off_t at = 0;
	ssize_t got;

	hash_init(&hash);
	while ((got = pread(fd, summary->buffer, BUFFER_BYTES, at)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_sys(err, errno, "read a file");
			break;
		}
		hash_add(&hash, summary->buffer, (size_t)got);
		at += got;
	}
	hash_end(&hash, ret);
	hash_done(&hash);
	return got < 0 ? -1 : 0;
}

static void add_number(struct summary *summary, uint64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	sha256_add_field(&summary->hash, bytes, sizeof(bytes));
}

static void add_kept(struct summary *summary, const struct tar_entry *entry)
{
	add_number(summary, entry->mode);
	add_number(summary, entry->uid);
	add_number(summary, entry->gid);
	add_number(summary, (uint64_t)entry->mtime_s);
	add_number(summary, entry->mtime_ns);
	add_number(summary, entry->xattr_count);
	for (size_t i = 0; i < entry->xattr_count; i++) {
		sha256_add_text(&summary->hash, entry->xattrs[i].name);
		sha256_add_field(&summary->hash, entry->xattrs[i].value, entry->xattrs[i].size);
	}
}

static int visit(void *data, const struct tar_entry *entry, int fd, struct err *err)
{
	struct summary *summary = data;
	struct digest content = { 0 };

	if (fd >= 0 && digest_content(summary, fd, &content, err) < 0)
		return err_wrap(err, "look through %s", entry->path);
	sha256_add_text(&summary->hash, entry->path);
	add_number(summary, entry->type);
	sha256_add_text(&summary->hash, entry->target);
	sha256_add_field(&summary->hash, content.bytes, sizeof(content.bytes));
	if (summary->keep)
		add_kept(summary, entry);
	else
		add_number(summary, entry->type == TAR_FILE && entry->mode & 0100);
	return 0;
}

int layer_digest_source(const struct selection *selection, bool keep, struct digest *ret,
			struct err *err)
{
	struct summary summary = { .keep = keep };
	const struct walk_args walk = {
		.what = selection, .keep = keep, .visit = visit, .data = &summary
	};
	uint64_t left_out;
	int result;

	sha256_init(&summary.hash);
	sha256_add_text(&summary.hash, VERSION);
	summary.buffer = xmalloc(BUFFER_BYTES);
	result = walk_selection(&walk, &left_out, err);
	free(summary.buffer);
	if (result == 0)
		sha256_end(&summary.hash, ret);
	return result;
}
