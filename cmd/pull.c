/*
 * duet pull: an image from a registry into the store, in the forms that a runner wants, under its
 * reference as its name. Its id is the only line on standard output.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "core/ref.h"

#define SPEC_FILE "duet pull"

static int pull(const struct cli *cli, const struct ref *ref, struct digest *ret_id,
		struct err *err)
{
	_cleanup_free_ char *name = ref_text(ref);
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct session session = { 0 };
	struct chosen chosen = { 0 };
	int result = image_spec(SPEC_FILE, name, cli->platform, &session.spec, err);

	session.has_spec = result == 0;
	if (result == 0)
		result = session_open(&session, cli, err);
	if (result == 0)
		result = chosen_find(cli, &session.spec, &chosen, err);
	if (result == 0) {
		struct build build = session_build(&session, cli, chosen.forms);

		build.name = name;
		build.wants_blobs = true;
		build.no_kernel = true;
		result = builders_build(&build, rootfs, err);
	}
	if (result == 0) {
		*ret_id = rootfs->image_id;
		rootfs_done(rootfs);
	}
	session_done(&session);
	if (result < 0)
		image_forget_place(SPEC_FILE, err);
	return result;
}

int cmd_pull(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_(ref_done) struct ref ref = { 0 };
	char text[DIGEST_TEXT_SIZE];
	struct digest id;

	if (cli->rest_count != 1) {
		err_set(err, ERR_USAGE, "pull: which image?");
		return err_mend(err, "duet pull docker.io/library/alpine:3.20");
	}
	if (ref_parse(&ref, cli->rest[0], err) < 0)
		return -1;
	if (pull(cli, &ref, &id, err) < 0)
		return -1;
	digest_text(&id, text);
	printf("%s\n", text);
	*ret_code = 0;
	return 0;
}
