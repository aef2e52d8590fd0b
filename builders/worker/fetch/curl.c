/* One request: see curl.h. */
#include "builders/worker/fetch/curl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "builders/worker/fetch/sockets.h"
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
/*
 * Bytes on the wire beside those of heads and content. As much as there is content may come with it (its
 * chunks' and frames' headers and TLS's records, when they are small), and acknowledgements of what is
 * sent; the rest is what begins a connection.
 */
#define BESIDE_BYTES_MAX (4u << 20)
#define ERROR_BODY_ROOM (64 * 1024)	/* error pages may be longer than the file */

struct transport {
	CURL *easy;	/* owned */
	struct sockets sockets;	/* of libcurl's connections, also those that are kept */
};

/* One request under way. */
struct exchange {
	const struct ask *ask;
	struct transport *transport;
	struct http_reply reply;
	uint64_t taken;		/* bytes of heads and content */
	bool stopped;
	bool flooded;		/* by other bytes than these */
	bool refused_address;
	uint64_t sent;		/* bytes of the upload that libcurl has taken */
	const char *unread;	/* why the upload could not be read on, or NULL */
	char text[CURL_ERROR_SIZE];
};

bool transport_load(void)
{
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, xmalloc, free, xrealloc, xstrdup,
				    xcalloc) == CURLE_OK;
}

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

	exchange->taken += size * count;
	http_reply_line(&exchange->reply, line, size * count);
	return exchange->reply.broken ? 0 : size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	const struct ask *ask = exchange->ask;

	exchange->taken += size * count;
	if (ask->body(ask->data, &exchange->reply, bytes, size * count))
		return size * count;
	exchange->stopped = true;
	return 0;
}

static size_t give_body(char *room, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	const struct upload *upload = exchange->ask->upload;
	uint64_t left = upload ? upload->bytes - exchange->sent : 0;
	size_t want = size * count < left ? size * count : (size_t)left;
	ssize_t got;

	if (want == 0)
		return 0;
	do
		got = pread(upload->fd, room, want, (off_t)(upload->from + exchange->sent));
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		exchange->unread = got < 0 ? strerrordesc_np(errno) : "it is too short";
		return CURL_READFUNC_ABORT;
	}
	exchange->sent += (uint64_t)got;
	return (size_t)got;
}

/* A connection that was kept turned out to be closed: libcurl begins anew on another. */
static int seek_body(void *data, curl_off_t offset, int origin)
{
	struct exchange *exchange = data;

	if (origin != SEEK_SET || offset < 0 || !exchange->ask->upload ||
	    (uint64_t)offset > exchange->ask->upload->bytes)
		return CURL_SEEKFUNC_FAIL;
	exchange->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static curl_socket_t open_socket(void *data, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct exchange *exchange = data;
	int fd;

	(void)purpose;
	if (exchange->ask->only_public && url_address_is_local(&address->addr)) {
		exchange->refused_address = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd >= 0 && !sockets_add(&exchange->transport->sockets, fd)) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* A connection outlives its request: this gets the transport. */
static int close_socket(void *data, curl_socket_t fd)
{
	struct transport *transport = data;

	sockets_remove(&transport->sockets, fd);
	return close(fd);
}

/* libcurl calls this after each of its reads, at most a hundred buffers: is what came what was asked for? */
static int compare_received(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
			    curl_off_t up)
{
	struct exchange *exchange = data;

	(void)down_total;
	(void)down;
	(void)up_total;
	(void)up;
	exchange->flooded = sockets_received(&exchange->transport->sockets) >
			    2 * exchange->taken + exchange->sent + BESIDE_BYTES_MAX;
	return exchange->flooded;
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

static CURLcode set_limits(CURL *easy, const struct ask *ask)
{
	uint64_t largest = ask->bytes_max < ERROR_BODY_ROOM ? ERROR_BODY_ROOM
							    : ask->bytes_max;
	uint64_t sent = ask->upload ? ask->upload->bytes : 0;
	uint64_t total_s = TOTAL_SPARE_S + ask->bytes_max / LOW_SPEED_BYTES +
			   sent / LOW_SPEED_BYTES;
	const struct {
		CURLoption option;
		long value;
	} limits[] = {
		{ CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS },
		{ CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES },
		{ CURLOPT_LOW_SPEED_TIME, (long)ask->stall_s },
		{ CURLOPT_TIMEOUT,
		  (long)(total_s < TOTAL_MAX_S ? total_s : TOTAL_MAX_S) },
		{ CURLOPT_TCP_KEEPALIVE, 1 },
		/* addresses are checked when a connection is made: take up none */
		{ CURLOPT_FRESH_CONNECT, ask->only_public },
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_NOPROGRESS, 0 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_HEADEROPT, CURLHEADER_SEPARATE },
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
	/* refused when the last transfer ended before it began (no such host): it is as large already */
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	return curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)largest);
}

static CURLcode set_texts(CURL *easy, const struct ask *ask, const char *range)
{
	const char *proxy = proxy_of_environment(ask->url);
	const char *no_proxy = first_set("no_proxy", "NO_PROXY");
	const struct {
		CURLoption option;
		const char *value;	/* NULL: left as it is */
	} texts[] = {
		{ CURLOPT_URL, ask->url },
		{ CURLOPT_PROTOCOLS_STR, url_is_plain_http(ask->url) ? "http" : "https" },
		{ CURLOPT_USERAGENT, ask->user_agent ? ask->user_agent
						     : PACKAGE_NAME "/" PACKAGE_VERSION },
		{ CURLOPT_RANGE, range },
		{ CURLOPT_CAINFO, ask->ca_file },
		{ CURLOPT_PROXY_CAINFO, ask->ca_file },
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
	if (ask->ca_file && (curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK ||
			     curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK))
		return CURLE_SSL_CACERT_BADFILE;
	return CURLE_OK;
}

static CURLcode set_method(CURL *easy, const struct ask *ask)
{
	const char *method = ask->method ? ask->method : "GET";
	const struct upload *upload = ask->upload;

	if (!strcmp(method, "GET"))
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	if (!strcmp(method, "HEAD"))
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		return curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->form ? ask->form : "");
	}
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
			 (curl_off_t)(upload ? upload->bytes : 0));
	return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static struct curl_slist *headers_of(const struct ask *ask)
{
	const struct {
		const char *name, *value;
	} all[] = {
		{ "If-Range", ask->from > 0 ? ask->if_range : NULL },
		{ "Accept", ask->accept },
		{ "Authorization", ask->authorization },
		{ "Content-Type", ask->content_type },
		{ "Content-Range", ask->content_range },
	};
	struct curl_slist *headers = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_free_ char *line = NULL;

		if (!all[i].value)
			continue;
		line = xasprintf("%s: %s", all[i].name, all[i].value);
		headers = curl_slist_append(headers, line);
	}
	return headers;
}

static void set_callbacks(CURL *easy, struct exchange *exchange)
{
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->text);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, exchange->transport);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, compare_received);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, exchange);
}

static const char mend_network[] =
	"check the network; behind a proxy set https_proxy (and no_proxy)";
static const char mend_host[] =
	"check the name and the network; behind a proxy set https_proxy (and no_proxy)";
static const char mend_certificate[] = "check the clock and the package ca-certificates; for a "
				       "certificate of your own set SSL_CERT_FILE";
static const char mend_certificates[] = "install the package ca-certificates, or let SSL_CERT_FILE "
					"name a file of certificates that you can read";

/* What libcurl's codes mean here; all others mean that another try will not do. */
static const struct {
	CURLcode code;
	enum ask_end end;
	const char *mend;
} endings[] = {
	{ CURLE_OK, ASK_COMPLETE, NULL },
	{ CURLE_FILESIZE_EXCEEDED, ASK_TOO_LARGE, NULL },
	{ CURLE_COULDNT_RESOLVE_PROXY, ASK_BROKEN, mend_network },
	{ CURLE_COULDNT_RESOLVE_HOST, ASK_BROKEN, mend_host },
	{ CURLE_COULDNT_CONNECT, ASK_BROKEN, mend_network },
	{ CURLE_OPERATION_TIMEDOUT, ASK_BROKEN, mend_network },
	{ CURLE_PROXY, ASK_BROKEN, mend_network },
	{ CURLE_SSL_CONNECT_ERROR, ASK_BROKEN, NULL },
	{ CURLE_WEIRD_SERVER_REPLY, ASK_BROKEN, NULL },
	{ CURLE_UNSUPPORTED_PROTOCOL, ASK_BROKEN, NULL },	/* an answer in HTTP/0.9 */
	{ CURLE_HTTP2, ASK_BROKEN, NULL },
	{ CURLE_HTTP2_STREAM, ASK_BROKEN, NULL },
	{ CURLE_PARTIAL_FILE, ASK_BROKEN, NULL },
	{ CURLE_GOT_NOTHING, ASK_BROKEN, NULL },
	{ CURLE_SEND_ERROR, ASK_BROKEN, NULL },
	{ CURLE_RECV_ERROR, ASK_BROKEN, NULL },
	{ CURLE_AGAIN, ASK_BROKEN, NULL },
	{ CURLE_BAD_CONTENT_ENCODING, ASK_BROKEN, NULL },
	{ CURLE_PEER_FAILED_VERIFICATION, ASK_REFUSED, mend_certificate },
	{ CURLE_SSL_CACERT_BADFILE, ASK_REFUSED, mend_certificates },
	{ CURLE_SSL_ISSUER_ERROR, ASK_REFUSED, mend_certificate },
};

/* libcurl's "Failed to connect to HOST port N after M ms: ..." with the system's own word; or NULL. */
static char *connect_cause(CURL *easy, const char *text)
{
	static const char begin[] = "Failed to connect to ";
	const char *host = text + strlen(begin), *end;
	_cleanup_free_ char *shown = NULL, *named = NULL;
	long errnum = 0;

	if (strncmp(text, begin, strlen(begin)) ||
	    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &errnum) != CURLE_OK || errnum == 0)
		return NULL;
	end = strstr(host, " after ");
	if (!end)
		return NULL;
	named = xstrndup(host, (size_t)(end - host));
	shown = str_escape(named, CAUSE_MAX);
	return xasprintf("connect to %s: %s", shown, strerror((int)errnum));
}

/* Its first byte is no record's of TLS. */
static bool is_no_tls(CURLcode code, const char *text)
{
	return code == CURLE_SSL_CONNECT_ERROR &&
	       (strstr(text, "wrong version number") || strstr(text, "packet length too long"));
}

static void judge(CURL *easy, const struct exchange *exchange, CURLcode code,
		  struct ask_result *ret)
{
	const char *text = *exchange->text ? exchange->text : curl_easy_strerror(code);

	ret->end = ASK_REFUSED;
	if (exchange->stopped) {
		ret->end = ASK_STOPPED;
		return;
	}
	if (exchange->flooded) {
		ret->cause = xasprintf("the server sent %u MiB and more beside its answer",
				       BESIDE_BYTES_MAX >> 20);
		return;
	}
	if (exchange->refused_address && code == CURLE_COULDNT_CONNECT) {
		ret->cause = xstrdup(
			"a public server redirects to an address of a local network");
		return;
	}
	if (exchange->unread) {
		ret->cause = xasprintf("read the file that is sent: %s", exchange->unread);
		return;
	}
	if (exchange->reply.broken) {
		ret->end = ASK_BROKEN;
		ret->cause = xasprintf("the server sent %s", exchange->reply.broken);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (endings[i].code == code) {
			ret->end = endings[i].end;
			ret->mend = endings[i].mend;
		}
	ret->unreached = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
	ret->no_tls = is_no_tls(code, text);
	if (ret->no_tls) {
		ret->end = ASK_REFUSED;
		ret->cause = xstrdup("the server does not speak TLS");
		return;
	}
	if (code == CURLE_COULDNT_CONNECT)
		ret->cause = connect_cause(easy, text);
	if (!ret->cause)
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

void transport_ask(struct transport *transport, const struct ask *ask,
		   struct ask_result *ret)
{
	struct exchange exchange = { .ask = ask, .transport = transport };
	CURL *easy = transport->easy;
	struct curl_slist *headers = headers_of(ask);
	_cleanup_free_ char *range = NULL;
	CURLcode code;

	*ret = (struct ask_result){ 0 };
	curl_easy_reset(easy); /* options go, open connections stay */
	if (ask->from > 0)
		range = xasprintf("%llu-", (unsigned long long)ask->from);
	set_callbacks(easy, &exchange);
	sockets_begin(&transport->sockets);
	code = set_limits(easy, ask);
	if (code == CURLE_OK)
		code = set_texts(easy, ask, range);
	if (code == CURLE_OK)
		code = set_method(easy, ask);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (code == CURLE_OK)
		code = curl_easy_perform(easy);
	judge(easy, &exchange, code, ret);
	ret->from_local = server_is_local(easy, ask->url);
	ret->reply = exchange.reply;
	curl_easy_reset(easy); /* nothing may point into this frame */
	curl_slist_free_all(headers);
}

void ask_result_done(struct ask_result *result)
{
	http_reply_done(&result->reply);
	free(result->cause);
	*result = (struct ask_result){ 0 };
}
