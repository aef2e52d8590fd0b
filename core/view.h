/*
 * The merged view of layers: what an overlay of them would show, without mounting. Whiteouts
 * (character device 0:0) and opaque folders (user.overlay.opaque=y) hide what is below; symbolic
 * links are followed inside the view. A layer is a tree on disk, an EROFS image, or what the caller
 * brings.
 */
#ifndef DUET_CORE_VIEW_H
#define DUET_CORE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/erofs.h"
#include "core/err.h"
#include "core/path.h"

#define VIEW_OPAQUE_XATTR "user.overlay.opaque"	/* overlays are mounted with userxattr */
#define VIEW_LINKS_MAX 40	/* as the kernel's MAXSYMLINKS */

/* An entry of one layer. */
struct view_node {
	uint32_t mode;		/* with the type, as st_mode */
	bool whiteout;
	uint32_t uid, gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	/* where the layer finds it again */
	int fd;			/* trees: owned; O_PATH|O_NOFOLLOW; else -1 */
	struct erofs_inode inode;	/* EROFS images */
	uint64_t id;		/* others */
};

struct view_layer {
	const struct view_ops *ops;
	int tree;		/* borrowed; O_PATH or O_RDONLY */
	void *data;		/* borrowed; of EROFS images the struct erofs */
};

/* `path` is clean, relative, and links in it are not followed: they count as nothing. */
struct view_ops {
	/* 1 and the node, 0 when there is none, -1. */
	int (*look)(const struct view_layer *layer, const char *path, struct view_node *ret,
		    struct err *err);
	/* Is the folder marked as opaque? */
	int (*opaque)(const struct view_layer *layer, const char *path,
		      const struct view_node *folder, struct err *err);
	/* The target of a link, ended by NUL. */
	int (*target)(const struct view_layer *layer, const struct view_node *link,
		      char ret[PATH_LENGTH_MAX + 1], struct err *err);
	/* Calls `each` for every extended attribute of a folder; NULL: nobody asks this layer. */
	int (*xattrs)(const struct view_layer *layer, const char *path,
		      const struct view_node *folder,
		      int (*each)(void *data, const char *name, const void *value, size_t size,
				  struct err *err),
		      void *data, struct err *err);
};

struct view_layer view_of_tree(int tree);
struct view_layer view_of_erofs(struct erofs *erofs);

/* What view_find saw: the topmost entry of a path in the merged view. */
struct view_entry {
	struct view_node node;	/* owned: view_node_done */
	size_t layer;		/* index into `layers` */
	char path[PATH_LENGTH_MAX + 1];	/* where it lies, clean and relative, links resolved */
};

/*
 * Finds a path in `count` layers, lowest first. With `follow_last` a link at its end is followed, too.
 * Returns 1 and the entry, 0 when there is none, -1 with err.
 */
int view_find(const struct view_layer *layers, size_t count, const char *path, bool follow_last,
	      struct view_entry *ret, struct err *err);
void view_node_done(struct view_node *node);

#endif
