/*
 * duet build: make the image, in the form that the runner wants; its id is the only line on standard
 * output.
 */
#include <stdio.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/json.h"

static void print_json(const char *name, const char *id, size_t layers)
{
	_cleanup_free_ char *text = NULL;
	struct json_out out;

	json_out_init(&out);
	json_out_text(&out, "name", name);
	json_out_text(&out, "id", id);
	json_out_number(&out, "layers", layers);
	text = json_out_finish(&out);
	fputs(text, stdout);
}

int cmd_build(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct session session = { 0 };
	struct chosen chosen = { 0 };
	int result;

	if (cli->check_reproducible)
		return reproduce(cli, ret_code, err);
	result = session_spec(&session, cli, err);
	if (result == 0)
		result = allow_check(&session, false, err);
	if (result == 0)
		result = session_open(&session, cli, err);
	if (result == 0)
		result = chosen_find(cli, &session.spec, &chosen, err);
	if (result == 0) {
		struct build build = session_build(&session, cli, chosen.forms);

		/* it may be given away next */
		build.wants_blobs = true;
		result = builders_build(&build, rootfs, err);
		if (result == 0)
			result = session_keep_lock(&session, cli, chosen.forms, false, err);
		if (result < 0)
			rootfs_done(rootfs);
	}
	if (result == 0) {
		char id[DIGEST_TEXT_SIZE];

		digest_text(&rootfs->image_id, id);
		if (cli->json)
			print_json(session.spec.name, id, rootfs->layer_count);
		else
			printf("%s\n", id);
		rootfs_done(rootfs);
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
