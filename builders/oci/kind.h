/*
 * Index or manifest? One document must not be both, whoever reads it: what the server called it, its
 * own mediaType and its members have to agree (CVE-2021-41190).
 */
#ifndef DUET_BUILDERS_OCI_KIND_H
#define DUET_BUILDERS_OCI_KIND_H

#include "builders/oci/document.h"
#include "core/json.h"

struct document {
	struct json_in *root;	/* owned */
	enum oci_document kind;
	bool docker;		/* its media type is Docker's */
};

/*
 * `media_type`: what it came as, with or without parameters; NULL, "" and what servers of plain files
 * say (application/json) count as nothing. ERR_OCI.
 */
int document_open(const char *text, size_t size, const char *media_type, struct document *ret,
		  struct err *err);
void document_done(struct document *document);
/* Is it an index's or a manifest's? */
bool document_type_is_known(const char *media_type);

#endif
