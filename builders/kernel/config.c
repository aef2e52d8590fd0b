/* A kernel's configuration: see config.h. It lies gzipped between two magic words (kernel/configs.c). */
#include "builders/kernel/config.h"

#include <string.h>

#include "core/mem.h"

#define START "IKCFG_ST"
#define END "IKCFG_ED"
#define GZIP "\x1f\x8b"

static const uint8_t *find(const uint8_t *at, const uint8_t *end, const char *word)
{
	return at < end ? memmem(at, (size_t)(end - at), word, strlen(word)) : NULL;
}

char *config_find(const struct bytes *vmlinux)
{
	const uint8_t *at = vmlinux->data, *end = at + vmlinux->size, *stop;
	_cleanup_(bytes_done) struct bytes text = { 0 };
	_cleanup_(err_done) struct err ignored = { 0 };

	/* the words stand in its code too: only one with gzip's magic behind it counts */
	while ((at = find(at, end, START))) {
		at += strlen(START);
		if (end - at > 2 && !memcmp(at, GZIP, 2))
			break;
	}
	stop = at ? find(at, end, END) : NULL;
	if (!stop)
		return NULL;
	text = (struct bytes){ .data = at, .size = (size_t)(stop - at) };
	if (bytes_unpack(&text, CONFIG_BYTES_MAX, &ignored) < 0)
		return NULL;
	return xstrndup((const char *)text.data, text.size);
}

char config_value(const char *config, const char *option)
{
	size_t length = strlen(option);

	for (const char *line = config; *line; line += strcspn(line, "\n"), line += *line != '\0')
		if (!strncmp(line, option, length) && line[length] == '=')
			return line[length + 1] == 'y' || line[length + 1] == 'm' ? line[length + 1] :
										    '\0';
	return '\0';
}
