/* Who we are: see auth.h. */
#include "builders/worker/registry/auth.h"

#include <stdio.h>
#include <string.h>

#include "builders/worker/fetch/url.h"
#include "builders/worker/registry/session.h"
#include "core/base64.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"

#define RENEW_EARLY_MS 10000	/* before it runs out */
#define SHOWN_MAX 200
#define SCOPES_MAX 2048		/* bytes; they are part of a URL */

static char *copy_unless_empty(const char *text)
{
	return *text ? xstrdup(text) : NULL;
}

void auth_init(struct auth *auth, const struct worker_login *login)
{
	*auth = (struct auth){
		.user = copy_unless_empty(login->user),
		.secret = copy_unless_empty(login->secret),
		.identity_token = copy_unless_empty(login->identity_token),
	};
	pthread_mutex_init(&auth->lock, NULL);
}

char *auth_basic(const char *user, const char *secret)
{
	_cleanup_free_ char *both = xasprintf("%s:%s", user, secret ? secret : "");
	_cleanup_free_ char *encoded = base64_encode(both, strlen(both));
	char *value = xasprintf("Basic %s", encoded);

	explicit_bzero(both, strlen(both));
	explicit_bzero(encoded, strlen(encoded));
	return value;
}

static struct auth_token *find_token(struct auth *auth, const char *scope)
{
	for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
		if (auth->tokens[i].scope && !strcmp(auth->tokens[i].scope, scope))
			return &auth->tokens[i];
	return NULL;
}

static void forget(struct auth_token *token)
{
	free(token->scope);
	free(token->value);
	*token = (struct auth_token){ 0 };
}

/* Borrowed, until the lock is given up; NULL with err. */
static const char *token_for(struct visit *visit, struct err *err)
{
	struct auth *auth = &visit->session->auth;
	struct auth_token *token = find_token(auth, visit->scope);
	uint64_t lifetime_s;
	char *value;

	if (token && clock_ms() < token->renew_ms)
		return token->value;
	if (token_get(visit, &value, &lifetime_s, err) < 0)
		return NULL;
	visit->fresh = true;
	if (!token) {
		token = &auth->tokens[auth->next_token++ % AUTH_TOKENS_MAX];
		forget(token);
		token->scope = xstrdup(visit->scope);
	}
	free(token->value);
	token->value = value;
	token->renew_ms = clock_ms() + (int64_t)lifetime_s * 1000 - RENEW_EARLY_MS;
	return value;
}

static int header_under_lock(struct visit *visit, char **ret, struct err *err)
{
	const struct auth *auth = &visit->session->auth;
	const char *token;

	switch (auth->challenge.kind) {
	case CHALLENGE_NONE:
		return 0;
	case CHALLENGE_BASIC:
		*ret = auth->user ? auth_basic(auth->user, auth->secret) : NULL;
		return 0;
	case CHALLENGE_BEARER:
		token = token_for(visit, err);
		if (!token)
			return -1;
		*ret = xasprintf("Bearer %s", token);
		return 0;
	}
	return 0;
}

int auth_header(void *data, char **ret, struct err *err)
{
	struct visit *visit = data;
	int result;

	pthread_mutex_lock(&visit->session->auth.lock);
	result = header_under_lock(visit, ret, err);
	pthread_mutex_unlock(&visit->session->auth.lock);
	return result;
}

/* The first challenge: it is believed once and for all requests. */
static int learn(struct visit *visit, const struct ask_result *result, struct err *err)
{
	struct auth *auth = &visit->session->auth;
	const char *header = result->reply.fields[HTTP_WWW_AUTHENTICATE], *why;
	_cleanup_(challenge_done) struct challenge challenge = { 0 };
	_cleanup_free_ char *shown = NULL;

	if (!header || !challenge_parse(header, &challenge))
		return 0;
	if (challenge.kind == CHALLENGE_BASIC && !auth->user)
		return 0;
	why = challenge.kind == CHALLENGE_BEARER
		      ? token_realm_refusal(challenge.realm, visit->session->base) : NULL;
	if (why) {
		shown = str_escape(challenge.realm, SHOWN_MAX);
		err_set(err, ERR_AUTH, "the registry wants a token of %s, which %s", shown, why);
		return err_mend(err, "ask whoever runs the registry: nothing was sent there");
	}
	auth->challenge = challenge;
	challenge = (struct challenge){ 0 };
	auth->local = result->from_local;
	return 1;
}

static bool has_scope(const char *scopes, const char *scope, size_t length)
{
	for (const char *at = scopes; *at; at += strspn(at, " ")) {
		size_t its = strcspn(at, " ");

		if (its == length && !strncmp(at, scope, length))
			return true;
		at += its;
	}
	return false;
}

/* Takes up the rights that a challenge says are missing; false when they were asked for already. */
static bool widen(struct visit *visit, const struct ask_result *result)
{
	const char *header = result->reply.fields[HTTP_WWW_AUTHENTICATE];
	_cleanup_(challenge_done) struct challenge challenge = { 0 };
	_cleanup_(str_done) struct str scopes = { 0 };
	bool wider = false;

	if (!header || !challenge_parse(header, &challenge) ||
	    challenge.kind != CHALLENGE_BEARER || !challenge.scope || !challenge.error ||
	    strcmp(challenge.error, "insufficient_scope"))
		return false;
	str_add(&scopes, visit->scope);
	for (const char *at = challenge.scope; *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");

		if (length > 0 && !has_scope(scopes.text, at, length)) {
			str_add(&scopes, " ");
			str_addn(&scopes, at, length);
			wider = true;
		}
		at += length;
	}
	if (!wider || scopes.length > SCOPES_MAX)
		return false;
	free(visit->scope);
	visit->scope = xstrdup(scopes.text);
	return true;
}

/* What was sent was not enough: is there another token to be had? */
static int renew(struct visit *visit, const struct ask_result *result, const char *sent)
{
	struct auth *auth = &visit->session->auth;
	struct auth_token *token = find_token(auth, visit->scope);

	if (auth->challenge.kind == CHALLENGE_BEARER && widen(visit, result)) {
		visit->fresh = false;
		return 1;
	}
	if (auth->challenge.kind != CHALLENGE_BEARER || visit->fresh)
		return 0;
	if (token && str_has_prefix(sent, "Bearer ") &&
	    !strcmp(token->value, sent + strlen("Bearer ")))
		forget(token);
	return 1;
}

int auth_challenged(void *data, const struct ask_result *result, const char *sent,
		    struct err *err)
{
	struct visit *visit = data;
	struct auth *auth = &visit->session->auth;
	int again;

	if (++visit->challenges > AUTH_CHALLENGES_MAX)
		return 0;
	pthread_mutex_lock(&auth->lock);
	if (sent)
		again = renew(visit, result, sent);
	else if (auth->challenge.kind == CHALLENGE_NONE)
		again = learn(visit, result, err);
	else
		again = 1; /* another thread has learned it meanwhile */
	pthread_mutex_unlock(&auth->lock);
	return again;
}
