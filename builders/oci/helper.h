/*
 * Credential helpers: programs `docker-credential-NAME` of the user's that keep logins in a keyring.
 * They are the user's own and run with the caller's rights and environment, for they may have to ask.
 */
#ifndef DUET_BUILDERS_OCI_HELPER_H
#define DUET_BUILDERS_OCI_HELPER_H

#include "builders/oci/registry.h"
#include "core/err.h"

/* 1 with user and secret, or the identity token, filled in; 0 it knows none; -1 (ERR_AUTH). */
int helper_get(const char *name, const char *server, struct registry_access *ret, struct err *err);
int helper_store(const char *name, const char *server, const char *user, const char *secret,
		 struct err *err);
int helper_erase(const char *name, const char *server, struct err *err);

#endif
