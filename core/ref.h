/*
 * References of OCI images: "alpine", "127.0.0.1:5000/team/web:1.2", "debian@sha256:...". Pure.
 * The grammar is distribution-spec's (name, tag, digest); what is left out is filled in as Docker
 * does: host docker.io, "library/" for its one-word names, tag "latest" when there is no digest.
 */
#ifndef DUET_CORE_REF_H
#define DUET_CORE_REF_H

#include <stdbool.h>

#include "core/digest.h"
#include "core/err.h"

#define REF_HOST_MAX 255	/* bytes of host and repository together, as distribution-spec advises */
#define REF_TAG_MAX 128		/* bytes */
#define REF_LENGTH_MAX 512	/* bytes of a whole reference */

struct ref {
	char *host;		/* owned; "docker.io", "127.0.0.1:5000"; lower case */
	char *repository;	/* owned; "library/alpine" */
	char *tag;		/* owned; NULL where only a digest is given */
	bool has_digest;
	struct digest digest;	/* wins over the tag: what it leads to must have it */
};

/*
 * ERR_USAGE with what is wrong and, where it is likely, what was meant. Digests of other algorithms
 * than sha256 are refused by name.
 */
int ref_parse(struct ref *ret, const char *text, struct err *err);
/* NULL when `text` is a reference, else what is wrong with it (a literal). */
const char *ref_refusal(const char *text);
void ref_copy(struct ref *to, const struct ref *from);
void ref_done(struct ref *ref);
/* "docker.io/library/alpine:3.20@sha256:...": complete. Owned. */
char *ref_text(const struct ref *ref);
/*
 * A host as struct ref has it ("docker.io" for all of its names, lower case), from a text that a
 * reference could begin with. Owned; NULL when it is none.
 */
char *ref_host(const char *text);
/* Who is asked: docker.io is served by registry-1.docker.io. Borrowed. */
const char *ref_api_host(const struct ref *ref);

/* Is this a repository's name, as "team/web"? Is this a tag? */
bool ref_is_repository(const char *text);
bool ref_is_tag(const char *text);

#endif
