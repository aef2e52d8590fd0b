/* duet inspect: what the store knows of an image, as text, JSON, or an OCI runtime's config.json. */
#include <stdio.h>
#include <string.h>

#include "builders/stored.h"
#include "cmd/cmd.h"
#include "cmd/inspect.h"
#include "core/json.h"
#include "core/str.h"

#define SHOWN 4096	/* bytes of a text for people */

static int look_for_blob(struct store *store, const struct store_layer *layer, bool *ret,
			 struct err *err)
{
	_cleanup_close_ int fd = -1;
	uint64_t bytes;
	int found = store_blob_open(store, &layer->blob, &fd, &bytes, err);

	*ret = found == 1 && bytes == layer->blob_bytes;
	return found < 0 ? -1 : 0;
}

/* Which of its forms the store has. */
static int look_for_forms(struct store *store, const struct store_layer *layer,
			  const struct digest *chain, bool ret[INSPECT_FORMS], struct err *err)
{
	_cleanup_close_ int tree = -1, tree_use = -1, disk = -1, disk_use = -1;
	int has_tree, has_disk;

	if (look_for_blob(store, layer, &ret[INSPECT_BLOB], err) < 0)
		return -1;
	has_tree = store_tree_open(store, &layer->diff_id, chain, &tree, &tree_use, err);
	if (has_tree < 0)
		return -1;
	has_disk = store_erofs_open(store, &layer->diff_id, chain, false, &disk, &disk_use, err);
	if (has_disk < 0)
		return -1;
	ret[INSPECT_TREE] = has_tree == 1;
	ret[INSPECT_EROFS] = has_disk == 1;
	return 0;
}

static int look(struct store *store, struct inspected *inspected, struct err *err)
{
	const struct store_image *image = &inspected->image;
	struct digest chain;

	inspected->forms = xcalloc(image->layer_count + 1, sizeof(*inspected->forms));
	for (size_t i = 0; i < image->layer_count; i++) {
		const struct store_layer *layer = &image->layers[i];

		digest_chain(i > 0 ? &chain : NULL, &layer->diff_id, &chain);
		if (look_for_forms(store, layer, &chain, inspected->forms[i], err) < 0)
			return -1;
		inspected->bytes += layer->tree_bytes;
	}
	return 0;
}

static void inspected_done(struct inspected *inspected)
{
	store_image_done(&inspected->image);
	oci_image_done(&inspected->said);
	free(inspected->forms);
	*inspected = (struct inspected){ 0 };
}

static const char *const form_names[INSPECT_FORMS] = { "blob", "tree", "erofs" };

/* ---- for people ------------------------------------------------------------------------------ */

static void print_row(const char *what, const char *value)
{
	_cleanup_free_ char *shown = str_escape(value, SHOWN);

	printf("%-12s %s\n", what, shown);
}

static void print_rows(const char *what, const struct strv *values)
{
	for (size_t i = 0; i < values->count; i++)
		print_row(what, values->items[i]);
}

static void print_time(const char *what, int64_t seconds)
{
	_cleanup_(str_done) struct str text = { 0 };

	str_add_time(&text, seconds);
	print_row(what, text.text);
}

static void print_layer(const struct store_layer *layer, const bool forms[INSPECT_FORMS])
{
	char diff_id[DIGEST_TEXT_SIZE], blob[DIGEST_TEXT_SIZE];
	const char *before = "";

	digest_text(&layer->diff_id, diff_id);
	digest_text(&layer->blob, blob);
	printf("%-12s %s, %.1f MB, as ", "layer", diff_id, (double)layer->tree_bytes / 1e6);
	for (size_t i = 0; i < INSPECT_FORMS; i++) {
		if (!forms[i])
			continue;
		printf("%s%s", before, form_names[i]);
		before = ", ";
	}
	printf("%s\n%-12s %s, %.1f MB\n", *before ? "" : "nothing", "  blob", blob,
	       (double)layer->blob_bytes / 1e6);
}

static void print_process(const struct process *process)
{
	print_rows("entrypoint", &process->entrypoint);
	print_rows("command", &process->command);
	print_rows("environment", &process->environment);
	if (process->user)
		print_row("user", process->user);
	if (process->workdir)
		print_row("workdir", process->workdir);
	print_rows("volume", &process->volumes);
	print_rows("port", &process->exposed);
	if (process->stop_signal)
		print_row("stop signal", process->stop_signal);
	print_rows("label", &process->labels);
}

static void print_text(const struct inspected *inspected)
{
	const struct store_image *image = &inspected->image;
	const struct oci_image *said = &inspected->said;
	char id[DIGEST_TEXT_SIZE];

	digest_text(&image->id, id);
	print_row("name", image->name);
	print_row("id", id);
	print_row("platform", said->platform);
	if (said->has_created)
		print_time("created", (int64_t)said->created_s);
	print_time("built", (int64_t)(image->built_ns / 1000000000u));
	if (*image->spec_file)
		print_row("spec", image->spec_file);
	printf("%-12s %.1f MB\n", "size", (double)inspected->bytes / 1e6);
	for (size_t i = 0; i < image->layer_count; i++)
		print_layer(&image->layers[i], inspected->forms[i]);
	print_process(&said->process);
	/* these are escaped */
	for (size_t i = 0; i < said->left_out.count; i++)
		printf("%-12s %s\n", "left out", said->left_out.items[i]);
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void add_digest(struct json_out *out, const char *key, const struct digest *digest)
{
	char text[DIGEST_TEXT_SIZE];

	digest_text(digest, text);
	json_out_text(out, key, text);
}

static void add_time(struct json_out *out, const char *key, int64_t seconds)
{
	_cleanup_(str_done) struct str text = { 0 };

	str_add_time(&text, seconds);
	json_out_text(out, key, text.text);
}

static void add_layer(struct json_out *out, const struct store_layer *layer,
		      const bool forms[INSPECT_FORMS])
{
	json_out_map(out, NULL);
	add_digest(out, "diff_id", &layer->diff_id);
	add_digest(out, "blob", &layer->blob);
	json_out_number(out, "blob_bytes", layer->blob_bytes);
	json_out_number(out, "bytes", layer->tree_bytes);
	json_out_number(out, "entries", layer->entries);
	json_out_list(out, "forms");
	for (size_t i = 0; i < INSPECT_FORMS; i++)
		if (forms[i])
			json_out_text(out, NULL, form_names[i]);
	json_out_end(out);
	json_out_end(out);
}

static void add_process(struct json_out *out, const struct process *process)
{
	json_out_map(out, "process");
	json_out_texts(out, "entrypoint", &process->entrypoint);
	json_out_texts(out, "command", &process->command);
	json_out_texts(out, "environment", &process->environment);
	if (process->user)
		json_out_text(out, "user", process->user);
	if (process->workdir)
		json_out_text(out, "workdir", process->workdir);
	json_out_texts(out, "volumes", &process->volumes);
	json_out_texts(out, "ports", &process->exposed);
	if (process->stop_signal)
		json_out_text(out, "stop_signal", process->stop_signal);
	json_out_map(out, "labels");
	inspect_add_labels(out, &process->labels);
	json_out_end(out);
	json_out_end(out);
}

void inspect_add_labels(struct json_out *out, const struct strv *labels)
{
	for (size_t i = 0; i < labels->count; i++) {
		const char *text = labels->items[i], *sign = strchr(text, '=');
		_cleanup_free_ char *name = xstrndup(text, strcspn(text, "="));

		json_out_text(out, name, sign ? sign + 1 : "");
	}
}

static int print_json(const struct inspected *inspected, struct err *err)
{
	const struct store_image *image = &inspected->image;
	const struct oci_image *said = &inspected->said;
	_cleanup_free_ char *text = NULL;
	struct json_in *config;
	struct json_out out;

	if (json_in_new(image->config, strlen(image->config), OCI_JSON_DEPTH_MAX, ERR_OCI,
			&config, err) < 0)
		return err_wrap(err, "read the image's config");
	json_out_init(&out);
	json_out_text(&out, "name", image->name);
	add_digest(&out, "id", &image->id);
	json_out_text(&out, "platform", said->platform);
	if (said->has_created)
		add_time(&out, "created", (int64_t)said->created_s);
	add_time(&out, "built", (int64_t)(image->built_ns / 1000000000u));
	if (*image->spec_file)
		json_out_text(&out, "spec", image->spec_file);
	json_out_number(&out, "bytes", inspected->bytes);
	json_out_list(&out, "layers");
	for (size_t i = 0; i < image->layer_count; i++)
		add_layer(&out, &image->layers[i], inspected->forms[i]);
	json_out_end(&out);
	add_process(&out, &said->process);
	json_out_texts(&out, "left_out", &said->left_out);
	json_out_in(&out, "config", config);
	json_in_free(config);
	text = json_out_finish(&out);
	fputs(text, stdout);
	return 0;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int inspect(const struct cli *cli, struct store *store, const char *name, struct err *err)
{
	struct inspected inspected = { 0 };
	int result = image_get(store, "inspect", name, &inspected.image, err);

	if (result == 0)
		result = stored_read(&inspected.image, &inspected.said, err);
	if (result == 0)
		result = look(store, &inspected, err);
	if (result == 0 && cli->format)
		result = inspect_runtime(store, &inspected, err);
	else if (result == 0 && cli->json)
		result = print_json(&inspected, err);
	else if (result == 0)
		print_text(&inspected);
	inspected_done(&inspected);
	return result;
}

static int check_format(const char *format, struct err *err)
{
	_cleanup_free_ char *shown = NULL;

	if (!format || !strcmp(format, "oci-runtime"))
		return 0;
	shown = str_escape(format, 64);
	err_set(err, ERR_USAGE, "inspect: unknown format `%s`", shown);
	return err_mend(err, "there is oci-runtime; and without --format text, or --json");
}

int cmd_inspect(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	int result = check_format(cli->format, err);

	if (result == 0 && cli->rest_count == 0)
		result = session_spec(&session, cli, err);
	if (result == 0)
		result = session_store(&session, cli, err);
	if (result == 0)
		result = inspect(cli, &session.store,
				 cli->rest_count ? cli->rest[0] : session.spec.name, err);
	*ret_code = 0;
	session_done(&session);
	return result;
}
