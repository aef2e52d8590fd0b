/* A store in memory (/dev/shm) for the store's tests, and things to put in it. */
#ifndef DUET_TESTS_STORE_FIXTURE_H
#define DUET_TESTS_STORE_FIXTURE_H

#include "core/store.h"

struct fixture {
	char top[64];
	struct idmap map;
	struct store store;
	struct err err;
};

/* The map of the caller: the fixed range as root, else single. */
void fixture_map(struct idmap *ret);
/* A new folder; the store is opened in it. Dies when that fails. */
void fixture_begin(struct fixture *fixture);
void fixture_end(struct fixture *fixture);
/* Closes the store and opens it again. */
void fixture_reopen(struct fixture *fixture);
/* "TOP/v1/" and the rest; a static buffer (four in turn). */
const char *fixture_path(struct fixture *fixture, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Runs a shell command; dies unless it gives 0. */
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* How many entries a folder has. */
unsigned int count_entries(const char *path);
int hash_fd(int fd, struct digest *ret, struct err *err);

/* Each gives 0 or -1, as the store's own. */
int put_blob(struct store *store, const char *content, struct digest *ret, struct err *err);
/* A tree with bin/sh, etc/passwd, a link; its diff-id is the digest of `seed`. */
int put_tree(struct store *store, const char *seed, struct store_layer *ret, struct err *err);
/* A blob, its tree, a step and an image of one layer, all from `seed`. */
int put_all(struct store *store, const char *seed, struct err *err);
/* Are all four there and readable? */
int has_all(struct store *store, const char *seed, struct err *err);
/* Damages that store_check finds (and takes away); the first one's text in a static buffer. */
size_t check_store(struct store *store, const char **ret_first);

#endif
