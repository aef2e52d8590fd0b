/* Indexes, manifests and layouts: see document.h. */
#include "builders/oci/document.h"

#include <string.h>

#include "builders/oci/config.h"
#include "builders/oci/fields.h"
#include "builders/oci/kind.h"
#include "core/str.h"

#define SHOWN 100		/* bytes of a text in a message */
#define SHOWN_LIST 20		/* platforms or tags in a message */
#define REF_NAME "org.opencontainers.image.ref.name"

static const struct {
	const char *media_type;
	bool docker;
} config_types[] = {
	{ "application/vnd.oci.image.config.v1+json", false },
	{ "application/vnd.docker.container.image.v1+json", true },
};

#define OCI_LAYER "application/vnd.oci.image.layer."
#define DOCKER_LAYER "application/vnd.docker.image.rootfs."

static const struct {
	const char *media_type;
	enum oci_compression compression;
} layer_types[] = {
	{ OCI_LAYER "v1.tar", OCI_PLAIN },
	{ OCI_LAYER "v1.tar+gzip", OCI_GZIP },
	{ OCI_LAYER "v1.tar+zstd", OCI_ZSTD },
	{ DOCKER_LAYER "diff.tar", OCI_PLAIN },
	{ DOCKER_LAYER "diff.tar.gzip", OCI_GZIP },
	{ DOCKER_LAYER "diff.tar.zstd", OCI_ZSTD },
};

/* ---- indexes --------------------------------------------------------------------------------- */

/* The entries of an index, bounded. */
static int get_entries(const struct json_in *index, const struct json_in **ret, struct err *err)
{
	int found = field_list(index, "manifests", ret, err);

	if (found <= 0)
		return found < 0 ? -1 : err_set(err, ERR_OCI, "`manifests` is missing");
	if (json_in_count(*ret) > OCI_INDEX_ENTRIES_MAX)
		return err_set(err, ERR_OCI, "more than %d entries", OCI_INDEX_ENTRIES_MAX);
	return 0;
}

/* What an entry is for; texts are borrowed, "" where there is none. */
struct target {
	bool any;	/* it has no platform: an index perhaps, or an image for whom it may concern */
	const char *os, *architecture, *variant;
};

/* 1; 0 for what is no image: attestations, and media types that we do not know. */
static int read_target(const struct json_in *entry, struct target *ret, struct err *err)
{
	const struct json_in *platform = NULL;
	const char *type = "";

	*ret = (struct target){ .os = "", .architecture = "", .variant = "" };
	if (!json_in_is_map(entry))
		return err_set(err, ERR_OCI, "an entry is no map");
	if (field_text(entry, "mediaType", &type, err) < 0 ||
	    field_map(entry, "platform", &platform, err) < 0)
		return -1;
	ret->any = !platform;
	if (field_text(platform, "os", &ret->os, err) < 0 ||
	    field_text(platform, "architecture", &ret->architecture, err) < 0 ||
	    field_text(platform, "variant", &ret->variant, err) < 0)
		return -1;
	return document_type_is_known(type) && strcmp(ret->os, "unknown");
}

static void add_shown(struct strv *list, const char *text)
{
	_cleanup_free_ char *shown = str_escape(text, SHOWN);

	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->items[i], shown))
			return;
	if (list->count < SHOWN_LIST)
		strv_add(list, shown);
	else if (list->count == SHOWN_LIST)
		strv_add(list, "...");
}

static void add_platform(struct strv *list, const struct target *target)
{
	_cleanup_free_ char *text =
		xasprintf("%s/%s%s%s", target->os, target->architecture,
			  *target->variant ? "/" : "", target->variant);

	add_shown(list, text);
}

/* "a, b, c". Owned. */
static char *joined(const struct strv *list)
{
	struct str out = { 0 };

	str_addn(&out, "", 0);
	for (size_t i = 0; i < list->count; i++)
		str_addf(&out, "%s%s", i ? ", " : "", list->items[i]);
	return out.text;
}

static int no_platform(const char *wanted, const struct strv *there, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(wanted, SHOWN), *list = joined(there);

	err_set(err, ERR_OCI_PLATFORM, "the image is not there for %s", shown);
	if (there->count == 0)
		return -1;
	return err_mend(err, "it is there for %s", list);
}

/* The best entry; one without a platform where it is the only one of its kind and none fits. */
static int choose(const struct json_in *index, const char *wanted, struct oci_descriptor *ret,
		  struct err *err)
{
	_cleanup_(strv_done) struct strv there = { 0 };
	const struct json_in *entries, *best = NULL, *other = NULL;
	unsigned int best_rank = 0, rank, others = 0;

	if (get_entries(index, &entries, err) < 0)
		return -1;
	for (size_t i = 0; i < json_in_count(entries); i++) {
		const struct json_in *entry = json_in_item(entries, i);
		struct target target;
		int known = read_target(entry, &target, err);

		if (known < 0)
			return err_wrap(err, "manifests[%zu]", i);
		if (known == 0)
			continue;
		if (target.any) {
			others++;
			other = entry;
			continue;
		}
		add_platform(&there, &target);
		rank = oci_platform_rank(wanted, target.os, target.architecture, target.variant);
		if (rank > best_rank) {
			best = entry;
			best_rank = rank;
		}
	}
	if (!best && others == 1)
		best = other;
	return best ? field_descriptor(best, ret, err) : no_platform(wanted, &there, err);
}

/* ---- manifests ------------------------------------------------------------------------------- */

static int get_config(const struct json_in *manifest, struct oci_descriptor *ret, bool *ret_docker,
		      struct err *err)
{
	const struct json_in *config;
	int found = field_map(manifest, "config", &config, err);

	if (found <= 0)
		return found < 0 ? -1 : err_set(err, ERR_OCI, "`config` is missing");
	if (field_descriptor(config, ret, err) < 0)
		return err_wrap(err, "config");
	for (size_t i = 0; i < ARRAY_SIZE(config_types); i++) {
		if (strcmp(ret->media_type, config_types[i].media_type))
			continue;
		*ret_docker = config_types[i].docker;
		return 0;
	}
	return err_set(err, ERR_OCI, "it is no image: its config is `%s`", ret->media_type);
}

static int layer_compression(const char *type, enum oci_compression *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(layer_types); i++) {
		if (strcmp(type, layer_types[i].media_type))
			continue;
		*ret = layer_types[i].compression;
		return 0;
	}
	if (str_has_prefix(type, OCI_LAYER "nondistributable.") ||
	    str_has_prefix(type, DOCKER_LAYER "foreign.")) {
		err_set(err, ERR_OCI, "`%s` is a foreign layer: it is not in the registry", type);
		return err_mend(err, "duet fetches from no address that an image names; push the image "
				     "with its foreign layers");
	}
	return err_set(err, ERR_OCI, "layers of type `%s` are not supported", type);
}

static int read_layers(const struct json_in *manifest, struct oci_image *image, struct err *err)
{
	const struct json_in *list = NULL;
	int found = field_list(manifest, "layers", &list, err);
	size_t count = json_in_count(list);

	if (found <= 0)
		return found < 0 ? -1 : err_set(err, ERR_OCI, "`layers` is missing");
	if (count > OCI_LAYERS_MAX)
		return err_set(err, ERR_OCI, "%zu layers, more than %d", count, OCI_LAYERS_MAX);
	image->layers = xcalloc(count + 1, sizeof(*image->layers));
	image->layer_count = count;
	for (size_t i = 0; i < count; i++) {
		struct oci_layer *layer = &image->layers[i];
		struct oci_descriptor descriptor;

		if (field_descriptor(json_in_item(list, i), &descriptor, err) < 0 ||
		    layer_compression(descriptor.media_type, &layer->compression, err) < 0)
			return err_wrap(err, "layers[%zu]", i);
		layer->blob = descriptor.digest;
		layer->bytes = descriptor.bytes;
	}
	return 0;
}

int oci_document_look(const char *text, size_t size, const char *media_type, const char *platform,
		      enum oci_document *ret_kind, struct oci_descriptor *ret, struct err *err)
{
	_cleanup_(document_done) struct document document = { 0 };
	_cleanup_(oci_image_done) struct oci_image image = { 0 };

	if (document_open(text, size, media_type, &document, err) < 0)
		return err_wrap(err, "read an index or manifest");
	if (document.kind == OCI_INDEX) {
		if (choose(document.root, platform, ret, err) < 0)
			return err->code == ERR_OCI_PLATFORM ? -1 : err_wrap(err, "read an index");
	/* all of it, before anything that it names is asked for */
	} else if (get_config(document.root, ret, &image.docker, err) < 0 ||
		   read_layers(document.root, &image, err) < 0) {
		return err_wrap(err, "read a manifest");
	}
	*ret_kind = document.kind;
	return 0;
}

int oci_image_from(const char *manifest, size_t manifest_size, const char *config,
		   size_t config_size, struct oci_image *ret, struct err *err)
{
	_cleanup_(document_done) struct document document = { 0 };
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	struct oci_descriptor descriptor;

	if (document_open(manifest, manifest_size, NULL, &document, err) < 0 ||
	    (document.kind == OCI_INDEX && err_set(err, ERR_OCI, "it is an index") < 0) ||
	    get_config(document.root, &descriptor, &image.docker, err) < 0 ||
	    read_layers(document.root, &image, err) < 0)
		return err_wrap(err, "read a manifest");
	if (oci_config_read(config, config_size, &image, err) < 0)
		return err_wrap(err, "read an image's config");
	image.docker |= document.docker;
	digest_of(manifest, manifest_size, &image.manifest);
	digest_of(config, config_size, &image.config);
	image.manifest_bytes = manifest_size;
	image.config_bytes = config_size;
	*ret = image;
	image = (struct oci_image){ 0 };
	return 0;
}

int oci_image_verified(const char *manifest, size_t manifest_size, const struct digest *expected,
		       const char *config, size_t config_size, struct oci_image *ret,
		       struct err *err)
{
	struct oci_descriptor descriptor;
	enum oci_document kind;
	struct digest digest;

	digest_of(manifest, manifest_size, &digest);
	if (expected && !digest_equal(expected, &digest))
		return err_set(err, ERR_FETCH_DIGEST, "the manifest is not the one that was asked for: "
						      "its digest differs");
	if (oci_document_look(manifest, manifest_size, NULL, oci_platform(), &kind, &descriptor,
			      err) < 0)
		return -1;
	if (kind == OCI_MANIFEST) {
		digest_of(config, config_size, &digest);
		if (descriptor.bytes != config_size || !digest_equal(&descriptor.digest, &digest))
			return err_set(err, ERR_FETCH_DIGEST,
				       "the config is not the one that the manifest names: %s differs",
				       descriptor.bytes != config_size ? "its size" : "its digest");
	}
	return oci_image_from(manifest, manifest_size, config, config_size, ret, err);
}

/* ---- layouts --------------------------------------------------------------------------------- */

static int entry_tag(const struct json_in *entry, const char **ret, struct err *err)
{
	const struct json_in *annotations = NULL;

	*ret = NULL;
	if (!json_in_is_map(entry))
		return err_set(err, ERR_OCI, "an entry is no map");
	if (field_map(entry, "annotations", &annotations, err) < 0)
		return -1;
	return field_text(annotations, REF_NAME, ret, err) < 0 ? -1 : 0;
}

bool oci_tag_fits(const char *wanted, const char *name)
{
	size_t length = strlen(name), tail = strlen(wanted);

	return !strcmp(name, wanted) ||
	       (length > tail && !strcmp(name + length - tail, wanted) &&
		strchr(":/", name[length - tail - 1]));
}

static int no_tag(const char *tag, const struct strv *there, size_t count, struct err *err)
{
	_cleanup_free_ char *list = joined(there), *shown = str_escape(tag ? tag : "", SHOWN);

	if (*shown)
		err_set(err, ERR_OCI, "there is no image `%s` in the layout", shown);
	else
		err_set(err, ERR_OCI, count ? "there are %zu images in the layout, and no tag says which"
					    : "there is no image in the layout", count);
	return there->count ? err_mend(err, "there is %s", list) : -1;
}

int oci_layout_look(const char *text, size_t size, const char *tag, struct oci_descriptor *ret,
		    struct err *err)
{
	_cleanup_(document_done) struct document document = { 0 };
	_cleanup_(strv_done) struct strv there = { 0 };
	const struct json_in *entries, *found = NULL;
	struct oci_descriptor first, next;

	if (document_open(text, size, NULL, &document, err) < 0 ||
	    (document.kind != OCI_INDEX && err_set(err, ERR_OCI, "it is no index") < 0) ||
	    get_entries(document.root, &entries, err) < 0)
		return err_wrap(err, "read a layout's index.json");
	for (size_t i = 0; i < json_in_count(entries); i++) {
		const struct json_in *entry = json_in_item(entries, i);
		const char *name;

		if (entry_tag(entry, &name, err) < 0)
			return err_wrap(err, "read a layout's index.json: manifests[%zu]", i);
		if (name)
			add_shown(&there, name);
		if (tag && *tag ? !name || !oci_tag_fits(tag, name) : false)
			continue;
		if (field_descriptor(entry, found ? &next : &first, err) < 0)
			return err_wrap(err, "read a layout's index.json: manifests[%zu]", i);
		if (found && !digest_equal(&first.digest, &next.digest))
			return no_tag(NULL, &there, json_in_count(entries), err);
		found = entry;
	}
	if (!found)
		return no_tag(tag, &there, json_in_count(entries), err);
	*ret = first;
	return 0;
}
