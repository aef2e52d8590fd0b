/*
 * The user's configuration file, $XDG_CONFIG_HOME/duet/config.yaml: the word of the person at the
 * keyboard on what no spec may decide for itself.
 *
 *	allow: [mounts=/srv/data, seccomp]
 *	registries:
 *	  "127.0.0.1:5000": {plain_http: true}
 *	  docker.io: {mirrors: [mirror.example.org]}
 */
#ifndef DUET_CORE_CONFIG_H
#define DUET_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/outside.h"

#define CONFIG_REGISTRIES_MAX 256	/* hosts */
#define CONFIG_MIRRORS_MAX 16		/* of one host */

struct config_registry {
	char *host;		/* owned; as struct ref has it */
	bool plain_http;	/* http:// is allowed, for this host alone */
	struct strv mirrors;	/* hosts, as struct ref has them; asked in this order, before it */
};

struct config {
	struct allowed allowed;
	struct config_registry *registries;	/* owned; each host once */
	size_t registry_count;
};

/* Reads the file; one that is not there is an empty one. */
int config_load(struct config *ret, struct err *err);
/* The same from a text; `file` is for messages. Pure. */
int config_parse(struct config *ret, const char *file, const char *text, size_t size,
		 struct err *err);
void config_done(struct config *config);
/* What is said of a host (as struct ref has it), borrowed; NULL: nothing. */
const struct config_registry *config_registry(const struct config *config, const char *host);

#endif
