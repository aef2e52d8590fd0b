/*
 * Who we are to a registry: anonymous until it asks, then as it asks (Basic, or a Bearer token of its
 * token server). Shared by the threads of a conversation; while one of them gets a token the others
 * that need one wait for it.
 *
 * Who gets the user's secrets: the registry itself (scheme, host and port), and over https a token
 * server of the same name at another port (a certificate is a name's, not a port's; an address is
 * nobody's name), for docker.io's API auth.docker.io, or of the same domain (registry.gitlab.com has
 * its at gitlab.com), that is: the registry's name less its first label, if two labels or more are
 * left, or a name that ends in it. Any other token server is asked anonymously. A registry could have
 * the secrets for the asking; this rule is for the one whose answers are bent, by a proxy or a mistake.
 * http:// is for the registry alone, not for other ports of its host.
 */
#ifndef DUET_BUILDERS_WORKER_REGISTRY_AUTH_H
#define DUET_BUILDERS_WORKER_REGISTRY_AUTH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/oci/challenge.h"
#include "builders/worker/fetch/try.h"
#include "builders/worker/message.h"

#define AUTH_TOKENS_MAX 8		/* sets of rights in use */
#define AUTH_CHALLENGES_MAX 3		/* to one request */
#define AUTH_LIFETIME_MIN_S 60		/* of a token: also when nothing is said of it */

struct visit;

struct auth_token {
	char *scope, *value;	/* owned */
	int64_t renew_ms;	/* CLOCK_MONOTONIC */
};

struct auth {
	pthread_mutex_t lock;	/* of what follows the login */
	char *user, *secret, *identity_token;	/* owned; NULL: none */
	struct challenge challenge;	/* what it wants; CHALLENGE_NONE: not known yet */
	bool local;		/* the registry's address is a local one */
	char *withheld;		/* owned; a token server that did not get the secrets */
	struct auth_token tokens[AUTH_TOKENS_MAX];
	size_t next_token;	/* the place of the next one */
};

void auth_init(struct auth *auth, const struct worker_login *login);
/* `header` and `challenged` of a visit's authority. */
int auth_header(void *visit, char **ret, struct err *err);
int auth_challenged(void *visit, const struct ask_result *result, const char *sent,
		    struct err *err);
/* "Basic ..." Owned. */
char *auth_basic(const char *user, const char *secret);

/*
 * Asks the challenge's token server for a token with rights to visit->scope. *ret: owned, of visible
 * characters; *ret_lifetime_s: AUTH_LIFETIME_MIN_S or more.
 */
int token_get(struct visit *visit, char **ret, uint64_t *ret_lifetime_s, struct err *err);
/* NULL when a token server may be there, else what is wrong with its URL. `base`: the registry's. */
const char *token_realm_refusal(const char *realm, const char *base);
/* See above. Both are URLs without refusal. */
bool token_server_is_trusted(const char *realm, const char *base);

#endif
