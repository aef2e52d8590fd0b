/* OCI's and Docker's documents of an image that duet gives away. Pure: the same in, the same bytes. */
#ifndef DUET_BUILDERS_OCI_WRITE_H
#define DUET_BUILDERS_OCI_WRITE_H

#include "builders/oci/document.h"

#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"

/* What a manifest names. Everything is borrowed. */
struct oci_written {
	struct digest config;
	uint64_t config_bytes;
	const struct oci_layer *layers;	/* lowest first */
	size_t layer_count;
	int64_t created_s;		/* -1: not said */
	const char *base_name;		/* the reference that it was built from; NULL: none */
	const struct digest *base_digest;	/* of its manifest; NULL: none */
};

/* Each is owned. */
char *oci_write_manifest(const struct oci_written *image);
/* A layout's index.json. `reference`: "HOST/REPOSITORY:TAG", or NULL. */
char *oci_write_layout_index(const struct digest *manifest, uint64_t manifest_bytes,
			     const char *reference);
/* The manifest.json of a docker-archive whose blobs lie in blobs/sha256/. */
char *oci_write_docker_manifest(const struct oci_written *image, const char *reference);
/* The file oci-layout. A literal. */
const char *oci_write_layout(void);

#endif
