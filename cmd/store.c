/* duet store check: read everything again; exit code 1 when something was damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builders/worker/client.h"
#include "cmd/cmd.h"
#include "core/str.h"

static void print_damage(const struct store_damage *damage, bool json, bool first)
{
	_cleanup_free_ char *name = str_escape(damage->name, 512);
	_cleanup_free_ char *what = str_escape(damage->what, 512);

	if (json)
		printf("%s{\"name\":\"%s\",\"damage\":\"%s\"}", first ? "" : ",\n", name, what);
	else
		printf("damaged: %s: %s\n", name, what);
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
		if (cli->json)
			printf("[");
		for (size_t i = 0; i < count; i++) {
			print_damage(&damage[i], cli->json, i == 0);
			free(damage[i].name);
			free(damage[i].what);
		}
		free(damage);
		if (cli->json)
			printf("]\n");
		else
			printf(count ? "%zu damaged; the next build makes them again\n"
				     : "the store is sound\n", count);
		*ret_code = count > 0;
	}
	session_done(&session);
	return result;
}
