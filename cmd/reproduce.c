/* duet build --check-reproducible */
#include "cmd/cmd.h"

int reproduce(const struct cli *cli, int *ret_code, struct err *err)
{
	(void)cli;
	(void)ret_code;
	return err_set(err, ERR_USAGE, "not there yet");
}
