/*
 * Debian packages (deb(5)): an ar archive with debian-binary, control.tar.* and data.tar.*, in that
 * order. Of the data only the boot image and what is below lib/modules is kept, in memory: an index
 * of all modules is needed before it is known which of them are wanted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/kernel/files.h"
#include "builders/kernel/take.h"
#include "builders/layer/inflate.h"
#include "builders/layer/tar.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define AR_MAGIC "!<arch>\n"
#define AR_HEAD 60	/* name[16] date[12] uid[6] gid[6] mode[8] size[10] "`\n" */
#define MEMBERS_MAX 16
#define PLAIN_CHUNK (256 * 1024)

struct deb_file {
	char *path;	/* owned; clean */
	struct bytes bytes;
};

struct deb {
	struct deb_file *files;	/* owned */
	size_t count, room;
	char release[KERNEL_RELEASE_MAX + 1];
	char prefix[KERNEL_RELEASE_MAX + 32];	/* "lib/modules/RELEASE/" */
	size_t image;		/* index */
};

/* The plain bytes of data.tar.*: what the tar reader pulls. */
struct unpack {
	struct file_source file;
	struct inflate *inflate;	/* owned */
	uint64_t plain;
	uint8_t chunk[PLAIN_CHUNK];
	void (*progress)(void *data, uint64_t done, uint64_t total);
	void *progress_data;
	uint64_t total;
};

static int pull(void *data, const void **ret, size_t *ret_size, struct err *err)
{
	struct unpack *unpack = data;
	ssize_t got = inflate_read(unpack->inflate, unpack->chunk, sizeof(unpack->chunk), err);

	if (got <= 0)
		return (int)got;
	unpack->plain += (uint64_t)got;
	if (unpack->plain > KERNEL_PACKAGE_BYTES_MAX)
		return err_set(err, ERR_KERNEL, "unpacked it has more than %llu bytes",
			       (unsigned long long)KERNEL_PACKAGE_BYTES_MAX);
	if (unpack->progress)
		unpack->progress(unpack->progress_data, unpack->total - unpack->file.left,
				 unpack->total);
	*ret = unpack->chunk;
	*ret_size = (size_t)got;
	return 1;
}

/* ---- ar -------------------------------------------------------------------------------------- */

static int read_at(int fd, uint64_t offset, void *to, size_t size, struct err *err)
{
	ssize_t got = fs_pread_all(fd, to, size, offset);

	if (got < 0)
		return err_sys(err, errno, "read it");
	return got == (ssize_t)size ? 0 : err_set(err, ERR_KERNEL, "it ends early");
}

/* A member's name and size, without the blanks behind them. */
static bool parse_head(const char head[AR_HEAD], char name[17], uint64_t *ret_size)
{
	char size[11];

	if (head[58] != '`' || head[59] != '\n')
		return false;
	memcpy(name, head, 16);
	name[16] = '\0';
	for (int i = 15; i >= 0 && (name[i] == ' ' || name[i] == '/'); i--)
		name[i] = '\0';
	memcpy(size, head + 48, 10);
	size[10] = '\0';
	size[strcspn(size, " ")] = '\0';
	return parse_u64(size, ret_size);
}

/* Finds data.tar.*: its part of the file. */
static int find_data(int fd, uint64_t bytes, uint64_t *ret_offset, uint64_t *ret_size,
		     struct err *err)
{
	char magic[8], head[AR_HEAD], name[17];
	uint64_t at = sizeof(magic), size;

	if (read_at(fd, 0, magic, sizeof(magic), err) < 0)
		return -1;
	if (memcmp(magic, AR_MAGIC, sizeof(magic)))
		return err_set(err, ERR_KERNEL, "it is not a Debian package");
	for (int i = 0; i < MEMBERS_MAX && at < bytes; i++) {
		if (read_at(fd, at, head, sizeof(head), err) < 0)
			return -1;
		at += sizeof(head);
		if (!parse_head(head, name, &size) || size > bytes - at)
			return err_set(err, ERR_KERNEL, "its member %d is damaged", i + 1);
		if (i == 0 && strcmp(name, "debian-binary"))
			break;
		if (!strcmp(name, "data.tar") || str_has_prefix(name, "data.tar.")) {
			*ret_offset = at;
			*ret_size = size;
			return 0;
		}
		at += size + (size & 1);
	}
	return err_set(err, ERR_KERNEL, "it is not a Debian package: it has no data.tar");
}

/* ---- its files ------------------------------------------------------------------------------- */

static const char *below_usr(const char *path)
{
	return str_has_prefix(path, "usr/lib/") ? path + 4 : path;
}

static bool is_wanted(const char *path)
{
	return str_has_prefix(path, "boot/vmlinuz-") || str_has_prefix(path, "lib/modules/");
}

static int read_content(struct tar *tar, uint64_t size, struct bytes *ret, struct err *err)
{
	_cleanup_free_ uint8_t *content = xmalloc(size + 1);
	uint64_t offset, at = 0;
	const void *part;
	size_t part_size;
	int got;

	/* what the tar leaves out (holes) would be zero; no package has that */
	while ((got = tar_data(tar, &part, &part_size, &offset, err)) == 1) {
		if (offset != at || part_size > size - at)
			return err_set(err, ERR_KERNEL, "its content is damaged");
		memcpy(content + at, part, part_size);
		at += part_size;
	}
	if (got < 0)
		return -1;
	if (at != size)
		return err_set(err, ERR_KERNEL, "its content is cut off");
	*ret = (struct bytes){ .data = content, .size = size, .heap = content };
	content = NULL;
	return 0;
}

static int take_entry(struct deb *deb, struct tar *tar, const struct tar_entry *entry,
		      struct err *err)
{
	_cleanup_free_ char *clean = xmalloc(PATH_LENGTH_MAX + 1);
	const char *path = clean;
	struct bytes bytes;

	if (entry->type != TAR_FILE)
		return 0;
	if (!path_clean(entry->path, clean))
		return err_set(err, ERR_KERNEL, "it has a path with \"..\" in it, or one too long");
	path = below_usr(clean);
	if (!is_wanted(path))
		return 0;
	if (entry->size > KERNEL_IMAGE_BYTES_MAX)
		return err_set(err, ERR_KERNEL, "a file has more than %u bytes",
			       KERNEL_IMAGE_BYTES_MAX);
	if (deb->count == KERNEL_FILES_MAX)
		return err_set(err, ERR_KERNEL, "it has more than %d files", KERNEL_FILES_MAX);
	if (read_content(tar, entry->size, &bytes, err) < 0)
		return -1;
	if (deb->count == deb->room) {
		deb->room = deb->room ? deb->room * 2 : 256;
		deb->files = xreallocarray(deb->files, deb->room, sizeof(*deb->files));
	}
	deb->files[deb->count++] = (struct deb_file){ xstrdup(path), bytes };
	return 0;
}

static int read_tar(struct deb *deb, struct unpack *unpack, struct err *err)
{
	struct tar_source source = { pull, unpack, false };
	struct tar *tar = tar_new(&source);
	const struct tar_entry *entry;
	int got;

	while ((got = tar_next(tar, &entry, err)) == 1)
		if (take_entry(deb, tar, entry, err) < 0) {
			got = -1;
			break;
		}
	tar_free(tar);
	return got;
}

/* One boot image says which release this is a package of. */
static int find_release(struct deb *deb, struct err *err)
{
	static const char boot[] = "boot/vmlinuz-";
	size_t found = 0;

	for (size_t i = 0; i < deb->count; i++)
		if (str_has_prefix(deb->files[i].path, boot)) {
			deb->image = i;
			found++;
		}
	if (found != 1)
		return err_set(err, found ? ERR_KERNEL : ERR_KERNEL_NONE, "it has %s",
			       found ? "more than one kernel" : "no kernel in it");
	if (!kernel_release_is_valid(deb->files[deb->image].path + strlen(boot)))
		return err_set(err, ERR_KERNEL, "its kernel has a strange name");
	strcpy(deb->release, deb->files[deb->image].path + strlen(boot));
	snprintf(deb->prefix, sizeof(deb->prefix), "lib/modules/%s/", deb->release);
	return 0;
}

int deb_new(int fd, void (*progress)(void *data, uint64_t done, uint64_t total), void *data,
	    struct deb **ret, struct err *err)
{
	_cleanup_free_ struct unpack *unpack = xcalloc(1, sizeof(*unpack));
	struct inflate_source source = { file_source_read, &unpack->file };
	struct deb *deb = xcalloc(1, sizeof(*deb));
	struct stat st;
	int result = -1;

	if (fstat(fd, &st) < 0)
		err_sys(err, errno, "look at it");
	else
		result = find_data(fd, (uint64_t)st.st_size, &unpack->file.offset,
				   &unpack->file.left, err);
	unpack->file.fd = fd;
	unpack->total = unpack->file.left;
	unpack->progress = progress;
	unpack->progress_data = data;
	if (result == 0)
		result = inflate_new(&source, INFLATE_XZ, &unpack->inflate, err);
	if (result == 0)
		result = read_tar(deb, unpack, err);
	inflate_free(unpack->inflate);
	if (result == 0)
		result = find_release(deb, err);
	if (result < 0) {
		deb_free(deb);
		return -1;
	}
	*ret = deb;
	return 0;
}

const char *deb_release(const struct deb *deb)
{
	return deb->release;
}

const struct bytes *deb_image(const struct deb *deb)
{
	return &deb->files[deb->image].bytes;
}

void deb_free(struct deb *deb)
{
	if (!deb)
		return;
	for (size_t i = 0; i < deb->count; i++) {
		free(deb->files[i].path);
		bytes_done(&deb->files[i].bytes);
	}
	free(deb->files);
	free(deb);
}

/* ---- as struct kernel_files ------------------------------------------------------------------ */

static int each(void *data, int (*take)(void *to, const char *path, struct err *err), void *to,
		struct err *err)
{
	const struct deb *deb = data;

	for (size_t i = 0; i < deb->count; i++)
		if (str_has_prefix(deb->files[i].path, deb->prefix) &&
		    take(to, deb->files[i].path + strlen(deb->prefix), err) < 0)
			return -1;
	return 0;
}

static int read_file(void *data, const char *path, size_t max, struct bytes *ret, struct err *err)
{
	const struct deb *deb = data;

	for (size_t i = 0; i < deb->count; i++) {
		const struct deb_file *file = &deb->files[i];

		if (!str_has_prefix(file->path, deb->prefix) ||
		    strcmp(file->path + strlen(deb->prefix), path))
			continue;
		if (file->bytes.size > max) {
			_cleanup_free_ char *safe = str_escape(path, KERNEL_PATH_SHOWN);

			return err_set(err, ERR_KERNEL, "%s has more than %zu bytes", safe, max);
		}
		*ret = (struct bytes){ .data = file->bytes.data, .size = file->bytes.size };
		return 1;
	}
	return 0;
}

const struct kernel_files_ops deb_files_ops = { each, read_file };
