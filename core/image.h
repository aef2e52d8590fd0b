/* The OCI image config (image-spec v1.1, config.md) of what duet builds. Pure. */
#ifndef DUET_CORE_IMAGE_H
#define DUET_CORE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "core/job.h"
#include "core/store.h"

/*
 * Canonical JSON: the same process defaults and layers give the same bytes everywhere. `platform`
 * "OS/ARCHITECTURE[/VARIANT]"; NULL: this machine's. `created_s`: seconds since 1970; -1: not said.
 * No history: no reader that was tried asks for it. Owned.
 */
char *image_config(const struct process *process, const struct store_layer *layers, size_t count,
		   const char *platform, int64_t created_s);

#endif
