/* OCI's documents: indexes, manifests, configs, layouts, records of images, docker archives. */
#include <string.h>

#include "builders/oci/archive.h"
#include "builders/oci/document.h"
#include "builders/oci/write.h"
#include "core/image.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"
#include "tests/fuzz/fuzz.h"

#define EMPTY_CONFIG "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\"}}"
#define EMPTY_MANIFEST \
	"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\"," \
	"\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"," \
	"\"size\":1},\"layers\":[]}"

static void check_descriptor(const struct oci_descriptor *descriptor)
{
	FUZZ_CHECK(memchr(descriptor->media_type, '\0', sizeof(descriptor->media_type)));
	FUZZ_CHECK(strchr(descriptor->media_type, '/'));
	FUZZ_CHECK(descriptor->bytes <= INT64_MAX);
	fuzz_check_shown(descriptor->media_type);
}

static void check_pairs(const struct strv *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		FUZZ_CHECK(strchr(pairs->items[i], '=') > pairs->items[i]);
}

/* An image that somebody made: sane, and the same after it went through a record and a config. */
static void check_image(struct oci_image *image)
{
	_cleanup_(oci_image_done) struct oci_image back = { 0 };
	_cleanup_(str_done) struct str record = { 0 }, again = { 0 };
	_cleanup_free_ char *config = NULL;
	struct err err = { 0 };

	FUZZ_CHECK(image->layer_count <= OCI_LAYERS_MAX);
	FUZZ_CHECK(oci_platform_is_valid(image->platform));
	check_pairs(&image->process.environment);
	check_pairs(&image->process.labels);
	for (size_t i = 0; i < image->process.volumes.count; i++)
		FUZZ_CHECK(image->process.volumes.items[i][0] == '/');
	FUZZ_CHECK(!image->process.workdir || image->process.workdir[0] == '/');
	for (size_t i = 0; i < image->left_out.count; i++)
		fuzz_check_shown(image->left_out.items[i]);
	oci_image_write(image, &record);
	FUZZ_CHECK(oci_image_read(&back, record.text, record.length, &err) == 0);
	oci_image_write(&back, &again);
	FUZZ_CHECK(!strcmp(record.text, again.text));
	config = image_config(&image->process, NULL, 0, image->platform,
			      image->has_created ? (int64_t)image->created_s : -1);
	FUZZ_CHECK(config && *config == '{');
}

static void documents(struct fuzz_input *input)
{
	static const char *const types[] = {
		NULL, "", OCI_TYPE_INDEX, OCI_TYPE_MANIFEST, "application/json; x",
		"application/vnd.docker.distribution.manifest.v2+json",
	};
	const char *type = types[fuzz_byte(input) % ARRAY_SIZE(types)];
	_cleanup_free_ char *platform = fuzz_word(input);
	struct oci_descriptor found;
	struct err err = { 0 };
	enum oci_document kind;
	int result = oci_document_look((const char *)input->at, input->left, type, platform, &kind,
				       &found, &err);

	if (result == 0)
		check_descriptor(&found);
	FUZZ_CHECK(result == 0 || err.code == ERR_OCI || err.code == ERR_OCI_PLATFORM);
	fuzz_check_err(&err, result);
}

static void layouts(struct fuzz_input *input)
{
	_cleanup_free_ char *tag = fuzz_word(input);
	struct oci_descriptor found;
	struct err err = { 0 };
	int result = oci_layout_look((const char *)input->at, input->left, tag, &found, &err);

	if (result == 0)
		check_descriptor(&found);
	FUZZ_CHECK(result == 0 || err.code == ERR_OCI);
	fuzz_check_err(&err, result);
}

static void image_of(const char *manifest, size_t manifest_size, const char *config,
		     size_t config_size)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	struct err err = { 0 };
	int result = oci_image_from(manifest, manifest_size, config, config_size, &image, &err);

	if (result == 0)
		check_image(&image);
	FUZZ_CHECK(result == 0 || err.code == ERR_OCI);
	fuzz_check_err(&err, result);
}

static void configs(struct fuzz_input *input)
{
	image_of(EMPTY_MANIFEST, strlen(EMPTY_MANIFEST), (const char *)input->at, input->left);
}

static void manifests(struct fuzz_input *input)
{
	image_of((const char *)input->at, input->left, EMPTY_CONFIG, strlen(EMPTY_CONFIG));
}

static void pairs(struct fuzz_input *input)
{
	struct fuzz_input manifest = fuzz_part(input, fuzz_short(input));

	image_of((const char *)manifest.at, manifest.left, (const char *)input->at, input->left);
}

/* A record with the seal that belongs to it: what a worker could write that was taken over. */
static void records(struct fuzz_input *input)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_(str_done) struct str text = { 0 };
	struct err err = { 0 };
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;
	int result;

	str_addn(&text, (const char *)input->at, input->left);
	digest_of(text.text, text.length, &digest);
	digest_hex(&digest, hex);
	str_addf(&text, "end %s\n", hex);
	result = oci_image_read(&image, text.text, text.length, &err);
	FUZZ_CHECK(result == 0 || err.code == ERR_WORKER);
	fuzz_check_err(&err, result);
	if (result == 0)
		FUZZ_CHECK(image.layer_count <= OCI_LAYERS_MAX && image.platform);
}

static void no_progress(void *data, uint64_t done, uint64_t total)
{
	(void)data;
	FUZZ_CHECK(done <= total);
}

static void archives(struct fuzz_input *input)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_free_ char *tag = fuzz_word(input);
	int archive = fuzz_file(0, input->at, input->left), config = fuzz_file(1, NULL, 0);
	struct err err = { 0 };
	int result = oci_archive_read(archive, tag, config, no_progress, NULL, &image, &err);

	for (size_t i = 0; i < image.layer_count; i++) {
		FUZZ_CHECK(image.places[i].bytes <= input->left);
		FUZZ_CHECK(image.places[i].offset <= input->left - image.places[i].bytes);
	}
	if (result == 0)
		check_image(&image);
	fuzz_check_err(&err, result);
}

static void times(struct fuzz_input *input)
{
	_cleanup_free_ char *text = fuzz_rest(input);
	_cleanup_(str_done) struct str back = { 0 };
	int64_t seconds, again;

	if (!parse_time(text, &seconds))
		return;
	str_add_time(&back, seconds);
	FUZZ_CHECK(parse_time(back.text, &again));
	FUZZ_CHECK(again == seconds || seconds < 0 || seconds > 253402300799);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = {
		documents, layouts, configs, manifests, pairs, records, archives, times,
	};
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
