/*
 * The head of an HTTP answer, as far as fetch reads it. Pure; every line of it is hostile. Values
 * follow RFC 9110: what cannot be parsed counts as not sent.
 */
#ifndef DUET_BUILDERS_WORKER_FETCH_HTTP_H
#define DUET_BUILDERS_WORKER_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX (256 * 1024)	/* bytes of all heads of one answer, 1xx and trailers too */
#define HTTP_VALUE_MAX 8192		/* bytes of one value that is kept */
#define HTTP_RETRY_AFTER_MAX_MS 60000

enum http_field {
	HTTP_CONTENT_ENCODING,
	HTTP_CONTENT_LENGTH,
	HTTP_CONTENT_RANGE,
	HTTP_CONTENT_TYPE,
	HTTP_DATE,
	HTTP_DOCKER_CONTENT_DIGEST,
	HTTP_ETAG,
	HTTP_LAST_MODIFIED,
	HTTP_LOCATION,
	HTTP_OCI_CHUNK_MIN_LENGTH,
	HTTP_RANGE,		/* of an upload under way, in an answer of a registry */
	HTTP_RETRY_AFTER,
	HTTP_TRANSFER_ENCODING,
	HTTP_WWW_AUTHENTICATE,	/* of several, joined by ", " */
	HTTP_FIELD_COUNT
};

struct http_reply {
	unsigned int status;	/* 0: no answer yet */
	bool complete;		/* the empty line after the head was seen */
	char *fields[HTTP_FIELD_COUNT];	/* owned; NULL: not sent */
	size_t head_bytes;
	const char *broken;	/* a literal: why the head cannot be believed; or NULL */
};

/*
 * Takes one line of a head, with or without its CRLF. A 1xx answer is forgotten when the next one
 * begins; lines after the head (trailers) are counted and ignored. A field sent twice with different values
 * (WWW-Authenticate may be), a value over HTTP_VALUE_MAX and a head over HTTP_HEAD_MAX set `broken`.
 */
void http_reply_line(struct http_reply *reply, const char *line, size_t length);
void http_reply_done(struct http_reply *reply);

/* "bytes FIRST-LAST/TOTAL" (RFC 9110, 14.4). */
struct http_range {
	uint64_t first, last;	/* of bytes, inclusive */
	uint64_t total;		/* bytes of the whole; 0: "*", not known */
};

bool http_content_range(const char *value, struct http_range *ret);
/* "bytes ANY/TOTAL", as a 416 says it with ANY = "*". */
bool http_unsatisfied_range(const char *value, uint64_t *ret_total);

/* The three forms of RFC 9110, 5.6.7, as seconds since 1970. `now` picks the century of RFC 850's. */
bool http_date(const char *value, int64_t now, int64_t *ret);

/* Seconds, or a date; at most HTTP_RETRY_AFTER_MAX_MS; 0 for a date that has passed. */
bool http_retry_after(const char *value, int64_t now, uint64_t *ret_ms);

/*
 * Is this value of Content-Encoding (NULL: not sent) one under which the bytes on the wire can be
 * those that the file's owner hashed? "gzip" is: servers say so of a .tar.gz that they send as it
 * is. Nothing is decoded either way.
 */
bool http_encoding_is_known(const char *value);

/*
 * What may stand in If-Range: the ETag when it is strong, else Last-Modified when the answer's Date
 * is at least a minute later (RFC 9110, 8.8.2.2 and 13.1.5). Owned; NULL: none.
 */
char *http_strong_validator(const struct http_reply *reply);

#endif
