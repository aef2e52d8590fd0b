/* OCI images as a source: what builders.c needs beside the builder itself. */
#ifndef DUET_BUILDERS_OCI_H
#define DUET_BUILDERS_OCI_H

#include "builders/builder.h"

/*
 * Fetches what the store lacks of the layers that a plan begins with, several at once, and unpacks
 * them into the wanted forms (ROOTFS_*) while they arrive.
 */
int oci_fetch_base(struct build *build, const struct plan *plan, unsigned int wanted,
		   struct err *err);

#endif
