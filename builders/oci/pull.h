/*
 * Layers from a registry, several at once, each unpacked while it arrives: into trees, EROFS files, or
 * both.
 */
#ifndef DUET_BUILDERS_OCI_PULL_H
#define DUET_BUILDERS_OCI_PULL_H

#include "builders/oci/source.h"
#include "core/plan.h"

#define PULL_LAYERS_MAX 4	/* layers under way at a time */

struct pull_layer {
	struct plan_layer layer;
	struct digest step_key;	/* where its record goes */
	bool lowest;		/* nothing lies below it */
	unsigned int forms;	/* ROOTFS_*: what is missing of it; 0: the blob alone is */
	/* a name for progress; borrowed */
	const char *summary;
};

/*
 * When it returns 0 every blob is in the store, and of each layer the missing forms are too, but for
 * those that can only be made on top of what lies below (see layer_unpack.alone): they are left to the
 * caller, as blobs. After a failure what came of the blobs stays as partial ones.
 */
int oci_pull(struct oci_source *source, const struct pull_layer *layers, size_t count,
	     struct err *err);

#endif
