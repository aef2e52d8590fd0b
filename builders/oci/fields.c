/* Members of documents: see fields.h. */
#include "builders/oci/fields.h"

#include <stdio.h>
#include <string.h>

#include "core/str.h"

#define SHOWN 100	/* bytes of a text in a message */

int field_text(const struct json_in *map, const char *key, const char **ret, struct err *err)
{
	const struct json_in *member = json_in_get(map, key);

	if (!member)
		return 0;
	if (!json_in_text(member))
		return err_set(err, ERR_OCI, "`%s` is no text", key);
	*ret = json_in_text(member);
	return 1;
}

int field_map(const struct json_in *map, const char *key, const struct json_in **ret,
	      struct err *err)
{
	const struct json_in *member = json_in_get(map, key);

	if (!member)
		return 0;
	if (!json_in_is_map(member))
		return err_set(err, ERR_OCI, "`%s` is no map", key);
	*ret = member;
	return 1;
}

int field_list(const struct json_in *map, const char *key, const struct json_in **ret,
	       struct err *err)
{
	const struct json_in *member = json_in_get(map, key);

	if (!member)
		return 0;
	if (!json_in_is_list(member))
		return err_set(err, ERR_OCI, "`%s` is no list", key);
	*ret = member;
	return 1;
}

int field_parse_digest(const char *text, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(text, SHOWN);
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+._-");

	if (digest_parse(text, ret))
		return 0;
	if (length > 0 && length < SHOWN && text[length] == ':' && strncmp(text, "sha256:", 7)) {
		err_set(err, ERR_OCI, "digest algorithm %.*s is not supported: `%s`", (int)length,
			text, shown);
		return err_mend(err, "duet knows sha256, as all registries do");
	}
	return err_set(err, ERR_OCI,
		       "`%s` is no digest: sha256: and 64 lower-case hexadecimal digits", shown);
}

int field_digest(const struct json_in *map, const char *key, struct digest *ret, struct err *err)
{
	const char *text;
	int found = field_text(map, key, &text, err);

	if (found == 0)
		return err_set(err, ERR_OCI, "`%s` is missing", key);
	if (found < 0)
		return -1;
	return field_parse_digest(text, ret, err) < 0 ? err_wrap(err, "`%s`", key) : 0;
}

int field_bytes(const struct json_in *map, const char *key, uint64_t *ret, struct err *err)
{
	const struct json_in *member = json_in_get(map, key);
	int64_t value;

	if (!member)
		return err_set(err, ERR_OCI, "`%s` is missing", key);
	if (!json_in_number(member, &value) || value < 0)
		return err_set(err, ERR_OCI, "`%s` is no number of bytes", key);
	*ret = (uint64_t)value;
	return 0;
}

/* type/subtype by RFC 6838, as image-spec asks. */
static bool is_media_type(const char *text)
{
	size_t length = strlen(text);
	const char *slash = strchr(text, '/');

	return slash && slash > text && slash[1] &&
	       length == strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789!#$&-^_.+/") &&
	       !strchr(slash + 1, '/');
}

int field_descriptor(const struct json_in *map, struct oci_descriptor *ret, struct err *err)
{
	struct oci_descriptor made = { 0 };
	const char *type;
	int found;

	if (!json_in_is_map(map))
		return err_set(err, ERR_OCI, "a descriptor is no map");
	found = field_text(map, "mediaType", &type, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_OCI, "`mediaType` is missing");
	if (strlen(type) >= sizeof(made.media_type) || !is_media_type(type)) {
		_cleanup_free_ char *shown = str_escape(type, SHOWN);

		return err_set(err, ERR_OCI, "`mediaType`: `%s` is no media type", shown);
	}
	snprintf(made.media_type, sizeof(made.media_type), "%s", type);
	if (field_digest(map, "digest", &made.digest, err) < 0 ||
	    field_bytes(map, "size", &made.bytes, err) < 0)
		return -1;
	/* further on 0 stands for a size that is not known, and bounds nothing */
	if (made.bytes == 0)
		return err_set(err, ERR_OCI, "`size` is 0: nothing is no layer and no document");
	*ret = made;
	return 0;
}

int field_document(const char *text, size_t size, size_t max, struct json_in **ret,
		   struct err *err)
{
	struct json_in *document;

	if (size > max)
		return err_set(err, ERR_OCI, "more than %zu bytes", max);
	if (json_in_new(text, size, OCI_JSON_DEPTH_MAX, ERR_OCI, &document, err) < 0)
		return -1;
	if (!json_in_is_map(document)) {
		json_in_free(document);
		return err_set(err, ERR_OCI, "no JSON map");
	}
	*ret = document;
	return 0;
}
