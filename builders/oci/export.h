/* Images out of the store into files that others read. */
#ifndef DUET_BUILDERS_OCI_EXPORT_H
#define DUET_BUILDERS_OCI_EXPORT_H

#include "builders/oci/image.h"
#include "core/store.h"

enum export_format {
	/*
	 * One tar that is an OCI layout and a docker-archive. EXPORT_OCI keeps every layer as it is;
	 * EXPORT_DOCKER_ARCHIVE inflates zstd, which older readers (umoci 0.4) do not know
	 */
	EXPORT_OCI,
	EXPORT_DOCKER_ARCHIVE,
	EXPORT_TAR,	/* the merged root, whiteouts applied, owners as in the image */
	EXPORT_EROFS,	/* the same as one EROFS file */
	EXPORT_FORMATS
};

/* Everything is borrowed. */
struct oci_export {
	enum export_format format;
	const char *file;		/* where it goes; what is there is replaced, at the end */
	const char *config;		/* the OCI config (JSON) */
	const struct oci_layer *layers;	/* lowest first; their blobs are in the store */
	size_t layer_count;
	const int *files;		/* each layer's blob; -1: the store's; NULL: all are */
	/* for EXPORT_TAR and EXPORT_EROFS: the layers' EROFS files, lowest first */
	const int *disks;
	size_t disk_count;
	const char *reference;		/* "HOST/REPOSITORY:TAG"; NULL: none */
	int64_t created_s;		/* the time of what duet adds; -1: not said, the tar has 0 */
	const char *base_name;		/* see struct oci_written */
	const struct digest *base_digest;
};

/* "oci", "docker-archive", "tar", "erofs"; ended by NULL. */
extern const char *const oci_export_formats[EXPORT_FORMATS + 1];

/*
 * Writes the file beside its name, syncs, renames: it is whole or not there. The same image gives the
 * same bytes. ERR_STORE for a blob that the store does not have.
 */
int export_oci(struct store *store, const struct oci_export *args, struct err *err);

/*
 * The same for an image of the store: layers as they are there, EROFS files made where they are missing,
 * the date out of its config. `reference` may be NULL.
 */
int export_image(struct store *store, const struct store_image *image, enum export_format format,
		 const char *file, const char *reference, struct err *err);

/*
 * The layers of an image as a manifest names them, from blobs of the store. With `files` zstd ones are
 * inflated, into files[i] (owned by the caller; -1: the store has it); NULL: they stay. Both hold
 * layer_count.
 */
int export_layers(struct store *store, const struct store_image *image, struct oci_layer *layers,
		  int *files, struct err *err);
/*
 * The blob of a layer, opened (owned by the caller): the store's, or a copy, made for it, of the archive on
 * the host that it was unpacked from.
 */
int export_open_blob(struct store *store, const struct store_layer *layer, int *ret_fd,
		     struct err *err);
/* The same as OCI knows it: what it does not (xz) is packed anew. *ret is the blob that *ret_fd is of. */
int export_open_layer(struct store *store, const struct store_layer *layer, struct oci_layer *ret,
		      int *ret_fd, struct err *err);
/*
 * A layer of an image on top of `stack`, in the forms that this wants, made from its blob where the
 * store does not have them.
 */
struct stack;
int export_push_layer(struct stack *stack, const struct store_layer *known, struct err *err);
/* The date in a config, seconds since 1970; -1: it has none. */
int64_t export_created(const char *config);

/* export_root.c: EXPORT_TAR and EXPORT_EROFS into an open file. */
struct tarfile;
int export_root(struct tarfile *file, const struct oci_export *args, struct err *err);

#endif
