/*
 * Writes one EROFS file in one pass: an output for layers (output.h), and what a merge needs.
 *
 *	block 0		kept back: superblock, root inode
 *	then		content as it arrives; between it blocks of inodes with their tails
 *	at the end	folders; the numbers of names of what was hard linked
 *	last of all	block 0: before that the file has no magic
 *
 * The bytes depend on the entries and their order, on nothing else.
 */
#ifndef DUET_BUILDERS_LAYER_EROFS_WRITER_H
#define DUET_BUILDERS_LAYER_EROFS_WRITER_H

#include "builders/layer/erofs/blocks.h"
#include "builders/layer/erofs/inode.h"
#include "builders/layer/erofs/names.h"
#include "builders/layer/output.h"

struct writer {
	struct blocks blocks;
	struct names names;
	uint32_t at;		/* the current folder */
	uint32_t inos;		/* given so far */
	uint64_t live;		/* inodes that have a name, once it is finished */
	uint64_t xattr_offset;	/* of shared attributes; 0: none */
	uint64_t bytes;		/* of content */
};

/* `out`: an empty file, borrowed, read and written. */
void writer_init(struct writer *writer, int out);
void writer_done(struct writer *writer);
/* `lower` is copied. */
void writer_output(struct writer *writer, const struct view_layer *lower, size_t lower_count,
		   struct output *ret);

/* An inode at the end of its content: its nid. `meta` has the type; `rdev` is for devices. */
int writer_inode(struct writer *writer, const struct meta *meta, const struct str *xattrs,
		 const struct content *content, uint32_t rdev, uint64_t *ret_nid, struct err *err);
enum erofs_type writer_type(uint32_t mode);

/* Writes all folders, and everything but block 0 (folders.c). */
int writer_finish(struct writer *writer, struct err *err);
/* Writes block 0. `uuid`: 16 bytes. */
int writer_seal(struct writer *writer, const uint8_t *uuid, struct err *err);

#endif
