/*
 * The store: content-addressed and crash-safe. A name in it means "complete, verified, durable".
 *
 *	v1/			0700, of the caller; refused when it belongs to another
 *	  lock			flock: shared while something is looked up or published, exclusive in gc
 *	  blobs/sha256/ab/HEX	0444, as fetched or made
 *	  trees/MAP/KEY/tree/	an unpacked layer; MAP names the id map that its owners went through
 *	  trees/MAP/KEY/ok	its record; a tree without one does not exist; flock shared: in use
 *	  trees/MAP/KEY/list	every entry as published; trees/MAP/KEY/sum: with contents' digests,
 *				written by the first check
 *	  steps/HEX		which layer a step's key gave (a reference: written last)
 *	  images/NAME		an image: its plan key, layers, config (a reference: written last);
 *				"@" and a digest for names that are no plain names
 *	  partial/HEX		what came of a blob; flock exclusive: being fetched
 *	  stat/HEX		a host file's digest, remembered under the hash of its path
 *	  stat/HEX.sources	of all files of a copy, under the hash of what is copied
 *	  caches/MAP/HEX/data/	a cache folder of run steps, under its store_cache_id; flock: in use
 *	  failed/MAP/HEX/	what a failed run step wrote, and the layers that it ran on
 *	  tmp/ID/, tmp/ID.lock	work in progress; what a killed process left has a free lock
 *	  reserve		bytes that gc gives up first, so that it can work on a full disk
 *
 * KEY is the layer's diff-id in hex, or "CHAIN-ID.chain" for a layer whose tar leaves parent folders
 * to the layers below, or "CHAIN-ID.merged" for the EROFS file of all layers up to that one. Order: data, syncfs or fsync, rename, fsync of the folder; references last.
 *
 * Look-ups give 1 (found), 0 (absent, and a damaged record counts as absent), -1 (cannot tell).
 * Everything but store_open wants the shared lock held. Failures to write are ERR_STORE with a mend.
 */
#ifndef DUET_CORE_STORE_H
#define DUET_CORE_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/jail/idmap.h"
#include "core/job.h"

struct store {
	char *path;	/* owned; absolute, with /v1 */
	int dir;	/* owned; O_PATH of it */
	int lock;	/* owned; the open lock file */
	struct idmap map;	/* whose trees: owners on disk went through it */
};

/* Work in progress: a folder of its own with a held lock. */
struct store_tmp {
	char id[40];
	int dir;	/* owned; O_PATH of tmp/ID */
	int lock;	/* owned; held exclusively */
};

/* A layer as its record tells it: the value of a step, and the content of a tree's `ok`. */
struct store_layer {
	struct digest diff_id;	/* of the uncompressed tar */
	struct digest blob;	/* of the blob it came from */
	uint64_t blob_bytes;
	bool has_blob;		/* the blob is kept in the store (a local archive is not copied) */
	bool needs_lower;	/* the tar leaves out parent folders: keyed by chain-id */
	uint64_t entries;	/* in the tar */
	uint64_t tree_bytes;	/* of file content */
	/*
	 * In a step's record only: the date of what the layer holds, seconds since 1970, which is the latest
	 * that steps above may give their files; 0: none
	 */
	int64_t time_s;
};

struct store_image {
	char *name;			/* owned */
	struct digest id;		/* sha256 of config */
	struct digest plan_key;
	struct store_layer *layers;	/* owned; lowest first */
	size_t layer_count;
	char *config;			/* owned; the OCI image config (JSON) */
	char *spec_file;		/* owned; absolute; for people; NULL ("" when read): none */
	uint64_t built_ns;		/* when the reference was written, since 1970 */
};

/*
 * Opens the store, made when it is missing, with the shared lock held; what killed processes left in
 * tmp/ is removed. `path`: --store; NULL: $DUET_STORE, else /var/lib/duet as root, else
 * $XDG_CACHE_HOME/duet (~/.cache/duet). Takes `map` over. Others' access to a store of ours is taken
 * away; a store of another uid and one on a network file system are refused (ERR_STORE). Waits a
 * minute at most for a gc, then ERR_STORE_BUSY with the holder's pid.
 */
int store_open(struct store *ret, const char *path, struct idmap *map, struct err *err);
/* Lets go of the shared lock (a run that has its trees in use) and takes it again. */
void store_unlock(struct store *store);
int store_lock_shared(struct store *store, struct err *err);
void store_done(struct store *store);

int store_tmp_new(struct store *store, struct store_tmp *ret, struct err *err);
/*
 * Removes it with all that is in it (through the id map where owners need it), also after its tree
 * was published. Nothing is done for one that was never made (all zero) or is dropped already.
 */
int store_tmp_drop(struct store *store, struct store_tmp *tmp, struct err *err);

/*
 * 1 and an open descriptor (O_RDONLY) with its size; 0 when absent (also when it is empty and should
 * not be). Who knows the size compares it: a blob of another size is as good as absent, and the
 * next publication puts a whole one in its place.
 */
int store_blob_open(struct store *store, const struct digest *digest, int *ret_fd,
		    uint64_t *ret_bytes, struct err *err);
/* The same for the blob of a layer, with the size that its record says. */
int store_layer_blob_open(struct store *store, const struct store_layer *layer, int *ret_fd,
			  struct err *err);
/* An unnamed writable file in the store's file system. */
int store_blob_new(struct store *store, int *ret_fd, struct err *err);
/* Publishes a finished file under its verified digest: 0444, fsync, link, fsync of the folder. */
int store_blob_publish(struct store *store, int fd, const struct digest *digest, struct err *err);
/*
 * A file for a blob that is fetched: what an earlier fetch left of it may be in it. It stays when it is
 * closed without being published. 1; 0 when another process is at it, or was until now: the blob is there
 * or comes, or the file gets free; -1. `bytes`: a blob of another size is not there; 0: any is.
 */
int store_partial_open(struct store *store, const struct digest *digest, uint64_t bytes, int *ret_fd,
		       struct err *err);
/* Until nobody is at it, telling for whom `what` (escaped) waits; not while others may wait for the caller. */
int store_partial_wait(struct store *store, const struct digest *digest, const char *what,
		       struct err *err);
/* Says once that the layer or archive `what` is waited for, and for whom. */
void store_partial_tell(struct store *store, const struct digest *digest, const char *what);
/* store_blob_publish for such a file. */
int store_partial_publish(struct store *store, int fd, const struct digest *digest,
			  struct err *err);

/*
 * A layer's tree (O_PATH) with a shared flock on its record: it stays while *ret_use is open, also
 * after store_unlock. 1, 0 when absent, -1. `chain` is its chain-id; NULL: keyed by diff-id only.
 */
int store_tree_open(struct store *store, const struct digest *diff_id, const struct digest *chain,
		    int *ret_tree, int *ret_use, struct err *err);
/* Makes tmp/tree and opens it (O_RDONLY): owned by the map's root, 0755. */
int store_tree_new(struct store *store, struct store_tmp *tmp, int *ret_tree, struct err *err);
/*
 * Publishes tmp/tree: record, syncfs, rename, fsync. Somebody else's equal tree wins silently. `tmp`
 * is to be dropped after it all the same. `chain` may be NULL unless the layer needs_lower.
 */
int store_tree_publish(struct store *store, struct store_tmp *tmp, const struct store_layer *layer,
		       const struct digest *chain, struct err *err);

/*
 * Items: a few finished files in a folder, published whole by one rename, never changed. Nothing
 * about them depends on the id map.
 */
enum store_item_kind { STORE_EROFS, STORE_KERNEL, STORE_STATE, STORE_ITEM_KINDS };

#define STORE_ITEM_FILES_MAX 2
#define STORE_ITEM_TEXT_MAX 65536

/* The names of an item's files, ended by NULL: {"image"}, {"vmlinux", "modules"}, {"ram", "state"}. */
const char *const *store_item_files(enum store_item_kind kind);

struct store_item {
	int files[STORE_ITEM_FILES_MAX];	/* owned; O_RDONLY, in the order of store_item_files */
	int use;	/* owned; a shared flock: the item stays while it is open */
	char *text;	/* owned; what its maker wrote into the record */
};

/* 1; 0 when it is absent or not whole (a file of another size counts too); -1. */
int store_item_open(struct store *store, enum store_item_kind kind, const char *key,
		    struct store_item *ret, struct err *err);
void store_item_done(struct store_item *item);
/*
 * Publishes tmp's folder, in which the kind's files lie: 0444, each synced, record, rename, sync.
 * Somebody else's item of that key wins silently. `tmp` is to be dropped after it all the same. `key`
 * is 64 hexadecimal digits and perhaps a suffix. `text` may be NULL.
 */
int store_item_publish(struct store *store, struct store_tmp *tmp, enum store_item_kind kind,
		       const char *key, const char *text, struct err *err);
/*
 * A layer's EROFS file: store_item_open by diff-id, then by chain-id (NULL: not looked at). With
 * `merged`: of all layers up to the chain-id.
 */
int store_erofs_open(struct store *store, const struct digest *diff_id, const struct digest *chain,
		     bool merged, int *ret_image, int *ret_use, struct err *err);
/* Publishes tmp's "image". `layer` NULL: the merge of all layers up to `chain`. */
int store_erofs_publish(struct store *store, struct store_tmp *tmp,
			const struct store_layer *layer, const struct digest *chain,
			struct err *err);

/* The kernel or blob that a question gave before: 1, 0, -1. A question is any text; its hash is kept. */
int store_pin_get(struct store *store, const char *question, struct digest *ret, struct err *err);
int store_pin_set(struct store *store, const char *question, const struct digest *kernel,
		  struct err *err);

/*
 * A run step's cache, by whom it belongs to and its path inside; all borrowed. A project is the folder of
 * its spec, by its path without links: what is moved elsewhere begins with empty caches, and a copy of a
 * project does not get at those of the original.
 */
struct store_cache {
	const char *project;	/* absolute; counts where `share` is NULL */
	const char *share;	/* a name for whoever says it; NULL: the project's own */
	const char *path;	/* absolute inside, clean */
};

/* What tells caches apart. */
void store_cache_id(const struct store_cache *cache, struct digest *ret);
/*
 * The folder (O_PATH) in which a cache is kept, locked while *ret_lock is open: waits for another build that
 * has it (flock.h). Who takes several takes them in the order of their paths, each once.
 */
int store_cache_open(struct store *store, const struct store_cache *cache, int *ret_data,
		     int *ret_lock, struct err *err);

#define STORE_FAILED_HOURS 24	/* what a failed step wrote is kept so long */

/* A run step that failed. */
struct store_failed {
	char *name;		/* owned; of the image */
	struct store_layer *layers;	/* owned; below it, lowest first */
	size_t layer_count;
	struct process process;	/* owned; the step's environment, user and workdir */
	enum network_kind network;
};

/*
 * Keeps tmp's folder under failed->name, in the place of an older one: 1; 0 when somebody looks at that
 * one. `tmp` is to be dropped after it all the same.
 */
int store_failed_keep(struct store *store, struct store_tmp *tmp, const struct store_failed *failed,
		      struct err *err);
/* 1, its folder (O_PATH) and what holds it; 0; -1. ERR_STORE_BUSY when somebody else has it. */
int store_failed_open(struct store *store, const char *name, struct store_failed *ret, int *ret_dir,
		      int *ret_use, struct err *err);
/* Removes one name in its folder, so that it can be made again. */
int store_failed_fresh(struct store *store, int dir, const char *name, struct err *err);
void store_failed_done(struct store_failed *failed);

/*
 * A text that is kept as a blob under a pin: what a question gave before. 1, 0, -1; *ret is owned, more
 * than `max` bytes are -EFBIG.
 */
int store_text_get(struct store *store, const char *question, size_t max, char **ret,
		   size_t *ret_size, struct err *err);
int store_text_set(struct store *store, const char *question, const char *text, size_t size,
		   struct err *err);

/* 1 and the layer, 0 when there is no such step, -1. */
int store_step_get(struct store *store, const struct digest *key, struct store_layer *ret,
		   struct err *err);
int store_step_set(struct store *store, const struct digest *key, const struct store_layer *layer,
		   struct err *err);

/* 1, 0, -1 as above. */
int store_image_get(struct store *store, const char *name, struct store_image *ret,
		    struct err *err);
int store_image_set(struct store *store, const struct store_image *image, struct err *err);
/* The chain-id of an image's lowest `count` layers; zero of none. */
void store_chain(const struct store_layer *layers, size_t count, struct digest *ret);
/* All images by name; the array and its items are owned by the caller. */
int store_image_list(struct store *store, struct store_image **ret, size_t *ret_count,
		     struct err *err);
void store_image_done(struct store_image *image);

/*
 * A digest remembered for a host file (absolute path) that has not changed since (device, inode,
 * size, times). `before` is fstat of the file from before its first byte was hashed: what changed
 * meanwhile, or less than 2 s ago, is not remembered (0 all the same).
 */
int store_stat_get(struct store *store, const char *path, struct digest *ret, struct err *err);
int store_stat_set(struct store *store, const char *path, const struct stat *before,
		   const struct digest *digest, struct err *err);

/*
 * The same for many files at once: `question` names them, `state` stands for all that stat tells of
 * them. The caller makes sure that none of it was changed within the last 2 s.
 */
int store_sources_get(struct store *store, const char *question, const struct digest *state,
		      struct digest *ret, struct err *err);
int store_sources_set(struct store *store, const char *question, const struct digest *state,
		      const struct digest *digest, struct err *err);
/* Links all blobs and pins of one store into another of the same file system: nothing is fetched twice. */
int store_share(struct store *from, struct store *to, struct err *err);
/*
 * How two layers' trees differ: *ret is "PATH: FIELD is VALUE, then VALUE" of the first entry that does,
 * owned; NULL when their entries are equal (what is left are extended attributes and the tar's form).
 */
int store_tree_difference(struct store *a, const struct digest *diff_a,
			  const struct digest *chain_a, struct store *b,
			  const struct digest *diff_b, const struct digest *chain_b, char **ret,
			  struct err *err);

#define STORE_UNUSED_DAYS 30	/* kernels, their pins and saved states that nobody took for so long go */

struct store_gc {
	uint64_t removed_blobs, removed_trees, removed_steps, removed_items, kept_in_use;
	uint64_t freed_bytes;	/* of blobs on disk, and of trees' file content as recorded */
};

/*
 * Removes what no image's layers need and nobody uses. `all`: images, kernels and saved states too. Takes the exclusive lock
 * (ERR_STORE_BUSY with the holder's pid) and holds the shared one again afterwards. Trees of id maps
 * that the caller cannot remove are left alone.
 */
int store_gc(struct store *store, bool all, struct store_gc *ret, struct err *err);

struct store_damage {
	char *name;	/* owned; "blob sha256:...", "tree sha256:..." */
	char *what;	/* owned; "digest differs", "etc/passwd: size 0, recorded 812" */
};

/*
 * Reads everything again. Damaged items are taken out of the way (the next build makes them again)
 * and listed. `hash_blob` gives the digest of an open blob (the worker's); -EIO from it means that
 * the blob cannot be read, other errors end the check. Trees of other id maps are not looked at.
 */
int store_check(struct store *store,
		int (*hash_blob)(int fd, struct digest *ret, struct err *err),
		struct store_damage **ret, size_t *ret_count, struct err *err);
void store_damage_free(struct store_damage *items, size_t count);

#endif
