/* duet check: load the spec; what is wrong with it is the error. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "core/log.h"

int cmd_check(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };

	if (session_spec(&session, cli, err) < 0)
		return -1;
	log_note("%s is a valid spec", session.spec.file);
	session_done(&session);
	*ret_code = 0;
	return 0;
}
