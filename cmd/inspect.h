/* duet inspect, between its files. */
#ifndef DUET_CMD_INSPECT_H
#define DUET_CMD_INSPECT_H

#include <stdbool.h>

#include "builders/oci/image.h"
#include "core/json.h"
#include "core/store.h"

enum inspect_form { INSPECT_BLOB, INSPECT_TREE, INSPECT_EROFS, INSPECT_FORMS };

struct inspected {
	struct store_image image;	/* owned */
	struct oci_image said;		/* owned; what its config says */
	bool (*forms)[INSPECT_FORMS];	/* owned; of each layer: what the store has of it */
	uint64_t bytes;			/* of file content, all layers together */
};

/* NAME=VALUE as members of the open map. */
void inspect_add_labels(struct json_out *out, const struct strv *labels);
/* Prints the config.json of an OCI bundle. */
int inspect_runtime(struct store *store, const struct inspected *inspected, struct err *err);

#endif
