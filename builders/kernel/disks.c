/*
 * Kernels in EROFS images: see files.h. Folders are listed layer by layer, and what is listed counts
 * where the merged view shows it: not when a layer above hides or replaces it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/kernel/files.h"
#include "builders/kernel/take.h"
#include "builders/debian/version.h"
#include "core/mem.h"
#include "core/str.h"
#include "core/view.h"

#define KERNELS_MAX 100	/* of one image that are looked at */
#define DISKS_MAX 64

struct disks {
	struct erofs *erofs[DISKS_MAX];	/* owned; lowest first */
	struct view_layer layers[DISKS_MAX];
	size_t count;
	char release[KERNEL_RELEASE_MAX + 1];
	struct bytes image;
	char folder[PATH_LENGTH_MAX + 1];	/* lib/modules/RELEASE, links resolved */
};

static void entry_done(struct view_entry **entry)
{
	if (*entry)
		view_node_done(&(*entry)->node);
	free(*entry);
}

/* The content of a file: 1, 0 when there is no regular file, -1. */
static int read_path(struct disks *disks, const char *path, size_t max, struct bytes *ret,
		     struct err *err)
{
	_cleanup_(entry_done) struct view_entry *entry = xcalloc(1, sizeof(*entry));
	int found = view_find(disks->layers, disks->count, path, true, entry, err);
	const struct erofs_inode *inode = &entry->node.inode;
	_cleanup_free_ uint8_t *content = NULL;
	_cleanup_free_ char *safe = str_escape(path, KERNEL_PATH_SHOWN);
	ssize_t got;

	if (found != 1)
		return found;
	if (!S_ISREG(entry->node.mode))
		return 0;
	if (inode->size > max)
		return err_set(err, ERR_KERNEL, "%s has more than %zu bytes", safe, max);
	content = xmalloc(inode->size + 1);
	got = erofs_read(disks->erofs[entry->layer], inode, content, inode->size, 0, err);
	if (got < 0)
		return err_wrap(err, "read %s", safe);
	*ret = (struct bytes){ .data = content, .size = (size_t)got, .heap = content };
	content = NULL;
	return 1;
}

/* ---- which kernel ---------------------------------------------------------------------------- */

static int add_kernel(void *data, const char *name, uint64_t nid, struct err *err)
{
	static const char start[] = "vmlinuz-";
	struct strv *releases = data;

	(void)nid;
	(void)err;
	if (str_has_prefix(name, start) && kernel_release_is_valid(name + strlen(start)) &&
	    releases->count < KERNELS_MAX)
		strv_add(releases, name + strlen(start));
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	return version_compare(*(char *const *)b, *(char *const *)a);
}

static int list_kernels(struct disks *disks, struct strv *ret, struct err *err)
{
	_cleanup_(entry_done) struct view_entry *boot = xcalloc(1, sizeof(*boot));
	int found = view_find(disks->layers, disks->count, "boot", true, boot, err);

	for (size_t i = 0; found == 1 && i < disks->count; i++) {
		struct view_node node = { .fd = -1 };

		found = disks->layers[i].ops->look(&disks->layers[i], boot->path, &node, err);
		if (found == 1 && S_ISDIR(node.mode) &&
		    erofs_each(disks->erofs[i], &node.inode, add_kernel, ret, err) < 0)
			found = -1;
		view_node_done(&node);
		if (found == 0)
			found = 1;
	}
	if (found >= 0 && ret->count > 0)
		qsort(ret->items, ret->count, sizeof(*ret->items), newest_first);
	return found < 0 ? -1 : 0;
}

/* 1 when the image has both the kernel and its modules, 0, -1. */
static int try_kernel(struct disks *disks, const char *release, struct err *err)
{
	_cleanup_(entry_done) struct view_entry *entry = xcalloc(1, sizeof(*entry));
	_cleanup_free_ char *image = xasprintf("boot/vmlinuz-%s", release);
	_cleanup_free_ char *modules = xasprintf("lib/modules/%s", release);
	_cleanup_free_ char *usr = xasprintf("usr/%s", modules);
	int found = view_find(disks->layers, disks->count, modules, true, entry, err);

	if (found == 0)
		found = view_find(disks->layers, disks->count, usr, true, entry, err);
	if (found != 1)
		return found;
	if (!S_ISDIR(entry->node.mode))
		return 0;
	found = read_path(disks, image, KERNEL_IMAGE_BYTES_MAX, &disks->image, err);
	if (found != 1)
		return found;
	strcpy(disks->folder, entry->path);
	snprintf(disks->release, sizeof(disks->release), "%s", release);
	return 1;
}

int disks_new(const int *fds, size_t count, struct disks **ret, struct err *err)
{
	_cleanup_(strv_done) struct strv releases = { 0 };
	struct disks *disks = xcalloc(1, sizeof(*disks));
	int found = 0;

	if (count > DISKS_MAX)
		found = err_set(err, ERR_KERNEL, "more than %d disks", DISKS_MAX);
	while (found == 0 && disks->count < count) {
		struct erofs **erofs = &disks->erofs[disks->count];

		found = erofs_new(fds[disks->count], erofs, err);
		if (found == 0)
			disks->layers[disks->count++] = view_of_erofs(*erofs);
	}
	if (found == 0)
		found = list_kernels(disks, &releases, err);
	for (size_t i = 0; found == 0 && i < releases.count; i++)
		found = try_kernel(disks, releases.items[i], err);
	if (found == 0)
		found = err_set(err, ERR_KERNEL_NONE, "the image has no kernel with its modules");
	if (found < 0) {
		disks_free(disks);
		return -1;
	}
	*ret = disks;
	return 0;
}

const char *disks_release(const struct disks *disks)
{
	return disks->release;
}

const struct bytes *disks_image(const struct disks *disks)
{
	return &disks->image;
}

void disks_free(struct disks *disks)
{
	if (!disks)
		return;
	bytes_done(&disks->image);
	for (size_t i = 0; i < disks->count; i++)
		erofs_free(disks->erofs[i]);
	free(disks);
}

/* ---- as struct kernel_files ------------------------------------------------------------------ */

struct walk {
	struct disks *disks;
	size_t layer;
	const char *path;	/* of the folder, relative to lib/modules/RELEASE */
	unsigned int depth;
	size_t *count;
	int (*take)(void *to, const char *path, struct err *err);
	void *to;
};

static int walk_folder(const struct walk *walk, const struct erofs_inode *folder,
		       struct err *err);

/* Is this entry of the layer what the merged view shows there? */
static int is_shown(const struct walk *walk, const char *path, struct err *err)
{
	_cleanup_(entry_done) struct view_entry *entry = xcalloc(1, sizeof(*entry));
	_cleanup_free_ char *whole = xasprintf("%s/%s", walk->disks->folder, path);
	int found = view_find(walk->disks->layers, walk->disks->count, whole, false, entry, err);

	return found == 1 ? entry->layer == walk->layer : found;
}

static int walk_entry(void *data, const char *name, uint64_t nid, struct err *err)
{
	const struct walk *walk = data;
	_cleanup_free_ char *path = xasprintf("%s%s%s", walk->path, *walk->path ? "/" : "", name);
	struct walk below = *walk;
	struct erofs_inode inode;
	int shown;

	if (++*walk->count > KERNEL_FILES_MAX)
		return err_set(err, ERR_KERNEL, "more than %d files", KERNEL_FILES_MAX);
	if (erofs_inode(walk->disks->erofs[walk->layer], nid, &inode, err) < 0)
		return -1;
	below.path = path;
	below.depth++;
	if (S_ISDIR(inode.mode))
		return walk_folder(&below, &inode, err);
	if (!S_ISREG(inode.mode))
		return 0;
	shown = is_shown(walk, path, err);
	return shown == 1 ? walk->take(walk->to, path, err) : shown;
}

static int walk_folder(const struct walk *walk, const struct erofs_inode *folder,
		       struct err *err)
{
	if (walk->depth > KERNEL_DEPTH_MAX) {
		_cleanup_free_ char *safe = str_escape(walk->path, KERNEL_PATH_SHOWN);

		return err_set(err, ERR_KERNEL, "%s: more than %d folders deep", safe,
			       KERNEL_DEPTH_MAX);
	}
	return erofs_each(walk->disks->erofs[walk->layer], folder, walk_entry, (void *)walk, err);
}

static int each(void *data, int (*take)(void *to, const char *path, struct err *err), void *to,
		struct err *err)
{
	struct disks *disks = data;
	size_t count = 0;

	for (size_t i = 0; i < disks->count; i++) {
		struct walk walk = { disks, i, "", 0, &count, take, to };
		struct view_node node = { .fd = -1 };
		int found = disks->layers[i].ops->look(&disks->layers[i], disks->folder, &node, err);

		if (found == 1 && S_ISDIR(node.mode))
			found = walk_folder(&walk, &node.inode, err);
		view_node_done(&node);
		if (found < 0)
			return -1;
	}
	return 0;
}

static int read_file(void *data, const char *path, size_t max, struct bytes *ret, struct err *err)
{
	struct disks *disks = data;
	_cleanup_free_ char *whole = xasprintf("%s/%s", disks->folder, path);

	return read_path(disks, whole, max, ret, err);
}

const struct kernel_files_ops disks_files_ops = { each, read_file };
