/*
 * The user's configuration file, $XDG_CONFIG_HOME/duet/config.yaml: the word of the person at the
 * keyboard on what no spec may decide for itself.
 *
 *	allow: [mounts=/srv/data, {/home/me/shop: paths=../lib}]
 *	registries:
 *	  "127.0.0.1:5000": {plain_http: true}
 *	  docker.io: {mirrors: [mirror.example.org]}
 */
#ifndef DUET_CORE_CONFIG_H
#define DUET_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/allowed.h"
#include "core/err.h"
#include "core/mem.h"

#define CONFIG_REGISTRIES_MAX 256	/* hosts */
#define CONFIG_MIRRORS_MAX 16		/* of one host */
#define CONFIG_PROJECTS_MAX 256

struct config_registry {
	char *host;		/* owned; as struct ref has it */
	bool plain_http;	/* http:// is allowed, for this host alone */
	struct strv mirrors;	/* hosts, as struct ref has them; asked in this order, before it */
};

/* What is allowed to the specs in one folder and below. */
struct config_project {
	char *folder;		/* owned; absolute */
	struct allowed allowed;
};

struct config {
	struct allowed allowed;	/* to every spec */
	struct config_project *projects;	/* owned */
	size_t project_count;
	struct config_registry *registries;	/* owned; each host once */
	size_t registry_count;
};

/* Reads the file; one that is not there is an empty one. */
int config_load(struct config *ret, struct err *err);
/* The same from a text; `file` is for messages. Pure. */
int config_parse(struct config *ret, const char *file, const char *text, size_t size,
		 struct err *err);
void config_done(struct config *config);
/* Adds what is allowed to the specs in `dir`, absolute. */
void config_allowed(const struct config *config, const char *dir, struct allowed *ret);
/* What is said of a host (as struct ref has it), borrowed; NULL: nothing. */
const struct config_registry *config_registry(const struct config *config, const char *host);

#endif
