/* Keeping a login, and forgetting it: in the files and helpers that docker and podman use too. */
#ifndef DUET_BUILDERS_OCI_LOGIN_H
#define DUET_BUILDERS_OCI_LOGIN_H

#include "core/err.h"
#include "core/mem.h"

/*
 * Keeps it in the helper that the first of the files names for this host, else in the first of the
 * files itself (0600, replaced whole, other entries kept). Nothing is written when one of the files
 * is broken. *ret_where: which it was; owned.
 */
int login_save(const char *host, const char *user, const char *secret, char **ret_where,
	       struct err *err);
/*
 * Takes all that is kept for the host out of the helpers and of the first of the files. *ret_from:
 * where it was; empty when there was nothing.
 */
int login_forget(const char *host, struct strv *ret_from, struct err *err);

#endif
