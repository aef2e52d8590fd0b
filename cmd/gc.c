/* duet gc: remove what no image needs and nobody uses. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "core/json.h"

static void print_gc(const struct store_gc *gc, bool json)
{
	_cleanup_free_ char *text = NULL;
	struct json_out out;

	if (!json) {
		printf("removed %llu blobs, %llu trees, %llu disks, kernels and states, %llu steps; kept %llu in use; freed %.1f MB\n",
		       (unsigned long long)gc->removed_blobs, (unsigned long long)gc->removed_trees,
		       (unsigned long long)gc->removed_items,
		       (unsigned long long)gc->removed_steps, (unsigned long long)gc->kept_in_use,
		       (double)gc->freed_bytes / 1e6);
		return;
	}
	json_out_init(&out);
	json_out_number(&out, "blobs", gc->removed_blobs);
	json_out_number(&out, "trees", gc->removed_trees);
	json_out_number(&out, "items", gc->removed_items);
	json_out_number(&out, "steps", gc->removed_steps);
	json_out_number(&out, "kept_in_use", gc->kept_in_use);
	json_out_number(&out, "freed_bytes", gc->freed_bytes);
	text = json_out_finish(&out);
	fputs(text, stdout);
}

int cmd_gc(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	struct store_gc gc = { 0 };
	int result = session_store(&session, cli, err);

	if (result == 0)
		result = store_gc(&session.store, cli->all, &gc, err);
	if (result == 0) {
		print_gc(&gc, cli->json);
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
