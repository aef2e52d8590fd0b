/* See tarmake.h. */
#include "tests/unit/builders/tarmake.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "tests/unit/builders/forms.h"

#define BLOCK 512

static void octal(char *at, size_t size, uint64_t value)
{
	at[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		at[i] = (char)('0' + (value & 7));
}

static void add_block(struct str *out, const struct tarmake_entry *entry, char type,
		      const char *name, size_t size)
{
	unsigned char block[BLOCK + 1] = { 0 };
	unsigned int sum = 0;
	char *h = (char *)block;

	memcpy(h, name, strnlen(name, 100));
	octal(h + 100, 8, entry->mode ? entry->mode : type == '5' ? 0755 : 0644);
	octal(h + 108, 8, entry->uid & 07777777);
	octal(h + 116, 8, entry->gid & 07777777);
	octal(h + 124, 12, size);
	if (entry->size_field)
		memcpy(h + 124, entry->size_field, 12);
	octal(h + 136, 12, entry->mtime);
	memset(h + 148, ' ', 8);
	h[156] = type;
	if (entry->link)
		memcpy(h + 157, entry->link, strnlen(entry->link, 100));
	memcpy(h + 257, "ustar\00000", 8);
	octal(h + 329, 8, entry->major);
	octal(h + 337, 8, entry->minor);
	for (int i = 0; i < BLOCK; i++)
		sum += block[i];
	octal(h + 148, 7, sum);
	str_addn(out, h, BLOCK);
}

static void fill(struct str *out)
{
	static const char zeros[BLOCK];

	str_addn(out, zeros, -out->length % BLOCK);
}

void tarmake_add(struct str *out, const struct tarmake_entry *entry)
{
	static const struct tarmake_entry plain;

	if (entry->pax) {
		add_block(out, &plain, 'x', "PaxHeaders/x", entry->pax->length);
		str_addn(out, entry->pax->text, entry->pax->length);
		fill(out);
	}
	add_block(out, entry, entry->type ? entry->type : '0', entry->name, entry->size);
	str_addn(out, entry->data ? entry->data : "", entry->data ? entry->size : 0);
	fill(out);
}

void tarmake_put(struct str *out, char type, const char *name, const char *text)
{
	struct tarmake_entry entry = { .type = type, .name = name };

	if (type == '0') {
		entry.data = text;
		entry.size = strlen(text);
	} else {
		entry.link = text;
	}
	tarmake_add(out, &entry);
}

void tarmake_record(struct str *records, const char *key, const void *value, size_t size)
{
	size_t length = strlen(key) + size + 3, digits = 1;

	for (size_t ten = 10; length + digits >= ten; ten *= 10)
		digits++;
	str_addf(records, "%zu %s=", length + digits, key);
	str_addn(records, value, size);
	str_add(records, "\n");
}

void tarmake_end(struct str *out)
{
	static const char zeros[2 * BLOCK];

	str_addn(out, zeros, sizeof(zeros));
}

void tarmake_gzip(struct str *out, const void *data, size_t size)
{
	z_stream stream = { 0 };
	uLong room = compressBound(size) + 64;
	_cleanup_free_ char *packed = xmalloc(room);

	ck_assert(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, 0) == Z_OK);
	stream.next_in = (unsigned char *)data;
	stream.avail_in = (unsigned int)size;
	stream.next_out = (unsigned char *)packed;
	stream.avail_out = (unsigned int)room;
	ck_assert(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	str_addn(out, packed, stream.total_out);
	deflateEnd(&stream);
}

void tarmake_zstd(struct str *out, const void *data, size_t size)
{
	size_t room = ZSTD_compressBound(size);
	_cleanup_free_ char *packed = xmalloc(room);

	room = ZSTD_compress(packed, room, data, size, 3);
	ck_assert(!ZSTD_isError(room));
	str_addn(out, packed, room);
}

void tarmake_xz(struct str *out, const void *data, size_t size)
{
	size_t room = lzma_stream_buffer_bound(size), used = 0;
	_cleanup_free_ uint8_t *packed = xmalloc(room);

	ck_assert(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, data, size, packed, &used,
					  room) == LZMA_OK);
	str_addn(out, (char *)packed, used);
}

int tarmake_fd(const void *data, size_t size)
{
	int fd = memfd_create("blob", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, data, size), 0);
	ck_assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int make_dir(int top, const char *name)
{
	int fd;

	ck_assert_int_eq(mkdirat(top, name, 0755), 0);
	fd = openat(top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

#define VICTIM_TIME 1000000000

static void still(int dir, const char *name)
{
	const struct timespec times[2] = { { VICTIM_TIME, 5 }, { VICTIM_TIME, 5 } };

	ck_assert_int_eq(utimensat(dir, name, times, 0), 0);
}

void work_init(struct work *work)
{
	int fd;

	if (geteuid() != 0) {
		fprintf(stderr, "layers are unpacked as root of some namespace: not root\n");
		exit(77);
	}
	snprintf(work->path, sizeof(work->path), "/tmp/duet-layer.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(work->path));
	work->top = open(work->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	work->tree = make_dir(work->top, "tree");
	work->lower = make_dir(work->top, "lower");
	work->victim = make_dir(work->top, "victim");
	fd = openat(work->victim, "hello", O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
	ck_assert_int_eq(fs_write_all(fd, "hello\n", 6), 0);
	close(fd);
	still(work->top, "victim/hello");
	still(work->top, "victim");
}

void work_intact(const struct work *work)
{
	_cleanup_free_ char *text = work_text(work, "victim/hello");
	struct stat st;

	ck_assert_str_eq(text, "hello\n");
	ck_assert_int_eq(fstatat(work->top, "victim/hello", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert(st.st_uid == 0 && st.st_gid == 0 && st.st_nlink == 1);
	ck_assert(st.st_mtim.tv_sec == VICTIM_TIME && st.st_mtim.tv_nsec == 5);
	ck_assert_int_eq(fstatat(work->top, "victim", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0755);
	/* its time tells of names that came or went */
	ck_assert(st.st_mtim.tv_sec == VICTIM_TIME && st.st_nlink == 2 && st.st_uid == 0);
}

void work_done(struct work *work)
{
	struct err err = { 0 };

	close(work->top);
	close(work->tree);
	close(work->lower);
	close(work->victim);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, work->path, &err), 0);
}

/* The other form of the same layer: equal in all, or refused for the same reason. */
static void check_erofs(struct work *work, const struct str *blob, int lower, int unpacked,
			const struct layer_result *tree, const struct err *tree_err)
{
	struct str list = { 0 }, wanted = { 0 };
	struct layer_result result;
	struct err err = { 0 };
	int image = forms_erofs(blob, &lower, lower >= 0 ? 1 : 0, &result, &err);

	ck_assert_msg((image < 0) == (unpacked < 0), "as EROFS: %s; as tree: %s",
		      err.msg ? err.msg : "done", tree_err->msg ? tree_err->msg : "done");
	if (image < 0) {
		ck_assert_str_eq(err.msg, tree_err->msg);
		ck_assert_int_eq(err.code, tree_err->code);
		err_done(&err);
		return;
	}
	ck_assert(digest_equal(&result.diff_id, &tree->diff_id));
	ck_assert(result.entries == tree->entries && result.tree_bytes == tree->tree_bytes);
	ck_assert(result.needs_lower == tree->needs_lower && result.devices == tree->devices);
	forms_list_tree(work->tree, &wanted);
	ck_assert_msg(forms_list_erofs(image, &list, &err) == 0, "%s", err.msg);
	ck_assert_str_eq(list.text, wanted.text);
	str_done(&list);
	str_done(&wanted);
	close(image);
}

/* What the test put below, as an EROFS file. */
static int lower_erofs(struct work *work)
{
	struct layer_result result;
	struct err err = { 0 };
	struct str tar = { 0 };
	int image;

	forms_tar_of_tree(work->lower, &tar);
	image = forms_erofs(&tar, NULL, 0, &result, &err);
	ck_assert_msg(image >= 0, "%s", err.msg);
	str_done(&tar);
	return image;
}

int work_unpack(struct work *work, const struct str *blob, bool above, struct layer_result *ret,
		struct err *err)
{
	_cleanup_close_ int fd = tarmake_fd(blob->text, blob->length);
	const struct layer_unpack args = {
		.blob = fd,
		.out = work->tree,
		.lower = &work->lower,
		.lower_count = above ? 1 : 0,
	};

	_cleanup_close_ int lower = above ? lower_erofs(work) : -1;
	int unpacked = layer_unpack(&args, ret, err);

	if (!work->trees_only)
		check_erofs(work, blob, lower, unpacked, ret, err);
	return unpacked;
}

uint32_t work_mode(const struct work *work, const char *path)
{
	struct stat st;

	return fstatat(work->top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode : 0;
}

char *work_text(const struct work *work, const char *path)
{
	char target[4096], *text = NULL;
	ssize_t length = readlinkat(work->top, path, target, sizeof(target));
	struct err err = { 0 };

	if (length >= 0)
		return xstrndup(target, (size_t)length);
	if (fs_read_file(work->top, path, 1 << 20, &text, NULL, &err) < 0)
		err_done(&err);
	return text;
}
