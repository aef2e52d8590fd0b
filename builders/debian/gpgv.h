/* Signatures, by gpgv. */
#ifndef DUET_BUILDERS_DEBIAN_GPGV_H
#define DUET_BUILDERS_DEBIAN_GPGV_H

#include <stddef.h>

#include "core/err.h"
#include "core/jail/idmap.h"

/*
 * Verifies a cleartext-signed text (framed: release_frame) against a keyring, a file of the host, and
 * gives exactly the text that was signed. At least one key of the keyring must have signed it with
 * SHA-256 or better, and none may have a bad signature. Errors: ERR_SIGNATURE; ERR_HOST when there
 * is no gpgv or no keyring. The text is owned. `map`: the store's; gpgv runs in the jail of tools.h.
 */
int gpgv_verify(const struct idmap *map, const char *text, size_t size, const char *keyring,
		char **ret_text, size_t *ret_size, struct err *err);

/*
 * What gpgv's status lines (GnuPG, doc/DETAILS) and exit code say of the signatures. Pure. 0, or -1
 * with ERR_SIGNATURE.
 */
int gpgv_judge(const char *status, int code, struct err *err);

#endif
