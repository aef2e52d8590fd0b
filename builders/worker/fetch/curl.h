/*
 * One GET over https (or http, where the URL says so), by libcurl: the only file that includes it. Knows nothing of tries, redirects,
 * resuming or digests (fetch.c): it asks once and says what came of it.
 *
 * Never: another scheme than the URL's, a redirect followed, netrc, cookies, credentials, decoding of
 * content, TLS below 1.2, an unverified certificate. A proxy comes from https_proxy, HTTPS_PROXY (for
 * http from http_proxy alone: a CGI's caller can set HTTP_PROXY), all_proxy or ALL_PROXY, the first
 * that is set, less the hosts in no_proxy or NO_PROXY; from nowhere else.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_CURL_H
#define DUET_BUILDERS_WORKER_FETCH_CURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/worker/fetch/http.h"

struct transport;	/* libcurl's handle: keeps connections over several requests */

struct get {
	const char *url;	/* without refusal: url_refusal() */
	uint64_t from;		/* first byte asked for; 0: no Range header */
	const char *if_range;	/* strong validator for If-Range, or NULL */
	const char *ca_file;	/* NULL: the system's */
	uint64_t bytes_max;	/* a longer Content-Length is refused without reading on */
	unsigned int stall_s;	/* so long below 1 KiB/s: over */
	bool only_public;	/* connect to no address that is local: url_address_is_local() */
	/* Takes bytes of the body, after the head is complete; false ends the request. */
	bool (*body)(void *data, const struct http_reply *reply, const void *bytes, size_t size);
	void *data;
};

enum get_end {
	GET_COMPLETE,	/* the whole answer came */
	GET_STOPPED,	/* body() said false */
	GET_TOO_LARGE,	/* Content-Length over bytes_max */
	GET_BROKEN,	/* the connection or the server: another try may do */
	GET_REFUSED,	/* certificate, configuration: another try will not do */
};

struct get_result {
	struct http_reply reply;	/* as far as it came */
	enum get_end end;
	char *cause;			/* owned; of GET_BROKEN and GET_REFUSED */
	const char *mend;		/* a literal, or NULL */
	bool from_local;		/* the server's address is local, or a proxy's is all we know */
};

/* NULL when libcurl cannot be had. */
struct transport *transport_new(void);
void transport_free(struct transport *transport);
void transport_get(struct transport *transport, const struct get *get, struct get_result *ret);
void get_result_done(struct get_result *result);

#endif
