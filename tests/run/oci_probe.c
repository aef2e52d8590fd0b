/*
 * What duet reads out of OCI documents, through duet-worker:
 *
 *	oci_probe pick DOCUMENT MEDIA-TYPE PLATFORM
 *	oci_probe layout INDEX TAG
 *	oci_probe image MANIFEST CONFIG [DIGEST]
 *	oci_probe archive FILE TAG [FOLDER]	layers into FOLDER/HEX
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "builders/oci/documents.h"
#include "core/mem.h"

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static void print_texts(const char *name, const struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		printf("%s %s\n", name, list->items[i]);
}

static void print_digest(const char *name, const struct digest *digest, uint64_t bytes)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	printf("%s %s %llu\n", name, text, (unsigned long long)bytes);
}

static void print_image(const struct oci_image *image)
{
	static const char *const compressions[] = { "plain", "gzip", "zstd" };
	const struct process *process = &image->process;

	if (!digest_is_zero(&image->manifest))
		print_digest("manifest", &image->manifest, image->manifest_bytes);
	print_digest("config", &image->config, image->config_bytes);
	printf("platform %s%s\n", image->platform, image->docker ? " docker" : "");
	if (image->has_created)
		printf("created %llu\n", (unsigned long long)image->created_s);
	for (size_t i = 0; i < image->layer_count; i++) {
		print_digest("layer", &image->layers[i].blob, image->layers[i].bytes);
		print_digest(compressions[image->layers[i].compression], &image->layers[i].diff_id,
			     0);
	}
	print_texts("entrypoint", &process->entrypoint);
	print_texts("command", &process->command);
	print_texts("env", &process->environment);
	print_texts("label", &process->labels);
	print_texts("volume", &process->volumes);
	print_texts("port", &process->exposed);
	printf("user %s workdir %s signal %s\n", process->user ? process->user : "-",
	       process->workdir ? process->workdir : "-",
	       process->stop_signal ? process->stop_signal : "-");
	print_texts("left out", &image->left_out);
}

static void print_descriptor(const struct oci_descriptor *descriptor)
{
	printf("%s\n", descriptor->media_type);
	print_digest("leads to", &descriptor->digest, descriptor->bytes);
}

static int pick(char **words, struct err *err)
{
	struct oci_descriptor found;
	enum oci_document kind;

	if (oci_pick(open_file(words[0]), words[1], words[2], &kind, &found, err) < 0)
		return -1;
	printf("%s to ", kind == OCI_INDEX ? "index" : "manifest");
	print_descriptor(&found);
	return 0;
}

static int layout(char **words, struct err *err)
{
	struct oci_descriptor found;

	if (oci_pick_layout(open_file(words[0]), words[1], &found, err) < 0)
		return -1;
	print_descriptor(&found);
	return 0;
}

static int image(char **words, struct err *err)
{
	struct oci_image made;
	struct digest digest;

	if (words[2] && !digest_parse(words[2], &digest))
		return err_set(err, ERR_USAGE, "%s is no digest", words[2]);
	if (oci_make_image(open_file(words[0]), open_file(words[1]), words[2] ? &digest : NULL,
			   NULL, &made, err) < 0)
		return -1;
	print_image(&made);
	oci_image_done(&made);
	return 0;
}

static int copy_layers(const struct oci_archive *archive, const char *folder, struct err *err)
{
	for (size_t i = 0; i < archive->image.layer_count; i++) {
		const struct oci_layer *layer = &archive->image.layers[i];
		const struct oci_place *place = &archive->image.places[i];
		_cleanup_free_ char *path = NULL;
		char hex[DIGEST_HEX_SIZE];
		struct digest digest;
		int out, result;

		digest_hex(&layer->blob, hex);
		path = xasprintf("%s/%s", folder, hex);
		out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		result = oci_copy(archive->file, place->offset, place->bytes, &layer->blob, out,
				  "copy", &digest, err);
		close(out);
		if (result < 0)
			return -1;
		if (!digest_equal(&digest, &layer->blob))
			return err_set(err, ERR_WORKER, "another digest was copied");
	}
	return 0;
}

static int archive(char **words, struct err *err)
{
	int file = open_file(words[0]), scratch = memfd_create("scratch", MFD_CLOEXEC);
	struct oci_archive opened;
	int result;

	if (oci_open_docker_archive(file, scratch, words[1], NULL, &opened, err) < 0)
		return -1;
	print_image(&opened.image);
	result = words[2] ? copy_layers(&opened, words[2], err) : 0;
	oci_archive_done(&opened);
	return result;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;
		int (*run)(char **words, struct err *err);
	} rows[] = {
		{ "pick", 3, pick }, { "layout", 2, layout }, { "image", 2, image },
		{ "archive", 2, archive },
	};
	struct err err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (argc < 2 || strcmp(argv[1], rows[i].name) || argc < 2 + rows[i].words)
			continue;
		if (rows[i].run(argv + 2, &err) == 0)
			return 0;
		printf("error[%s]: %s\n", err_class(err.code), err.msg);
		if (err.mend)
			printf("%s\n", err.mend);
		err_done(&err);
		return 1;
	}
	return 2;
}
