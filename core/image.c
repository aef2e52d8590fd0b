/* The OCI image config: see image.h. */
#include "core/image.h"

#include "core/json.h"
#include "core/str.h"

#include <string.h>

#ifdef __x86_64__
#define PLATFORM "linux/amd64"	/* Go's names, as image-spec asks */
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#else
#error "name this architecture as GOARCH does"
#endif

/* A set, as Go writes it: {"80/tcp": {}}. */
static void add_set(struct json_out *out, const char *key, const struct strv *names)
{
	if (names->count == 0)
		return;
	json_out_map(out, key);
	for (size_t i = 0; i < names->count; i++) {
		json_out_map(out, names->items[i]);
		json_out_end(out);
	}
	json_out_end(out);
}

/* Each of config's members only when it is set: null and "" mean the same to readers. */
static void add_config(struct json_out *out, const struct process *process)
{
	json_out_map(out, "config");
	if (process->user)
		json_out_text(out, "User", process->user);
	if (process->environment.count)
		json_out_texts(out, "Env", &process->environment);
	if (process->entrypoint.count)
		json_out_texts(out, "Entrypoint", &process->entrypoint);
	if (process->command.count)
		json_out_texts(out, "Cmd", &process->command);
	if (process->workdir)
		json_out_text(out, "WorkingDir", process->workdir);
	if (process->labels.count) {
		json_out_map(out, "Labels");
		for (size_t i = 0; i < process->labels.count; i++) {
			const char *text = process->labels.items[i];
			size_t length = strcspn(text, "=");
			_cleanup_free_ char *name = xstrndup(text, length);

			json_out_text(out, name, text[length] ? text + length + 1 : "");
		}
		json_out_end(out);
	}
	add_set(out, "Volumes", &process->volumes);
	add_set(out, "ExposedPorts", &process->exposed);
	if (process->stop_signal)
		json_out_text(out, "StopSignal", process->stop_signal);
	json_out_end(out);
}

static void add_platform(struct json_out *out, const char *platform)
{
	static const char *const keys[] = { "os", "architecture", "variant" };

	for (size_t i = 0; i < ARRAY_SIZE(keys) && *platform; i++) {
		size_t length = strcspn(platform, "/");
		_cleanup_free_ char *part = xstrndup(platform, length);

		json_out_text(out, keys[i], part);
		platform += length + (platform[length] == '/');
	}
}

char *image_config(const struct process *process, const struct store_layer *layers, size_t count,
		   const char *platform, int64_t created_s)
{
	_cleanup_(str_done) struct str created = { 0 };
	struct json_out out;

	json_out_init(&out);
	if (created_s >= 0) {
		str_add_time(&created, created_s);
		json_out_text(&out, "created", created.text);
	}
	add_platform(&out, platform ? platform : PLATFORM);
	add_config(&out, process);
	json_out_map(&out, "rootfs");
	json_out_text(&out, "type", "layers");
	json_out_list(&out, "diff_ids");
	for (size_t i = 0; i < count; i++) {
		char text[DIGEST_TEXT_SIZE];

		digest_text(&layers[i].diff_id, text);
		json_out_text(&out, NULL, text);
	}
	json_out_end(&out);
	json_out_end(&out);
	return json_out_finish(&out);
}
