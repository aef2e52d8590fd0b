/*
 * Docker archives: a tar with manifest.json, as `docker save`, `podman save` and `skopeo copy
 * docker-archive:` write it, and duet's own export. Runs in duet-worker; all of it is hostile.
 */
#ifndef DUET_BUILDERS_OCI_ARCHIVE_H
#define DUET_BUILDERS_OCI_ARCHIVE_H

#include "builders/layer/layer.h"
#include "builders/oci/image.h"

#define OCI_ARCHIVE_ENTRIES_MAX 20000	/* of one archive */

/*
 * Reads a plain tar (a file): the image that `tag` names (RepoTags: the same, or its end; "": the only
 * one). Its config is written to `out_config`. Sets ret->places and everything else but the manifest's
 * members. Layers are hashed: a plain one has to be what the config says. ERR_OCI, ERR_LAYER,
 * ERR_FETCH_DIGEST.
 */
int oci_archive_read(int archive, const char *tag, int out_config, layer_progress *progress,
		     void *progress_data, struct oci_image *ret, struct err *err);

#endif
