/*
 * duet push: an image of the store to a registry. The manifest's digest is the only line on standard
 * output.
 */
#include <stdio.h>

#include "builders/oci/push.h"
#include "cmd/cmd.h"
#include "core/str.h"

/* References that the spec's images begin with: their repositories may have layers of this one. */
static size_t known_of(const struct session *session, struct ref *ret)
{
	const struct spec *spec = &session->spec;
	size_t count = 0;

	if (!session->has_spec)
		return 0;
	for (size_t i = 0; i < spec->stage_count; i++)
		if (spec->stages[i].from.kind == SOURCE_OCI)
			ret[count++] = spec->stages[i].from.ref;
	if (spec->image.from.kind == SOURCE_OCI)
		ret[count++] = spec->image.from.ref;
	return count;
}

/* `named`: NULL for the image of the spec. */
static int push(struct session *session, const char *named, const struct ref *ref,
		struct digest *ret, struct err *err)
{
	const char *name = named ? named : session->spec.name;
	_cleanup_free_ char *shown = str_escape(name, 128), *target = ref_text(ref);
	_cleanup_(store_image_done) struct store_image image = { 0 };
	struct ref known[SPEC_IMAGES_MAX + 1];	/* borrowed from the spec */

	if (image_get_given(&session->store, "push", named, &session->spec, &image, err) < 0)
		return -1;
	if (oci_push(&session->store, &image, ref, known, known_of(session, known), ret, err) < 0)
		return err_wrap(err, "push %s to %s", shown, target);
	return 0;
}

/* [NAME] REFERENCE */
static int take_reference(const struct cli *cli, struct ref *ret, struct err *err)
{
	if (cli->rest_count == 0) {
		err_set(err, ERR_USAGE, "push: where to?");
		return err_mend(err, "duet push [NAME] HOST/REPOSITORY:TAG");
	}
	if (ref_parse(ret, cli->rest[cli->rest_count - 1], err) < 0)
		return -1;
	if (ret->has_digest) {
		err_set(err, ERR_USAGE, "push: a digest is what comes of a push");
		return err_mend(err, "name a tag: HOST/REPOSITORY:TAG");
	}
	return 0;
}

int cmd_push(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_(ref_done) struct ref ref = { 0 };
	struct session session = { 0 };
	char text[DIGEST_TEXT_SIZE];
	struct digest digest;
	int result = take_reference(cli, &ref, err);

	if (result == 0 && cli->rest_count == 1)
		result = session_spec(&session, cli, err);
	if (result == 0)
		result = session_store(&session, cli, err);
	if (result == 0)
		result = push(&session, cli->rest_count == 1 ? NULL : cli->rest[0],
			      &ref, &digest, err);
	session_done(&session);
	if (result < 0)
		return -1;
	digest_text(&digest, text);
	printf("%s\n", text);
	*ret_code = 0;
	return 0;
}
