/* Inside of layer_pack: what pack_archive.c and pack_copy.c write into. */
#ifndef DUET_BUILDERS_LAYER_PACK_H
#define DUET_BUILDERS_LAYER_PACK_H

#include "builders/layer/hash.h"
#include "builders/layer/layer.h"
#include "builders/layer/tar.h"

#define PACK_BUFFER_BYTES (256 * 1024)	/* zstd gets pieces of this size: the same bytes each time */

struct packer {
	const struct layer_pack *args;
	struct hash blob, plain;
	void *zstd;		/* owned */
	char *buffer;		/* owned; PACK_BUFFER_BYTES */
	size_t used;
	uint64_t blob_bytes, plain_bytes, entries, content_bytes, devices;
	struct err *err;
};

/*
 * Writes an entry's header; entry->size bytes by pack_data and pack_fill have to follow. Refuses
 * names that stand for whiteouts: a layer cannot hold them.
 */
int pack_entry(struct packer *packer, const struct tar_entry *entry);
/* The same for a whiteout, which is its name alone. */
int pack_mark(struct packer *packer, const struct tar_entry *mark);
int pack_data(struct packer *packer, const void *data, size_t size);
int pack_zeros(struct packer *packer, uint64_t size);
/* Fills up to a block after `size` bytes of content. */
int pack_fill(struct packer *packer, uint64_t size);

/* The `size` bytes of an open file, which must not change meanwhile. */
int pack_content(struct packer *packer, int fd, uint64_t size, const char *path);

int pack_archive(struct packer *packer);
int pack_copy(struct packer *packer);
int pack_upper(struct packer *packer);

#endif
