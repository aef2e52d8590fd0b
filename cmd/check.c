/* duet check: load the spec; what is wrong with it is the error. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "core/log.h"

int cmd_check(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };

	int result = session_spec(&session, cli, err);

	if (result == 0)
		log_note("%s is a valid spec", session.spec.file);
	session_done(&session);
	*ret_code = 0;
	return result;
}
