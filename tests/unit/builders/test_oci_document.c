/* builders/oci/document.c: indexes, manifests and layouts, most of them hostile. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "builders/oci/document.h"
#include "core/mem.h"
#include "core/str.h"
#include "tests/unit/unit.h"

#define HEX16(c) c c c c c c c c c c c c c c c c
#define HEX(c) HEX16(c) HEX16(c) HEX16(c) HEX16(c)
#define SHA(c) "\"sha256:" HEX(c) "\""
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define INDEX OCI "index.v1+json"
#define MANIFEST OCI "manifest.v1+json"
#define LIST DOCKER "distribution.manifest.list.v2+json"
#define SCHEMA2 DOCKER "distribution.manifest.v2+json"
#define TYPE(t) "\"mediaType\":\"" t "\""
#define V2 "{\"schemaVersion\":2,"
/* descriptors */
#define D(t, c, size) "{" TYPE(t) ",\"digest\":" c ",\"size\":" size "}"
#define CONFIG D(OCI "config.v1+json", SHA("c"), "7")
#define LAYER D(OCI "layer.v1.tar+gzip", SHA("1"), "9")
#define GOOD_MANIFEST V2 "\"config\":" CONFIG ",\"layers\":[" LAYER "]}"
/* entries of an index */
#define ENTRY(c, os, arch, more) \
	"{" TYPE(MANIFEST) ",\"digest\":" SHA(c) ",\"size\":5,\"platform\":{\"os\":\"" os \
	"\",\"architecture\":\"" arch "\"" more "}}"
#define VARIANT(v) ",\"variant\":\"" v "\""
#define ANY(t, c) "{" TYPE(t) ",\"digest\":" SHA(c) ",\"size\":5}"
#define GOOD_INDEX V2 "\"manifests\":[" ENTRY("a", "linux", "amd64", "") "]}"

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct {
	const char *text, *media_type, *says;
} refused[] = {
	/* no JSON that we read */
	{ "", "", "line 1" },
	{ "[]", "", "no JSON map" },
	{ "\"x\"", "", "line 1" },
	{ "null", "", "line 1" },
	{ GOOD_MANIFEST "x", "", "line 1" },
	{ GOOD_MANIFEST GOOD_MANIFEST, "", "line 1" },
	{ "\xef\xbb\xbf" GOOD_MANIFEST, "", "line 1" },
	{ V2 "\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}", "", "duplicate" },
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"layers\":[]}", "", "duplicate" },
	{ V2 "\"x\":\"\xff\",\"config\":" CONFIG ",\"layers\":[]}", "", "byte 0xff" },
	{ V2 "\"x\":\"\\ud800\",\"config\":" CONFIG ",\"layers\":[]}", "", "line 1" },
	{ V2 "\"x\":\"a\\u0000b\",\"config\":" CONFIG ",\"layers\":[]}", "", "line 1" },
	{ V2 "\"x\":1e400,\"config\":" CONFIG ",\"layers\":[]}", "", "line 1" },
	{ V2 "\"x\":NaN,\"config\":" CONFIG ",\"layers\":[]}", "", "line 1" },
	{ V2 "\"x\":9223372036854775808,\"config\":" CONFIG ",\"layers\":[]}", "", "line 1" },
	/* schema */
	{ "{\"config\":" CONFIG ",\"layers\":[]}", "", "schemaVersion" },
	{ "{\"schemaVersion\":\"2\",\"config\":" CONFIG ",\"layers\":[]}", "", "schemaVersion" },
	{ "{\"schemaVersion\":2.0,\"config\":" CONFIG ",\"layers\":[]}", "", "schemaVersion" },
	{ "{\"schemaVersion\":3,\"config\":" CONFIG ",\"layers\":[]}", "", "schemaVersion" },
	{ "{\"schemaVersion\":1,\"fsLayers\":[]}", "", "schema 1" },
	{ V2 "\"fsLayers\":[],\"config\":" CONFIG ",\"layers\":[]}", "", "schema 1" },
	{ V2 "\"FSLAYERS\":[],\"config\":" CONFIG ",\"layers\":[]}", "", "`FSLAYERS`" },
	/* two documents in one */
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}", "", "an index and a manifest" },
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}", MANIFEST, "an index and" },
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"manifests\":null}", "", "an index and" },
	{ V2 "\"layers\":null,\"manifests\":[]}", INDEX, "an index and" },
	{ V2 "\"config\":{},\"manifests\":[]}", INDEX, "an index and" },
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"Manifests\":[]}", "", "`Manifests`" },
	{ V2 "\"config\":" CONFIG ",\"layers\":[],\"LAYERS\":[]}", "", "`LAYERS` again" },
	{ V2 "\"Config\":" CONFIG ",\"layers\":[]}", "", "`Config`" },
	{ GOOD_MANIFEST, INDEX, "says index" },
	{ GOOD_MANIFEST, LIST, "says index" },
	{ GOOD_INDEX, MANIFEST, "says manifest" },
	{ GOOD_INDEX, SCHEMA2, "says manifest" },
	{ V2 TYPE(INDEX) ",\"config\":" CONFIG ",\"layers\":[]}", "", "says index" },
	{ V2 TYPE(MANIFEST) ",\"config\":" CONFIG ",\"layers\":[]}", SCHEMA2, "it came as" },
	{ V2 TYPE(MANIFEST) ",\"config\":" CONFIG ",\"layers\":[]}", INDEX, "it came as" },
	{ V2 TYPE(MANIFEST) ",\"config\":" CONFIG ",\"layers\":[]}", "text/html", "it came as" },
	{ V2 "\"mediaType\":1,\"config\":" CONFIG ",\"layers\":[]}", "", "`mediaType` is no text" },
	{ GOOD_MANIFEST, "text/html", "no image's" },
	{ GOOD_MANIFEST, DOCKER "distribution.manifest.v1+json", "no image's" },
	{ V2 "\"x\":1}", "", "neither" },
	{ V2 "\"x\":1}", MANIFEST, "`config` is missing" },
	{ V2 "\"x\":1}", INDEX, "`manifests` is missing" },
	{ V2 "\"manifests\":null}", INDEX, "`manifests` is missing" },
	{ V2 "\"manifests\":{}}", INDEX, "`manifests` is no list" },
	{ V2 "\"manifests\":[1]}", INDEX, "manifests[0]: an entry is no map" },
	{ V2 "\"manifests\":[null]}", INDEX, "manifests[0]: an entry is no map" },
	{ V2 "\"manifests\":[{\"mediaType\":1}]}", INDEX, "no text" },
	{ V2 "\"manifests\":[{\"platform\":[]}]}", INDEX, "no map" },
	/* digests and sizes */
#define WITH(digest, size) \
	V2 "\"config\":" D(OCI "config.v1+json", digest, size) ",\"layers\":[]}"
	{ WITH("\"sha256:../../../etc/passwd\"", "7"), "", "no digest" },
	{ WITH("\"sha256:" HEX("A") "\"", "7"), "", "no digest" },
	{ WITH("\"SHA256:" HEX("a") "\"", "7"), "", "no digest" },
	{ WITH("\"sha256:" HEX16("a") HEX16("a") HEX16("a") "aaaaaaaaaaaaaaa\"", "7"), "", "no digest" },
	{ WITH("\"sha256:" HEX("a") "a\"", "7"), "", "no digest" },
	{ WITH("\"sha256:" HEX("a") "\\n\"", "7"), "", "no digest" },
	{ WITH("\" sha256:" HEX("a") "\"", "7"), "", "no digest" },
	{ WITH("\"" HEX("a") "\"", "7"), "", "no digest" },
	{ WITH("\"sha256:\"", "7"), "", "no digest" },
	{ WITH("\"\"", "7"), "", "no digest" },
	{ WITH("\"md5:0123456789abcdef0123456789abcdef\"", "7"), "", "algorithm md5 is not supported" },
	{ WITH("\"sha512:" HEX("a") HEX("a") "\"", "7"), "", "algorithm sha512 is not supported" },
	{ WITH("\"sha256+b64:abc\"", "7"), "", "algorithm sha256+b64 is not supported" },
	{ WITH("\"../x:abc\"", "7"), "", "no digest" },
	{ WITH("1", "7"), "", "`digest` is no text" },
	{ WITH("null", "7"), "", "`digest` is missing" },
	{ WITH("{}", "7"), "", "`digest` is no text" },
	{ WITH(SHA("a"), "-1"), "", "no number of bytes" },
	{ WITH(SHA("a"), "1.5"), "", "no number of bytes" },
	{ WITH(SHA("a"), "1e3"), "", "no number of bytes" },
	{ WITH(SHA("a"), "\"7\""), "", "no number of bytes" },
	{ WITH(SHA("a"), "9223372036854775808"), "", "line 1" },
	{ WITH(SHA("a"), "18446744073709551615"), "", "line 1" },
	{ WITH(SHA("a"), "07"), "", "line 1" },
	{ WITH(SHA("a"), "null"), "", "`size` is missing" },
	{ V2 "\"config\":[],\"layers\":[]}", "", "`config` is no map" },
	{ V2 "\"config\":{},\"layers\":[]}", "", "`mediaType` is missing" },
	{ V2 "\"config\":" D("x", SHA("a"), "1") ",\"layers\":[]}", "", "no media type" },
	{ V2 "\"config\":" D("a/b\\u001b]52;", SHA("a"), "1") ",\"layers\":[]}", "", "a/b\\x1b]52;" },
	{ V2 "\"config\":" D("a/" HEX("x") HEX("x") HEX("x") HEX("x"), SHA("a"), "1") ",\"layers\":[]}",
	  "", "no media type" },
	/* artifacts */
	{ V2 "\"config\":" D("application/vnd.oci.empty.v1+json", SHA("4"), "2") ",\"layers\":[]}",
	  MANIFEST, "it is no image" },
};

static int look(const char *text, const char *media_type, const char *platform,
		enum oci_document *ret_kind, struct oci_descriptor *ret, struct err *err)
{
	return oci_document_look(text, strlen(text), media_type, platform, ret_kind, ret, err);
}

START_TEST(test_refused)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	enum oci_document kind;

	ck_assert_msg(look(refused[_i].text, refused[_i].media_type, "linux/amd64", &kind, &found,
			   &err) < 0, "%s", refused[_i].text);
	ck_assert_int_eq(err.code, ERR_OCI);
	ck_assert_msg(strstr(err.msg, refused[_i].says) != NULL, "%s: %s", refused[_i].text, err.msg);
	for (const char *at = err.msg; *at; at++)
		ck_assert_int_ge((unsigned char)*at, 0x20);
}
END_TEST

/* ---- what is read ---------------------------------------------------------------------------- */

static const struct {
	const char *text, *media_type;
	enum oci_document kind;
} accepted[] = {
	{ GOOD_MANIFEST, NULL, OCI_MANIFEST },
	{ GOOD_MANIFEST, "", OCI_MANIFEST },
	{ GOOD_MANIFEST, MANIFEST, OCI_MANIFEST },
	{ GOOD_MANIFEST, MANIFEST "; charset=utf-8", OCI_MANIFEST },
	{ GOOD_MANIFEST, SCHEMA2, OCI_MANIFEST },
	{ GOOD_MANIFEST, "application/json", OCI_MANIFEST },
	{ V2 TYPE(MANIFEST) ",\"config\":" CONFIG ",\"layers\":[]}", MANIFEST, OCI_MANIFEST },
	{ V2 TYPE(MANIFEST) ",\"config\":" CONFIG ",\"layers\":[]}", "text/plain; charset=utf-8",
	  OCI_MANIFEST },
	{ V2 "\"mediaType\":null,\"subject\":null,\"annotations\":null,\"config\":" CONFIG
	     ",\"layers\":[]}", "", OCI_MANIFEST },
	{ V2 "\"artifactType\":\"x\",\"y\":[{\"z\":1.5}],\"config\":" CONFIG ",\"layers\":[]}", "",
	  OCI_MANIFEST },
	{ V2 "\"config\":" D(DOCKER "container.image.v1+json", SHA("c"), "9223372036854775807")
	     ",\"layers\":[]}", SCHEMA2, OCI_MANIFEST },
	{ GOOD_INDEX, "", OCI_INDEX },
	{ GOOD_INDEX, INDEX, OCI_INDEX },
	{ GOOD_INDEX, LIST, OCI_INDEX },
};

START_TEST(test_accepted)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	enum oci_document kind;
	char text[DIGEST_TEXT_SIZE];

	ck_assert_msg(look(accepted[_i].text, accepted[_i].media_type, "linux/amd64", &kind, &found,
			   &err) == 0, "%s: %s", accepted[_i].text, err.msg);
	ck_assert_int_eq(kind, accepted[_i].kind);
	digest_text(&found.digest, text);
	ck_assert_int_eq(text[7], kind == OCI_INDEX ? 'a' : 'c');
}
END_TEST

/* Each row: which entry an index gives for a platform; '-': none. */
static const struct {
	const char *entries, *platform;
	char leads;
	const char *says;
} choices[] = {
	{ ENTRY("a", "linux", "amd64", "") "," ENTRY("b", "linux", "arm64", ""), "linux/amd64", 'a', "" },
	{ ENTRY("a", "linux", "amd64", "") "," ENTRY("b", "linux", "arm64", ""), "linux/arm64", 'b', "" },
	{ ENTRY("a", "linux", "amd64", "") "," ENTRY("b", "linux", "amd64", ""), "linux/amd64", 'a', "" },
	{ ENTRY("a", "windows", "amd64", ""), "linux/amd64", '-', "windows/amd64" },
	{ ENTRY("a", "linux", "arm64", VARIANT("v8")), "linux/arm64", 'a', "" },
	{ ENTRY("a", "linux", "arm64", ""), "linux/arm64/v8", 'a', "" },
	{ ENTRY("a", "linux", "arm64", VARIANT("v9")), "linux/arm64", '-', "linux/arm64/v9" },
	/* amd64: the baseline unless more is asked for, then the best that runs */
#define LEVELS ENTRY("3", "linux", "amd64", VARIANT("v3")) "," ENTRY("1", "linux", "amd64", "") "," \
	ENTRY("2", "linux", "amd64", VARIANT("v2"))
	{ LEVELS, "linux/amd64", '1', "" },
	{ LEVELS, "linux/amd64/v1", '1', "" },
	{ LEVELS, "linux/amd64/v2", '2', "" },
	{ LEVELS, "linux/amd64/v4", '3', "" },
	{ ENTRY("3", "linux", "amd64", VARIANT("v3")), "linux/amd64", '-', "linux/amd64/v3" },
	{ ENTRY("3", "linux", "amd64", VARIANT("strange")), "linux/amd64", '-', "strange" },
#define ARMS ENTRY("6", "linux", "arm", VARIANT("v6")) "," ENTRY("7", "linux", "arm", VARIANT("v7")) \
	"," ENTRY("5", "linux", "arm", VARIANT("v5"))
	{ ARMS, "linux/arm", '7', "" },
	{ ARMS, "linux/arm/v7", '7', "" },
	{ ARMS, "linux/arm/v6", '6', "" },
	{ ARMS, "linux/arm/v5", '5', "" },
	{ ARMS, "linux/arm64", '-', "linux/arm/v6, linux/arm/v7, linux/arm/v5" },
	/* architectures without known variants */
	{ ENTRY("a", "linux", "ppc64le", VARIANT("power9")), "linux/ppc64le", 'a', "" },
	{ ENTRY("a", "linux", "ppc64le", VARIANT("power9")), "linux/ppc64le/power8", '-', "power9" },
	/* attestations and what is no image */
	{ ENTRY("a", "unknown", "unknown", ""), "linux/amd64", '-', "" },
	{ ENTRY("a", "unknown", "unknown", "") "," ENTRY("b", "linux", "amd64", ""), "linux/amd64", 'b',
	  "" },
	{ ANY("application/vnd.x", "a") "," ENTRY("b", "linux", "amd64", ""), "linux/amd64", 'b', "" },
	{ ANY("application/vnd.x", "a"), "linux/amd64", '-', "" },
	/* without a platform: the last resort, when it is the only one */
	{ ANY(INDEX, "a"), "linux/amd64", 'a', "" },
	{ ANY(MANIFEST, "a") "," ENTRY("b", "linux", "amd64", ""), "linux/amd64", 'b', "" },
	{ ANY(MANIFEST, "a") "," ANY(MANIFEST, "b"), "linux/amd64", '-', "" },
	{ "{" TYPE(MANIFEST) ",\"digest\":" SHA("a") ",\"size\":5,\"platform\":null,\"urls\":null}",
	  "linux/amd64", 'a', "" },
	/* others' digests of algorithms that we do not know are their business */
	{ "{" TYPE(MANIFEST) ",\"digest\":\"blake3:00\",\"size\":5,\"platform\":{\"os\":\"linux\","
	  "\"architecture\":\"arm64\"}}," ENTRY("b", "linux", "amd64", ""), "linux/amd64", 'b', "" },
	/* what an index says is shown, and only that */
	{ ENTRY("a", "\\u001b]52;c;\\u0007", "\\u202e", ""), "linux/amd64", '-',
	  "\\x1b]52;c;\\x07/\\u{202e}" },
	{ "", "linux/amd64", '-', "" },
};

START_TEST(test_choice)
{
	_cleanup_free_ char *text = xasprintf(V2 "\"manifests\":[%s]}", choices[_i].entries);
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	enum oci_document kind;
	int result = look(text, INDEX, choices[_i].platform, &kind, &found, &err);
	char hex[DIGEST_HEX_SIZE];

	if (choices[_i].leads == '-') {
		ck_assert_int_lt(result, 0);
		ck_assert_int_eq(err.code, ERR_OCI_PLATFORM);
		ck_assert_msg(strstr(err.mend ? err.mend : "", choices[_i].says) != NULL, "%s",
			      err.mend ? err.mend : "no mend");
		ck_assert_ptr_null(strstr(err.mend ? err.mend : "", "unknown"));
		return;
	}
	ck_assert_msg(result == 0, "%s", err.msg);
	digest_hex(&found.digest, hex);
	ck_assert_int_eq(hex[0], choices[_i].leads);
}
END_TEST

/* ---- bounds ---------------------------------------------------------------------------------- */

/* An index of so many entries, the last of which fits. Owned. */
static char *wide_index(size_t entries)
{
	struct str text = { 0 };

	str_add(&text, V2 "\"manifests\":[");
	for (size_t i = 1; i < entries; i++)
		str_add(&text, ENTRY("0", "linux", "s390x", "") ",");
	str_add(&text, ENTRY("a", "linux", "amd64", "") "]}");
	return text.text;
}

START_TEST(test_entries)
{
	_cleanup_free_ char *most = wide_index(OCI_INDEX_ENTRIES_MAX);
	_cleanup_free_ char *more = wide_index(OCI_INDEX_ENTRIES_MAX + 1);
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	enum oci_document kind;

	ck_assert_int_eq(look(most, "", "linux/amd64", &kind, &found, &err), 0);
	ck_assert_int_lt(look(more, "", "linux/amd64", &kind, &found, &err), 0);
	ck_assert_int_eq(err.code, ERR_OCI);
	ck_assert_ptr_nonnull(strstr(err.msg, "more than 1000 entries"));
}
END_TEST

/* `depth` collections in each other under a member that nobody reads. Owned. */
static char *deep_manifest(size_t depth, char open, char close)
{
	struct str text = { 0 };

	str_add(&text, V2 "\"x\":");
	for (size_t i = 0; i < depth; i++) {
		str_addn(&text, &open, 1);
		if (open == '{' && i + 1 < depth)
			str_add(&text, "\"x\":");
	}
	for (size_t i = 0; i < depth && close; i++)
		str_addn(&text, &close, 1);
	str_add(&text, ",\"config\":" CONFIG ",\"layers\":[]}");
	return text.text;
}

static const struct {
	size_t depth;
	char open, close;
	const char *says;	/* NULL: it is read */
} depths[] = {
	{ OCI_JSON_DEPTH_MAX - 1, '[', ']', NULL },
	{ OCI_JSON_DEPTH_MAX - 1, '{', '}', NULL },
	{ OCI_JSON_DEPTH_MAX, '[', ']', "nested too deep" },
	{ OCI_JSON_DEPTH_MAX, '{', '}', "nested too deep" },
	{ 1000000, '[', ']', "nested too deep" },
	{ 1000000, '[', '\0', "nested too deep" },
	{ 500000, '{', '}', "nested too deep" },
};

START_TEST(test_depth)
{
	_cleanup_free_ char *text = deep_manifest(depths[_i].depth, depths[_i].open, depths[_i].close);
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	enum oci_document kind;
	int result = look(text, "", "linux/amd64", &kind, &found, &err);

	ck_assert_msg(result == (depths[_i].says ? -1 : 0), "%s", err.msg);
	if (depths[_i].says)
		ck_assert_msg(strstr(err.msg, depths[_i].says) != NULL, "%s", err.msg);
}
END_TEST

/* Brackets in texts are no collections, and quotes behind a backslash end none. */
START_TEST(test_texts_are_not_deep)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	struct str text = { 0 };
	enum oci_document kind;

	str_add(&text, V2 "\"x\":\"\\\"");
	for (int i = 0; i < 1000; i++)
		str_add(&text, "[{,");
	str_add(&text, "\\\\\",\"config\":" CONFIG ",\"layers\":[]}");
	ck_assert_int_eq(look(text.text, "", "linux/amd64", &kind, &found, &err), 0);
	str_done(&text);
}
END_TEST

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The dearest documents of the largest size: each is over in a second. */
START_TEST(test_dear)
{
	static const char *const repeated[] = { "{},", "[],", "0,", "\"\",", "{\"a\":{}},", "1.5," };
	double begin = seconds_now();
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	struct str text = { 0 };
	enum oci_document kind;

	str_add(&text, V2 "\"x\":[");
	while (text.length < OCI_MANIFEST_MAX - 1000)
		str_add(&text, repeated[_i]);
	str_add(&text, "0],\"config\":" CONFIG ",\"layers\":[]}");
	ck_assert_int_lt(look(text.text, "", "linux/amd64", &kind, &found, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "too many values"));
	ck_assert(seconds_now() - begin < 1);
	while (text.length <= OCI_MANIFEST_MAX)
		str_add(&text, " ");
	ck_assert_int_lt(look(text.text, "", "linux/amd64", &kind, &found, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.msg, "more than 4194304 bytes"));
	str_done(&text);
}
END_TEST

/* ---- layouts --------------------------------------------------------------------------------- */

#define NAMED(c, name) \
	"{" TYPE(MANIFEST) ",\"digest\":" SHA(c) ",\"size\":5,\"annotations\":{" \
	"\"org.opencontainers.image.ref.name\":\"" name "\"}}"

static const struct {
	const char *entries, *tag;
	char leads;
	const char *says;
} layouts[] = {
	{ NAMED("a", "v1") "," NAMED("b", "v2"), "v1", 'a', "" },
	{ NAMED("a", "v1") "," NAMED("b", "v2"), "v2", 'b', "" },
	{ NAMED("a", "v1") "," NAMED("b", "v2"), "v", '-', "there is v1, v2" },
	{ NAMED("a", "v1") "," NAMED("b", "v2"), "", '-', "there is v1, v2" },
	{ NAMED("a", "v1") "," NAMED("b", "v2"), NULL, '-', "there is v1, v2" },
	{ NAMED("a", "v1"), "", 'a', "" },
	{ ANY(MANIFEST, "a"), NULL, 'a', "" },
	{ ANY(INDEX, "a"), "", 'a', "" },
	{ ANY(MANIFEST, "a"), "v1", '-', "" },
	{ NAMED("a", "docker.io/library/x:v1"), "v1", 'a', "" },
	{ NAMED("a", "docker.io/library/x:v1"), "library/x:v1", 'a', "" },
	{ NAMED("a", "docker.io/library/x:v1"), "1", '-', "docker.io/library/x:v1" },
	{ NAMED("a", "v1") "," NAMED("a", "v1"), "v1", 'a', "" },
	{ NAMED("a", "v1") "," NAMED("b", "x:v1"), "v1", '-', "there is v1, x:v1" },
	{ NAMED("a", "\\u001b[2J"), "v1", '-', "\\x1b[2J" },
	{ "", "", '-', "" },
};

START_TEST(test_layout)
{
	_cleanup_free_ char *text = xasprintf(V2 "\"manifests\":[%s]}", layouts[_i].entries);
	_cleanup_(err_done) struct err err = { 0 };
	struct oci_descriptor found;
	int result = oci_layout_look(text, strlen(text), layouts[_i].tag, &found, &err);
	char hex[DIGEST_HEX_SIZE];

	if (layouts[_i].leads == '-') {
		ck_assert_int_lt(result, 0);
		ck_assert_int_eq(err.code, ERR_OCI);
		ck_assert_msg(strstr(err.mend ? err.mend : "", layouts[_i].says) != NULL, "%s",
			      err.mend ? err.mend : err.msg);
		return;
	}
	ck_assert_msg(result == 0, "%s", err.msg);
	digest_hex(&found.digest, hex);
	ck_assert_int_eq(hex[0], layouts[_i].leads);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_refused, ARRAY_SIZE(refused) }, { test_accepted, ARRAY_SIZE(accepted) },
		{ test_choice, ARRAY_SIZE(choices) }, { test_entries, 1 },
		{ test_depth, ARRAY_SIZE(depths) }, { test_texts_are_not_deep, 1 },
		{ test_dear, 6 }, { test_layout, ARRAY_SIZE(layouts) },
	};
	const struct unit unit = { "oci_document" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
