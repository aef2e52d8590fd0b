/* One GET: see fetch_curl.h. */
#include "builders/worker/fetch/curl.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "builders/worker/fetch/url.h"
#include "config.h"
#include "core/mem.h"
#include "core/str.h"

#define CONNECT_TIMEOUT_MS 10000L
#define LOW_SPEED_BYTES 1024L		/* per second */
#define TOTAL_SPARE_S 60u		/* beside the body's at LOW_SPEED_BYTES */
#define TOTAL_MAX_S 2000000u		/* libcurl counts milliseconds in an int */
#define BUFFER_BYTES (256 * 1024L)
#define CAUSE_MAX 300			/* bytes of libcurl's text in a message */
#define ERROR_BODY_ROOM (64 * 1024)	/* error pages may be longer than the file */

struct transport {
	CURL *easy;	/* owned */
};

/* One request under way. */
struct exchange {
	const struct get *get;
	struct http_reply reply;
	bool stopped;
	bool refused_address;
	char text[CURL_ERROR_SIZE];
};

struct transport *transport_new(void)
{
	struct transport *transport = xcalloc(1, sizeof(*transport));

	transport->easy = curl_easy_init();
	if (!transport->easy) {
		free(transport);
		return NULL;
	}
	return transport;
}

void transport_free(struct transport *transport)
{
	if (!transport)
		return;
	curl_easy_cleanup(transport->easy);
	free(transport);
}

static size_t take_header(char *line, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;

	http_reply_line(&exchange->reply, line, size * count);
	return exchange->reply.broken ? 0 : size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	const struct get *get = exchange->get;

	if (get->body(get->data, &exchange->reply, bytes, size * count))
		return size * count;
	exchange->stopped = true;
	return 0;
}

static curl_socket_t open_socket(void *data, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct exchange *exchange = data;

	(void)purpose;
	if (exchange->get->only_public && url_address_is_local(&address->addr)) {
		exchange->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		      address->protocol);
}

/* The first of two variables that is set and not empty, or NULL. */
static const char *first_set(const char *a, const char *b)
{
	const char *value = getenv(a);

	if (!value || !*value)
		value = getenv(b);
	return value && *value ? value : NULL;
}

static const char *proxy_of_environment(const char *url)
{
	const char *proxy = url_is_plain_http(url) ? first_set("http_proxy", "http_proxy") :
						     first_set("https_proxy", "HTTPS_PROXY");

	return proxy ? proxy : first_set("all_proxy", "ALL_PROXY");
}

static CURLcode set_limits(CURL *easy, const struct get *get)
{
	uint64_t largest = get->bytes_max < ERROR_BODY_ROOM ? ERROR_BODY_ROOM
							    : get->bytes_max;
	uint64_t total_s = TOTAL_SPARE_S + get->bytes_max / LOW_SPEED_BYTES;
	const struct {
		CURLoption option;
		long value;
	} limits[] = {
		{ CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS },
		{ CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES },
		{ CURLOPT_LOW_SPEED_TIME, (long)get->stall_s },
		{ CURLOPT_TIMEOUT,
		  (long)(total_s < TOTAL_MAX_S ? total_s : TOTAL_MAX_S) },
		{ CURLOPT_BUFFERSIZE, BUFFER_BYTES },
		{ CURLOPT_TCP_KEEPALIVE, 1 },
		/* addresses are checked when a connection is made: take up none */
		{ CURLOPT_FRESH_CONNECT, get->only_public },
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_HTTPGET, 1 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_HTTP_CONTENT_DECODING, 0 },
		{ CURLOPT_HTTP09_ALLOWED, 0 },
		{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
		{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
		{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
		{ CURLOPT_UNRESTRICTED_AUTH, 0 },
		{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
		{ CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
		{ CURLOPT_SSL_VERIFYPEER, 1 },
		{ CURLOPT_SSL_VERIFYHOST, 2 },
		{ CURLOPT_PROXY_SSL_VERIFYPEER, 1 },
		{ CURLOPT_PROXY_SSL_VERIFYHOST, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		CURLcode code = curl_easy_setopt(easy, limits[i].option, limits[i].value);

		if (code != CURLE_OK)
			return code;
	}
	return curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)largest);
}

static CURLcode set_texts(CURL *easy, const struct get *get, const char *range)
{
	const char *proxy = proxy_of_environment(get->url);
	const char *no_proxy = first_set("no_proxy", "NO_PROXY");
	const struct {
		CURLoption option;
		const char *value;	/* NULL: left as it is */
	} texts[] = {
		{ CURLOPT_URL, get->url },
		{ CURLOPT_PROTOCOLS_STR, url_is_plain_http(get->url) ? "http" : "https" },
		{ CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION },
		{ CURLOPT_RANGE, range },
		{ CURLOPT_CAINFO, get->ca_file },
		/* set even when empty: libcurl would look for itself */
		{ CURLOPT_PROXY, proxy ? proxy : "" },
		{ CURLOPT_NOPROXY, no_proxy ? no_proxy : "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CURLcode code = CURLE_OK;

		if (texts[i].value)
			code = curl_easy_setopt(easy, texts[i].option, texts[i].value);
		if (code != CURLE_OK)
			return code;
	}
	/* with a file of one's own, the system's folder is not trusted beside it */
	return get->ca_file ? curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) : CURLE_OK;
}

static void set_callbacks(CURL *easy, struct exchange *exchange)
{
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->text);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
}

static const char mend_network[] =
	"check the network; behind a proxy set https_proxy (and no_proxy)";
static const char mend_certificate[] = "check the clock and the package ca-certificates; "
				       "duet has no option to skip this";

/* What libcurl's codes mean here; all others mean that another try will not do. */
static const struct {
	CURLcode code;
	enum get_end end;
	const char *mend;
} endings[] = {
	{ CURLE_OK, GET_COMPLETE, NULL },
	{ CURLE_FILESIZE_EXCEEDED, GET_TOO_LARGE, NULL },
	{ CURLE_COULDNT_RESOLVE_PROXY, GET_BROKEN, mend_network },
	{ CURLE_COULDNT_RESOLVE_HOST, GET_BROKEN, mend_network },
	{ CURLE_COULDNT_CONNECT, GET_BROKEN, mend_network },
	{ CURLE_OPERATION_TIMEDOUT, GET_BROKEN, mend_network },
	{ CURLE_PROXY, GET_BROKEN, mend_network },
	{ CURLE_SSL_CONNECT_ERROR, GET_BROKEN, NULL },
	{ CURLE_WEIRD_SERVER_REPLY, GET_BROKEN, NULL },
	{ CURLE_UNSUPPORTED_PROTOCOL, GET_BROKEN, NULL },	/* an answer in HTTP/0.9 */
	{ CURLE_HTTP2, GET_BROKEN, NULL },
	{ CURLE_HTTP2_STREAM, GET_BROKEN, NULL },
	{ CURLE_PARTIAL_FILE, GET_BROKEN, NULL },
	{ CURLE_GOT_NOTHING, GET_BROKEN, NULL },
	{ CURLE_SEND_ERROR, GET_BROKEN, NULL },
	{ CURLE_RECV_ERROR, GET_BROKEN, NULL },
	{ CURLE_AGAIN, GET_BROKEN, NULL },
	{ CURLE_BAD_CONTENT_ENCODING, GET_BROKEN, NULL },
	{ CURLE_PEER_FAILED_VERIFICATION, GET_REFUSED, mend_certificate },
	{ CURLE_SSL_CACERT_BADFILE, GET_REFUSED, mend_certificate },
	{ CURLE_SSL_ISSUER_ERROR, GET_REFUSED, mend_certificate },
};

static void judge(const struct exchange *exchange, CURLcode code, struct get_result *ret)
{
	const char *text = *exchange->text ? exchange->text : curl_easy_strerror(code);

	ret->end = GET_REFUSED;
	if (exchange->stopped) {
		ret->end = GET_STOPPED;
		return;
	}
	if (exchange->refused_address && code == CURLE_COULDNT_CONNECT) {
		ret->cause = xstrdup(
			"a public server redirects to an address of a local network");
		return;
	}
	if (exchange->reply.broken) {
		ret->end = GET_BROKEN;
		ret->cause = xasprintf("the server sent %s", exchange->reply.broken);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (endings[i].code == code) {
			ret->end = endings[i].end;
			ret->mend = endings[i].mend;
		}
	ret->cause = str_escape(text, CAUSE_MAX);
}

static bool server_is_local(CURL *easy, const char *url)
{
	char *address = NULL;

	if (proxy_of_environment(url))
		return true; /* its address is all we know; it has rules of its own */
	curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
	return address && url_host_is_local(address);
}

void transport_get(struct transport *transport, const struct get *get,
		   struct get_result *ret)
{
	struct exchange exchange = { .get = get };
	CURL *easy = transport->easy;
	struct curl_slist *headers = NULL;
	_cleanup_free_ char *range = NULL, *if_range = NULL;
	CURLcode code;

	*ret = (struct get_result){ 0 };
	curl_easy_reset(easy); /* options go, open connections stay */
	if (get->from > 0)
		range = xasprintf("%llu-", (unsigned long long)get->from);
	if (get->from > 0 && get->if_range) {
		if_range = xasprintf("If-Range: %s", get->if_range);
		headers = curl_slist_append(NULL, if_range);
	}
	set_callbacks(easy, &exchange);
	code = set_limits(easy, get);
	if (code == CURLE_OK)
		code = set_texts(easy, get, range);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (code == CURLE_OK)
		code = curl_easy_perform(easy);
	judge(&exchange, code, ret);
	ret->from_local = server_is_local(easy, get->url);
	ret->reply = exchange.reply;
	curl_easy_reset(easy); /* nothing may point into this frame */
	curl_slist_free_all(headers);
}

void get_result_done(struct get_result *result)
{
	http_reply_done(&result->reply);
	free(result->cause);
	*result = (struct get_result){ 0 };
}
