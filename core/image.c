/* The OCI image config: see image.h. */
#include "core/image.h"

#include "core/json.h"
#include "core/str.h"

#include <string.h>

#ifdef __x86_64__
#define ARCHITECTURE "amd64"	/* Go's names, as image-spec asks */
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#error "name this architecture as GOARCH does"
#endif

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
	json_out_end(out);
}

char *image_config(const struct process *process, const struct store_layer *layers, size_t count)
{
	struct json_out out;

	json_out_init(&out);
	json_out_text(&out, "architecture", ARCHITECTURE);
	json_out_text(&out, "os", "linux");
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
