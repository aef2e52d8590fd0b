/*
 * One request over https (or http, where the URL says so), by libcurl: the only file that includes
 * it. Knows nothing of tries, redirects, logins, resuming or digests: it asks once and says what came
 * of it.
 *
 * Never: another scheme than the URL's, a redirect followed, netrc, cookies, credentials but those in
 * `authorization` (for the server, not for a proxy), decoding of content, TLS below 1.2, an unverified
 * certificate. A proxy comes from https_proxy, HTTPS_PROXY (for http from http_proxy alone: a CGI's
 * caller can set HTTP_PROXY), all_proxy or ALL_PROXY, the first that is set, less the hosts in
 * no_proxy or NO_PROXY; from nowhere else.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_CURL_H
#define DUET_BUILDERS_WORKER_FETCH_CURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "builders/worker/fetch/http.h"

struct transport;	/* libcurl's handle: keeps connections over several requests */

/* Bytes of a file to send. */
struct upload {
	int fd;			/* borrowed; read with pread */
	uint64_t from, bytes;
};

struct ask {
	const char *method;	/* NULL: GET; HEAD, POST, PUT, PATCH */
	const char *url;	/* without refusal: url_refusal() */
	/* Values of headers without control characters, or NULL: not sent. */
	const char *accept, *authorization, *content_type, *content_range;
	const char *user_agent;	/* NULL: the package's name and version */
	const char *form;	/* the body of a POST; NULL: none */
	const struct upload *upload;	/* the body of PUT and PATCH; NULL: an empty one */
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

enum ask_end {
	ASK_COMPLETE,	/* the whole answer came */
	ASK_STOPPED,	/* body() said false */
	ASK_TOO_LARGE,	/* Content-Length over bytes_max */
	ASK_BROKEN,	/* the connection or the server: another try may do */
	ASK_REFUSED,	/* certificate, configuration: another try will not do */
};

struct ask_result {
	struct http_reply reply;	/* as far as it came */
	enum ask_end end;
	char *cause;			/* owned; of ASK_BROKEN and ASK_REFUSED */
	const char *mend;		/* a literal, or NULL */
	bool unreached;			/* nobody was spoken with: no such host, or nobody listens */
	bool no_tls;			/* who answered does not speak it */
	bool from_local;		/* the server's address is local, or a proxy's is all we know */
};

/* Loads what libcurl and its libraries read from files when they start; false when they cannot be had. */
bool transport_load(void);
/* NULL when libcurl cannot be had. */
struct transport *transport_new(void);
void transport_free(struct transport *transport);
void transport_ask(struct transport *transport, const struct ask *ask, struct ask_result *ret);
void ask_result_done(struct ask_result *result);

#endif
