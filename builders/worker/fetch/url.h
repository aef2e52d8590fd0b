/*
 * The URLs that fetch may follow: https (and http, where it is allowed), a host, no credentials. Pure. RFC 3986, cut down to what
 * is needed and strict where parsers differ: what is refused here never reaches the network.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_URL_H
#define DUET_BUILDERS_WORKER_FETCH_URL_H

#include <stdbool.h>

struct sockaddr;

#define URL_LENGTH_MAX 4095	/* bytes */

/*
 * NULL when `url` is "https://HOST[:PORT]..." without user, blanks, control characters or
 * backslashes; else what is wrong with it ("is not https"). With `plain_http` "http://" will do too.
 */
const char *url_refusal(const char *url, bool plain_http);
bool url_is_plain_http(const char *url);

/* Have both, without refusal, the same scheme, host and port? */
bool url_is_same_origin(const char *a, const char *b);
/* The host of a URL without refusal: lower case, IPv6 without its brackets. Owned. */
char *url_host(const char *url);

/*
 * The target of a redirect: `location` resolved against `base`, a URL without refusal (RFC 3986,
 * 5.2); the fragment is dropped, blanks and bytes above 0x7f are percent-encoded. From https to https
 * only; from http, which was allowed then, to both. Owned; NULL when it has a refusal, of which
 * *ret_why tells (a literal).
 */
char *url_resolve(const char *base, const char *location, const char **ret_why);

/* For messages: without user, query and fragment (they may hold secrets), escaped, cut. Owned. */
char *url_shown(const char *url);

/*
 * Is this an address of the machine itself or of a local network (loopback, link-local with the
 * clouds' metadata service, private, shared, unspecified, multicast; IPv4 inside IPv6 alike)?
 */
bool url_address_is_local(const struct sockaddr *address);
/*
 * The same of a numeric address as text (IPv4 as short as inet_aton takes it); false when it is
 * none.
 */
bool url_host_is_local(const char *address);

#endif
