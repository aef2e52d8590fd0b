/* Members of documents that others wrote, by kind. Every failure is ERR_OCI and names the member. */
#ifndef DUET_BUILDERS_OCI_FIELDS_H
#define DUET_BUILDERS_OCI_FIELDS_H

#include "builders/oci/document.h"
#include "core/json.h"

/* Each: 1; 0 when it is missing or null; -1 when it is of another kind. Texts are borrowed. */
int field_text(const struct json_in *map, const char *key, const char **ret, struct err *err);
int field_map(const struct json_in *map, const char *key, const struct json_in **ret,
	      struct err *err);
int field_list(const struct json_in *map, const char *key, const struct json_in **ret,
	       struct err *err);
/* These must be there: 0, -1. */
int field_digest(const struct json_in *map, const char *key, struct digest *ret, struct err *err);
int field_bytes(const struct json_in *map, const char *key, uint64_t *ret, struct err *err);
int field_descriptor(const struct json_in *map, struct oci_descriptor *ret, struct err *err);

/* "sha256:" and 64 lower-case hexadecimal digits; other algorithms are named. */
int field_parse_digest(const char *text, struct digest *ret, struct err *err);
/* A map, read from a whole text of at most `max` bytes. */
int field_document(const char *text, size_t size, size_t max, struct json_in **ret,
		   struct err *err);
static inline void field_document_done(struct json_in **document)
{
	json_in_free(*document);
}

#endif
