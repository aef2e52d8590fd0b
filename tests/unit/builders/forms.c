/* See forms.h. */
#include "tests/unit/builders/forms.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "builders/layer/tarwrite.h"
#include "core/digest.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"
#include "tests/unit/builders/tarmake.h"

#define XATTRS_MAX 65536
#define WHOLE_MAX (64u << 20)	/* of larger files only the end is looked at */
#define LINES_MAX 100000
#define DEPTH_MAX 300

/* What both forms have. */
struct entry {
	const char *path;
	uint32_t mode, uid, gid, nlink, rdev;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint64_t size;
	struct digest content;	/* of files and links */
	struct strv xattrs;	/* "NAME DIGEST" */
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_xattr(struct entry *entry, const char *name, const void *value, size_t size)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	digest_of(value, size, &digest);
	digest_hex(&digest, hex);
	strv_addf(&entry->xattrs, "%s %zu %.16s", name, size, hex);
}

static void add_line(struct str *out, struct entry *entry)
{
	_cleanup_free_ char *safe = str_escape(entry->path, 8192);
	bool folder = S_ISDIR(entry->mode), whiteout = S_ISCHR(entry->mode) && entry->rdev == 0;
	char hex[DIGEST_HEX_SIZE];

	str_addf(out, "%s %06o %u:%u", *safe ? safe : ".", entry->mode, entry->uid, entry->gid);
	/* the time of a whiteout is nobody's */
	if (!whiteout)
		str_addf(out, " %lld.%09u", (long long)entry->mtime_s, entry->mtime_ns);
	if (S_ISREG(entry->mode) || S_ISLNK(entry->mode)) {
		digest_hex(&entry->content, hex);
		str_addf(out, " %llu %.16s", (unsigned long long)entry->size, hex);
	}
	if (!folder)
		str_addf(out, " nlink %u rdev %u", entry->nlink, entry->rdev);
	if (entry->xattrs.count > 1)
		qsort(entry->xattrs.items, entry->xattrs.count, sizeof(char *), compare);
	for (size_t i = 0; i < entry->xattrs.count; i++)
		str_addf(out, " %s", entry->xattrs.items[i]);
	str_add(out, "\n");
	strv_done(&entry->xattrs);
}

/* ---- trees ----------------------------------------------------------------------------------- */

static void digest_of_fd(int fd, struct digest *ret)
{
	struct sha256 hash;
	char buffer[65536];
	ssize_t got;

	sha256_init(&hash);
	if (lseek(fd, 0, SEEK_END) > WHOLE_MAX)
		lseek(fd, -(off_t)sizeof(buffer), SEEK_END);
	else
		lseek(fd, 0, SEEK_SET);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		sha256_add(&hash, buffer, (size_t)got);
	ck_assert_int_eq(got, 0);
	sha256_end(&hash, ret);
}

static void xattrs_of_fd(struct entry *entry, const char *path)
{
	char names[XATTRS_MAX], value[XATTRS_MAX];
	ssize_t length = llistxattr(path, names, sizeof(names));

	for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		ssize_t size = lgetxattr(path, name, value, sizeof(value));

		ck_assert_int_ge(size, 0);
		add_xattr(entry, name, value, (size_t)size);
	}
}

static void describe_tree(int parent, const char *name, const char *path, struct entry *entry)
{
	_cleanup_free_ char *full = xasprintf("/proc/self/fd/%d/%s", parent, name);
	char target[4096];
	struct stat st;
	ssize_t length;
	int fd;

	ck_assert_int_eq(fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	*entry = (struct entry){
		.path = path, .mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid,
		.nlink = (uint32_t)st.st_nlink, .rdev = (uint32_t)st.st_rdev,
		.mtime_s = st.st_mtim.tv_sec, .mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
		.size = (uint64_t)st.st_size,
	};
	xattrs_of_fd(entry, full);
	if (S_ISLNK(st.st_mode)) {
		length = readlinkat(parent, name, target, sizeof(target));
		digest_of(target, (size_t)length, &entry->content);
	}
	if (S_ISREG(st.st_mode)) {
		fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		digest_of_fd(fd, &entry->content);
		close(fd);
	}
}

/* The names in a folder, sorted. */
static void names_in(int folder, struct strv *ret)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *found;

	ck_assert_ptr_nonnull(dir);
	while ((found = readdir(dir)))
		if (strcmp(found->d_name, ".") && strcmp(found->d_name, ".."))
			strv_add(ret, found->d_name);
	closedir(dir);
	if (ret->count > 1)
		qsort(ret->items, ret->count, sizeof(char *), compare);
}

static void list_tree(int folder, const char *path, struct str *out)
{
	struct strv names = { 0 };

	names_in(folder, &names);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_free_ char *below = path_join(path, names.items[i]);
		struct entry entry;
		int fd;

		describe_tree(folder, names.items[i], below, &entry);
		add_line(out, &entry);
		if (!S_ISDIR(entry.mode))
			continue;
		fd = openat(folder, names.items[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		list_tree(fd, below, out);
		close(fd);
	}
	strv_done(&names);
}

void forms_list_tree(int tree, struct str *out)
{
	int fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct entry entry;

	describe_tree(fd, ".", "", &entry);
	add_line(out, &entry);
	list_tree(fd, "", out);
	close(fd);
}

void forms_tar_of_tree(int tree, struct str *out)
{
	static const char zeros[TARWRITE_BLOCK];
	_cleanup_free_ struct tar_entry *entry = xcalloc(1, sizeof(*entry));
	struct str list = { 0 };
	char *line, *rest;

	forms_list_tree(tree, &list);
	for (rest = list.text; (line = strsep(&rest, "\n")) && *line;) {
		char *path = strcmp(strtok(line, " "), ".") ? line : (char *)"", target[4096];
		int fd = openat(tree, *path ? path : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_free_ char *proc = xasprintf("/proc/self/fd/%d", fd), *text = NULL;
		_cleanup_free_ char *white = NULL;
		struct err err = { 0 };
		struct stat st;

		ck_assert_int_eq(fstat(fd, &st), 0);
		*entry = (struct tar_entry){ .path = path, .mode = st.st_mode & 07777,
					     .uid = st.st_uid, .gid = st.st_gid,
					     .mtime_s = st.st_mtim.tv_sec,
					     .mtime_ns = (uint32_t)st.st_mtim.tv_nsec };
		if (S_ISDIR(st.st_mode)) {
			entry->type = TAR_FOLDER;
			entry->xattr_count =
				getxattr(proc, "user.note", target, sizeof(target)) >= 0;
			entry->xattrs[0] = (struct tar_xattr){
				(char *)"user.note", target, 2
			};
		} else if (S_ISLNK(st.st_mode)) {
			target[readlinkat(fd, "", target, sizeof(target) - 1)] = '\0';
			entry->type = TAR_SYMLINK;
			entry->target = target;
		} else if (S_ISCHR(st.st_mode)) {
			white = xasprintf("%.*s.wh.%s", (int)(path_base(path) - path), path,
					  path_base(path));
			entry->path = white;
		} else if (S_ISREG(st.st_mode)) {
			entry->size = (uint64_t)st.st_size;
		}
		tarwrite_header(out, entry);
		if (entry->size > 0) {
			ck_assert_int_eq(fs_read_file(tree, path, 1 << 20, &text, NULL, &err), 0);
			str_addn(out, text, entry->size);
			str_addn(out, zeros, -out->length % TARWRITE_BLOCK);
		}
		if (S_ISDIR(st.st_mode) && getxattr(proc, "user.overlay.opaque", target, 1) == 1) {
			white = path_join(path, ".wh..wh..opq");
			*entry = (struct tar_entry){ .path = white };
			tarwrite_header(out, entry);
		}
		close(fd);
	}
	str_done(&list);
	tarmake_end(out);
}

/* ---- images ---------------------------------------------------------------------------------- */

struct listing {
	struct erofs *erofs;
	const char *path;
	struct str *out;
	unsigned int depth, *lines;
};

static int list_folder(struct listing *listing, const struct erofs_inode *folder,
		       struct err *err);

static int note_xattr(void *data, const char *name, const void *value, size_t size,
		      struct err *err)
{
	(void)err;
	add_xattr(data, name, value, size);
	return 0;
}

static int digest_of_inode(struct erofs *erofs, const struct erofs_inode *inode,
			   struct digest *ret, struct err *err)
{
	struct sha256 hash;
	char buffer[65536];
	uint64_t at = inode->size > WHOLE_MAX ? inode->size - sizeof(buffer) : 0;
	ssize_t got;

	sha256_init(&hash);
	while ((got = erofs_read(erofs, inode, buffer, sizeof(buffer), at, err)) > 0) {
		sha256_add(&hash, buffer, (size_t)got);
		at += (uint64_t)got;
	}
	sha256_end(&hash, ret);
	return got < 0 ? -1 : 0;
}

static int list_inode(struct listing *listing, const char *path, const struct erofs_inode *inode,
		      struct err *err)
{
	struct entry entry = {
		.path = path, .mode = inode->mode, .uid = inode->uid, .gid = inode->gid,
		.nlink = inode->nlink, .rdev = inode->rdev, .mtime_s = inode->mtime_s,
		.mtime_ns = inode->mtime_ns, .size = inode->size,
	};
	struct listing below = *listing;

	if (++*listing->lines > LINES_MAX || listing->depth > DEPTH_MAX)
		return err_set(err, ERR_STORE, "too much");
	if (erofs_each_xattr(listing->erofs, inode, note_xattr, &entry, err) < 0 ||
	    (!S_ISDIR(inode->mode) &&
	     digest_of_inode(listing->erofs, inode, &entry.content, err) < 0)) {
		strv_done(&entry.xattrs);
		return -1;
	}
	add_line(listing->out, &entry);
	if (!S_ISDIR(inode->mode))
		return 0;
	below.path = path;
	below.depth++;
	return list_folder(&below, inode, err);
}

static int list_name(void *data, const char *name, uint64_t nid, struct err *err)
{
	struct listing *listing = data;
	_cleanup_free_ char *path = path_join(listing->path, name);
	struct erofs_inode inode;

	if (erofs_inode(listing->erofs, nid, &inode, err) < 0)
		return -1;
	return list_inode(listing, path, &inode, err);
}

static int list_folder(struct listing *listing, const struct erofs_inode *folder,
		       struct err *err)
{
	return erofs_each(listing->erofs, folder, list_name, listing, err);
}

int forms_list_erofs(int image, struct str *out, struct err *err)
{
	unsigned int lines = 0;
	struct listing listing = { .path = "", .out = out, .lines = &lines };
	struct erofs_inode root;
	int result;

	if (erofs_new(image, &listing.erofs, err) < 0)
		return -1;
	result = erofs_root(listing.erofs, &root, err);
	if (result == 0)
		result = list_inode(&listing, "", &root, err);
	erofs_free(listing.erofs);
	return result;
}

int forms_erofs(const struct str *blob, const int *lower, size_t lower_count,
		struct layer_result *ret, struct err *err)
{
	_cleanup_close_ int fd = tarmake_fd(blob->text, blob->length);
	_cleanup_close_ int out = memfd_create("erofs", MFD_CLOEXEC);
	const struct layer_unpack args = {
		.blob = fd, .form = LAYER_EROFS, .out = out, .lower = lower,
		.lower_count = lower_count,
	};

	return layer_unpack(&args, ret, err) < 0 ? -1 : TAKE_FD(out);
}

void forms_bytes(int fd, struct str *out)
{
	char buffer[65536];
	ssize_t got;
	off_t at = 0;

	while ((got = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		str_addn(out, buffer, (size_t)got);
		at += got;
	}
	ck_assert_int_eq(got, 0);
}
