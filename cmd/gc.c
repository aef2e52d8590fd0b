/* duet gc: remove what no image needs and nobody uses. */
#include <stdio.h>

#include "cmd/cmd.h"

int cmd_gc(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	struct store_gc gc = { 0 };
	int result = session_store(&session, cli, err);

	if (result == 0)
		result = store_gc(&session.store, cli->all, &gc, err);
	if (result == 0) {
		printf(cli->json ? "{\"blobs\":%llu,\"trees\":%llu,\"steps\":%llu,\"kept_in_use\":%llu,"
				   "\"freed_bytes\":%llu}\n"
				 : "removed %llu blobs, %llu trees, %llu steps; kept %llu in use; freed "
				   "%llu bytes\n",
		       (unsigned long long)gc.removed_blobs, (unsigned long long)gc.removed_trees,
		       (unsigned long long)gc.removed_steps, (unsigned long long)gc.kept_in_use,
		       (unsigned long long)gc.freed_bytes);
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
