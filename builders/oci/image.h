/*
 * An image of OCI (image-spec 1.1) or Docker (manifest version 2, schema 2) as duet uses it: what is
 * left of manifest and config once a worker has checked them. duet itself reads no JSON that came
 * from outside: the worker writes struct oci_image as a record, and duet reads that.
 */
#ifndef DUET_BUILDERS_OCI_IMAGE_H
#define DUET_BUILDERS_OCI_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"
#include "core/job.h"
#include "core/str.h"

#define OCI_MANIFEST_MAX (4u << 20)	/* bytes of a manifest or index */
#define OCI_CONFIG_MAX (8u << 20)	/* bytes of a config */
#define OCI_INDEX_ENTRIES_MAX 1000
#define OCI_INDEX_DEPTH_MAX 4		/* indexes in indexes */
#define OCI_JSON_DEPTH_MAX 64
#define OCI_LAYERS_MAX 240		/* of one image; what one request's descriptors can name */
#define OCI_RECORD_MAX (16u << 20)	/* bytes of a record */

enum oci_compression { OCI_PLAIN, OCI_GZIP, OCI_ZSTD };

struct oci_layer {
	struct digest blob;	/* as the registry has it */
	uint64_t bytes;		/* of the blob */
	enum oci_compression compression;
	struct digest diff_id;	/* of the plain tar, as the config says */
};

struct oci_image {
	struct digest manifest, config;
	uint64_t manifest_bytes, config_bytes;
	bool docker;		/* media types are Docker's */
	char *platform;		/* owned; "linux/amd64", "linux/arm64/v8" */
	bool has_created;
	int64_t created_s;	/* seconds since 1970 */
	struct oci_layer *layers;	/* owned; lowest first */
	size_t layer_count;
	struct process process;	/* owned; labels, volumes, ports and stop signal too */
};

void oci_image_done(struct oci_image *image);
void oci_image_copy(struct oci_image *to, const struct oci_image *from);
/* The record: lines of duet's own making, in a fixed order; ended by its digest. */
void oci_image_write(const struct oci_image *image, struct str *out);
/* ERR_WORKER for anything but a whole record. */
int oci_image_read(struct oci_image *ret, const char *text, size_t size, struct err *err);

/* "linux/amd64": what runs on this machine, in Go's words. A literal. */
const char *oci_platform(void);

#endif
