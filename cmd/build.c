/* duet build: make the image; its id is the only line on standard output. */
#include <stdio.h>

#include "builders/builder.h"
#include "cmd/cmd.h"

int cmd_build(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct session session = { 0 };
	int result = session_open(&session, cli, err);

	if (result == 0) {
		struct build build = { &session.store, &session.spec, &session.plan };

		result = builders_build(&build, rootfs, err);
	}
	if (result == 0) {
		char id[DIGEST_TEXT_SIZE];

		digest_text(&rootfs->image_id, id);
		if (cli->json)
			printf("{\"name\":\"%s\",\"id\":\"%s\",\"layers\":%zu}\n", session.plan.name,
			       id, rootfs->layer_count);
		else
			printf("%s\n", id);
		rootfs_done(rootfs);
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
