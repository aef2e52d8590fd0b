/* duet export: an image of the store as one file. */
#include <string.h>

#include "builders/oci/export.h"
#include "cmd/cmd.h"
#include "core/ref.h"
#include "core/str.h"

static int find_format(const char *name, enum export_format *ret, struct err *err)
{
	_cleanup_free_ char *shown = NULL;

	if (!name)
		name = oci_export_formats[EXPORT_OCI];
	for (size_t i = 0; i < EXPORT_FORMATS; i++) {
		if (strcmp(name, oci_export_formats[i]))
			continue;
		*ret = (enum export_format)i;
		return 0;
	}
	shown = str_escape(name, 64);
	err_set(err, ERR_USAGE, "unknown format `%s`", shown);
	return err_mend(err, "there is oci, docker-archive, tar, erofs");
}

/*
 * What others call it: NULL when it cannot be told. What was pulled is called by its whole reference,
 * which has a tag or digest; what a spec made, as NAME or NAME/IMAGE, is on localhost.
 */
static char *reference_of(const char *name)
{
	_cleanup_free_ char *local = xasprintf("localhost/%s:latest", name);
	struct err ignored = { 0 };
	char *text = NULL;
	struct ref ref;

	if (ref_parse(&ref, strchr(name, ':') ? name : local, &ignored) == 0) {
		text = ref.tag ? ref_text(&ref) : NULL;
		if (text)
			text[strcspn(text, "@")] = '\0';
		ref_done(&ref);
	}
	err_done(&ignored);
	return text;
}

/* `named`: NULL for the image of the spec. */
static int export_named(struct session *session, const char *named, enum export_format format,
			const char *file, struct err *err)
{
	const char *name = named ? named : session->spec.name;
	struct store *store = &session->store;
	_cleanup_free_ char *reference = reference_of(name);
	_cleanup_(store_image_done) struct store_image image = { 0 };

	if (image_get_given(store, "export", named, &session->spec, &image, err) < 0)
		return -1;
	return export_image(store, &image, format, file, reference, err);
}

int cmd_export(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	enum export_format format = EXPORT_OCI;
	int result;

	if (find_format(cli->format, &format, err) < 0)
		return -1;
	if (cli->rest_count == 0) {
		err_set(err, ERR_USAGE, "export: which file?");
		return err_mend(err, "duet export [NAME] FILE");
	}
	result = session_store(&session, cli, err);
	if (result == 0 && cli->rest_count == 1)
		result = session_spec(&session, cli, err);
	if (result == 0)
		result = export_named(&session, cli->rest_count == 1 ? NULL : cli->rest[0], format,
				      cli->rest[cli->rest_count - 1], err);
	*ret_code = 0;
	session_done(&session);
	return result;
}
