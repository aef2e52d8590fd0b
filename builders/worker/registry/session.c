/* A registry's repository: see session.h. */
#include "builders/worker/registry/session.h"

#include <stdlib.h>
#include <string.h>

#include "builders/worker/fetch/url.h"
#include "core/mem.h"
#include "core/ref.h"

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

int session_init(struct session *ret, const char *text, bool plain_http, bool push,
		 const struct worker_login *login, struct err *err)
{
	const char *slash = strchr(text, '/');

	*ret = (struct session){ .plain_http = plain_http, .push = push };
	if (!slash || !ref_is_repository(slash + 1) || !is_printable(login->user_agent))
		return err_set(err, ERR_WORKER, "malformed request");
	ret->host = xstrndup(text, (size_t)(slash - text));
	ret->repository = xstrdup(slash + 1);
	ret->base = xasprintf("%s://%s/v2/%s", plain_http ? "http" : "https", ret->host,
			      ret->repository);
	if (url_refusal(ret->base, plain_http))
		return err_set(err, ERR_WORKER, "the registry's URL %s",
			       url_refusal(ret->base, plain_http));
	ret->user_agent = *login->user_agent ? xstrdup(login->user_agent) : NULL;
	ret->ca_file = getenv("SSL_CERT_FILE");
	auth_init(&ret->auth, login);
	pthread_mutex_init(&ret->lock, NULL);
	/* libcurl is started here, before there are threads */
	ret->idle[0] = transport_new();
	if (!ret->idle[0])
		return err_set(err, ERR_HOST, "start libcurl");
	ret->idle_count = 1;
	return 0;
}

static struct transport *take_transport(struct session *session)
{
	struct transport *transport = NULL;

	pthread_mutex_lock(&session->lock);
	if (session->idle_count > 0)
		transport = session->idle[--session->idle_count];
	pthread_mutex_unlock(&session->lock);
	return transport ? transport : transport_new();
}

static void give_back_transport(struct session *session, struct transport *transport)
{
	pthread_mutex_lock(&session->lock);
	if (session->idle_count < WORKER_OPEN_MAX) {
		session->idle[session->idle_count++] = transport;
		transport = NULL;
	}
	pthread_mutex_unlock(&session->lock);
	transport_free(transport);
}

int visit_begin(struct visit *visit, struct err *err)
{
	const struct session *session = visit->session;

	visit->scope = xasprintf("repository:%s:pull%s", session->repository,
				 session->push ? ",push" : "");
	visit->transport = take_transport(visit->session);
	if (!visit->transport)
		return err_set(err, ERR_HOST, "start libcurl");
	visit->authority = (struct authority){
		.origin = session->base,
		.header = auth_header,
		.challenged = auth_challenged,
		.refused = visit_refused,
		.data = visit,
	};
	return 0;
}

void visit_end(struct visit *visit)
{
	if (visit->transport)
		give_back_transport(visit->session, TAKE_PTR(visit->transport));
	free(visit->scope);
	visit->scope = NULL;
}
