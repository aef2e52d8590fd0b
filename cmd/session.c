/* What commands open: spec, store, plan. */
#include <stdlib.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/log.h"
#include "runners/step.h"

static const char *from_environment(const char *name)
{
	return getenv(name);
}

int session_spec(struct session *session, const struct cli *cli, struct err *err)
{
	if (spec_load(&session->spec, cli->file, from_environment, err) < 0)
		return -1;
	session->has_spec = true;
	return 0;
}

int session_store(struct session *session, const struct cli *cli, struct err *err)
{
	const char *why;
	struct idmap map;

	if (idmap_find(&map, false, &why, err) < 0)
		return -1;
	if (why)
		log_debug("ids: %s", why);
	if (store_open(&session->store, cli->store, &map, err) < 0)
		return -1;
	session->has_store = true;
	return 0;
}

int session_open(struct session *session, const struct cli *cli, struct err *err)
{
	struct resolve resolve = { .store = &session->store, .spec = &session->spec };

	if ((!session->has_spec && session_spec(session, cli, err) < 0) ||
	    session_store(session, cli, err) < 0 ||
	    builders_plan(&resolve, &session->plans, err) < 0)
		return -1;
	session->has_plan = true;
	return 0;
}

struct build session_build(struct session *session, const struct cli *cli, unsigned int forms)
{
	return (struct build){ .no_cache = cli->no_cache, .explain_cache = cli->explain_cache,
			       .run_step = container_run_step, .store = &session->store, .spec = &session->spec,
			       .plans = &session->plans, .forms = forms };
}

void session_done(struct session *session)
{
	if (session->has_plan)
		plans_done(&session->plans);
	if (session->has_store)
		store_done(&session->store);
	if (session->has_spec)
		spec_done(&session->spec);
	*session = (struct session){ 0 };
}
