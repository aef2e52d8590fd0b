/* The image config: see config.h. */
#include "builders/oci/config.h"

#include <string.h>

#include "builders/oci/fields.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/str.h"

#define SHOWN 100	/* bytes of a text in a message */
#define TOLD_MAX 20	/* lines of left_out */

static void leave_out(struct oci_image *image, const char *what, const char *text, const char *why)
{
	_cleanup_free_ char *shown = str_escape(text, SHOWN);

	if (image->left_out.count < TOLD_MAX)
		strv_addf(&image->left_out, "%s `%s`: %s", what, shown, why);
	else if (image->left_out.count == TOLD_MAX)
		strv_add(&image->left_out, "and more");
}

static bool has_controls(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* ---- the members of `config` ----------------------------------------------------------------- */

static int read_texts(const struct json_in *config, const char *key, struct strv *ret,
		      struct err *err)
{
	const struct json_in *list;
	int found = field_list(config, key, &list, err);

	if (found <= 0)
		return found;
	for (size_t i = 0; i < json_in_count(list); i++) {
		const char *text = json_in_text(json_in_item(list, i));

		if (!text)
			return err_set(err, ERR_OCI, "`%s[%zu]` is no text", key, i);
		strv_add(ret, text);
	}
	return 0;
}

static int read_environment(const struct json_in *config, struct oci_image *image, struct err *err)
{
	_cleanup_(strv_done) struct strv all = { 0 };

	if (read_texts(config, "Env", &all, err) < 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		const char *item = all.items[i], *sign = strchr(item, '=');
		_cleanup_free_ char *name = xstrndup(item, strcspn(item, "="));

		if (!sign)
			leave_out(image, "Env", item, "it has no \"=\"");
		else if (!parse_is_env_name(name))
			leave_out(image, "Env", name, "this is no name");
		else
			strv_add(&image->process.environment, item);
	}
	return 0;
}

static int add_label(void *data, const char *key, const struct json_in *value, struct err *err)
{
	struct oci_image *image = data;
	const char *text = json_in_text(value);

	if (!parse_is_env_name(key)) {
		leave_out(image, "label", key, "duet's labels have names without \"=\" and control "
					       "characters");
		return 0;
	}
	if (!text) {
		_cleanup_free_ char *shown = str_escape(key, SHOWN);

		return err_set(err, ERR_OCI, "label `%s` is no text", shown);
	}
	strv_addf(&image->process.labels, "%s=%s", key, text);
	return 0;
}

static int add_volume(void *data, const char *key, const struct json_in *value, struct err *err)
{
	struct oci_image *image = data;
	char clean[PATH_LENGTH_MAX + 1];

	(void)value, (void)err;
	if (*key != '/' || has_controls(key) || !path_clean(key, clean) || !*clean)
		leave_out(image, "volume", key, "this is no absolute path below /");
	else
		strv_addf(&image->process.volumes, "/%s", clean);
	return 0;
}

/* "8080", "8080/tcp", "53/udp", "8000-8010/tcp" */
static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789-");

	return digits > 0 && digits <= 11 &&
	       (!text[digits] || !strcmp(text + digits, "/tcp") || !strcmp(text + digits, "/udp") ||
		!strcmp(text + digits, "/sctp"));
}

static int add_port(void *data, const char *key, const struct json_in *value, struct err *err)
{
	struct oci_image *image = data;

	(void)value, (void)err;
	if (is_port(key))
		strv_add(&image->process.exposed, key);
	else
		leave_out(image, "port", key, "this is no port");
	return 0;
}

static int read_maps(const struct json_in *config, struct oci_image *image, struct err *err)
{
	static const struct {
		const char *key;
		int (*add)(void *data, const char *key, const struct json_in *value,
			   struct err *err);
	} rows[] = {
		{ "Labels", add_label }, { "Volumes", add_volume }, { "ExposedPorts", add_port },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct json_in *map;
		int found = field_map(config, rows[i].key, &map, err);

		if (found < 0 ||
		    (found > 0 && json_in_each(map, rows[i].add, image, err) < 0))
			return -1;
	}
	return 0;
}

/* A text that may be "", which means the same as none. */
static int read_word(const struct json_in *config, const char *key, char **ret, struct err *err)
{
	const char *text = "";

	if (field_text(config, key, &text, err) < 0)
		return -1;
	if (has_controls(text))
		return err_set(err, ERR_OCI, "`%s` has a control character in it", key);
	if (*text)
		*ret = xstrdup(text);
	return 0;
}

static int read_stop_signal(const struct json_in *config, struct oci_image *image, struct err *err)
{
	const char *text = "";
	size_t length;

	if (field_text(config, "StopSignal", &text, err) < 0)
		return -1;
	length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-");
	if (text[length] || length > 16)
		leave_out(image, "StopSignal", text, "this is no signal");
	else if (length > 0)
		image->process.stop_signal = xstrdup(text);
	return 0;
}

static int read_process(const struct json_in *config, struct oci_image *image, struct err *err)
{
	struct process *process = &image->process;

	if (read_texts(config, "Entrypoint", &process->entrypoint, err) < 0 ||
	    read_texts(config, "Cmd", &process->command, err) < 0 ||
	    read_environment(config, image, err) < 0 || read_maps(config, image, err) < 0 ||
	    read_word(config, "User", &process->user, err) < 0 ||
	    read_word(config, "WorkingDir", &process->workdir, err) < 0 ||
	    read_stop_signal(config, image, err) < 0)
		return -1;
	if (process->workdir && *process->workdir != '/') {
		_cleanup_free_ char *shown = str_escape(process->workdir, SHOWN);

		return err_set(err, ERR_OCI, "`WorkingDir`: `%s` is not absolute", shown);
	}
	return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int read_platform(const struct json_in *root, struct oci_image *image, struct err *err)
{
	const char *os = "", *architecture = "", *variant = "";
	_cleanup_free_ char *text = NULL;

	if (field_text(root, "os", &os, err) < 0 ||
	    field_text(root, "architecture", &architecture, err) < 0 ||
	    field_text(root, "variant", &variant, err) < 0)
		return -1;
	text = xasprintf("%s/%s%s%s", os, architecture, *variant ? "/" : "", variant);
	if (!oci_platform_is_valid(text) || strchr(os, '/') || strchr(architecture, '/') ||
	    strchr(variant, '/')) {
		_cleanup_free_ char *shown = str_escape(text, SHOWN);

		return err_set(err, ERR_OCI, "`os` and `architecture`: `%s` is no platform", shown);
	}
	image->platform = TAKE_PTR(text);
	return 0;
}

static int read_created(const struct json_in *root, struct oci_image *image, struct err *err)
{
	const char *text = "";
	int64_t seconds;

	if (field_text(root, "created", &text, err) < 0)
		return -1;
	if (!*text)
		return 0;
	if (!parse_time(text, &seconds)) {
		leave_out(image, "created", text, "this is no date");
		return 0;
	}
	image->has_created = seconds >= 0;
	image->created_s = seconds >= 0 ? (uint64_t)seconds : 0;
	return 0;
}

static int read_diff_ids(const struct json_in *root, struct oci_image *image, struct err *err)
{
	const struct json_in *rootfs = NULL, *list = NULL;
	const char *type = "";
	size_t count;

	if (field_map(root, "rootfs", &rootfs, err) < 0 ||
	    field_text(rootfs, "type", &type, err) < 0 ||
	    field_list(rootfs, "diff_ids", &list, err) < 0)
		return -1;
	if (strcmp(type, "layers"))
		return err_set(err, ERR_OCI, "`rootfs.type` is not \"layers\"");
	count = json_in_count(list);
	if (count != image->layer_count)
		return err_set(err, ERR_OCI, "%zu diff-ids for %zu layers", count,
			       image->layer_count);
	for (size_t i = 0; i < count; i++) {
		const char *text = json_in_text(json_in_item(list, i));

		if (!text)
			return err_set(err, ERR_OCI, "`diff_ids[%zu]` is no text", i);
		if (field_parse_digest(text, &image->layers[i].diff_id, err) < 0)
			return err_wrap(err, "`diff_ids[%zu]`", i);
	}
	return 0;
}

int oci_config_read(const char *text, size_t size, struct oci_image *image, struct err *err)
{
	_cleanup_(field_document_done) struct json_in *root = NULL;
	const struct json_in *config = NULL;

	if (field_document(text, size, OCI_CONFIG_MAX, &root, err) < 0 ||
	    read_platform(root, image, err) < 0 || read_created(root, image, err) < 0 ||
	    read_diff_ids(root, image, err) < 0 || field_map(root, "config", &config, err) < 0)
		return -1;
	return config ? read_process(config, image, err) : 0;
}
