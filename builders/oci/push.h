/* Images of the store on their way to a registry. */
#ifndef DUET_BUILDERS_OCI_PUSH_H
#define DUET_BUILDERS_OCI_PUSH_H

#include "core/ref.h"
#include "core/store.h"

/*
 * Sends what the registry lacks of an image: layers as they are in the store, so that they keep their
 * identity, then the config, and last the manifest under ref's tag. A layer that another repository of
 * the same registry is known to have (an image of the store bears its name, or it is one of `known`:
 * references) is mounted from there. *ret is the manifest's digest.
 */
int oci_push(struct store *store, const struct store_image *image, const struct ref *ref,
	     const struct ref *known, size_t known_count, struct digest *ret, struct err *err);

#endif
