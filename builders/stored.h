/* Images of the store as they are, without a spec or a plan. */
#ifndef DUET_BUILDERS_STORED_H
#define DUET_BUILDERS_STORED_H

#include "builders/oci/image.h"
#include "core/rootfs.h"
#include "core/store.h"

/*
 * What the image's config says, read as strictly as when it came: platform, created, process,
 * left_out. ERR_OCI, also when it is a config of other layers.
 */
int stored_read(const struct store_image *image, struct oci_image *ret, struct err *err);
/*
 * The image in `forms` (ROOTFS_*), without a kernel; forms that are missing are made from the layers'
 * blobs. ERR_STORE where there is no blob.
 */
int stored_open(struct store *store, const struct store_image *image, unsigned int forms,
		struct rootfs *ret, struct err *err);

#endif
