/*
 * Images and their record: see image.h.
 *
 *	duet-oci-image 1
 *	manifest sha256:...		and so on: each member in its place
 *	layer sha256:... BYTES COMPRESSION sha256:...
 *	place OFFSET BYTES		of a docker-archive, one for each layer
 *	text LENGTH			and the bytes in the next line
 *	list COUNT			texts
 *	end HEX				sha256 of all above
 *
 * The worker that wrote it had hostile bytes in its hands: a record is looked at as if it had come
 * from outside, too.
 */
#include "builders/oci/image.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/parse.h"

#define HEAD "duet-oci-image 1\n"
#define SEAL_SIZE (4 + 64 + 1)	/* "end HEX\n" */
#define LIST_MAX 100000		/* texts of one list */
#define NONE "-"		/* for a text that is not there; texts that are there have a length */

void oci_image_done(struct oci_image *image)
{
	if (!image)
		return;
	free(image->platform);
	free(image->layers);
	free(image->places);
	process_done(&image->process);
	strv_done(&image->left_out);
	*image = (struct oci_image){ 0 };
}

void oci_image_copy(struct oci_image *to, const struct oci_image *from)
{
	struct oci_image copy = *from;

	copy.platform = from->platform ? xstrdup(from->platform) : NULL;
	copy.layers = xmemdup(from->layers, from->layer_count * sizeof(*from->layers));
	copy.places = from->places
			      ? xmemdup(from->places, from->layer_count * sizeof(*from->places))
			      : NULL;
	process_copy(&copy.process, &from->process);
	copy.left_out = (struct strv){ 0 };
	strv_copy(&copy.left_out, &from->left_out);
	*to = copy;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void add_digest(struct str *out, const char *name, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	str_addf(out, "%s %s\n", name, text);
}

static void add_number(struct str *out, const char *name, uint64_t value)
{
	str_addf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void add_text(struct str *out, const char *text)
{
	if (!text) {
		str_add(out, "text " NONE "\n");
		return;
	}
	add_number(out, "text", strlen(text));
	str_add(out, text);
	str_add(out, "\n");
}

static void add_list(struct str *out, const struct strv *list)
{
	add_number(out, "list", list->count);
	for (size_t i = 0; i < list->count; i++)
		add_text(out, list->items[i]);
}

static void add_process(struct str *out, const struct process *process)
{
	add_list(out, &process->entrypoint);
	add_list(out, &process->command);
	add_list(out, &process->environment);
	add_list(out, &process->labels);
	add_list(out, &process->volumes);
	add_list(out, &process->exposed);
	add_text(out, process->user);
	add_text(out, process->workdir);
	add_text(out, process->stop_signal);
}

static void add_layer(struct str *out, const struct oci_layer *layer)
{
	char blob[DIGEST_TEXT_SIZE], diff_id[DIGEST_TEXT_SIZE];

	digest_text(&layer->blob, blob);
	digest_text(&layer->diff_id, diff_id);
	str_addf(out, "layer %s %llu %u %s\n", blob, (unsigned long long)layer->bytes,
		 (unsigned int)layer->compression, diff_id);
}

void oci_image_write(const struct oci_image *image, struct str *out)
{
	struct str text = { 0 };
	struct digest seal;
	char hex[DIGEST_HEX_SIZE];

	str_add(&text, HEAD);
	add_digest(&text, "manifest", &image->manifest);
	add_number(&text, "manifest_bytes", image->manifest_bytes);
	add_digest(&text, "config", &image->config);
	add_number(&text, "config_bytes", image->config_bytes);
	add_number(&text, "docker", image->docker);
	add_number(&text, "has_created", image->has_created);
	add_number(&text, "created", image->created_s);
	add_text(&text, image->platform);
	add_number(&text, "layers", image->layer_count);
	for (size_t i = 0; i < image->layer_count; i++)
		add_layer(&text, &image->layers[i]);
	add_number(&text, "places", image->places ? image->layer_count : 0);
	for (size_t i = 0; image->places && i < image->layer_count; i++)
		str_addf(&text, "place %llu %llu\n", (unsigned long long)image->places[i].offset,
			 (unsigned long long)image->places[i].bytes);
	add_process(&text, &image->process);
	add_list(&text, &image->left_out);
	digest_of(text.text, text.length, &seal);
	digest_hex(&seal, hex);
	str_addf(&text, "end %s\n", hex);
	str_addn(out, text.text, text.length);
	str_done(&text);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
	char *text;	/* owned */
	char *at, *end;	/* borrowed from it; `end` is where the seal begins */
};

/* What stands behind NAME in the next line; NULL when its name is another. */
static char *take_line(struct reader *in, const char *name)
{
	size_t length = strlen(name);
	char *line = in->at, *stop = memchr(line, '\n', (size_t)(in->end - line));

	if (!stop || (size_t)(stop - line) < length + 1 || memcmp(line, name, length) ||
	    line[length] != ' ')
		return NULL;
	*stop = '\0';
	in->at = stop + 1;
	return line + length + 1;
}

static bool take_digest(struct reader *in, const char *name, struct digest *ret)
{
	const char *value = take_line(in, name);

	return value && digest_parse(value, ret);
}

static bool take_number(struct reader *in, const char *name, uint64_t max, uint64_t *ret)
{
	const char *value = take_line(in, name);

	return value && parse_u64(value, ret) && *ret <= max;
}

static bool take_bool(struct reader *in, const char *name, bool *ret)
{
	uint64_t value;

	if (!take_number(in, name, 1, &value))
		return false;
	*ret = value;
	return true;
}

static bool take_text(struct reader *in, char **ret)
{
	const char *value = take_line(in, "text");
	uint64_t length;

	if (value && !strcmp(value, NONE))
		return true;
	if (!value || !parse_u64(value, &length) || length >= (uint64_t)(in->end - in->at) ||
	    in->at[length] != '\n' || memchr(in->at, '\0', length) ||
	    !str_is_utf8(in->at, length))
		return false;
	*ret = xstrndup(in->at, length);
	in->at += length + 1;
	return true;
}

/* `is_good` NULL: any text. */
static bool take_list(struct reader *in, bool (*is_good)(const char *text), struct strv *ret)
{
	uint64_t count;

	if (!take_number(in, "list", LIST_MAX, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		char *text = NULL;

		if (!take_text(in, &text) || !text)
			return false;
		strv_take(ret, text);
		if (is_good && !is_good(text))
			return false;
	}
	return true;
}

static bool is_pair(const char *text)
{
	return strchr(text, '=') > text;
}

static bool is_absolute(const char *text)
{
	return *text == '/';
}

static bool take_process(struct reader *in, struct process *ret)
{
	return take_list(in, NULL, &ret->entrypoint) && take_list(in, NULL, &ret->command) &&
	       take_list(in, is_pair, &ret->environment) && take_list(in, is_pair, &ret->labels) &&
	       take_list(in, is_absolute, &ret->volumes) && take_list(in, NULL, &ret->exposed) &&
	       take_text(in, &ret->user) && take_text(in, &ret->workdir) &&
	       (!ret->workdir || is_absolute(ret->workdir)) && take_text(in, &ret->stop_signal);
}

static bool take_layer(struct reader *in, struct oci_layer *ret)
{
	char *save, *blob, *bytes, *compression, *diff_id, *line = take_line(in, "layer");
	uint32_t kind;

	if (!line)
		return false;
	blob = strtok_r(line, " ", &save);
	bytes = strtok_r(NULL, " ", &save);
	compression = strtok_r(NULL, " ", &save);
	diff_id = strtok_r(NULL, "", &save);
	if (!diff_id || !digest_parse(blob, &ret->blob) || !parse_u64(bytes, &ret->bytes) ||
	    ret->bytes > INT64_MAX || !parse_u32_max(compression, OCI_ZSTD, &kind) ||
	    !digest_parse(diff_id, &ret->diff_id))
		return false;
	ret->compression = (enum oci_compression)kind;
	return true;
}

static bool take_place(struct reader *in, struct oci_place *ret)
{
	char *save, *offset, *bytes, *line = take_line(in, "place");

	if (!line)
		return false;
	offset = strtok_r(line, " ", &save);
	bytes = strtok_r(NULL, "", &save);
	return bytes && parse_u64(offset, &ret->offset) && parse_u64(bytes, &ret->bytes) &&
	       ret->offset <= INT64_MAX && ret->bytes <= INT64_MAX - ret->offset;
}

static bool take_layers(struct reader *in, struct oci_image *ret)
{
	uint64_t count, places;

	if (!take_number(in, "layers", OCI_LAYERS_MAX, &count))
		return false;
	ret->layers = xcalloc(count + 1, sizeof(*ret->layers));
	ret->layer_count = count;
	for (uint64_t i = 0; i < count; i++)
		if (!take_layer(in, &ret->layers[i]))
			return false;
	if (!take_number(in, "places", count, &places) || (places != 0 && places != count))
		return false;
	if (places > 0)
		ret->places = xcalloc(places, sizeof(*ret->places));
	for (uint64_t i = 0; i < places; i++)
		if (!take_place(in, &ret->places[i]))
			return false;
	return true;
}

static bool take_image(struct reader *in, struct oci_image *ret)
{
	return take_digest(in, "manifest", &ret->manifest) &&
	       take_number(in, "manifest_bytes", OCI_MANIFEST_MAX, &ret->manifest_bytes) &&
	       take_digest(in, "config", &ret->config) &&
	       take_number(in, "config_bytes", OCI_CONFIG_MAX, &ret->config_bytes) &&
	       take_bool(in, "docker", &ret->docker) &&
	       take_bool(in, "has_created", &ret->has_created) &&
	       take_number(in, "created", INT64_MAX, &ret->created_s) &&
	       take_text(in, &ret->platform) && ret->platform &&
	       oci_platform_is_valid(ret->platform) && take_layers(in, ret) &&
	       take_process(in, &ret->process) && take_list(in, NULL, &ret->left_out) &&
	       in->at == in->end;
}

/* Sets the reader up behind the head. */
static bool open_record(struct reader *in, const char *text, size_t size)
{
	struct digest digest, sealed;
	char *hex;

	if (size < strlen(HEAD) + SEAL_SIZE || size > OCI_RECORD_MAX)
		return false;
	in->text = xmemdup(text, size);
	in->end = in->text + size - SEAL_SIZE;
	in->at = in->text + strlen(HEAD);
	hex = in->end + 4;
	if (memcmp(in->text, HEAD, strlen(HEAD)) || memcmp(in->end, "end ", 4) ||
	    in->text[size - 1] != '\n')
		return false;
	in->text[size - 1] = '\0';
	digest_of(in->text, size - SEAL_SIZE, &digest);
	return digest_parse_hex(hex, &sealed) && digest_equal(&digest, &sealed);
}

int oci_image_read(struct oci_image *ret, const char *text, size_t size, struct err *err)
{
	struct oci_image image = { 0 };
	struct reader in = { 0 };
	bool whole = open_record(&in, text, size) && take_image(&in, &image);

	free(in.text);
	if (!whole) {
		oci_image_done(&image);
		return err_set(err, ERR_WORKER, "duet-worker wrote a broken record of an image");
	}
	*ret = image;
	return 0;
}
