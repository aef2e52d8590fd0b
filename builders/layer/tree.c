/* Writes the entries of a layer into a folder: see tree.h. */
#include "builders/layer/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/str.h"

int tree_init(struct tree *tree, int root, bool single_uid, struct err *err)
{
	struct stat st;

	*tree = (struct tree){ .root = root, .single_uid = single_uid, .at = -1 };
	if (fstat(root, &st) < 0)
		return err_sys(err, errno, "look at the folder of the layer");
	tree->chown_always = geteuid() != 0 || getegid() != 0 || st.st_mode & S_ISGID;
	return 0;
}

void tree_done(struct tree *tree)
{
	mem_closep(&tree->at);
	folders_done(&tree->folders);
	*tree = (struct tree){ .at = -1 };
}

static int enter(void *state, const char *path, struct err *err)
{
	struct tree *tree = state;

	mem_closep(&tree->at);
	tree->at = fs_open_no_links(tree->root, path, O_PATH | O_DIRECTORY, 0);
	if (tree->at < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (tree->at < 0)
		return err_sys(err, errno, "open its folder");
	strcpy(tree->path, path);
	return 1;
}

static int set_owner(struct tree *tree, int fd, const char *name, const struct tar_entry *entry,
		     bool always, struct err *err)
{
	uint32_t uid = tree->single_uid ? 0 : entry->uid, gid = tree->single_uid ? 0 : entry->gid;
	int flags = *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH;

	if (tree->single_uid && (entry->uid != 0 || entry->gid != 0))
		tree->owners_lost++;
	if (uid == 0 && gid == 0 && !always && !tree->chown_always)
		return 0;
	if (fchownat(fd, name, uid, gid, flags) == 0)
		return 0;
	if (errno == EINVAL)
		return err_set(err, ERR_LAYER, "owner %u:%u is not in the id map", uid, gid);
	return err_sys(err, errno, "give it to %u:%u", uid, gid);
}

/* All but the default ACL, which what is made in a folder would inherit: folders_apply sets it. */
static int set_xattrs(const struct tree *tree, int fd, const struct tar_entry *entry,
		      struct err *err)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const struct tar_xattr *xattr = &entry->xattrs[i];

		if (!strcmp(xattr->name, "system.posix_acl_default"))
			continue;
		/* the ids in an ACL can not be had either */
		if (tree->single_uid && !strncmp(xattr->name, "system.", 7))
			continue;
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) < 0) {
			int error = errno;
			_cleanup_free_ char *safe = str_escape(xattr->name, ATTRIBUTE_SHOWN);

			return err_sys(err, error, "set its attribute %s", safe);
		}
	}
	return 0;
}

static void times_of(const struct tar_entry *entry, struct timespec ret[2])
{
	ret[0] = (struct timespec){ .tv_nsec = UTIME_OMIT };
	ret[1] = (struct timespec){ .tv_sec = entry->mtime_s, .tv_nsec = entry->mtime_ns };
}

/* Owner first (it clears setuid and capabilities), then mode, attributes, and the time last. */
static int set_metadata(struct tree *tree, int fd, const struct tar_entry *entry, struct err *err)
{
	struct timespec times[2];

	times_of(entry, times);
	if (set_owner(tree, fd, "", entry, false, err) < 0)
		return -1;
	if (fchmod(fd, entry->mode) < 0)
		return err_sys(err, errno, "set its mode");
	if (set_xattrs(tree, fd, entry, err) < 0)
		return -1;
	if (futimens(fd, times) < 0)
		return err_sys(err, errno, "set its time");
	return 0;
}

/* What was just made: its descriptor, 0 when the name was taken. */
static int made_or_taken(int result, struct err *err)
{
	if (result >= 0)
		return 1;
	return errno == EEXIST ? 0 : err_sys(err, errno, "make it");
}

struct writing {
	int fd;
	uint64_t end;
};

static int write_piece(void *data, const void *bytes, size_t size, uint64_t offset,
		       struct err *err)
{
	struct writing *writing = data;

	writing->end = offset + size;
	return fs_pwrite_all(writing->fd, bytes, size, offset) < 0 ? err_sys(err, errno, "write it")
								  : 0;
}

/* A write that said more than it did: nothing else knows a file's content until the first check. */
static int check_kept(int fd, const struct tar_entry *entry, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at what was written");
	if ((uint64_t)st.st_size == entry->size)
		return 0;
	return err_set(err, -EIO, "write it: the file system kept %llu of %llu bytes",
		       (unsigned long long)st.st_size, (unsigned long long)entry->size);
}

static int put_file(struct tree *tree, const char *base, const struct tar_entry *entry,
		    struct tar *tar, struct err *err)
{
	_cleanup_close_ int fd = openat(tree->at, base,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct writing writing = { .fd = fd };
	int made = made_or_taken(fd, err);

	if (made != 1)
		return made;
	if (output_content(entry, tar, write_piece, &writing, &tree->bytes, err) < 0)
		return -1;
	if (writing.end < entry->size && ftruncate(fd, (off_t)entry->size) < 0)
		return err_sys(err, errno, "write it");
	return check_kept(fd, entry, err) < 0 || set_metadata(tree, fd, entry, err) < 0 ? -1 : 1;
}

/* 1: a new folder, 2: one that was there, 0: something else is; -1. */
static int make_or_keep(struct tree *tree, const char *base, struct err *err)
{
	struct stat st;

	if (mkdirat(tree->at, base, 0700) == 0)
		return 1;
	if (errno != EEXIST || fstatat(tree->at, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "make it");
	return S_ISDIR(st.st_mode) ? 2 : 0;
}

static int put_folder(struct tree *tree, const char *base, const struct tar_entry *entry,
		      struct err *err)
{
	char path[PATH_LENGTH_MAX + PATH_NAME_MAX + 2];
	int made = *base ? make_or_keep(tree, base, err) : 2;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (made <= 0)
		return made;
	fd = openat(tree->at, *base ? base : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open it");
	if (set_owner(tree, fd, "", entry, made == 2, err) < 0)
		return -1;
	if (fchmod(fd, (entry->mode & 01777) | 0700) < 0)
		return err_sys(err, errno, "set its mode");
	if (set_xattrs(tree, fd, entry, err) < 0)
		return -1;
	stpcpy(stpcpy(stpcpy(path, tree->path), *tree->path && *base ? "/" : ""), base);
	return folders_add(&tree->folders, path, st.st_ino, entry, err) < 0 ? -1 : 1;
}

static int put_symlink(struct tree *tree, const char *base, const struct tar_entry *entry,
		       struct err *err)
{
	int made = made_or_taken(symlinkat(entry->target, tree->at, base), err);
	struct timespec times[2];

	if (made != 1)
		return made;
	if (set_owner(tree, tree->at, base, entry, false, err) < 0)
		return -1;
	times_of(entry, times);
	if (utimensat(tree->at, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "set its time");
	return 1;
}

static int put_fifo(struct tree *tree, const char *base, const struct tar_entry *entry,
		    struct err *err)
{
	int made = made_or_taken(mkfifoat(tree->at, base, 0600), err);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (made != 1)
		return made;
	fd = openat(tree->at, base, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "make it");
	if (!S_ISFIFO(st.st_mode))
		return err_set(err, ERR_LAYER, "it was replaced");
	return set_metadata(tree, fd, entry, err) < 0 ? -1 : 1;
}

static int put_link(struct tree *tree, const char *base, const char *target, struct err *err)
{
	const char *target_base = path_base(target);
	char folder[PATH_LENGTH_MAX + 1];
	_cleanup_close_ int from = -1;
	struct stat wanted, st;

	memcpy(folder, target, (size_t)(target_base - target));
	folder[target_base - target] = '\0';
	from = fs_open_no_links(tree->root, folder, O_PATH | O_DIRECTORY, 0);
	if (from < 0 || fstatat(from, target_base, &wanted, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISCHR(wanted.st_mode))
		return err_set(err, ERR_LAYER, "a hard link to what is not in this layer");
	if (S_ISDIR(wanted.st_mode))
		return err_set(err, ERR_LAYER, "a hard link to a folder");
	if (linkat(from, target_base, tree->at, base, 0) == 0)
		return 1;
	if (errno != EEXIST)
		return err_sys(err, errno, "link it");
	/* onto itself: to remove it first would lose the file */
	return fstatat(tree->at, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == wanted.st_ino;
}

static int put_whiteout(struct tree *tree, const char *base, struct err *err)
{
	if (mknodat(tree->at, base, S_IFCHR, makedev(0, 0)) == 0)
		return 1;
	return errno == EEXIST ? 0 : err_sys(err, errno, "make a whiteout");
}

static int put(void *state, const char *base, const struct tar_entry *entry, struct tar *tar,
	       struct err *err)
{
	struct tree *tree = state;

	switch (entry->type) {
	case TAR_FILE:
		return put_file(tree, base, entry, tar, err);
	case TAR_FOLDER:
		return put_folder(tree, base, entry, err);
	case TAR_SYMLINK:
		return put_symlink(tree, base, entry, err);
	case TAR_FIFO:
		return put_fifo(tree, base, entry, err);
	case TAR_HARDLINK:
		return put_link(tree, base, entry->target, err);
	case TAR_CHAR:
		return put_whiteout(tree, base, err);
	case TAR_BLOCK:
		break;
	}
	return err_set(err, ERR_LAYER, "a device in a tree");
}

static int remove_name(void *state, const char *base, struct err *err)
{
	struct tree *tree = state;

	if (unlinkat(tree->at, base, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, errno, "remove what was there");
	return fs_remove_tree(tree->at, base, err);
}

static int hide(void *state, const char *base, struct err *err)
{
	struct tree *tree = state;
	_cleanup_close_ int fd = openat(tree->at, *base ? base : ".",
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && *base && (errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0)
		return err_sys(err, errno, "open its folder");
	if (fsetxattr(fd, VIEW_OPAQUE_XATTR, "y", 1, 0) < 0)
		return err_sys(err, errno, "make a folder opaque");
	return 0;
}

static int finish(void *state, struct layer_result *result, struct err *err)
{
	struct tree *tree = state;

	result->tree_bytes = tree->bytes;
	result->owners_lost = tree->owners_lost;
	return folders_apply(&tree->folders, tree->root, err);
}

static const struct output_ops tree_ops = { enter, put, remove_name, hide, finish, NULL };

void tree_output(struct tree *tree, const int *lower, size_t lower_count, struct output *ret)
{
	_cleanup_free_ struct view_layer *layers = xcalloc(lower_count + 1, sizeof(*layers));

	for (size_t i = 0; i < lower_count; i++)
		layers[i] = view_of_tree(lower[i]);
	output_init(ret, &tree_ops, tree, layers, lower_count, view_of_tree(tree->root));
}
