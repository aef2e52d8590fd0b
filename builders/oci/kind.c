/* What kind of document: see kind.h. */
#include "builders/oci/kind.h"

#include <string.h>
#include <strings.h>

#include "builders/oci/fields.h"
#include "core/str.h"

#define SHOWN 100	/* bytes of a text in a message */

static const struct {
	const char *media_type;
	enum oci_document kind;
	bool docker;
} document_types[] = {
	{ "application/vnd.oci.image.index.v1+json", OCI_INDEX, false },
	{ "application/vnd.oci.image.manifest.v1+json", OCI_MANIFEST, false },
	{ "application/vnd.docker.distribution.manifest.list.v2+json", OCI_INDEX, true },
	{ "application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST, true },
};

bool document_type_is_known(const char *media_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(document_types); i++)
		if (!strcmp(media_type, document_types[i].media_type))
			return true;
	return false;
}

/* What servers of plain files say of anything. */
static const char *const vague_types[] = {
	"", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain",
};

void document_done(struct document *document)
{
	json_in_free(document->root);
}

/*
 * The members that make an index or a manifest. In any case of letters: readers in Go take
 * "Manifests" for "manifests", and nobody shall read another document than duet does.
 */
struct members {
	const char *manifests, *layers, *config, *old;	/* as they are written; NULL: not there */
};

static int note_member(void *data, const char *key, const struct json_in *value, struct err *err)
{
	struct members *members = data;
	const struct {
		const char *name;
		const char **seen;
	} rows[] = {
		{ "manifests", &members->manifests }, { "layers", &members->layers },
		{ "config", &members->config }, { "fsLayers", &members->old },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcasecmp(key, rows[i].name))
			continue;
		if (*rows[i].seen || strcmp(key, rows[i].name))
			return err_set(err, ERR_OCI, "`%s` stands there as `%s`%s", rows[i].name, key,
				       *rows[i].seen ? " again" : "");
		*rows[i].seen = key;
	}
	(void)value;
	return 0;
}

/* Index or manifest and nothing of the other. */
static int judge_members(const struct document *document, bool known, enum oci_document *ret,
			 struct err *err)
{
	struct members members = { 0 };
	const char *part;

	if (json_in_each(document->root, note_member, &members, err) < 0)
		return -1;
	part = members.layers ? members.layers : members.config;
	if (members.manifests && part)
		return err_set(err, ERR_OCI, "it is an index and a manifest: `manifests` and `%s`",
			       part);
	if (members.old)
		return err_set(err, ERR_OCI, "`fsLayers`: Docker's old schema 1 is not supported");
	if (!known && !members.manifests && !part)
		return err_set(err, ERR_OCI, "it is neither an index nor a manifest");
	if (!known)
		*ret = members.manifests ? OCI_INDEX : OCI_MANIFEST;
	else if (*ret == OCI_INDEX ? part != NULL : members.manifests != NULL)
		return err_set(err, ERR_OCI, "its media type says %s, but it has `%s`",
			       *ret == OCI_INDEX ? "index" : "manifest",
			       *ret == OCI_INDEX ? part : "manifests");
	return 0;
}

static int check_schema(const struct json_in *root, struct err *err)
{
	int64_t version;

	if (!json_in_number(json_in_get(root, "schemaVersion"), &version))
		return err_set(err, ERR_OCI, "`schemaVersion` is missing or no number");
	if (version == 1) {
		err_set(err, ERR_OCI, "Docker's old schema 1 is not supported");
		return err_mend(err, "push the image again with a newer docker, podman or skopeo");
	}
	return version == 2 ? 0 : err_set(err, ERR_OCI, "`schemaVersion` is not 2");
}

/* "text/html; charset=utf-8" to "text/html". Owned; NULL when it says nothing. */
static char *said_type(const char *media_type)
{
	size_t length = media_type ? strcspn(media_type, "; \t") : 0;
	char *type = xstrndup(media_type ? media_type : "", length);

	for (size_t i = 0; i < ARRAY_SIZE(vague_types); i++) {
		if (strcmp(type, vague_types[i]))
			continue;
		free(type);
		return NULL;
	}
	return type;
}

/* Of server and document, which have to agree. 1; 0 when neither says; -1. */
static int find_type(struct document *document, const char *media_type, struct err *err)
{
	_cleanup_free_ char *said = said_type(media_type), *shown = NULL;
	const char *own = NULL, *type;

	if (field_text(document->root, "mediaType", &own, err) < 0)
		return -1;
	if (said && own && strcmp(said, own)) {
		_cleanup_free_ char *shown_said = str_escape(said, SHOWN);

		shown = str_escape(own, SHOWN);
		return err_set(err, ERR_OCI, "it came as `%s`, but its `mediaType` is `%s`",
			       shown_said, shown);
	}
	type = own ? own : said;
	if (!type)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(document_types); i++) {
		if (strcmp(type, document_types[i].media_type))
			continue;
		document->kind = document_types[i].kind;
		document->docker = document_types[i].docker;
		return 1;
	}
	shown = str_escape(type, SHOWN);
	return err_set(err, ERR_OCI, "media type `%s` is no image's", shown);
}

int document_open(const char *text, size_t size, const char *media_type, struct document *ret,
		  struct err *err)
{
	_cleanup_(document_done) struct document document = { 0 };
	int known;

	if (field_document(text, size, OCI_MANIFEST_MAX, &document.root, err) < 0 ||
	    check_schema(document.root, err) < 0)
		return -1;
	known = find_type(&document, media_type, err);
	if (known < 0 || judge_members(&document, known, &document.kind, err) < 0)
		return -1;
	*ret = document;
	document.root = NULL;
	return 0;
}
