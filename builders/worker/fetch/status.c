/* Status codes: see status.h. */
#include "builders/worker/fetch/status.h"

#include <stddef.h>
#include <string.h>

#include "builders/worker/fetch.h"
#include "core/mem.h"
#include "core/str.h"

static const char again_later[] = "try again later";

static const struct {
	unsigned int status;
	const char *text, *mend;
} statuses[] = {
	{ 401, "the server wants credentials",
	  "fetch takes public files only: use another URL" },
	{ 403, "forbidden",
	  "only public files can be fetched: check the URL, or use another one" },
	{ 404, "not found", "check the URL" },
	{ 407, "the proxy wants credentials", "put them into https_proxy" },
	{ 408, "the server waited too long", again_later },
	{ 410, "gone", "the server says that it will not come back: use another URL" },
	{ 416, "no such range", again_later },
	{ 429, "too many requests",
	  "try again later: the server limits how often it is asked" },
	{ 500, "the server has an error", again_later },
	{ 502, "a bad gateway", again_later },
	{ 503, "the service is unavailable", again_later },
	{ 504, "a gateway timed out", again_later },
};

bool status_is_redirect(unsigned int status)
{
	return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

bool status_is_passing(unsigned int status)
{
	return status == 408 || status == 429 || (status >= 500 && status <= 599);
}

int status_broken(const struct ask_result *result, const char *origin, const char *mend, struct err *err)
{
	const char *host = origin ? strstr(origin, "://") : NULL;

	err_set(err, ERR_FETCH, "%s", result->cause);
	if (result->no_tls && host)
		return err_mend(err, "if that is meant, name it in ~/.config/duet/config.yaml: "
				     "registries: {\"%.*s\": {plain_http: true}}",
				(int)strcspn(host + 3, "/"), host + 3);
	return err_mend(err, "%s", result->mend ? result->mend : mend);
}

int status_error(unsigned int status, const char *page, struct err *err)
{
	_cleanup_free_ char *said = str_escape(page ? page : "", FETCH_ERROR_SHOWN_MAX);
	const char *text = "an answer that cannot be used";
	const char *mend = status_is_passing(status) ? again_later : "check the URL";

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].status == status) {
			text = statuses[i].text;
			mend = statuses[i].mend;
		}
	err_set(err, ERR_FETCH, "%s (%u)%s%s", text, status,
		*said ? "; the server says: " : "", said);
	return err_mend(err, "%s", mend);
}
