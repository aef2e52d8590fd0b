/*
 * duet.lock, beside the spec: what the inputs from outside the project were, so that the next build
 * takes the same ones. JSON, sorted, one value per line: the same content has the same bytes, and a
 * change is a small diff. It is read strictly: a member or a version that this duet does not know is
 * refused, since what it meant would be lost.
 *
 * A lock lives for one command: read, asked and filled while the spec is resolved and built, written
 * when something changed. What was asked for is remembered: entries that nobody asks for any more
 * are dropped (lock_drop_unused). All functions take NULL for "no lock": nothing is found or kept.
 */
#ifndef DUET_CORE_LOCK_H
#define DUET_CORE_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/mem.h"

#define LOCK_VERSION 1
#define LOCK_FILE_MAX (16u << 20)	/* bytes */
#define LOCK_KEY_MAX 4096		/* bytes of an entry's name */
#define LOCK_LAYER_FORMAT "duet-layer-1"	/* raised when the same input makes another layer */
#define LOCK_EROFS_FORMAT "duet-erofs-1"	/* raised when the same layer makes another EROFS file */

/* Order of the file. */
enum lock_kind { LOCK_IMAGE, LOCK_ARCHIVE, LOCK_DEBIAN, LOCK_KERNEL, LOCK_KINDS };

/* Under "docker.io/library/alpine:3.20 linux/amd64". */
struct lock_image {
	struct digest index;
	bool has_index;
	struct digest manifest, config;
	struct digest *layers;	/* of the blobs, lowest first */
	size_t layer_count;
};

/* Under its URL. */
struct lock_archive {
	struct digest sha256;
	uint64_t bytes;
};

/* Under what the spec says: "bookworm minbase hello,curl from http://HOST/debian". */
struct lock_debian {
	struct digest in_release;
	int64_t date_s;		/* of InRelease, since 1970 */
	struct digest list;	/* lock_list_digest of the packages */
	struct strv packages;	/* sorted; "NAME VERSION ARCHITECTURE SHA256-HEX" */
};

/* Under "debian bookworm amd64 cloud". */
struct lock_kernel {
	struct digest id;	/* of the item in the store */
	char *release;		/* "6.1.0-37-cloud-amd64" */
	struct digest package;	/* sha256 of the .deb */
};

/* Who made a lock. */
struct lock_maker {
	struct digest init;	/* of the program duet-init */
	char *plan, *layer, *erofs;	/* owned; versions of formats */
};

struct lock_entry {
	enum lock_kind kind;
	char *key;		/* owned */
	bool used;		/* somebody asked for it */
	union {			/* owned */
		struct lock_image image;
		struct lock_archive archive;
		struct lock_debian debian;
		struct lock_kernel kernel;
	};
};

struct lock {
	char *file;		/* owned; absolute: for messages and writing */
	bool exists;		/* the file is there */
	struct lock_maker maker;	/* of the file; all zero when there is none */
	struct lock_entry *entries;	/* owned; by kind, then key */
	size_t count;
	/* owned; what is not as the file has it, the first of it: "add archive https://..."; NULL: nothing */
	char *change;
};

/* The lock of a spec's file: its name's stem and ".lock", in the same folder. Owned. */
char *lock_path(const char *spec_file);
/*
 * Reads it; a missing file gives a lock without entries. ERR_LOCK for one that cannot be believed, with
 * the member that is wrong.
 */
int lock_read(struct lock *ret, const char *file, struct err *err);
/* As lock_read, from memory. Pure. */
int lock_parse(struct lock *ret, const char *file, const char *text, size_t size, struct err *err);
/* The file's text: a pure function of maker and entries. Owned. */
char *lock_text(const struct lock *lock);
/* Writes it when something changed (lock->change), durably, by `maker`. Errors: of the file system. */
int lock_write(struct lock *lock, const struct lock_maker *maker, struct err *err);
void lock_maker_done(struct lock_maker *maker);
void lock_done(struct lock *lock);

/* 1 and the entry, borrowed from the lock until the next set, or 0. The entry counts as asked for. */
int lock_image_get(const struct lock *lock, const char *question, struct lock_image *ret);
int lock_archive_get(const struct lock *lock, const char *url, struct lock_archive *ret);
int lock_debian_get(const struct lock *lock, const char *question, struct lock_debian *ret);
int lock_kernel_get(const struct lock *lock, const char *question, struct lock_kernel *ret);

/* Adds or replaces an entry with a copy; one that is equal changes nothing. It counts as asked for. */
void lock_image_set(struct lock *lock, const char *question, const struct lock_image *image);
void lock_archive_set(struct lock *lock, const char *url, const struct lock_archive *archive);
void lock_debian_set(struct lock *lock, const char *question, const struct lock_debian *debian);
void lock_kernel_set(struct lock *lock, const char *question, const struct lock_kernel *kernel);

/* The digest of a list of packages: of its lines, each ended by a newline. */
void lock_list_digest(const struct strv *packages, struct digest *ret);
/* "docker.io/library/alpine:3.20 linux/amd64" is an image, ...: "image", "archive", "debian", "kernel". */
const char *lock_kind_name(enum lock_kind kind);

/* ERR_LOCK: the entry is missing and nothing may be added (--locked). */
int lock_refuse_missing(const struct lock *lock, enum lock_kind kind, const char *key,
			struct err *err);
/* Drops the entries of these kinds (bits 1 << LOCK_*) that nobody asked for. */
void lock_drop_unused(struct lock *lock, unsigned int kinds);
/*
 * Drops what `name` names: an entry's key, a kind's name, an image's reference with or without its
 * tag; NULL: all. ERR_LOCK with all keys when there is no such entry.
 */
int lock_drop(struct lock *lock, const char *name, struct err *err);
/* How `now` differs from `then`, entry by entry of `then` that was asked for: a line each. */
void lock_compare(const struct lock *then, const struct lock *now, enum lock_kind kind,
		  const char *key, struct strv *ret);

#endif
