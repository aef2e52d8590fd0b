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

/* Where a layer's blob lies in a docker-archive (a plain tar). */
struct oci_place {
	uint64_t offset, bytes;
};

struct oci_image {
	struct digest manifest, config;	/* manifest: zero for a docker-archive, which has none */
	uint64_t manifest_bytes, config_bytes;
	bool docker;		/* media types are Docker's */
	char *platform;		/* owned; "linux/amd64", "linux/arm64/v8" */
	bool has_created;
	uint64_t created_s;	/* seconds since 1970; earlier ones (Go's zero time) count as none */
	struct oci_layer *layers;	/* owned; lowest first */
	size_t layer_count;
	struct process process;	/* owned; labels, volumes, ports and stop signal too */
	/* what the config says and a struct process cannot: for people, one line each, escaped */
	struct strv left_out;
	struct oci_place *places;	/* owned; of a docker-archive: where each layer is; else NULL */
};

void oci_image_done(struct oci_image *image);
void oci_image_copy(struct oci_image *to, const struct oci_image *from);
/* The record: lines of duet's own making, in a fixed order; ended by its digest. */
void oci_image_write(const struct oci_image *image, struct str *out);
/* ERR_WORKER for anything but a whole record. */
int oci_image_read(struct oci_image *ret, const char *text, size_t size, struct err *err);

/* "linux/amd64": what runs on this machine, in Go's words. A literal. */
const char *oci_platform(void);
/*
 * How well an image for OS/ARCHITECTURE[/VARIANT] serves `wanted`, written like that: 0 not at all,
 * and more the nearer its variant comes to the wanted one from below. Without a variant amd64 is v1,
 * arm64 v8, arm v7, on both sides; of other architectures it has to be the same, or none be wanted.
 */
unsigned int oci_platform_rank(const char *wanted, const char *os, const char *architecture,
			       const char *variant);
/* Does an image of platform `have` run as `wanted`? */
bool oci_platform_fits(const char *wanted, const char *have);
/* OS/ARCHITECTURE[/VARIANT], each of at most 32 letters, digits, '.', '_', '-', the first no sign. */
bool oci_platform_is_valid(const char *text);

#endif
