/*
 * The files with logins that docker, podman and skopeo keep (containers-auth.json(5)), in the order
 * in which they are asked, and what one of them says of a registry.
 *
 *	{"auths": {"registry.example.org/team": {"auth": "BASE64 OF USER:SECRET"}},
 *	 "credHelpers": {"registry.example.org": "NAME"}, "credsStore": "NAME"}
 */
#ifndef DUET_BUILDERS_OCI_LOGIN_FILE_H
#define DUET_BUILDERS_OCI_LOGIN_FILE_H

#include "builders/oci/registry.h"
#include "core/err.h"
#include "core/mem.h"

struct login_file {
	char *path;	/* owned */
	char *text;	/* owned; NULL: there is no such file */
	size_t size;
};

/*
 * Where they are looked for, all of them or the one that $REGISTRY_AUTH_FILE names. Where a new
 * login goes is the first.
 */
void login_file_paths(struct strv *ret);
/*
 * Reads one and looks at its shape. ERR_AUTH for a broken one; a missing one is none, unless
 * $REGISTRY_AUTH_FILE names it and `needed`.
 */
int login_file_read(struct login_file *ret, const char *path, bool needed, struct err *err);
void login_file_done(struct login_file *file);

/*
 * The keys under which a login for `repository` (NULL: any) of `host` may stand, most specific first;
 * those of the host alone begin at *ret_host, all of its spellings.
 */
void login_keys(const char *host, const char *repository, struct strv *ret, size_t *ret_host);
/*
 * The name of the helper that keeps the logins of `host`, owned, and how the server is called
 * towards it, owned; NULL: it has none.
 */
char *login_file_helper(const struct login_file *file, const char *host, char **ret_server);
/* The entry at `key` of auths: 1 with user and secret or token filled in, 0 none, -1 (ERR_AUTH). */
int login_file_entry(const struct login_file *file, const char *key, struct registry_access *ret,
		     struct err *err);

#endif
