/* Trying a login: GET /v2/ (distribution-spec, "Determining Support"), with the token that it takes. */
#include <stdio.h>

#include "builders/worker/registry/call.h"
#include "builders/worker/registry/session.h"
#include "core/mem.h"

#define ANSWER_BYTES_MAX 65536

int try_login(struct visit *visit, struct err *err)
{
	const struct session *session = visit->session;
	_cleanup_free_ char *url = xasprintf("%s://%s/v2/", session->plain_http ? "http" : "https",
					     session->host);
	const struct call call = { .method = "GET", .url = url, .authority = &visit->authority,
				   .body_max = ANSWER_BYTES_MAX };
	struct call_result result;
	int refused;

	/* rights to nothing: who we are is all that is asked */
	free(visit->scope);
	visit->scope = xstrdup("");
	if (call_run(visit, &call, &result, err) < 0)
		return -1;
	refused = result.reply.status == 200 ? 0 : call_refused(&call, &result, err);
	visit->reply->entries = visit->challenges > 0;
	call_result_done(&result);
	return refused;
}
