/* duet store check: read everything again; exit code 1 when something was damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builders/worker/client.h"
#include "cmd/cmd.h"
#include "core/json.h"
#include "core/str.h"

static void print_all(const struct store_damage *damage, size_t count, bool json)
{
	_cleanup_free_ char *text = NULL;
	struct json_out out;

	json_out_init(&out);
	json_out_list(&out, "damaged");
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *name = str_escape(damage[i].name, 512);
		_cleanup_free_ char *what = str_escape(damage[i].what, 512);

		json_out_map(&out, NULL);
		json_out_text(&out, "name", name);
		json_out_text(&out, "damage", what);
		json_out_end(&out);
		if (!json)
			printf("damaged: %s: %s\n", name, what);
	}
	json_out_end(&out);
	text = json_out_finish(&out);
	if (json)
		fputs(text, stdout);
	else if (count)
		printf("%zu damaged; the next build makes them again\n", count);
	else
		printf("the store is sound\n");
}

int cmd_store(const struct cli *cli, int *ret_code, struct err *err)
{
	struct store_damage *damage = NULL;
	struct session session = { 0 };
	size_t count = 0;
	int result;

	if (cli->rest_count != 1 || strcmp(cli->rest[0], "check")) {
		err_set(err, ERR_USAGE, "store: what shall be done?");
		return err_mend(err, "duet store check");
	}
	result = session_store(&session, cli, err);
	if (result == 0)
		result = store_check(&session.store, worker_hash, &damage, &count, err);
	if (result == 0) {
		print_all(damage, count, cli->json);
		store_damage_free(damage, count);
		*ret_code = count > 0;
	}
	session_done(&session);
	return result;
}
