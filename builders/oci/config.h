/* The image config (image-spec, config.md; Docker's is the same but for what nobody reads here). */
#ifndef DUET_BUILDERS_OCI_CONFIG_H
#define DUET_BUILDERS_OCI_CONFIG_H

#include "builders/oci/image.h"

/*
 * Sets platform, created, process and left_out of *image, and the diff-ids of its layers, of which
 * there must be as many as the config names. Nothing else is read: no label or annotation means
 * anything to duet.
 *
 * What a struct process cannot say: what decides who runs where (User, WorkingDir) is refused with
 * control characters, a WorkingDir also when it is not absolute; a label or variable without a
 * name, with a control character or (a label) with "=" in it, a variable without "=", a volume that
 * is no absolute path or goes through "..", a port, stop signal or date that is none: these are left
 * out and told in left_out. Values of labels and variables may hold anything but NUL.
 */
int oci_config_read(const char *text, size_t size, struct oci_image *image, struct err *err);

#endif
