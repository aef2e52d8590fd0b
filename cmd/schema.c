/* duet schema: the JSON Schema of the language; `--on man` the key list of duet.yaml(5). */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

int cmd_schema(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (cli->on && strcmp(cli->on, "man"))
		return err_set(err, ERR_USAGE, "schema --on %s: only `man` is known", cli->on);
	text = cli->on ? spec_schema_manual() : spec_schema_json();
	fputs(text, stdout);
	*ret_code = 0;
	return 0;
}
