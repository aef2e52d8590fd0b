/*
 * What the files of the store share. Nothing outside core/store/ includes this.
 *
 *	open.c	  the folder, its locks		tmp.c	 work in progress, removal, leftovers
 *	file.c	  unnamed files, links, syncs	record.c small sealed texts, steps
 *	blob.c	  image.c  stat.c  tree.c	list.c	 what a tree holds, entry by entry
 *	item.c	  EROFS files, kernels, states	pin.c	 which kernel a question gave
 *	partial.c what came of a blob
 *	gc.c	  check.c  sweep.c		what gc and check share
 */
#ifndef DUET_CORE_STORE_INTERNAL_H
#define DUET_CORE_STORE_INTERNAL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/store.h"
#include "core/str.h"

#define STORE_RECORD_BYTES_MAX (16u << 20)	/* an image's record: config and layers */
#define STORE_LIST_BYTES_MAX (256u << 20)	/* what one tree holds: some 3 million entries */
#define STORE_SUM_BYTES_MAX (1024u << 20)	/* the same with contents' digests */
#define STORE_LAYERS_MAX 1024	/* of one image */
#define STORE_RESERVE_BYTES (1 << 20)
#define STORE_NAME_BYTES_MAX 512		/* of an image's name */
#define STORE_PATH_SIZE 192			/* holds every path below v1/ that duet makes */
#define STORE_KEY_SIZE (DIGEST_HEX_SIZE + 7)	/* HEX, HEX.chain or HEX.merged, with the NUL */

/* --- open.c --- */

/* Waits a moment; ERR_STORE_BUSY, with the shared lock held again. */
int store_lock_exclusive(struct store *store, struct err *err);
/* Makes `reserve` when it is missing and there is room. */
void store_reserve(struct store *store);

/* --- file.c --- */

/* err_sys with class store.failed, and a mend for full and read-only disks; errno is `errnum`. */
int store_fail(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Does this errno of an open or a read speak of the disk (damage), not of us (descriptors, memory)? */
bool store_is_damage(int errnum);
/* Opens (O_RDONLY) the folder `path` below v1/; makes what is missing, durably. */
int store_folder(struct store *store, const char *path, struct err *err);
/* Writes a folder's entries to the disk. `fd` must not be O_PATH. */
int store_sync(int fd, const char *name, struct err *err);
/* Gives an unnamed file the name dir/name. 1: the name is taken (not when `replace`). */
int store_file_link(struct store *store, int fd, int dir, const char *name, bool replace,
		    struct err *err);
enum store_put {
	STORE_PUT_KEEP,		/* durable; a file that is there stays */
	STORE_PUT_REPLACE,	/* durable; a file that is there gives way */
	STORE_PUT_CACHE,	/* as replace, but not synced: may be lost or torn by a power cut */
};

/* A new file with this content, linked as dir/name; then the folder is synced. */
int store_file_put(struct store *store, int dir, const char *name, const struct str *content,
		   enum store_put how, struct err *err);
/*
 * Calls `each` for every name in the folder but "." and ".."; stops when it gives not 0. What is
 * absent or no folder has no names.
 */
int store_each(int dir, const char *path, int (*each)(void *data, int dir, const char *name),
	       void *data, struct err *err);

/* --- tmp.c --- */

/* Random, unique, without dots. */
void store_new_id(char ret[40]);
/* A lock file tmp/ID.lock, held, without the folder. Things named ID and ID.N belong to it. */
int store_tmp_lock(struct store *store, struct store_tmp *ret, struct err *err);
/* fs_remove_tree, through the id map when owners need it. */
int store_remove(struct store *store, int dir, const char *name, struct err *err);
/* Removes what killed processes left in tmp/. Never waits, never fails. */
void store_tmp_clean(struct store *store);

/* --- record.c --- */

/* A sealed text: "duet-KIND 1", "for SUBJECT", lines "NAME VALUE", "end HEX" (sha256 of all before). */
void record_begin(struct str *out, const char *kind, const char *subject);
void record_digest(struct str *out, const char *name, const struct digest *digest);
void record_u64(struct str *out, const char *name, uint64_t value);
/* "NAME LENGTH", then the bytes and a line feed. NULL is written as empty. */
void record_bytes(struct str *out, const char *name, const char *text);
void record_layer(struct str *out, const struct store_layer *layer);
/* How many, and then each. */
void record_layers(struct str *out, const struct store_layer *layers, size_t count);
void record_end(struct str *out);

/* A reader: each call takes the next line, which must be the named one; false when it is not. */
struct record {
	char *text;	/* owned */
	char *at, *end;	/* borrowed from text; `end` is where the seal begins */
};

/*
 * Reads dir/path. 1; 0 when it is absent or anything but a whole record of this kind and subject
 * (*ret_torn tells which; may be NULL); -1 when it cannot be read for other reasons.
 */
int record_read(int dir, const char *path, size_t max, const char *kind, const char *subject,
		struct record *ret, bool *ret_torn, struct err *err);
int record_read_fd(int fd, const char *path, size_t max, const char *kind, const char *subject,
		   struct record *ret, struct err *err);
bool record_take_digest(struct record *record, const char *name, struct digest *ret);
bool record_take_u64(struct record *record, const char *name, uint64_t *ret);
bool record_take_bytes(struct record *record, const char *name, char **ret);
bool record_take_layer(struct record *record, struct store_layer *ret);
/* *ret is owned, also when it gives false. */
bool record_take_layers(struct record *record, struct store_layer **ret, size_t *ret_count);
/* Nothing is left. */
bool record_at_end(const struct record *record);
void record_done(struct record *record);

/* A step's record under its file name; as store_step_get. */
int store_step_read(struct store *store, const char *hex, struct store_layer *ret, bool *ret_torn,
		    struct err *err);

/* --- image.c, stat.c --- */

/* An image's record by its file name in images/; as store_image_get. */
int store_image_read(struct store *store, const char *file, struct store_image *ret,
		     bool *ret_torn, struct err *err);
/* Does the remembered digest stat/FILE still stand for its host file? */
bool store_stat_is_current(struct store *store, const char *file);

/* --- tree.c --- */

/* The name of a layer's folder below trees/MAP/. */
void store_tree_key(const struct digest *diff_id, const struct digest *chain, bool needs_lower,
		    char ret[STORE_KEY_SIZE]);
/* The record in an open tree folder, with a shared flock in *ret_use. 1, 0 (absent, torn), -1. */
int store_tree_record(int folder, const char *key, int *ret_use, struct store_layer *ret,
		      struct err *err);

/* Renames tmp/ID to dir/KEY; a torn one in the way is moved off, a good one wins. 0 or -1. */
int store_rename_into(struct store *store, struct store_tmp *tmp, int dir, const char *key,
		      bool (*is_good)(int folder, const char *key, int *ret_use), struct err *err);

/* --- item.c --- */

/* The folder of a kind below v1/. */
const char *store_item_folder(enum store_item_kind kind);
/*
 * 1 when the item in `folder` is whole: its record (with a shared flock in *ret_use and the maker's
 * text in *ret_text, owned; both may be NULL) and the sizes of its files. 0, -1.
 */
int store_item_record(int folder, enum store_item_kind kind, const char *key, int *ret_use,
		      char **ret_text, struct err *err);

/* --- pin.c --- */

/* A pin's record by its file name; as store_pin_get. */
int store_pin_read(struct store *store, const char *file, struct digest *ret, bool *ret_torn,
		   struct err *err);

/* --- list.c --- */

/*
 * Writes the sealed list of all that is in `tree`: a line each, sorted, with the sha256 of regular
 * files when `content`; then what the disk cannot give leaves the list without a seal (that is what
 * a check looks for), else it is an error. Runs in the id map where owners need it.
 */
int store_list_write(struct store *store, int tree, int out, const char *key, bool content,
		     struct err *err);
/*
 * Compares two lists (the records' bodies). Returns how many entries differ and tells the first few
 * in `ret_text`. Contents are compared where both have them.
 */
size_t store_list_compare(const struct record *recorded, const struct record *found,
			  struct str *ret_text);

/* --- failed.c --- */

/* The record of failed/MAP/KEY; as store_failed_open. */
int store_failed_read(int dir, const char *key, struct store_failed *ret, struct err *err);

/* --- sweep.c --- */

/* A sorted set of digests. */
struct digest_set {
	struct digest *items;	/* owned */
	size_t count;
};

void digest_set_add(struct digest_set *set, const struct digest *digest);
void digest_set_sort(struct digest_set *set);
bool digest_set_has(const struct digest_set *set, const struct digest *digest);
void digest_set_done(struct digest_set *set);

/* A layer's folder name taken apart; both HEX.chain and HEX.merged are of a chain-id. */
bool store_key_parse(const char *key, struct digest *ret, bool *ret_is_chain);
/* May this caller remove trees of that id map? */
bool store_map_is_ours(const struct store *store, const char *map);

/* What is to be removed: moved into tmp/ under one lock, then deleted at leisure. */
struct sweep {
	struct store *store;	/* borrowed */
	struct store_tmp tmp;
	unsigned int count;
};

/* 1: moved; 0: a shared flock on its record says that it is in use. */
int sweep_tree(struct sweep *sweep, int trees, const char *key, struct err *err);
/* Deletes what was moved and gives the lock back. */
int sweep_end(struct sweep *sweep, struct err *err);

#endif
