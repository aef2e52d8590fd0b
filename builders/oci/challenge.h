/*
 * WWW-Authenticate: what a server wants to know about who asks (RFC 9110, 11.6.1; distribution's
 * "Token Authentication"). Pure; the header is hostile.
 */
#ifndef DUET_BUILDERS_OCI_CHALLENGE_H
#define DUET_BUILDERS_OCI_CHALLENGE_H

#include <stdbool.h>

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_kind kind;
	/* Owned; NULL: not said. No control characters. */
	char *realm, *service, *scope, *error;
};

/*
 * The challenge to answer among those of `header` (several headers joined by ", "): Bearer with a
 * realm before Basic; others are passed over. false when there is none, or when the header is
 * malformed: then none of it is believed.
 */
bool challenge_parse(const char *header, struct challenge *ret);
void challenge_done(struct challenge *challenge);

#endif
