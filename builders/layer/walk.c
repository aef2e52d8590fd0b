/* Walks files as entries of a tar: see walk.h. */
#include "builders/layer/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "builders/layer/layer.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"
#include "core/view.h"

/* A file with several names, so that the later ones become hard links. */
struct linked {
	dev_t device;
	ino_t inode;
	char *path;	/* owned; the first name */
	nlink_t names;	/* that were not met yet */
};

struct walk {
	const struct walk_args *args;
	void *links;	/* a tsearch tree of struct linked, owned */
	uint64_t left_out;
	const char *from;	/* of the entry, for messages */
	dev_t device;	/* of an upper */
	bool has_device;
	const struct linked *outside;	/* has a name that is not below the source */
	struct err *err;
};

static int compare_links(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void free_link(void *data)
{
	struct linked *linked = data;

	free(linked->path);
	free(linked);
}

static int fail(struct walk *walk, const char *what)
{
	int errnum = errno;
	_cleanup_free_ char *safe = str_escape(walk->from, 200);

	return err_sys(walk->err, errnum, "%s %s", what, safe);
}

static int refuse(struct walk *walk, const char *why)
{
	_cleanup_free_ char *safe = str_escape(walk->from, 200);

	return err_set(walk->err, ERR_LAYER, "%s: %s", safe, why);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int take_xattrs(struct walk *walk, int fd, struct tar_entry *entry)
{
	char names[LAYER_XATTRS_MAX], value[LAYER_XATTRS_MAX];
	ssize_t length = flistxattr(fd, names, sizeof(names));
	_cleanup_(strv_done) struct strv sorted = { 0 };

	if (length < 0 && errno != ENOTSUP)
		return fail(walk, "read the attributes of");
	for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1)
		if (tar_keeps_xattr(name) ||
		    (walk->args->upper && !strcmp(name, VIEW_OPAQUE_XATTR)))
			strv_add(&sorted, name);
	if (sorted.count > TAR_XATTRS_MAX)
		return refuse(walk, "too many extended attributes");
	if (sorted.count > 1)
		qsort(sorted.items, sorted.count, sizeof(*sorted.items), compare_names);
	for (size_t i = 0; i < sorted.count; i++) {
		ssize_t size = fgetxattr(fd, sorted.items[i], value, sizeof(value));

		if (size < 0)
			return fail(walk, "read the attributes of");
		entry->xattrs[entry->xattr_count++] = (struct tar_xattr){
			.name = xstrdup(sorted.items[i]),
			.value = xmemdup(value, (size_t)size),
			.size = (size_t)size,
		};
	}
	return 0;
}

static void fill(struct tar_entry *entry, const char *path, const struct stat *st)
{
	entry->path = path;
	entry->mode = st->st_mode & 07777;
	entry->uid = st->st_uid;
	entry->gid = st->st_gid;
	entry->mtime_s = st->st_mtim.tv_sec;
	entry->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

static int visit(struct walk *walk, struct tar_entry *entry, int fd, int content)
{
	_cleanup_(tar_drop_xattrs) struct tar_entry full = *entry;

	if (walk->args->keep && fd >= 0 && take_xattrs(walk, fd, &full) < 0)
		return -1;
	return walk->args->visit(walk->args->data, &full, content, walk->err);
}

/* 1 when the file was met before under another name: it was visited as a hard link. */
static int visit_link(struct walk *walk, struct tar_entry *entry, const struct stat *st)
{
	struct linked *linked, **known;

	if (!walk->args->keep || st->st_nlink < 2)
		return 0;
	linked = xmalloc(sizeof(*linked));
	*linked = (struct linked){ st->st_dev, st->st_ino, xstrdup(entry->path), st->st_nlink - 1 };
	known = tsearch(linked, &walk->links, compare_links);
	if (!known)
		mem_out();
	if (*known == linked)
		return 0;
	free_link(linked);
	(*known)->names--;
	entry->type = TAR_HARDLINK;
	entry->target = (*known)->path;
	entry->size = 0;
	return visit(walk, entry, -1, -1) < 0 ? -1 : 1;
}

static int walk_file(struct walk *walk, int fd, const char *path)
{
	struct tar_entry entry = { .type = TAR_FILE };
	struct stat st;
	int linked;

	if (fstat(fd, &st) < 0)
		return fail(walk, "look at");
	if (!S_ISREG(st.st_mode))
		return refuse(walk, "it was replaced while it was read");
	fill(&entry, path, &st);
	entry.size = (uint64_t)st.st_size;
	linked = visit_link(walk, &entry, &st);
	if (linked != 0)
		return linked < 0 ? -1 : 0;
	return visit(walk, &entry, fd, fd);
}

/* Opens a file or folder; a source that is a file came readable, or is opened through /proc. */
static int open_entry(const struct select_entry *from, int flags)
{
	flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY;
	if (*from->name || flags & O_DIRECTORY)
		return fs_open_no_links(from->dir, from->name, flags, 0);
	if (!(fcntl(from->dir, F_GETFL) & O_PATH))
		return fcntl(from->dir, F_DUPFD_CLOEXEC, 3);
	return fs_reopen(from->dir, flags);
}

static int walk_regular(struct walk *walk, const struct select_entry *from)
{
	_cleanup_close_ int fd = open_entry(from, 0);

	return fd < 0 ? fail(walk, "open") : walk_file(walk, fd, from->path);
}

static int walk_folder(struct walk *walk, const struct select_entry *from)
{
	struct tar_entry entry = { .type = TAR_FOLDER };
	_cleanup_close_ int fd = -1;

	fill(&entry, from->path, from->st);
	if (!walk->args->keep)
		return visit(walk, &entry, -1, -1);
	fd = open_entry(from, O_DIRECTORY); /* for its attributes */
	return fd < 0 ? fail(walk, "open") : visit(walk, &entry, fd, -1);
}

static int walk_symlink(struct walk *walk, const struct select_entry *from)
{
	struct tar_entry entry = { .type = TAR_SYMLINK };
	char target[PATH_LENGTH_MAX + 1];
	ssize_t length = readlinkat(from->dir, from->name, target, sizeof(target) - 1);
	int linked;

	if (length < 0)
		return fail(walk, "read link");
	target[length] = '\0';
	fill(&entry, from->path, from->st);
	entry.mode = 0777;
	entry.target = target;
	linked = visit_link(walk, &entry, from->st);
	if (linked != 0)
		return linked < 0 ? -1 : 0;
	return visit(walk, &entry, -1, -1);
}

static int walk_other(struct walk *walk, const struct select_entry *from)
{
	struct tar_entry entry = { .type = TAR_FIFO };

	if (!walk->args->keep)
		return refuse(walk, "neither a file, a folder nor a symbolic link");
	if (walk->args->upper && S_ISCHR(from->st->st_mode) && from->st->st_rdev == 0) {
		entry.type = TAR_CHAR;
		entry.path = from->path;
		return visit(walk, &entry, -1, -1);
	}
	if (!S_ISFIFO(from->st->st_mode)) {
		walk->left_out++;
		return 0;
	}
	fill(&entry, from->path, from->st);
	return visit(walk, &entry, -1, -1);
}

static int walk_entry(void *data, const struct select_entry *from, struct err *err)
{
	struct walk *walk = data;

	(void)err;
	walk->from = from->from;
	if (!walk->has_device)
		walk->device = from->st->st_dev;
	walk->has_device = true;
	if (walk->args->upper && from->st->st_dev != walk->device)
		return refuse(walk, "it is on another file system");
	switch (from->st->st_mode & S_IFMT) {
	case S_IFDIR:
		return walk_folder(walk, from);
	case S_IFREG:
		return walk_regular(walk, from);
	case S_IFLNK:
		return walk_symlink(walk, from);
	}
	return walk_other(walk, from);
}

static void find_outside(const void *node, VISIT which, void *data)
{
	struct walk *walk = data;

	if ((which == postorder || which == leaf) && (*(const struct linked *const *)node)->names)
		walk->outside = *(const struct linked *const *)node;
}

/* A name elsewhere would let somebody write to what was packed, or be somebody else's file. */
static int check_names(struct walk *walk)
{
	twalk_r(walk->links, find_outside, walk);
	if (!walk->outside)
		return 0;
	walk->from = walk->outside->path;
	return refuse(walk, "it has another name outside of the layer");
}

int walk_selection(const struct walk_args *args, uint64_t *ret_left_out, struct err *err)
{
	struct walk walk = { .args = args, .err = err };
	int result = select_walk(args->what, walk_entry, &walk, err);

	if (result == 0 && args->upper)
		result = check_names(&walk);
	tdestroy(walk.links, free_link);
	if (result == 0)
		*ret_left_out = walk.left_out;
	return result;
}
