/* `run` as a step: a command in a container on the layers below; what it changes is the layer. */
#include "builders/builder.h"

#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/mem.h"

char *builder_run_rules(struct store *store)
{
	bool single = store->map.kind == IDMAP_SINGLE;
	char filter[65];

	filter_digest(single ? FILTER_JOB_SINGLE : FILTER_JOB, filter);
	return xasprintf("%s %s %llx", single ? "one id" : "ids", filter,
			 (unsigned long long)caps_job_default());
}

static int run_open(struct build *build, const struct plan_step *step, struct stack *below,
		    struct build_blob *ret, struct err *err)
{
	(void)build;
	(void)step;
	(void)below;
	(void)ret;
	return err_set(err, ERR_RUN, "run steps are not there yet");
}

const struct builder run_builder = { "run", NULL, run_open };
