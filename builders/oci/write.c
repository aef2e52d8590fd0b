/* Documents: see write.h. */
#include "builders/oci/write.h"

#include <string.h>

#include "core/json.h"
#include "core/str.h"

static const char *const layer_types[] = {
	[OCI_PLAIN] = "application/vnd.oci.image.layer.v1.tar",
	[OCI_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
	[OCI_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
};

/* Into the open map. */
static void add_descriptor(struct json_out *out, const char *media_type,
			   const struct digest *digest, uint64_t bytes)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	json_out_text(out, "mediaType", media_type);
	json_out_text(out, "digest", text);
	json_out_number(out, "size", bytes);
}

static void add_annotations(struct json_out *out, const struct oci_written *image)
{
	_cleanup_(str_done) struct str created = { 0 };
	char text[DIGEST_TEXT_SIZE];

	if (image->created_s < 0 && !image->base_name && !image->base_digest)
		return;
	json_out_map(out, "annotations");
	if (image->created_s >= 0) {
		str_add_time(&created, image->created_s);
		json_out_text(out, "org.opencontainers.image.created", created.text);
	}
	if (image->base_name)
		json_out_text(out, "org.opencontainers.image.base.name", image->base_name);
	if (image->base_digest) {
		digest_text(image->base_digest, text);
		json_out_text(out, "org.opencontainers.image.base.digest", text);
	}
	json_out_end(out);
}

char *oci_write_manifest(const struct oci_written *image)
{
	struct json_out out;

	json_out_init(&out);
	json_out_number(&out, "schemaVersion", 2);
	json_out_text(&out, "mediaType", OCI_TYPE_MANIFEST);
	json_out_map(&out, "config");
	add_descriptor(&out, OCI_TYPE_CONFIG, &image->config, image->config_bytes);
	json_out_end(&out);
	json_out_list(&out, "layers");
	for (size_t i = 0; i < image->layer_count; i++) {
		const struct oci_layer *layer = &image->layers[i];

		json_out_map(&out, NULL);
		add_descriptor(&out, layer_types[layer->compression], &layer->blob, layer->bytes);
		json_out_end(&out);
	}
	json_out_end(&out);
	add_annotations(&out, image);
	return json_out_finish(&out);
}

/* What stands behind the last ':' that is none of a port; NULL when there is none. */
static const char *tag_of(const char *reference)
{
	const char *colon = strrchr(reference, ':');

	return colon && !strchr(colon, '/') ? colon + 1 : NULL;
}

char *oci_write_layout_index(const struct digest *manifest, uint64_t manifest_bytes,
			     const char *reference)
{
	struct json_out out;

	json_out_init(&out);
	json_out_number(&out, "schemaVersion", 2);
	json_out_text(&out, "mediaType", OCI_TYPE_INDEX);
	json_out_list(&out, "manifests");
	json_out_map(&out, NULL);
	add_descriptor(&out, OCI_TYPE_MANIFEST, manifest, manifest_bytes);
	if (reference) {
		const char *tag = tag_of(reference);

		/* umoci and skopeo look for a tag, containerd and docker for the whole name */
		json_out_map(&out, "annotations");
		json_out_text(&out, "io.containerd.image.name", reference);
		json_out_text(&out, "org.opencontainers.image.ref.name", tag ? tag : reference);
		json_out_end(&out);
	}
	json_out_end(&out);
	json_out_end(&out);
	return json_out_finish(&out);
}

/* "blobs/sha256/HEX"; owned. */
static char *blob_path(const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(digest, hex);
	return xasprintf("blobs/sha256/%s", hex);
}

/* Its top is a list, which struct json_out cannot begin with: a map's only member is cut out. */
char *oci_write_docker_manifest(const struct oci_written *image, const char *reference)
{
	_cleanup_free_ char *config = blob_path(&image->config), *text = NULL;
	struct json_out out;
	char *begin;

	json_out_init(&out);
	json_out_list(&out, "images");
	json_out_map(&out, NULL);
	json_out_text(&out, "Config", config);
	json_out_list(&out, "RepoTags");
	if (reference)
		json_out_text(&out, NULL, reference);
	json_out_end(&out);
	json_out_list(&out, "Layers");
	for (size_t i = 0; i < image->layer_count; i++) {
		_cleanup_free_ char *path = blob_path(&image->layers[i].blob);

		json_out_text(&out, NULL, path);
	}
	json_out_end(&out);
	json_out_end(&out);
	json_out_end(&out);
	text = json_out_finish(&out);
	begin = strchr(text, '[');
	strrchr(begin, ']')[1] = '\0';
	return xasprintf("%s\n", begin);
}

const char *oci_write_layout(void)
{
	return "{\"imageLayoutVersion\":\"1.0.0\"}\n";
}
