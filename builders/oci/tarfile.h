/* A file that is written beside its name and gets it when it is whole; and a tar in it. */
#ifndef DUET_BUILDERS_OCI_TARFILE_H
#define DUET_BUILDERS_OCI_TARFILE_H

#include <stdbool.h>

#include "builders/layer/tarwrite.h"
#include "core/err.h"

struct tarfile {
	char *name;	/* owned; as the caller gave it, for messages */
	char *base;	/* owned; the last component that it gets in dir */
	char *temporary;	/* owned; the last component until then; NULL: nothing to remove */
	int dir;	/* owned; of a stream one for temporary files, or -1 */
	int fd;		/* owned; readable, too, unless it is a stream */
	bool stream;	/* written to directly: what the name stands for is no regular file */
};

/* A `path` of - is standard output. */
int tarfile_new(struct tarfile *ret, const char *path, struct err *err);
/* A header, and after it entry->size bytes of content, by these. */
int tarfile_entry(struct tarfile *file, const struct tar_entry *entry, struct err *err);
int tarfile_bytes(struct tarfile *file, const void *bytes, size_t size, struct err *err);
/* What fills the last block of an entry of that size. */
int tarfile_pad(struct tarfile *file, uint64_t size, struct err *err);
/* All three with a text, or with the `size` bytes of a file from its start. */
int tarfile_text(struct tarfile *file, const char *path, const char *text, size_t size,
		 int64_t mtime_s, struct err *err);
int tarfile_copy(struct tarfile *file, const char *path, int from, uint64_t size, int64_t mtime_s,
		 struct err *err);
/* The zero bytes that end a tar. */
int tarfile_end(struct tarfile *file, struct err *err);
/* fsync, rename, fsync of the folder: what had the name before is gone. A stream is left as it is. */
int tarfile_publish(struct tarfile *file, struct err *err);
/* Removes what was not published. */
void tarfile_done(struct tarfile *file);

#endif
