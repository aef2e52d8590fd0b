/* URLs of fetch: see url.h. */
#include "builders/worker/fetch/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define HTTPS "https://"
#define HTTP "http://"
#define SHOWN_MAX 400	/* bytes of a URL in a message */
#define PORT_MAX 65535

static const char alnum[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* "HOST[:PORT]" of `length` bytes. */
static const char *authority_refusal(const char *authority, size_t length)
{
	_cleanup_free_ char *text = xstrndup(authority, length);
	char *port = text;
	uint32_t number;

	if (memchr(authority, '@', length))
		return "has a user name or password in it";
	if (text[0] == '[') {
		size_t inner = strspn(text + 1, "0123456789abcdefABCDEF:.");

		if (inner < 2 || text[1 + inner] != ']')
			return "has a malformed host";
		port = text + inner + 2;
	} else {
		port += strspn(text, alnum);
		while (*port && strchr("-._", *port))
			port += 1 + strspn(port + 1, alnum);
		if (port == text || text[0] == '.' || text[0] == '-')
			return "has a malformed host";
	}
	if (*port == '\0')
		return NULL;
	if (*port != ':')
		return "has a malformed host";
	if (!parse_u32_max(port + 1, PORT_MAX, &number) || number == 0)
		return "has a malformed port";
	return NULL;
}

bool url_is_plain_http(const char *url)
{
	return !strncasecmp(url, HTTP, strlen(HTTP));
}

/* Bytes of "https://" or "http://". */
static size_t scheme_of(const char *url)
{
	return url_is_plain_http(url) ? strlen(HTTP) : strlen(HTTPS);
}

const char *url_refusal(const char *url, bool plain_http)
{
	if (strncasecmp(url, HTTPS, strlen(HTTPS)) && !(plain_http && url_is_plain_http(url)))
		return plain_http ? "is neither https nor http" : "is not https";
	if (strlen(url) > URL_LENGTH_MAX)
		return "is too long";
	for (const char *at = url; *at; at++)
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f ||
		    *at == '\\')
			return "has a character that no URL has";
	url += scheme_of(url);
	return authority_refusal(url, strcspn(url, "/?#"));
}

/* Bytes of "https://HOST[:PORT]". */
static size_t origin_length(const char *url)
{
	return scheme_of(url) + strcspn(url + scheme_of(url), "/?#");
}

/* Bytes of "HOST" or "[HOST]" at the start of "HOST[:PORT]". */
static size_t host_length(const char *authority)
{
	return *authority == '[' ? strcspn(authority, "]") + 1 : strcspn(authority, ":/?#");
}

static uint32_t port_of(const char *url)
{
	const char *at = url + scheme_of(url);
	uint32_t port = url_is_plain_http(url) ? 80 : 443;
	_cleanup_free_ char *text = NULL;

	at += host_length(at);
	if (*at != ':')
		return port;
	text = xstrndup(at + 1, strcspn(at + 1, "/?#"));
	parse_u32_max(text, PORT_MAX, &port);
	return port;
}

bool url_is_same_origin(const char *a, const char *b)
{
	_cleanup_free_ char *host_a = url_host(a), *host_b = url_host(b);

	return url_is_plain_http(a) == url_is_plain_http(b) && port_of(a) == port_of(b) &&
	       !strcmp(host_a, host_b);
}

char *url_host(const char *url)
{
	const char *at = url + scheme_of(url);
	size_t length = host_length(at);
	bool bracketed = *at == '[';
	char *host = xstrndup(at + bracketed, length - 2 * bracketed);

	for (char *c = host; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return host;
}

/* Appends `path` of `length` bytes without "." and ".." (RFC 3986, 5.2.4). */
static void add_path(struct str *out, const char *path, size_t length)
{
	size_t floor = out->length;

	for (size_t at = 0; at < length;) {
		size_t size = 0;

		at++; /* each part begins with its slash */
		while (at + size < length && path[at + size] != '/')
			size++;
		if (size == 2 && path[at] == '.' && path[at + 1] == '.') {
			while (out->length > floor && out->text[--out->length] != '/')
				;
			if (at + size == length)
				str_add(out, "/");
		} else if (size == 1 && path[at] == '.') {
			if (at + size == length)
				str_add(out, "/");
		} else {
			str_add(out, "/");
			str_addn(out, path + at, size);
		}
		at += size;
	}
	if (out->length == floor)
		str_add(out, "/");
	out->text[out->length] = '\0';
}

/* "SCHEME:" at the start of a reference: its length with the colon, or 0. */
static size_t scheme_length(const char *reference)
{
	size_t length = strspn(reference, alnum);

	while (reference[length] && strchr("+-.", reference[length]))
		length += 1 + strspn(reference + length + 1, alnum);
	return length > 0 && reference[length] == ':' ? length + 1 : 0;
}

/* A reference that is neither a URL nor a host: a path, a query, or nothing. */
static void add_relative(struct str *out, const char *base, const char *reference)
{
	size_t origin = origin_length(base), path = strcspn(base + origin, "?#");
	size_t own = strcspn(reference, "?");
	struct str merged = { 0 };

	str_addn(out, base, origin);
	if (reference[0] == '/') {
		str_addn(&merged, reference, own);
	} else if (own == 0) {
		str_addn(&merged, base + origin, path);
	} else {
		while (path > 0 && base[origin + path - 1] != '/')
			path--;
		str_addn(&merged, base + origin, path);
		if (path == 0)
			str_add(&merged, "/");
		str_addn(&merged, reference, own);
	}
	add_path(out, merged.text, merged.length);
	str_done(&merged);
	if (!*reference && base[origin + strcspn(base + origin, "?#")] == '?')
		reference = strchr(base + origin, '?');
	str_addn(out, reference + strcspn(reference, "?"),
		 strcspn(reference + strcspn(reference, "?"), "#"));
}

/* What servers send and RFC 3986 does not allow, but every client mends: blanks and UTF-8. */
static char *encoded(const char *location)
{
	struct str out = { 0 };

	str_addn(&out, "", 0);
	for (; *location && *location != '#'; location++) {
		unsigned char c = (unsigned char)*location;

		if (c == ' ' || c >= 0x80)
			str_addf(&out, "%%%02X", c);
		else
			str_addn(&out, location, 1);
	}
	return out.text;
}

char *url_resolve(const char *base, const char *location, const char **ret_why)
{
	_cleanup_free_ char *reference = encoded(location);
	_cleanup_free_ char *url = NULL;
	struct str out = { 0 };
	const char *why;

	if (scheme_length(reference) > 0) {
		str_add(&out, reference);
	} else if (str_has_prefix(reference, "//")) {
		str_add(&out, url_is_plain_http(base) ? "http:" : "https:");
		str_add(&out, reference);
	} else {
		add_relative(&out, base, reference);
	}
	url = out.text;
	/* what was asked for in private is not told to everybody on the way */
	why = url_refusal(url, url_is_plain_http(base));
	if (why) {
		*ret_why = why;
		return NULL;
	}
	return TAKE_PTR(url);
}

char *url_shown(const char *url)
{
	const char *authority = strstr(url, "://");
	size_t start = authority ? (size_t)(authority + 3 - url) : 0;
	size_t host = start, end = start + strcspn(url + start, "?#");
	struct str out = { 0 };
	char *shown;

	for (size_t i = start; i < end && url[i] != '/'; i++)
		if (url[i] == '@')
			host = i + 1;
	str_addn(&out, url, start);
	str_addn(&out, url + host, end - host);
	shown = str_escape(out.text, SHOWN_MAX);
	str_done(&out);
	return shown;
}

static bool ipv4_is_local(uint32_t address)
{
	static const struct {
		uint32_t net;
		unsigned int bits;
	} nets[] = {
		{ 0x00000000, 8 },	/* 0.0.0.0/8: this host */
		{ 0x0a000000, 8 },	/* 10.0.0.0/8 */
		{ 0x64400000, 10 },	/* 100.64.0.0/10: shared by carriers */
		{ 0x7f000000, 8 },	/* 127.0.0.0/8 */
		{ 0xa9fe0000, 16 },	/* 169.254.0.0/16: link-local, metadata services */
		{ 0xac100000, 12 },	/* 172.16.0.0/12 */
		{ 0xc0000000, 24 },	/* 192.0.0.0/24: protocol assignments */
		{ 0xc0a80000, 16 },	/* 192.168.0.0/16 */
		{ 0xe0000000, 3 },	/* 224.0.0.0/3: multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		if ((address ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	return false;
}

static uint32_t four_bytes(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
	       at[3];
}

static bool ipv6_is_local(const uint8_t a[16])
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t zero[12];

	if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12) || !memcmp(a, zero, 12))
		return ipv4_is_local(four_bytes(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02)	/* 2002::/16, 6to4 */
		return ipv4_is_local(four_bytes(a + 2));
	return (a[0] & 0xfe) == 0xfc ||			/* fc00::/7, unique local */
	       (a[0] == 0xfe && a[1] >= 0x80) ||	/* fe80::/10 and fec0::/10 */
	       a[0] == 0xff;				/* multicast */
}

bool url_address_is_local(const struct sockaddr *address)
{
	struct sockaddr_in6 six;
	struct sockaddr_in four;

	switch (address->sa_family) {
	case AF_INET:
		memcpy(&four, address, sizeof(four));
		return ipv4_is_local(ntohl(four.sin_addr.s_addr));
	case AF_INET6:
		memcpy(&six, address, sizeof(six));
		return ipv6_is_local(six.sin6_addr.s6_addr);
	default:
		return true; /* a socket in the file system is as local as can be */
	}
}

bool url_host_is_local(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_aton(address, &four))
		return ipv4_is_local(ntohl(four.s_addr));
	return inet_pton(AF_INET6, address, &six) == 1 && ipv6_is_local(six.s6_addr);
}
