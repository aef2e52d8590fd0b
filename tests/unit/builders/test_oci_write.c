/* builders/oci/write.c, core/image.c: what duet says of an image, byte for byte. */
#include <check.h>
#include <string.h>

#include "builders/oci/write.h"
#include "core/image.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define HEX16(c) c c c c c c c c c c c c c c c c
#define HEX(c) HEX16(c) HEX16(c) HEX16(c) HEX16(c)

static struct digest digest(uint8_t byte)
{
	struct digest made;

	memset(made.bytes, byte, sizeof(made.bytes));
	return made;
}

static struct oci_layer layers[] = {
	{ .bytes = 10, .compression = OCI_GZIP }, { .bytes = 11, .compression = OCI_ZSTD },
	{ .bytes = 12, .compression = OCI_PLAIN },
};

static struct oci_written written(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++)
		layers[i].blob = digest((uint8_t)(0x11 * (i + 1)));
	return (struct oci_written){ .config = digest(0xcc), .config_bytes = 9, .layers = layers,
				     .layer_count = ARRAY_SIZE(layers), .created_s = -1 };
}

#define LAYER(type, c, size) \
	"    {\n      \"mediaType\": \"application/vnd.oci.image.layer.v1." type "\",\n" \
	"      \"digest\": \"sha256:" HEX(c) "\",\n      \"size\": " size "\n    }"

START_TEST(test_manifest)
{
	struct oci_written image = written();
	_cleanup_free_ char *text = oci_write_manifest(&image);

	ck_assert_str_eq(text,
		"{\n  \"schemaVersion\": 2,\n"
		"  \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n"
		"  \"config\": {\n    \"mediaType\": \"application/vnd.oci.image.config.v1+json\",\n"
		"    \"digest\": \"sha256:" HEX("c") "\",\n    \"size\": 9\n  },\n  \"layers\": [\n"
		LAYER("tar+gzip", "1", "10") ",\n" LAYER("tar+zstd", "2", "11") ",\n"
		LAYER("tar", "3", "12") "\n  ]\n}\n");
}
END_TEST

START_TEST(test_annotations)
{
	struct oci_written image = written();
	const struct digest base = digest(0xbb);
	_cleanup_free_ char *text = NULL;

	image.layer_count = 0;
	image.created_s = 1704164645;
	image.base_name = "docker.io/library/alpine:3.20";
	image.base_digest = &base;
	text = oci_write_manifest(&image);
	ck_assert_ptr_nonnull(strstr(text,
		"  \"layers\": [],\n  \"annotations\": {\n"
		"    \"org.opencontainers.image.created\": \"2024-01-02T03:04:05Z\",\n"
		"    \"org.opencontainers.image.base.name\": \"docker.io/library/alpine:3.20\",\n"
		"    \"org.opencontainers.image.base.digest\": \"sha256:" HEX("b") "\"\n  }\n}\n"));
}
END_TEST

START_TEST(test_index)
{
	const struct digest manifest = digest(0xaa);
	_cleanup_free_ char *text = oci_write_layout_index(&manifest, 5, "127.0.0.1:5000/team/web:1.2");
	_cleanup_free_ char *none = oci_write_layout_index(&manifest, 5, NULL);
	struct oci_descriptor found;
	struct err err = { 0 };

	ck_assert_ptr_nonnull(strstr(text, "\"io.containerd.image.name\": "
					   "\"127.0.0.1:5000/team/web:1.2\""));
	ck_assert_ptr_nonnull(strstr(text, "\"org.opencontainers.image.ref.name\": \"1.2\""));
	ck_assert_ptr_null(strstr(none, "annotations"));
	/* and duet reads what it writes */
	ck_assert_int_eq(oci_layout_look(text, strlen(text), "1.2", &found, &err), 0);
	ck_assert(digest_equal(&found.digest, &manifest));
	ck_assert_str_eq(found.media_type, OCI_TYPE_MANIFEST);
	ck_assert_int_eq(oci_layout_look(none, strlen(none), NULL, &found, &err), 0);
}
END_TEST

START_TEST(test_docker_manifest)
{
	struct oci_written image = written();
	_cleanup_free_ char *text = NULL, *none = oci_write_docker_manifest(&image, NULL);

	image.layer_count = 1;
	text = oci_write_docker_manifest(&image, "a/[b]:c");
	ck_assert_str_eq(text, "[\n    {\n      \"Config\": \"blobs/sha256/" HEX("c") "\",\n"
			       "      \"RepoTags\": [\n        \"a/[b]:c\"\n      ],\n"
			       "      \"Layers\": [\n        \"blobs/sha256/" HEX("1") "\"\n      ]\n"
			       "    }\n  ]\n");
	ck_assert_ptr_nonnull(strstr(none, "\"RepoTags\": []"));
}
END_TEST

START_TEST(test_config)
{
	struct process process = { 0 };
	struct store_layer layer = { .diff_id = digest(0x77) };
	_cleanup_free_ char *small = NULL, *full = NULL;

	small = image_config(&process, NULL, 0, "linux/arm/v7", -1);
	ck_assert_str_eq(small, "{\n  \"os\": \"linux\",\n  \"architecture\": \"arm\",\n"
				"  \"variant\": \"v7\",\n  \"config\": {},\n  \"rootfs\": {\n"
				"    \"type\": \"layers\",\n    \"diff_ids\": []\n  }\n}\n");
	process.user = xstrdup("33");
	process.stop_signal = xstrdup("SIGQUIT");
	strv_add(&process.labels, "a=b=c");
	strv_add(&process.volumes, "/data");
	strv_add(&process.exposed, "80/tcp");
	strv_add(&process.exposed, "53/udp");
	full = image_config(&process, &layer, 1, "linux/amd64", 0);
	ck_assert_str_eq(full,
		"{\n  \"created\": \"1970-01-01T00:00:00Z\",\n  \"os\": \"linux\",\n"
		"  \"architecture\": \"amd64\",\n  \"config\": {\n    \"User\": \"33\",\n"
		"    \"Labels\": {\n      \"a\": \"b=c\"\n    },\n"
		"    \"Volumes\": {\n      \"/data\": {}\n    },\n"
		"    \"ExposedPorts\": {\n      \"80/tcp\": {},\n      \"53/udp\": {}\n    },\n"
		"    \"StopSignal\": \"SIGQUIT\"\n  },\n  \"rootfs\": {\n    \"type\": \"layers\",\n"
		"    \"diff_ids\": [\n      \"sha256:" HEX("7") "\"\n    ]\n  }\n}\n");
	process_done(&process);
}
END_TEST

/* What was read out of a config is written into the same again. */
START_TEST(test_round)
{
	static const char manifest[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_TYPE_CONFIG
		"\",\"digest\":\"sha256:" HEX("0") "\",\"size\":1},\"layers\":[]}";
	static const char config[] =
		"{\"created\":\"2024-01-02T03:04:05Z\",\"os\":\"linux\",\"architecture\":\"amd64\","
		"\"config\":{\"Env\":[\"A=\\n\"],\"Labels\":{\"l\":\"\\u202e\"},\"Volumes\":{\"/v\":{}},"
		"\"ExposedPorts\":{\"1\":{}},\"StopSignal\":\"9\",\"Cmd\":[\"\"]},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	_cleanup_(oci_image_done) struct oci_image first = { 0 }, second = { 0 };
	_cleanup_free_ char *text = NULL, *again = NULL;
	struct err err = { 0 };

	ck_assert_int_eq(oci_image_from(manifest, strlen(manifest), config, strlen(config), &first,
					&err), 0);
	text = image_config(&first.process, NULL, 0, first.platform, (int64_t)first.created_s);
	ck_assert_int_eq(oci_image_from(manifest, strlen(manifest), text, strlen(text), &second, &err),
			 0);
	again = image_config(&second.process, NULL, 0, second.platform, (int64_t)second.created_s);
	ck_assert_str_eq(text, again);
	ck_assert_str_eq(second.process.environment.items[0], "A=\n");
	ck_assert_str_eq(second.process.labels.items[0], "l=\xe2\x80\xae");
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_manifest, 1 }, { test_annotations, 1 }, { test_index, 1 },
		{ test_docker_manifest, 1 }, { test_config, 1 }, { test_round, 1 },
	};
	const struct unit unit = { "oci_write" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
