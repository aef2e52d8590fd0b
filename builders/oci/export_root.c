/*
 * The merged root of an image as one file. A worker merges the layers' EROFS files; the tar is written
 * from that: every owner and attribute is in it, whoever runs duet.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "builders/oci/export.h"
#include "builders/oci/tarfile.h"
#include "builders/worker/client.h"
#include "core/erofs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/path.h"

#define CHUNK (256 * 1024)
#define DEPTH_MAX 256	/* folders in each other: LAYER_DEPTH_MAX */

static int merge(const struct oci_export *args, int out, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_MERGE,
					  .fd_count = (uint32_t)(1 + args->disk_count) };
	int fds[WORKER_LOWER_MAX + 1] = { out };
	struct worker_reply reply;

	if (args->disk_count == 0 || args->disk_count > WORKER_LOWER_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "merge %zu layers", args->disk_count);
	memcpy(fds + 1, args->disks, args->disk_count * sizeof(int));
	if (worker_run(NULL, &request, fds, 1 + args->disk_count, "merge layers", &reply, err) < 0)
		return -1;
	log_progress_end("merge layers");
	return 0;
}

/* ---- EROFS to tar ---------------------------------------------------------------------------- */

/* Files with several names that were written: an open hash of at most half its slots. */
struct links {
	struct link {
		uint64_t nid;
		char *path;	/* owned; the first name; NULL: a free slot */
	} *slots;		/* owned */
	size_t slot_count, count;
};

struct walk {
	struct erofs *erofs;
	struct tarfile *file;
	struct links links;
	struct tar_entry entry;	/* the one in hand; its attributes are owned */
	char path[PATH_LENGTH_MAX + 1];
	unsigned int depth;
};

static int take_xattr(void *data, const char *name, const void *value, size_t size,
		      struct err *err)
{
	struct tar_entry *entry = data;

	/* what overlays mean is done: the root is whole */
	if (!strncmp(name, "user.overlay.", 13))
		return 0;
	if (entry->xattr_count == TAR_XATTRS_MAX)
		return err_set(err, ERR_STORE, "too many attributes");
	entry->xattrs[entry->xattr_count++] = (struct tar_xattr){
		.name = xstrdup(name), .value = xmemdup(value, size), .size = size,
	};
	return 0;
}

static struct link *slot_of(const struct links *links, uint64_t nid)
{
	/* Knuth's multiplier: nids grow by small steps */
	size_t at = (size_t)(nid * 0x9e3779b97f4a7c15u >> 20) % links->slot_count;

	while (links->slots[at].path && links->slots[at].nid != nid)
		at = (at + 1) % links->slot_count;
	return &links->slots[at];
}

static void grow(struct links *links)
{
	struct links grown = { .slot_count = links->slot_count ? 2 * links->slot_count : 64,
			       .count = links->count };

	grown.slots = xcalloc(grown.slot_count, sizeof(*grown.slots));
	for (size_t i = 0; i < links->slot_count; i++)
		if (links->slots[i].path)
			*slot_of(&grown, links->slots[i].nid) = links->slots[i];
	free(links->slots);
	*links = grown;
}

/* The first name of a file that has several, when it was written; else it is noted. */
static const char *first_name(struct walk *walk, const struct erofs_inode *inode)
{
	struct links *links = &walk->links;
	struct link *slot;

	if (inode->nlink < 2 || S_ISDIR(inode->mode))
		return NULL;
	if (2 * links->count >= links->slot_count)
		grow(links);
	slot = slot_of(links, inode->nid);
	if (slot->path)
		return slot->path;
	*slot = (struct link){ inode->nid, xstrdup(walk->path) };
	links->count++;
	return NULL;
}

static void links_done(struct links *links)
{
	for (size_t i = 0; i < links->slot_count; i++)
		free(links->slots[i].path);
	free(links->slots);
}

static enum tar_type type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return TAR_FOLDER;
	case S_IFLNK:
		return TAR_SYMLINK;
	case S_IFCHR:
		return TAR_CHAR;
	case S_IFBLK:
		return TAR_BLOCK;
	case S_IFIFO:
		return TAR_FIFO;
	}
	return TAR_FILE;
}

static int copy_content(struct walk *walk, const struct erofs_inode *inode, struct err *err)
{
	_cleanup_free_ char *chunk = xmalloc(CHUNK);

	for (uint64_t done = 0; done < inode->size;) {
		ssize_t got = erofs_read(walk->erofs, inode, chunk, CHUNK, done, err);

		if (got < 0 || tarfile_bytes(walk->file, chunk, (size_t)got, err) < 0)
			return -1;
		if (got == 0)
			return err_set(err, ERR_STORE, "the file ends too soon");
		done += (uint64_t)got;
	}
	return tarfile_pad(walk->file, inode->size, err);
}

/* The entry's target in *target, PATH_LENGTH_MAX + 1 bytes. */
static int read_target(struct walk *walk, const struct erofs_inode *inode, char *target,
		       struct err *err)
{
	ssize_t got;

	if (inode->size > PATH_LENGTH_MAX)
		return err_set(err, ERR_STORE, "the link's target is too long");
	got = erofs_read(walk->erofs, inode, target, inode->size, 0, err);
	target[got < 0 ? 0 : got] = '\0';
	return got < 0 ? -1 : 0;
}

static int write_entry(struct walk *walk, const struct erofs_inode *inode, struct err *err)
{
	const char *first = first_name(walk, inode);
	_cleanup_free_ char *target = xmalloc(PATH_LENGTH_MAX + 1);
	struct tar_entry *entry = &walk->entry;
	int result;

	if (S_ISSOCK(inode->mode))
		return 0; /* a tar has none */
	*entry = (struct tar_entry){
		.path = walk->path,
		.type = first ? TAR_HARDLINK : type_of(inode->mode),
		.target = first,
		.mode = inode->mode & 07777,
		.uid = inode->uid,
		.gid = inode->gid,
		.mtime_s = inode->mtime_s,
		.mtime_ns = inode->mtime_ns,
		.dev_major = major(inode->rdev),
		.dev_minor = minor(inode->rdev),
	};
	if (entry->type == TAR_FILE)
		entry->size = inode->size;
	if (entry->type == TAR_SYMLINK) {
		if (read_target(walk, inode, target, err) < 0)
			return -1;
		entry->target = target;
	}
	result = first ? 0 : erofs_each_xattr(walk->erofs, inode, take_xattr, entry, err);
	if (result == 0)
		result = tarfile_entry(walk->file, entry, err);
	tar_drop_xattrs(entry);
	if (result == 0 && entry->type == TAR_FILE)
		result = copy_content(walk, inode, err);
	return result;
}

static int write_named(void *data, const char *name, uint64_t nid, struct err *err);

/* An entry and, of a folder, all below it; walk->path is its name. */
static int write_below(struct walk *walk, const struct erofs_inode *inode, struct err *err)
{
	int result = write_entry(walk, inode, err);

	if (result < 0 || !S_ISDIR(inode->mode))
		return result;
	if (walk->depth == DEPTH_MAX)
		return err_set(err, ERR_STORE, "more than %d folders in each other", DEPTH_MAX);
	walk->depth++;
	result = erofs_each(walk->erofs, inode, write_named, walk, err);
	walk->depth--;
	return result;
}

static int write_named(void *data, const char *name, uint64_t nid, struct err *err)
{
	struct walk *walk = data;
	size_t length = strlen(walk->path), more = strlen(name) + (length > 0);
	struct erofs_inode inode;
	int result;

	if (length + more > PATH_LENGTH_MAX)
		return err_set(err, ERR_STORE, "a path is too long");
	if (length > 0)
		walk->path[length] = '/';
	strcpy(walk->path + length + (length > 0), name);
	result = erofs_inode(walk->erofs, nid, &inode, err);
	if (result == 0)
		result = write_below(walk, &inode, err);
	walk->path[length] = '\0';
	return result;
}

static int write_tar(struct tarfile *file, int image, struct err *err)
{
	_cleanup_free_ struct walk *walk = xcalloc(1, sizeof(*walk));
	struct erofs_inode root;
	int result = -1;

	walk->file = file;
	if (erofs_new(image, &walk->erofs, err) < 0)
		return -1;
	if (erofs_root(walk->erofs, &root, err) == 0)
		result = write_below(walk, &root, err);
	erofs_free(walk->erofs);
	links_done(&walk->links);
	return result < 0 ? -1 : tarfile_end(file, err);
}

int export_root(struct tarfile *file, const struct oci_export *args, struct err *err)
{
	_cleanup_close_ int image = -1;

	if (args->format == EXPORT_EROFS && file->stream) {
		err_set(err, ERR_USAGE, "an EROFS image is not written in one go");
		return err_mend(err, "name a file");
	}
	if (args->format == EXPORT_EROFS)
		return merge(args, file->fd, err);
	/* beside the file, so that it takes the same disk's room and no memory */
	image = openat(file->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (image < 0)
		image = memfd_create("duet-export", MFD_CLOEXEC);
	if (image < 0)
		return err_sys(err, errno, "make a temporary file");
	if (merge(args, image, err) < 0)
		return -1;
	return write_tar(file, image, err);
}
