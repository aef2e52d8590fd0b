/* Writes the entries of a layer: see tree.h. */
#include "builders/layer/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "builders/layer/layer.h"
#include "core/fs.h"
#include "core/mem.h"

#define OPAQUE_XATTR "user.overlay.opaque"	/* the overlay is mounted with userxattr */

int tree_init(struct tree *tree, int root, const int *lower, size_t lower_count, bool single_uid,
	      struct err *err)
{
	struct stat st;

	*tree = (struct tree){ .root = root, .single_uid = single_uid, .parent.fd = -1 };
	if (fstat(root, &st) < 0)
		return err_sys(err, errno, "look at the folder of the layer");
	tree->trees = xreallocarray(NULL, lower_count + 1, sizeof(*tree->trees));
	if (lower_count > 0)
		memcpy(tree->trees, lower, lower_count * sizeof(*lower));
	tree->trees[lower_count] = root;
	tree->tree_count = lower_count + 1;
	tree->chown_always = geteuid() != 0 || getegid() != 0 || st.st_mode & S_ISGID;
	return 0;
}

void tree_done(struct tree *tree)
{
	mem_closep(&tree->parent.fd);
	free(tree->trees);
	folders_done(&tree->folders);
	*tree = (struct tree){ .parent.fd = -1 };
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
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) < 0)
			return err_sys(err, errno, "set its attribute %.40s", xattr->name);
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

/* Makes room for a new entry: what stands under the name goes. 0 also when nothing does. */
static int clear(struct tree *tree, int parent, const char *base, struct err *err)
{
	tree->stale = true;
	if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, errno, "remove what was there");
	return fs_remove_tree(parent, base, err);
}

static int write_content(struct tree *tree, int fd, const struct tar_entry *entry,
			 struct tar *tar, struct err *err)
{
	uint64_t offset, end = 0;
	const void *data;
	size_t size;
	int got;

	if (entry->size == 0)
		return 0;
	if (entry->size > LAYER_BYTES_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "it is larger than %llu bytes",
			       (unsigned long long)LAYER_BYTES_MAX);
	while ((got = tar_data(tar, &data, &size, &offset, err)) == 1) {
		const char *at = data;

		if (offset + size > entry->size)
			return err_set(err, ERR_LAYER, "a damaged sparse file");
		end = offset + size;
		while (size > 0) {
			ssize_t put = pwrite(fd, at, size, (off_t)offset);

			if (put < 0 && errno == EINTR)
				continue;
			if (put < 0)
				return err_sys(err, errno, "write it");
			at += put;
			offset += (uint64_t)put;
			size -= (size_t)put;
			tree->bytes += (uint64_t)put;
		}
	}
	if (got < 0)
		return -1;
	if (end < entry->size && ftruncate(fd, (off_t)entry->size) < 0)
		return err_sys(err, errno, "write it");
	return 0;
}

static int make_file(int parent, const char *base)
{
	return openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int tree_file(struct tree *tree, const char *path, const struct tar_entry *entry, struct tar *tar,
	      struct err *err)
{
	_cleanup_close_ int fd = -1;
	const char *base;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	fd = make_file(tree->parent.fd, base);
	if (fd < 0 && errno == EEXIST) {
		if (clear(tree, tree->parent.fd, base, err) < 0)
			return -1;
		fd = make_file(tree->parent.fd, base);
	}
	if (fd < 0)
		return err_sys(err, errno, "make it");
	if (write_content(tree, fd, entry, tar, err) < 0)
		return -1;
	return set_metadata(tree, fd, entry, err);
}

/* 1: a new folder, 0: one that was there, 2: a new one where something else was; -1. */
static int make_or_keep(struct tree *tree, int parent, const char *base, struct err *err)
{
	struct stat st;

	if (mkdirat(parent, base, 0700) == 0)
		return 1;
	if (errno != EEXIST || fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "make it");
	if (S_ISDIR(st.st_mode))
		return 0;
	if (clear(tree, parent, base, err) < 0)
		return -1;
	if (mkdirat(parent, base, 0700) < 0)
		return err_sys(err, errno, "make it");
	return 2;
}

static int set_opaque(int fd, struct err *err)
{
	if (fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0)
		return err_sys(err, errno, "make a folder opaque");
	return 0;
}

int tree_make_folder(struct tree *tree, int parent, const char *base, const char *path,
		     const struct tar_entry *entry, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int made = *base ? make_or_keep(tree, parent, base, err) : 0;
	struct stat st;

	if (made < 0)
		return -1;
	fd = openat(parent, *base ? base : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open it");
	/* what stood there before removed what lies below; the new folder must not show it again */
	if (made == 2 && set_opaque(fd, err) < 0)
		return -1;
	if (set_owner(tree, fd, "", entry, made == 0, err) < 0)
		return -1;
	if (fchmod(fd, (entry->mode & 01777) | 0700) < 0)
		return err_sys(err, errno, "set its mode");
	if (set_xattrs(tree, fd, entry, err) < 0)
		return -1;
	return folders_add(&tree->folders, path, st.st_ino, entry, err);
}

int tree_folder(struct tree *tree, const char *path, const struct tar_entry *entry,
		struct err *err)
{
	char real[PATH_LENGTH_MAX + PATH_NAME_MAX + 2];
	const char *base;

	if (!*path)
		return tree_make_folder(tree, tree->root, "", "", entry, err);
	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	stpcpy(stpcpy(stpcpy(real, tree->parent.path), *tree->parent.path ? "/" : ""), base);
	return tree_make_folder(tree, tree->parent.fd, base, real, entry, err);
}

int tree_symlink(struct tree *tree, const char *path, const struct tar_entry *entry,
		 struct err *err)
{
	struct timespec times[2];
	const char *base;
	int parent, made;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	parent = tree->parent.fd;
	made = symlinkat(entry->target, parent, base);
	if (made < 0 && errno == EEXIST) {
		if (clear(tree, parent, base, err) < 0)
			return -1;
		made = symlinkat(entry->target, parent, base);
	}
	if (made < 0)
		return err_sys(err, errno, "make it");
	if (set_owner(tree, parent, base, entry, false, err) < 0)
		return -1;
	times_of(entry, times);
	if (utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "set its time");
	return 0;
}

int tree_fifo(struct tree *tree, const char *path, const struct tar_entry *entry, struct err *err)
{
	_cleanup_close_ int fd = -1;
	const char *base;
	struct stat st;
	int made;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	made = mkfifoat(tree->parent.fd, base, 0600);
	if (made < 0 && errno == EEXIST) {
		if (clear(tree, tree->parent.fd, base, err) < 0)
			return -1;
		made = mkfifoat(tree->parent.fd, base, 0600);
	}
	if (made == 0)
		fd = openat(tree->parent.fd, base,
			    O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "make it");
	if (!S_ISFIFO(st.st_mode))
		return err_set(err, ERR_LAYER, "it was replaced");
	return set_metadata(tree, fd, entry, err);
}

/* The folder of a hard link's target, owned, and its last component. */
static int open_target(struct tree *tree, const char *target, const char **ret_base,
		       struct stat *ret_st, struct err *err)
{
	_cleanup_close_ int fd = -1;

	if (!*target)
		return err_set(err, ERR_LAYER, "a hard link to the root");
	if (tree_find_parent(tree, target, ret_base, err) < 0)
		return -1;
	fd = fcntl(tree->parent.fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, errno, "look at the target of a hard link");
	if (fstatat(fd, *ret_base, ret_st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISCHR(ret_st->st_mode))
		return err_set(err, ERR_LAYER, "a hard link to what is not in this layer");
	if (S_ISDIR(ret_st->st_mode))
		return err_set(err, ERR_LAYER, "a hard link to a folder");
	return TAKE_FD(fd);
}

int tree_hardlink(struct tree *tree, const char *path, const char *target, struct err *err)
{
	const char *base, *target_base;
	_cleanup_close_ int from = -1;
	struct stat wanted, st;

	from = open_target(tree, target, &target_base, &wanted, err);
	if (from < 0 || tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	if (linkat(from, target_base, tree->parent.fd, base, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, errno, "link it");
	/* onto itself: to unlink first would lose the file */
	if (fstatat(tree->parent.fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == wanted.st_ino)
		return 0;
	if (clear(tree, tree->parent.fd, base, err) < 0)
		return -1;
	if (linkat(from, target_base, tree->parent.fd, base, 0) < 0)
		return err_sys(err, errno, "link it");
	return 0;
}

int tree_nothing(struct tree *tree, const char *path, struct err *err)
{
	const char *base;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	return clear(tree, tree->parent.fd, base, err);
}

int tree_whiteout(struct tree *tree, const char *path, const char *name, struct err *err)
{
	_cleanup_close_ int fd = -1;
	const char *base;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	if (mknodat(tree->parent.fd, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, errno, "make a whiteout");
	/* this layer's own entry stays; were it a folder, what lies below would show through */
	fd = openat(tree->parent.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : set_opaque(fd, err);
}

int tree_opaque(struct tree *tree, const char *path, struct err *err)
{
	_cleanup_close_ int fd = -1;
	const char *base;

	if (tree_find_parent(tree, path, &base, err) < 0)
		return -1;
	if (strcmp(tree->parent.path, tree->parent.asked))
		return err_set(err, ERR_LAYER, "an opaque mark behind a symbolic link");
	fd = openat(tree->parent.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open its folder");
	return set_opaque(fd, err);
}

int tree_finish(struct tree *tree, struct err *err)
{
	return folders_apply(&tree->folders, tree->root, err);
}
