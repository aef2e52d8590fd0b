/* duet plan: the steps of a build and their keys; nothing is built. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "core/log.h"

int cmd_plan(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { .looks_only = true };
	int result = session_open(&session, cli, err);

	if (result == 0) {
		_cleanup_free_ char *text = cli->json ? plan_json(&session.plans, &session.spec)
						      : plan_text(&session.plans, &session.spec);

		log_text(text);
		if (!cli->json && session.store.map.kind == IDMAP_SINGLE)
			printf("\nids: single-uid mode, everything belongs to the caller; chown and "
			       "mknod change nothing\n");
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
