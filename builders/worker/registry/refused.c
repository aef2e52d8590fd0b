/* What a registry means when it does not do what it was asked for (distribution-spec, "Error Codes"). */
#include <string.h>

#include "builders/worker/fetch.h"
#include "builders/worker/fetch/status.h"
#include "builders/worker/registry/session.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/str.h"

/* "CODE: message" of the first error, else the page as it is; escaped. Owned. */
static char *what_it_says(const char *page)
{
	_cleanup_free_ char *code = NULL, *message = NULL, *both = NULL;
	size_t size = page ? strlen(page) : 0;

	if (size == 0)
		return xstrdup("");
	json_look(page, size, "errors.0.code", &code);
	json_look(page, size, "errors.0.message", &message);
	if (code || message)
		both = xasprintf("%s%s%s", code ? code : "", code && message ? ": " : "",
				 message ? message : "");
	if (both)
		return str_escape(both, FETCH_ERROR_SHOWN_MAX);
	while (size > 0 && strchr(" \r\n", page[size - 1]))
		size--;
	both = xstrndup(page, size);
	return str_escape(both, FETCH_ERROR_SHOWN_MAX);
}

/* Docker Hub is known under another name than its API's. */
static const char *login_name(const char *host)
{
	return strcmp(host, "registry-1.docker.io") ? host : "docker.io";
}

int session_refuses(const struct session *session, const char *page, const char *what, struct err *err)
{
	_cleanup_free_ char *said = what_it_says(page);

	err_set(err, ERR_AUTH, "%s%s%s", what, *said ? "; the registry says: " : "", said);
	return err_mend(err, "duet login %s", login_name(session->host));
}

static bool is_push(uint32_t op)
{
	return op == WORKER_PUT_BLOB || op == WORKER_PUT_MANIFEST;
}

static const char *what_was_asked(uint32_t op)
{
	if (op == WORKER_TRY_LOGIN)
		return "in";
	return is_push(op) ? "push" : "pull";
}

static int not_found(const struct visit *visit, const char *said, struct err *err)
{
	const struct session *session = visit->session;
	const char *again = *said ? "; the registry says: " : "";

	if (is_push(visit->request->op)) {
		err_set(err, ERR_FETCH, "the registry does not know what to do with it (404)%s%s", again,
			said);
		return err_mend(err, "check the name of the repository, and that it may be pushed to");
	}
	if (visit->request->op != WORKER_GET_MANIFEST) {
		err_set(err, ERR_FETCH, "the registry does not have it (404)%s%s", again, said);
		return err_mend(err, "the image may have been removed meanwhile: pull again");
	}
	if (strchr(visit->request->text, ':'))
		err_set(err, ERR_FETCH, "there is no manifest %.19s (404)%s%s", visit->request->text,
			again, said);
	else
		err_set(err, ERR_FETCH, "there is no such image (404)%s%s", again, said);
	return err_mend(err, "check name and tag; if it is private: duet login %s",
			login_name(session->host));
}

int visit_refused(void *data, bool own, unsigned int status, const char *page, struct err *err)
{
	const struct visit *visit = data;
	_cleanup_free_ char *said = NULL, *what = NULL;

	if (!own)
		return status_error(status, page, err);
	if (status == 401 || status == 403) {
		what = xasprintf("the registry %s %s (%u)",
				 visit->session->auth.user || visit->session->auth.identity_token
					 ? "does not let this login" : "wants a login to",
				 what_was_asked(visit->request->op), status);
		return session_refuses(visit->session, page, what, err);
	}
	said = what_it_says(page);
	if (status == 404)
		return not_found(visit, said, err);
	status_error(status, NULL, err);
	if (*said) {
		what = xasprintf("%s; the registry says: %s", err->msg, said);
		free(err->msg);
		err->msg = TAKE_PTR(what);
	}
	if (!status_is_passing(status))
		err_mend(err, "ask whoever runs the registry");
	return -1;
}
