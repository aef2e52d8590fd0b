/*
 * The JSON documents of OCI and Docker, read in duet-worker (no network, no files). Everything in
 * them is hostile. Pure: text in, structs out.
 */
#ifndef DUET_BUILDERS_OCI_DOCUMENT_H
#define DUET_BUILDERS_OCI_DOCUMENT_H

#include "builders/oci/image.h"

/* image-spec, descriptor.md */
struct oci_descriptor {
	char media_type[256];
	struct digest digest;
	uint64_t bytes;
};

enum oci_document { OCI_INDEX, OCI_MANIFEST };

/*
 * Is this an index or a manifest, and what does it lead to? `media_type`: what the server or the
 * descriptor called it; NULL or "": not said. Of an index *ret is the entry for `platform`
 * ("OS/ARCHITECTURE[/VARIANT]"; a variant that is not named takes the best one that runs), which
 * may be an index again; of a manifest its config. Errors: ERR_OCI (which field, and why), ERR_OCI_PLATFORM with the
 * platforms that there are.
 */
int oci_document_look(const char *text, size_t size, const char *media_type, const char *platform,
		      enum oci_document *ret_kind, struct oci_descriptor *ret, struct err *err);

/*
 * The index.json of a layout: the entry whose org.opencontainers.image.ref.name is `tag`, or ends in
 * ":tag" (podman writes whole references); without a tag (NULL or "") the only one. Two that fit
 * must lead to the same.
 */
int oci_layout_look(const char *text, size_t size, const char *tag, struct oci_descriptor *ret,
		    struct err *err);

/* Is `name`, as it stands in a layout or archive, what `wanted` asks for: the same, or its end? */
bool oci_tag_fits(const char *wanted, const char *name);

/*
 * Manifest and config, whose digests were compared before, to an image: rootfs.type is layers, as
 * many diff-ids as layers, known media types, no foreign layers. Sets everything in *ret.
 */
int oci_image_from(const char *manifest, size_t manifest_size, const char *config,
		   size_t config_size, struct oci_image *ret, struct err *err);
/*
 * The same for documents that nobody compared: the manifest has to be `expected` (NULL: any), the
 * config what the manifest says; else ERR_FETCH_DIGEST.
 */
int oci_image_verified(const char *manifest, size_t manifest_size, const struct digest *expected,
		       const char *config, size_t config_size, struct oci_image *ret,
		       struct err *err);

#endif
