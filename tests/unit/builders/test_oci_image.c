/* builders/oci: manifest and config to an image, its record, platforms. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "builders/oci/document.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define HEX16(c) c c c c c c c c c c c c c c c c
#define HEX(c) HEX16(c) HEX16(c) HEX16(c) HEX16(c)
#define SHA(c) "\"sha256:" HEX(c) "\""
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define D(t, c, size) "{\"mediaType\":\"" t "\",\"digest\":" c ",\"size\":" size "}"
#define OCI_CONFIG D(OCI "config.v1+json", SHA("c"), "7")
#define MANIFEST(layers) "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[" layers "]}"
#define LAYER(t, c) D(t, SHA(c), "9")
#define ROOTFS(ids) "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ids "]}"
#define OS "\"os\":\"linux\",\"architecture\":\"amd64\","
#define CONFIG(members) "{" OS "\"config\":{" members "}," ROOTFS("") "}"

static int image_from(const char *manifest, const char *config, struct oci_image *ret,
		      struct err *err)
{
	return oci_image_from(manifest, strlen(manifest), config, strlen(config), ret, err);
}

/* ---- what is refused ------------------------------------------------------------------------- */

#define NO_LAYERS MANIFEST("")
#define FOREIGN "layer.nondistributable.v1.tar+gzip"

static const struct {
	const char *manifest, *config, *says;
} refused[] = {
	{ "{\"schemaVersion\":2,\"manifests\":[]}", CONFIG(""), "it is an index" },
	{ "{\"schemaVersion\":2,\"config\":" OCI_CONFIG "}", CONFIG(""), "`layers` is missing" },
	{ "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":{}}", CONFIG(""), "no list" },
	{ MANIFEST("1"), CONFIG(""), "layers[0]: a descriptor is no map" },
	{ MANIFEST(LAYER(OCI FOREIGN, "1")), CONFIG(""), "foreign layer" },
	{ MANIFEST(LAYER(OCI "layer.nondistributable.v1.tar", "1")), CONFIG(""), "foreign layer" },
	{ MANIFEST(LAYER(DOCKER "image.rootfs.foreign.diff.tar.gzip", "1")), CONFIG(""),
	  "foreign layer" },
	{ MANIFEST(LAYER(OCI "layer.v1.tar+gzip+encrypted", "1")), CONFIG(""), "not supported" },
	{ MANIFEST(LAYER(OCI "layer.v1.tar+xz", "1")), CONFIG(""), "not supported" },
	{ MANIFEST(LAYER("application/x-tar", "1")), CONFIG(""), "not supported" },
	{ MANIFEST(D(OCI "layer.v1.tar", SHA("G"), "9")), CONFIG(""), "layers[0]: `digest`" },
	{ MANIFEST(D(OCI "layer.v1.tar", SHA("1"), "-9")), CONFIG(""), "layers[0]: `size`" },
	/* layers and diff-ids */
	{ MANIFEST(LAYER(OCI "layer.v1.tar", "1")), CONFIG(""), "0 diff-ids for 1 layers" },
	{ NO_LAYERS, "{" OS ROOTFS(SHA("1")) "}", "1 diff-ids for 0 layers" },
	{ MANIFEST(LAYER(OCI "layer.v1.tar", "1")), "{" OS ROOTFS("1") "}", "`diff_ids[0]` is no text" },
	{ MANIFEST(LAYER(OCI "layer.v1.tar", "1")), "{" OS ROOTFS("\"sha256:../x\"") "}",
	  "`diff_ids[0]`: `sha256:../x`" },
	{ MANIFEST(LAYER(OCI "layer.v1.tar", "1")), "{" OS ROOTFS("\"sha512:" HEX("1") HEX("1") "\"") "}",
	  "sha512" },
	{ NO_LAYERS, "{" OS "\"rootfs\":{\"type\":\"snapshots\",\"diff_ids\":[]}}", "rootfs.type" },
	{ NO_LAYERS, "{" OS "\"rootfs\":{\"diff_ids\":[]}}", "rootfs.type" },
	{ NO_LAYERS, "{" OS "\"config\":{}}", "rootfs.type" },
	{ NO_LAYERS, "{" OS "\"rootfs\":[]}", "`rootfs` is no map" },
	/* config */
	{ NO_LAYERS, "[]", "no JSON map" },
	{ NO_LAYERS, "{\"os\":\"linux\"," ROOTFS("") "}", "no platform" },
	{ NO_LAYERS, "{\"os\":\"lin ux\",\"architecture\":\"amd64\"," ROOTFS("") "}", "no platform" },
	{ NO_LAYERS, "{\"os\":\"linux\",\"architecture\":\"../amd64\"," ROOTFS("") "}", "no platform" },
	{ NO_LAYERS, "{\"os\":\"linux/arm\",\"architecture\":\"v7\"," ROOTFS("") "}", "no platform" },
	{ NO_LAYERS, "{\"os\":\"linux\",\"architecture\":\"a\\u001bb\"," ROOTFS("") "}", "a\\x1bb" },
	{ NO_LAYERS, "{" OS "\"config\":[]," ROOTFS("") "}", "`config` is no map" },
	{ NO_LAYERS, CONFIG("\"Env\":{}"), "`Env` is no list" },
	{ NO_LAYERS, CONFIG("\"Env\":[1]"), "`Env[0]` is no text" },
	{ NO_LAYERS, CONFIG("\"Env\":[null]"), "`Env[0]` is no text" },
	{ NO_LAYERS, CONFIG("\"Cmd\":\"sh\""), "`Cmd` is no list" },
	{ NO_LAYERS, CONFIG("\"Entrypoint\":[[]]"), "`Entrypoint[0]` is no text" },
	{ NO_LAYERS, CONFIG("\"Labels\":[]"), "`Labels` is no map" },
	{ NO_LAYERS, CONFIG("\"Labels\":{\"a\":1}"), "label `a` is no text" },
	{ NO_LAYERS, CONFIG("\"Volumes\":[\"/x\"]"), "`Volumes` is no map" },
	{ NO_LAYERS, CONFIG("\"User\":0"), "`User` is no text" },
	{ NO_LAYERS, CONFIG("\"User\":\"a\\nb\""), "control character" },
	{ NO_LAYERS, CONFIG("\"User\":\"\\u0000\""), "line 1" },
	{ NO_LAYERS, CONFIG("\"WorkingDir\":\"srv\""), "`srv` is not absolute" },
	{ NO_LAYERS, CONFIG("\"WorkingDir\":\"/a\\rb\""), "control character" },
	{ NO_LAYERS, CONFIG("\"StopSignal\":9"), "`StopSignal` is no text" },
};

START_TEST(test_refused)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_image image;

	ck_assert_msg(image_from(refused[_i].manifest, refused[_i].config, &image, &err) < 0, "%s\n%s",
		      refused[_i].manifest, refused[_i].config);
	ck_assert_int_eq(err.code, ERR_OCI);
	ck_assert_msg(strstr(err.msg, refused[_i].says) != NULL, "%s: %s", refused[_i].says, err.msg);
}
END_TEST

START_TEST(test_layer_count)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct str manifest = { 0 }, config = { 0 };
	_cleanup_(oci_image_done) struct oci_image image = { 0 };

	for (int count = OCI_LAYERS_MAX; count <= OCI_LAYERS_MAX + 1; count++) {
		str_done(&manifest);
		str_done(&config);
		str_add(&manifest, "{\"schemaVersion\":2,\"config\":" OCI_CONFIG ",\"layers\":[");
		str_add(&config, "{" OS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
		for (int i = 0; i < count; i++) {
			str_addf(&manifest, "%s%s", i ? "," : "", LAYER(OCI "layer.v1.tar", "1"));
			str_addf(&config, "%s%s", i ? "," : "", SHA("2"));
		}
		str_add(&manifest, "]}");
		str_add(&config, "]}}");
		ck_assert_int_eq(image_from(manifest.text, config.text, &image, &err),
				 count > OCI_LAYERS_MAX ? -1 : 0);
	}
	ck_assert_ptr_nonnull(strstr(err.msg, "241 layers, more than 240"));
	str_done(&manifest);
	str_done(&config);
}
END_TEST

/* ---- what is read ---------------------------------------------------------------------------- */

#define FULL_CONFIG \
	"{\"created\":\"2024-01-02T03:04:05.123456789+01:00\",\"author\":\"x\"," \
	"\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"," \
	"\"config\":{\"User\":\"33:33\",\"Env\":[\"A=b=c\",\"E=\",\"none\",\"=x\",\"L=1\\n2\"]," \
	"\"Entrypoint\":[\"/e\",\"\"],\"Cmd\":[\"c\"],\"WorkingDir\":\"/srv\"," \
	"\"Labels\":{\"l\":\"v=w\",\"a=b\":\"c\",\"\":\"x\",\"n\":\"\\u00e4\"}," \
	"\"Volumes\":{\"/data//x/\":{},\"rel\":{},\"/../etc\":{},\"/\":{},\"/n\":null}," \
	"\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"x\":{}}," \
	"\"StopSignal\":\"SIGRTMIN+3\",\"Healthcheck\":{\"Interval\":1},\"OnBuild\":[\"RUN x\"]}," \
	"\"history\":[{\"empty_layer\":true}]," ROOTFS(SHA("2") "," SHA("3") "," SHA("2")) "}"
#define FULL_MANIFEST \
	MANIFEST(LAYER(OCI "layer.v1.tar", "1") "," \
		 LAYER(DOCKER "image.rootfs.diff.tar.gzip", "4") "," \
		 LAYER(OCI "layer.v1.tar+zstd", "5"))

static void check_list(const struct strv *list, const char *joined)
{
	struct str text = { 0 };

	str_addn(&text, "", 0);
	for (size_t i = 0; i < list->count; i++)
		str_addf(&text, "%s|", list->items[i]);
	ck_assert_str_eq(text.text, joined);
	str_done(&text);
}

static void check_full(const struct oci_image *image)
{
	const struct process *process = &image->process;
	char hex[DIGEST_HEX_SIZE];

	ck_assert_str_eq(image->platform, "linux/arm64/v8");
	ck_assert(image->has_created);
	ck_assert_uint_eq(image->created_s, 1704161045);
	ck_assert_uint_eq(image->layer_count, 3);
	ck_assert_int_eq(image->layers[0].compression, OCI_PLAIN);
	ck_assert_int_eq(image->layers[1].compression, OCI_GZIP);
	ck_assert_int_eq(image->layers[2].compression, OCI_ZSTD);
	digest_hex(&image->layers[1].blob, hex);
	ck_assert_str_eq(hex, HEX("4"));
	digest_hex(&image->layers[1].diff_id, hex);
	ck_assert_str_eq(hex, HEX("3"));
	ck_assert_uint_eq(image->layers[1].bytes, 9);
	ck_assert_uint_eq(image->config_bytes, strlen(FULL_CONFIG));
	check_list(&process->environment, "A=b=c|E=|L=1\n2|");
	check_list(&process->entrypoint, "/e||");
	check_list(&process->command, "c|");
	check_list(&process->labels, "l=v=w|n=\xc3\xa4|");
	check_list(&process->volumes, "/data/x|/n|");
	check_list(&process->exposed, "80/tcp|53/udp|");
	ck_assert_str_eq(process->user, "33:33");
	ck_assert_str_eq(process->workdir, "/srv");
	ck_assert_str_eq(process->stop_signal, "SIGRTMIN+3");
	/* two variables, two labels, three volumes, one port */
	ck_assert_uint_eq(image->left_out.count, 8);
	ck_assert_str_eq(image->left_out.items[0], "Env `none`: it has no \"=\"");
}

static void make_full(struct oci_image *ret)
{
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_msg(image_from(FULL_MANIFEST, FULL_CONFIG, ret, &err) == 0, "%s", err.msg);
}

START_TEST(test_full)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 }, copy = { 0 }, back = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	struct str record = { 0 }, again = { 0 };

	make_full(&image);
	check_full(&image);
	oci_image_copy(&copy, &image);
	check_full(&copy);
	oci_image_write(&copy, &record);
	ck_assert_msg(oci_image_read(&back, record.text, record.length, &err) == 0, "%s", err.msg);
	check_full(&back);
	oci_image_write(&back, &again);
	ck_assert_str_eq(record.text, again.text);
	str_done(&record);
	str_done(&again);
}
END_TEST

/* R19: whatever labels and unknown members say, the image is the same. */
START_TEST(test_nothing_else)
{
	static const char *const more[] = {
		"\"Labels\":null", "\"Memory\":1,\"CpuShares\":2", "\"Privileged\":true,\"Binds\":[\"/:/x\"]",
		"\"Runtime\":\"x\",\"Hooks\":{\"prestart\":[]}", "\"SecurityOpt\":[\"seccomp=unconfined\"]",
		"\"Annotations\":{\"run.oci.handler\":\"x\",\"io.katacontainers.x\":\"y\"}",
		"\"duet\":{\"mounts\":[\"/:/x\"]},\"vm\":{\"cmdline\":\"x\"}", "\"Hostname\":\"h\",\"Tty\":true",
		"\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/sh\"]", "\"env\":[\"A=b\"],\"user\":\"x\"",
	};
	_cleanup_(err_done) struct err err = { 0 };
	struct str plain = { 0 }, other = { 0 };
	struct oci_image image;

	ck_assert_int_eq(image_from(NO_LAYERS, CONFIG(""), &image, &err), 0);
	image.config = image.manifest;
	image.config_bytes = 0;
	oci_image_write(&image, &plain);
	oci_image_done(&image);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		_cleanup_free_ char *text = xasprintf("{" OS "\"config\":{%s}," ROOTFS("") "}", more[i]);

		ck_assert_msg(image_from(NO_LAYERS, text, &image, &err) == 0, "%s: %s", text, err.msg);
		image.config = image.manifest;
		image.config_bytes = 0;
		oci_image_write(&image, &other);
		ck_assert_str_eq(plain.text, other.text);
		oci_image_done(&image);
		str_done(&other);
	}
	str_done(&plain);
}
END_TEST

static const struct {
	const char *text;
	long long seconds;	/* -1: none */
	bool told;
} dates[] = {
	{ "\"1970-01-01T00:00:00Z\"", 0, false },
	{ "\"2024-02-29T23:59:60z\"", 1709251199, false },
	{ "\"2024-01-02t03:04:05-02:30\"", 1704173645, false },
	{ "\"0001-01-01T00:00:00Z\"", -1, false },
	{ "\"1969-12-31T23:59:59Z\"", -1, false },
	{ "\"9999-12-31T23:59:59Z\"", 253402300799, false },
	{ "null", -1, false },
	{ "\"\"", -1, false },
	{ "\"2023-02-29T00:00:00Z\"", -1, true },
	{ "\"2024-13-01T00:00:00Z\"", -1, true },
	{ "\"2024-01-02T03:04:05\"", -1, true },
	{ "\"2024-01-02 03:04:05Z\"", -1, true },
	{ "\"2024-01-02T03:04:05.Z\"", -1, true },
	{ "\"2024-01-02T24:04:05Z\"", -1, true },
	{ "\"2024-01-02T03:04:05Z \"", -1, true },
	{ "\"2024-01-02T03:04:05+1\"", -1, true },
	{ "\"12024-01-02T03:04:05Z\"", -1, true },
	{ "\"now\"", -1, true },
};

START_TEST(test_created)
{
	_cleanup_free_ char *text = xasprintf("{\"created\":%s," OS ROOTFS("") "}", dates[_i].text);
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	ck_assert_msg(image_from(NO_LAYERS, text, &image, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(image.has_created, dates[_i].seconds >= 0);
	if (dates[_i].seconds >= 0)
		ck_assert_int_eq((long long)image.created_s, dates[_i].seconds);
	ck_assert_int_eq(image.left_out.count > 0, dates[_i].told);
}
END_TEST

START_TEST(test_verified)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	const char *config = CONFIG("");
	_cleanup_free_ char *manifest = NULL, *longer = xasprintf("%s ", config);
	char hex[DIGEST_HEX_SIZE];
	struct digest digest;

	digest_of(config, strlen(config), &digest);
	digest_hex(&digest, hex);
	manifest = xasprintf("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI
			     "config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[]}",
			     hex, strlen(config));
	digest_of(manifest, strlen(manifest), &digest);
	ck_assert_int_eq(oci_image_verified(manifest, strlen(manifest), &digest, config,
					    strlen(config), &image, &err), 0);
	ck_assert(digest_equal(&image.manifest, &digest));
	oci_image_done(&image);
	ck_assert_int_lt(oci_image_verified(manifest, strlen(manifest), NULL, longer, strlen(longer),
					    &image, &err), 0);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	longer[3] ^= 1;
	ck_assert_int_lt(oci_image_verified(manifest, strlen(manifest), NULL, longer,
					    strlen(longer) - 1, &image, &err), 0);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	digest.bytes[0] ^= 1;
	ck_assert_int_lt(oci_image_verified(manifest, strlen(manifest), &digest, config,
					    strlen(config), &image, &err), 0);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
}
END_TEST

/* ---- records --------------------------------------------------------------------------------- */

/* A record with a right seal, as a worker would write it that somebody took over. */
static void reseal(struct str *record)
{
	struct digest digest;
	char hex[DIGEST_HEX_SIZE];

	digest_of(record->text, record->length - 69, &digest);
	digest_hex(&digest, hex);
	memcpy(record->text + record->length - 65, hex, 64);
}

START_TEST(test_broken_record)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 }, back = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	struct str record = { 0 };

	make_full(&image);
	oci_image_write(&image, &record);
	for (size_t size = 0; size < record.length; size++)
		ck_assert_int_lt(oci_image_read(&back, record.text, size, &err), 0);
	ck_assert_int_eq(err.code, ERR_WORKER);
	for (size_t i = 0; i < record.length; i++) {
		record.text[i] ^= 1;
		ck_assert_msg(oci_image_read(&back, record.text, record.length, &err) < 0, "byte %zu",
			      i);
		record.text[i] ^= 1;
	}
	/* with the right seal most lines still have but one form: no crash, and what is read is sane */
	for (size_t i = 0; i + 69 < record.length; i++) {
		for (int bit = 1; bit < 256; bit <<= 1) {
			record.text[i] ^= (char)bit;
			reseal(&record);
			if (oci_image_read(&back, record.text, record.length, &err) == 0) {
				ck_assert_uint_le(back.layer_count, OCI_LAYERS_MAX);
				ck_assert(oci_platform_is_valid(back.platform));
				for (size_t k = 0; k < back.process.environment.count; k++)
					ck_assert(strchr(back.process.environment.items[k], '='));
				oci_image_done(&back);
			}
			record.text[i] ^= (char)bit;
		}
	}
	reseal(&record);
	ck_assert_int_eq(oci_image_read(&back, record.text, record.length, &err), 0);
	/* and nothing behind the last line */
	str_add(&record, "xyz");
	memmove(record.text + record.length - 69, record.text + record.length - 72, 69);
	memcpy(record.text + record.length - 72, "x 1\n" + 1, 3);
	reseal(&record);
	ck_assert_int_lt(oci_image_read(&back, record.text, record.length, &err), 0);
	str_done(&record);
}
END_TEST

/* ---- platforms ------------------------------------------------------------------------------- */

START_TEST(test_platforms)
{
	static const struct {
		const char *wanted, *have;
		bool fits;
	} rows[] = {
		{ "linux/amd64", "linux/amd64", true },		{ "linux/amd64", "linux/arm64", false },
		{ "linux/amd64", "windows/amd64", false },	{ "linux/amd64", "linux/amd64/v2", false },
		{ "linux/amd64/v3", "linux/amd64/v2", true },	{ "linux/arm64", "linux/arm64/v8", true },
		{ "linux/arm/v6", "linux/arm/v7", false },	{ "linux/arm", "linux/arm/v5", true },
		{ "linux/s390x", "linux/s390x", true },		{ "linux", "linux/amd64", false },
		{ "linux/amd64", "linux", false },		{ "", "", false },
		{ "linux/amd64/v1/x", "linux/amd64", false },	{ "/amd64", "/amd64", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(oci_platform_fits(rows[i].wanted, rows[i].have) == rows[i].fits, "%s on %s",
			      rows[i].have, rows[i].wanted);
	ck_assert(oci_platform_fits(oci_platform(), oci_platform()));
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_refused, ARRAY_SIZE(refused) }, { test_layer_count, 1 },
		{ test_full, 1 }, { test_nothing_else, 1 },
		{ test_created, ARRAY_SIZE(dates) }, { test_verified, 1 },
		{ test_broken_record, 1 }, { test_platforms, 1 },
	};
	const struct unit unit = { "oci_image" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
