/*
 * For the tests of layers: a maker of tars that writes whatever it is told, hostile headers too,
 * and a work folder with a victim beside the tree.
 */
#ifndef DUET_TESTS_TARMAKE_H
#define DUET_TESTS_TARMAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "builders/layer/layer.h"
#include "core/str.h"

struct tarmake_entry {
	const char *name;	/* at most 100 bytes go in; longer ones by pax */
	char type;		/* 0: '0' */
	const char *link;
	const void *data;
	size_t size;
	uint32_t mode;		/* 0: 0644, folders 0755 */
	uint64_t uid, gid;
	uint64_t mtime;
	unsigned int major, minor;
	const struct str *pax;	/* records that come before it */
	const char *size_field;	/* 12 raw bytes in place of the size */
};

void tarmake_add(struct str *out, const struct tarmake_entry *entry);
/* The short form: type, name, and link or content. */
void tarmake_put(struct str *out, char type, const char *name, const char *text);
void tarmake_record(struct str *records, const char *key, const void *value, size_t size);
void tarmake_end(struct str *out);

/* Packs whole texts; the result replaces nothing, it is added to *out. */
void tarmake_gzip(struct str *out, const void *data, size_t size);
void tarmake_zstd(struct str *out, const void *data, size_t size);
void tarmake_xz(struct str *out, const void *data, size_t size);
/* A memfd with these bytes, at offset 0. */
int tarmake_fd(const void *data, size_t size);

struct work {
	char path[64];
	int top, tree, lower, victim;
	bool trees_only;	/* work_unpack leaves the other form alone */
};

/* Makes a folder with tree/, lower/ and victim/hello; exits 77 where it is not root. */
void work_init(struct work *work);
/* Names, content, mode, owner, nlink and time of the victim are what they were; fails else. */
void work_intact(const struct work *work);
void work_done(struct work *work);
/*
 * layer_unpack of the bytes into work->tree, above work->lower when `above`; and into an EROFS file,
 * which has to come to the same.
 */
int work_unpack(struct work *work, const struct str *blob, bool above, struct layer_result *ret,
		struct err *err);
/* The mode of a path below the work folder without following links; 0 when it is not there. */
uint32_t work_mode(const struct work *work, const char *path);
/* The content of a file or the target of a link below the work folder, owned; NULL. */
char *work_text(const struct work *work, const char *path);

#endif
