/*
 * The names of an EROFS file that is being written: all that memory holds of a layer. A file is its
 * name, where its inode is, and its type (some 40 bytes and the name); folders, which are written last,
 * have their metadata here. Names are found by a hash of their folder and their bytes.
 */
#ifndef DUET_BUILDERS_LAYER_EROFS_NAMES_H
#define DUET_BUILDERS_LAYER_EROFS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/layer/erofs/meta.h"
#include "core/erofs_format.h"

#define NAMES_NONE UINT32_MAX
#define NAMES_BYTES_MAX (512u << 20)	/* of all names: seven million of 30 bytes */
#define NAMES_XATTRS_MAX (96u << 20)	/* of all folders' attributes */
#define NAMES_ROOT 0u		/* the root's folder */

struct name {
	uint64_t nid;		/* of folders: their index */
	uint32_t folder;	/* that it stands in */
	uint32_t next;		/* in this folder; NAMES_NONE ends it */
	uint32_t next_hash;	/* with this hash */
	uint32_t text;		/* offset in `texts` */
	uint8_t length;
	uint8_t type;		/* enum erofs_type; 0: gone */
	bool linked;		/* its inode is in `links` */
};

struct names_folder {
	struct meta meta;
	uint32_t parent;	/* index; the root's is the root */
	uint32_t first, last;	/* names */
	bool gone;
	uint32_t weight;	/* bytes of its attributes */
	uint64_t nid;		/* once it has a place */
};

/* How many names an inode has that was hard linked. */
struct names_link {
	uint64_t nid;		/* 0: unused */
	uint32_t count;
};

struct names {
	struct name *names;	/* owned */
	uint32_t count, room;
	char *texts;		/* owned */
	uint32_t texts_size, texts_room;
	uint32_t *hashes;	/* owned; a power of two of them */
	uint32_t hash_count;
	uint64_t seed;
	struct names_folder *folders;	/* owned */
	uint32_t folder_count, folder_room;
	struct names_link *links;	/* owned; open addressing; a power of two of them */
	uint32_t link_count, link_room;
	uint64_t weight;	/* of all folders */
};

/* One step of a hash; begun with the seed nobody can tell its outcome. */
static inline uint64_t names_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

/* Begins with a root of no metadata. */
void names_init(struct names *names);
void names_done(struct names *names);

/* Index of a name, or NAMES_NONE. */
uint32_t names_find(const struct names *names, uint32_t folder, const char *text, size_t length);
/*
 * Adds a name that is not there. One for a new folder gets it (as `nid`). Errors: ERR_LAYER_LIMIT.
 */
int names_add(struct names *names, uint32_t folder, const char *text, enum erofs_type type,
	      uint64_t nid, uint32_t *ret, struct err *err);
int names_add_folder(struct names *names, uint32_t folder, const char *text, uint32_t *ret_folder,
		     struct err *err);
/* To be called when a folder's attributes were set: fails when all of them take too much. */
int names_weigh(struct names *names, uint32_t folder, struct err *err);
/* Another name for the inode of `target`. */
int names_add_link(struct names *names, uint32_t folder, const char *text, uint32_t target,
		   struct err *err);
/* A folder goes with all below it. */
void names_remove(struct names *names, uint32_t name);

/*
 * Walks down a clean path: true and the name; for "" (the root) the name is NAMES_NONE. False when
 * there is none or something in the way is no folder.
 */
bool names_walk(const struct names *names, const char *path, uint32_t *ret_name);
/* The folder of a name from names_walk; NAMES_NONE when it is none. */
uint32_t names_folder(const struct names *names, uint32_t name);

#endif
