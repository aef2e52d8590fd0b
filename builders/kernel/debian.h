/* Debian's cloud kernel: from an archive's signature to a verified package. */
#ifndef DUET_BUILDERS_KERNEL_DEBIAN_H
#define DUET_BUILDERS_KERNEL_DEBIAN_H

#include <stddef.h>

#include "core/err.h"
#include "core/store.h"

#define DEBIAN_SUITE "bookworm"
#define DEBIAN_LIST_BYTES_MAX (64u << 20)	/* of a Packages.xz */
#define DEBIAN_PACKAGE_BYTES_MAX (256u << 20)	/* of a .deb */

/* One kernel package as the archive lists it. */
struct debian_package {
	char *name, *version, *path;	/* owned; path: relative to the mirror */
	struct digest sha256;
	uint64_t bytes;
	char *mirror;			/* owned */
};

/*
 * Finds the newest linux-image-cloud-amd64 in the mirror's bookworm, and in bookworm-security where
 * the host's apt has that, by their signed lists, and fetches the package that it depends on. Every
 * byte is verified before it is used. `wanted` (or NULL): the package with this digest where a list
 * has it. *ret_fd is an unnamed file of the store. Errors: ERR_SIGNATURE,
 * ERR_FETCH, ERR_FETCH_DIGEST, ERR_HOST.
 */
int debian_fetch_kernel(struct store *store, const struct digest *wanted,
			struct debian_package *ret, int *ret_fd, struct err *err);
/* Which package that is, without fetching it. */
int debian_look_kernel(struct store *store, const struct digest *wanted,
		       struct debian_package *ret, struct err *err);
/*
 * What fetching takes and this host lacks, as a clause, or NULL. Owned; *ret_mend: static, what to do.
 */
char *debian_lacks(const char **ret_mend);
void debian_package_done(struct debian_package *package);

/*
 * The newest package `name` in the stanzas of a Packages list, of the architecture amd64; with
 * `version` just that one. 1, 0 when there is none. A stanza that cannot be right is passed over.
 * Pure.
 */
int debian_find_package(const char *list, size_t size, const char *name, const char *version,
			struct debian_package *ret, char **ret_depends);
/*
 * The kernel in a Depends field: "linux-image-VERSION-cloud-amd64", with " (= VERSION)" the version
 * (else NULL). Owned. Pure.
 */
bool debian_parse_depends(const char *depends, char **ret_name, char **ret_version);

#endif
