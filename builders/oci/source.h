/*
 * Where an OCI image comes from: a repository of a registry (or a mirror of it), a layout, or a
 * docker-archive. One of these is opened to find out what an image is, and to get its layers.
 */
#ifndef DUET_BUILDERS_OCI_SOURCE_H
#define DUET_BUILDERS_OCI_SOURCE_H

#include "builders/oci/image.h"
#include "builders/oci/registry.h"
#include "core/plan.h"
#include "core/store.h"

struct oci_source {
	struct store *store;		/* borrowed */
	const struct host_paths *paths;	/* borrowed; what a layout or docker-archive is opened by */
	const struct source *from;	/* borrowed; SOURCE_OCI, _LAYOUT or _DOCKER_ARCHIVE */
	/* of a registry: open when the first question was asked */
	struct registry_access access;
	struct strv hosts;	/* mirrors, then the registry itself: asked in this order */
	size_t host;		/* which of them is being asked */
	struct registry registry;
	bool has_access, is_open;
	bool offline;		/* ERR_LOCK instead of a question to the network */
};

void oci_source_init(struct oci_source *source, struct store *store, const struct host_paths *paths,
		     const struct source *from);
void oci_source_done(struct oci_source *source);

/* The text for people and locks: "docker.io/library/alpine:3.20", "layout ./oci:v1". Owned. */
char *oci_source_name(const struct source *from);

/*
 * Finds out what the image is now: asks for index, manifest and config and keeps what is made of them
 * in the store, so that oci_source_known() needs nobody later. `expected`: the manifest (or index)
 * digest that it has to have; NULL: whatever the tag leads to. *ret_index is zero without an index.
 */
int oci_source_find(struct oci_source *source, const char *platform,
		    const struct digest *expected, struct oci_image *ret,
		    struct digest *ret_index, struct err *err);
/* The image of a manifest (of a docker-archive: a config), if it was looked at before: 1, 0, -1. */
int oci_source_known(struct store *store, const struct digest *manifest, struct oci_image *ret,
		     struct err *err);
/* Keeps what was made of an image, under its manifest's digest. */
int oci_source_remember(struct store *store, const struct digest *id,
			const struct oci_image *image, struct err *err);

/*
 * Copies those of the image's blobs that the store lacks out of a layout or docker-archive. Of a
 * registry nothing: see pull.h.
 */
int oci_source_import(struct oci_source *source, const struct plan_layer *layers, size_t count,
		      struct err *err);

/* Opens the conversation with the registry; the host that answered is used from then on. */
int oci_source_open(struct oci_source *source, struct err *err);
/*
 * After a failure in `err`: when another host may do better and there is one, that is told, `err` is
 * emptied, and the next question goes there.
 */
bool oci_source_next_host(struct oci_source *source, struct err *err);

#endif
