/* duet images: the images of the store. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/cmd.h"
#include "core/json.h"

static uint64_t bytes_of(const struct store_image *image)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < image->layer_count; i++)
		bytes += image->layers[i].tree_bytes;
	return bytes;
}

static void print_image(const struct store_image *image, struct json_out *out)
{
	char id[DIGEST_TEXT_SIZE], built[32] = "";
	time_t seconds = (time_t)(image->built_ns / 1000000000u);
	struct tm tm;

	digest_text(&image->id, id);
	if (gmtime_r(&seconds, &tm))
		strftime(built, sizeof(built), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!out) {
		printf("%-20s %.19s %6zu %10.1f MB  %s\n", image->name, id, image->layer_count,
		       (double)bytes_of(image) / 1e6, built);
		return;
	}
	json_out_map(out, NULL);
	json_out_text(out, "name", image->name);
	json_out_text(out, "id", id);
	json_out_number(out, "layers", image->layer_count);
	json_out_number(out, "bytes", bytes_of(image));
	json_out_text(out, "built", built);
	json_out_end(out);
}

static void print_images(struct store_image *images, size_t count, bool json)
{
	_cleanup_free_ char *text = NULL;
	struct json_out out;

	if (json) {
		json_out_init(&out);
		json_out_list(&out, "images");
	} else {
		printf("%-20s %-19s %6s %13s  %s\n", "NAME", "ID", "LAYERS", "SIZE", "BUILT");
	}
	for (size_t i = 0; i < count; i++) {
		print_image(&images[i], json ? &out : NULL);
		store_image_done(&images[i]);
	}
	if (json) {
		json_out_end(&out);
		text = json_out_finish(&out);
		fputs(text, stdout);
	}
}

int cmd_images(const struct cli *cli, int *ret_code, struct err *err)
{
	struct store_image *images = NULL;
	struct session session = { 0 };
	size_t count = 0;
	int result = session_store(&session, cli, err);

	if (result == 0)
		result = store_image_list(&session.store, &images, &count, err);
	if (result == 0) {
		print_images(images, count, cli->json);
		free(images);
		*ret_code = 0;
	}
	session_done(&session);
	return result;
}
