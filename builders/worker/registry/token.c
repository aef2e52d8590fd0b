/*
 * Token servers (distribution's "Token Authentication Specification" and "OAuth2 Token
 * Authentication"): see auth.h.
 */
#include <string.h>

#include "builders/worker/fetch/url.h"
#include "builders/worker/registry/auth.h"
#include "builders/worker/registry/call.h"
#include "builders/worker/registry/session.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/str.h"

#define TOKEN_ANSWER_MAX (1u << 20)	/* bytes */
#define TOKEN_MAX 65536			/* bytes of a token */
#define LIFETIME_MAX_S (30u * 24 * 3600)
#define CLIENT "duet"

const char *token_realm_refusal(const char *realm, const char *base)
{
	bool plain_http = url_is_plain_http(base);
	const char *why = url_refusal(realm, plain_http);
	_cleanup_free_ char *host = NULL, *registry = NULL;

	if (why)
		return why;
	if (strchr(realm, '#'))
		return "has a fragment";
	host = url_host(realm);
	registry = url_host(base);
	if (url_is_same_origin(realm, base))
		return NULL;
	if (url_is_plain_http(realm))
		return "is not https";
	if (!strcmp(host, registry))
		return NULL;
	if (url_host_is_local(host))
		return "is an address of a local network";
	return NULL;
}

bool token_server_is_trusted(const char *realm, const char *base)
{
	_cleanup_free_ char *host = url_host(realm), *registry = url_host(base);
	const char *domain, *tail;

	if (url_is_same_origin(realm, base))
		return true;
	/* numbers are no names */
	if (url_is_plain_http(realm) || url_is_plain_http(base) || strchr(registry, ':') ||
	    !registry[strspn(registry, "0123456789.")])
		return false;
	if (!strcmp(host, registry))
		return true;
	if (!strcmp(registry, "registry-1.docker.io"))
		return !strcmp(host, "auth.docker.io");
	domain = strchr(registry, '.');
	/* a domain of one label is everybody's */
	if (!domain || !strchr(domain + 1, '.'))
		return false;
	domain++;
	tail = str_has_suffix(host, domain) ? host + strlen(host) - strlen(domain) : NULL;
	return tail && (tail == host || tail[-1] == '.');
}

static void add_encoded(struct str *out, const char *text)
{
	static const char plain[] = "-._~0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (; *text; text++)
		if (strchr(plain, *text))
			str_addn(out, text, 1);
		else
			str_addf(out, "%%%02X", (unsigned char)*text);
}

static void add_pair(struct str *out, const char *separator, const char *name, const char *value)
{
	str_add(out, separator);
	str_add(out, name);
	str_add(out, "=");
	add_encoded(out, value);
}

/* The scopes stand in one text, parted by blanks; GET has one parameter for each. */
static char *get_url(const struct visit *visit, bool trusted)
{
	const struct auth *auth = &visit->session->auth;
	struct str url = { 0 };

	str_add(&url, auth->challenge.realm);
	add_pair(&url, strchr(url.text, '?') ? "&" : "?", "client_id", CLIENT);
	if (auth->challenge.service)
		add_pair(&url, "&", "service", auth->challenge.service);
	for (const char *at = visit->scope; *at;) {
		_cleanup_free_ char *scope = xstrndup(at, strcspn(at, " "));

		add_pair(&url, "&", "scope", scope);
		at += strlen(scope);
		at += *at == ' ';
	}
	if (trusted && auth->user)
		add_pair(&url, "&", "account", auth->user);
	return url.text;
}

static char *post_form(const struct visit *visit)
{
	const struct auth *auth = &visit->session->auth;
	struct str form = { 0 };

	add_pair(&form, "", "grant_type", "refresh_token");
	add_pair(&form, "&", "client_id", CLIENT);
	add_pair(&form, "&", "service", auth->challenge.service ? auth->challenge.service : "");
	if (*visit->scope)
		add_pair(&form, "&", "scope", visit->scope);
	add_pair(&form, "&", "refresh_token", auth->identity_token);
	return form.text;
}

static int read_answer(const struct str *body, char **ret, uint64_t *ret_lifetime_s,
		       struct err *err)
{
	_cleanup_free_ char *token = NULL;
	uint64_t lifetime_s = AUTH_LIFETIME_MIN_S;

	json_look(body->text, body->length, "token", &token);
	if (!token)
		json_look(body->text, body->length, "access_token", &token);
	if (!token || !*token || strlen(token) > TOKEN_MAX)
		return err_set(err, ERR_AUTH, "the token server sent no token");
	for (const char *c = token; *c; c++)
		if (*c <= 0x20 || *c >= 0x7f)
			return err_set(err, ERR_AUTH, "the token server sent a malformed token");
	(void)json_look_number(body->text, body->length, "expires_in", &lifetime_s);
	if (lifetime_s < AUTH_LIFETIME_MIN_S)
		lifetime_s = AUTH_LIFETIME_MIN_S;
	*ret_lifetime_s = lifetime_s < LIFETIME_MAX_S ? lifetime_s : LIFETIME_MAX_S;
	*ret = TAKE_PTR(token);
	return 0;
}

static int give_basic(void *data, char **ret, struct err *err)
{
	const struct auth *auth = data;

	(void)err;
	*ret = auth_basic(auth->user, auth->secret);
	return 0;
}

static int give_up(void *data, const struct ask_result *result, const char *sent, struct err *err)
{
	(void)data;
	(void)result;
	(void)sent;
	(void)err;
	return 0;
}

static int refused(struct visit *visit, const struct call *call, const struct call_result *result,
		   struct err *err)
{
	const struct auth *auth = &visit->session->auth;
	unsigned int status = result->reply.status;
	_cleanup_free_ char *what = NULL, *server = NULL;

	if (status != 400 && status != 401 && status != 403)
		return call_refused(call, result, err);
	server = url_shown(auth->challenge.realm);
	what = xasprintf("the token server %s gives no token%s%s (%u)", server,
			 auth->withheld ? ", and was not told the login: it is of another domain" : "",
			 !auth->withheld && (auth->user || auth->identity_token)
				 ? " for this login" : "",
			 status);
	return session_refuses(visit->session, result->body.text, what, err);
}

/* With the identity token: 1 done, 0 the server does not know this way. */
static int post(struct visit *visit, struct call *call, struct call_result *ret, struct err *err)
{
	_cleanup_free_ char *form = post_form(visit);
	int result;

	call->method = "POST";
	call->url = visit->session->auth.challenge.realm;
	call->form = form;
	result = call_run(visit, call, ret, err);
	explicit_bzero(form, strlen(form));
	call->form = NULL;
	if (result < 0)
		return -1;
	if (ret->reply.status != 404 && ret->reply.status != 405)
		return 1;
	call_result_done(ret);
	return 0;
}

int token_get(struct visit *visit, char **ret, uint64_t *ret_lifetime_s, struct err *err)
{
	struct session *session = visit->session;
	struct auth *auth = &session->auth;
	bool trusted = token_server_is_trusted(auth->challenge.realm, session->base);
	_cleanup_(call_result_done) struct call_result result = { 0 };
	_cleanup_free_ char *url = get_url(visit, trusted), *host = url_host(url),
			    *registry = url_host(session->base);
	struct authority basic = { .origin = url, .header = give_basic, .challenged = give_up,
				   .data = auth };
	struct call call = { .body_max = TOKEN_ANSWER_MAX,
			     .only_public = !auth->local && strcmp(host, registry) };
	int done = 0;

	if (url_refusal(url, url_is_plain_http(url)))
		return err_set(err, ERR_AUTH, "the token server's URL %s", url_refusal(url, true));
	free(auth->withheld);
	auth->withheld = !trusted && (auth->user || auth->identity_token) ? xstrdup(host) : NULL;
	if (trusted && auth->identity_token)
		done = post(visit, &call, &result, err);
	if (done < 0)
		return -1;
	if (done == 0) {
		call.method = "GET";
		call.url = url;
		call.authority = trusted && auth->user ? &basic : NULL;
		if (call_run(visit, &call, &result, err) < 0)
			return -1;
	}
	if (result.reply.status != 200)
		return refused(visit, &call, &result, err);
	if (read_answer(&result.body, ret, ret_lifetime_s, err) < 0)
		return err_mend(err, "ask whoever runs the registry %s", session->host);
	return 0;
}
