/* Packages lists: of some 60000 stanzas the few that are asked for. See take.h. */
#include <errno.h>
#include <string.h>

#include "builders/kernel/bytes.h"
#include "builders/kernel/take.h"
#include "builders/layer/inflate.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

#define PLAIN_CHUNK (256 * 1024)

struct index {
	const char *prefix, *suffix;
	struct str stanza;	/* what is being read; always from its first line on */
	size_t line;		/* where its last line begins */
	struct str found;
	struct err *err;
};

/* "Package: NAME" at the start of the stanza: is NAME asked for? */
static bool is_wanted(const struct index *index)
{
	static const char field[] = "Package: ";
	const char *name = index->stanza.text + strlen(field);
	size_t prefix = strlen(index->prefix), suffix = strlen(index->suffix), length;

	if (!str_has_prefix(index->stanza.text, field))
		return false;
	length = strcspn(name, "\n");
	return length >= prefix + suffix && !strncmp(name, index->prefix, prefix) &&
	       !strncmp(name + length - suffix, index->suffix, suffix);
}

static int end_stanza(struct index *index)
{
	if (index->stanza.length > 0 && is_wanted(index)) {
		str_addn(&index->found, index->stanza.text, index->stanza.length);
		str_add(&index->found, "\n");
		if (index->found.length > INDEX_FOUND_BYTES_MAX)
			return err_set(index->err, ERR_KERNEL,
				       "the list of packages has too many kernels");
	}
	index->stanza.length = 0;
	index->line = 0;
	return 0;
}

static int add_part(struct index *index, const char *text, size_t size)
{
	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t length = end ? (size_t)(end - text) + 1 : size;

		str_addn(&index->stanza, text, length);
		text += length;
		size -= length;
		if (index->stanza.length > INDEX_STANZA_BYTES_MAX)
			return err_set(index->err, ERR_KERNEL,
				       "the list of packages has a stanza of more than %u bytes",
				       INDEX_STANZA_BYTES_MAX);
		if (!end)
			return 0;
		if (index->stanza.length - index->line == 1) {
			index->stanza.length--;
			if (end_stanza(index) < 0)
				return -1;
		}
		index->line = index->stanza.length;
	}
	return 0;
}

static int read_list(struct index *index, struct inflate *inflate, struct file_source *file,
		     uint64_t bytes, kernel_progress *progress, void *data)
{
	_cleanup_free_ char *chunk = xmalloc(PLAIN_CHUNK);
	uint64_t plain = 0;
	ssize_t got;

	while ((got = inflate_read(inflate, chunk, PLAIN_CHUNK, index->err)) > 0) {
		plain += (uint64_t)got;
		if (plain > INDEX_PLAIN_BYTES_MAX)
			return err_set(index->err, ERR_KERNEL,
				       "the list of packages has more than %llu bytes",
				       (unsigned long long)INDEX_PLAIN_BYTES_MAX);
		if (add_part(index, chunk, (size_t)got) < 0)
			return -1;
		progress(data, bytes - file->left, bytes);
	}
	return got < 0 ? -1 : end_stanza(index);
}

int kernel_index(int list, uint64_t bytes, const char *prefix, const char *suffix, int out,
		 kernel_progress *progress, void *data, struct err *err)
{
	_cleanup_free_ struct file_source *file = xcalloc(1, sizeof(*file));
	struct inflate_source source = { file_source_read, file };
	struct index index = { .prefix = prefix, .suffix = suffix, .err = err };
	struct inflate *inflate;
	int result;

	file->fd = list;
	file->left = bytes;
	if (inflate_new(&source, INFLATE_XZ, &inflate, err) < 0)
		return -1;
	result = read_list(&index, inflate, file, bytes, progress, data);
	inflate_free(inflate);
	if (result == 0 && fs_write_all(out, index.found.text, index.found.length) < 0)
		result = err_sys(err, errno, "write the list");
	str_done(&index.stanza);
	str_done(&index.found);
	return result;
}
