/*
 * duet's side of a registry: a conversation of one `duet-worker registry` with one repository, and
 * who duet is to it. No byte of an answer is looked at here.
 */
#ifndef DUET_BUILDERS_OCI_REGISTRY_H
#define DUET_BUILDERS_OCI_REGISTRY_H

#include "builders/worker/client.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/ref.h"

/*
 * How a registry is reached: from the user's configuration file (`registries`), the credential files
 * and helpers that docker and podman use too. Never from a spec.
 */
struct registry_access {
	bool plain_http;	/* http:// is allowed, for this host alone */
	struct strv mirrors;	/* hosts that are asked before it; nobody's login is sent to them but their own */
	char *user, *secret;	/* owned; NULL: anonymous */
	char *identity_token;	/* owned; instead of both */
	char *found_in;		/* owned; the file or helper that gave it, for messages; NULL: none */
};

/*
 * ERR_AUTH when a credential file or helper is broken: nothing is sent to anybody then.
 * `host` and `repository` as struct ref has them.
 */
int registry_access_find(const char *host, const char *repository, struct registry_access *ret,
			 struct err *err);
/* The part of it that the configuration file says: no login is looked for. */
int registry_access_config(const char *host, struct registry_access *ret, struct err *err);
void registry_access_done(struct registry_access *access);

/*
 * A conversation. The calls that wait take every reply that comes: while one of them runs, no blob may
 * be under way.
 */
struct registry {
	struct worker worker;
	uint32_t last_id;
};

/* `host`: the API's (ref_api_host), or a mirror's. */
int registry_open(struct registry *ret, const char *host, const char *repository,
		  const struct registry_access *access, bool push, struct err *err);
void registry_close(struct registry *registry, bool kill);
/*
 * Fetches one manifest or index into `out` (a memfd or file, empty): waits for it. `expected` may be
 * NULL; else other bytes are ERR_FETCH_DIGEST. `media_type` holds 256 bytes.
 */
int registry_get_manifest(struct registry *registry, const char *reference,
			  const struct digest *expected, int out, struct digest *ret_digest,
			  uint64_t *ret_bytes, char *ret_media_type, struct err *err);
/*
 * Begins to fetch a blob; the reply comes by worker_take(&registry->worker) under *ret_id. At most
 * WORKER_OPEN_MAX at a time. `pipes` (two at most, FIFOs) are fed from the first byte on and closed when
 * all is in them, before the reply comes; the caller closes its own ends after this call. What is in
 * them is verified only when the reply says so. `out` keeps what came of a blob that failed with
 * ERR_FETCH, for the next call.
 */
int registry_get_blob(struct registry *registry, const struct digest *digest, uint64_t bytes,
		      int out, const int *pipes, size_t pipe_count, uint32_t *ret_id,
		      struct err *err);
/*
 * Sends a blob unless it is there; waits. `mount_from`: a repository that has it, or NULL. *ret_sent (may be
 * NULL): had it to be sent?
 */
int registry_put_blob(struct registry *registry, const struct digest *digest, uint64_t bytes,
		      int file, const char *mount_from, const char *what, bool *ret_sent,
		      struct err *err);
/* `file`, from offset 0, at most OCI_MANIFEST_MAX bytes; waits. */
int registry_put_manifest(struct registry *registry, const char *reference,
			  const char *media_type, int file, struct err *err);
/*
 * Asks the registry at `host` (the API's) whether it takes the login in `access`: GET /v2/, with a
 * token where it wants one. ERR_AUTH when it does not. *ret_asked: did it want a login at all?
 */
int registry_try_login(const char *host, const struct registry_access *access, bool *ret_asked,
		       struct err *err);

#endif
