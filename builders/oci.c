/* OCI images as a source: from a registry, a layout or a docker-archive. */
#include "builders/builder.h"

static int oci_resolve(struct resolve *resolve, const struct source *source, const struct step *step,
		       struct digest *ret, struct plan_base *ret_base, struct err *err)
{
	(void)resolve;
	(void)source;
	(void)step;
	(void)ret;
	(void)ret_base;
	return err_set(err, ERR_OCI, "OCI images are not there yet");
}

static int oci_open(struct build *build, const struct plan_step *step, struct stack *below,
		    struct build_blob *ret, struct err *err)
{
	(void)build;
	(void)step;
	(void)below;
	(void)ret;
	return err_set(err, ERR_OCI, "OCI images are not there yet");
}

const struct builder oci_builder = { "oci", oci_resolve, oci_open };
