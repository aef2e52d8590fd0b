/* A guest's console: see console.h. */
#include "runners/vm/console.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/str.h"
#include "runners/init/proto.h"

#define CHUNK 4096
#define LINE_SHOWN 200

void console_init(struct console *console, int fd)
{
	console->fd = fd;
	console->used = 0;
	console->text[0] = '\0';
}

static void keep(struct console *console, char *chunk, size_t size)
{
	size_t over = console->used + size > CONSOLE_KEPT ? console->used + size - CONSOLE_KEPT : 0;

	for (size_t i = 0; i < size; i++)
		if (chunk[i] == '\0')
			chunk[i] = ' ';
	memmove(console->text, console->text + over, console->used - over);
	console->used -= over;
	memcpy(console->text + console->used, chunk, size);
	console->used += size;
	console->text[console->used] = '\0';
}

/* Until nothing is there or `most` bytes are read; false when it has ended. */
static bool read_some(struct console *console, size_t most)
{
	char chunk[CHUNK];
	size_t taken = 0;

	while (console->fd >= 0 && taken < most) {
		ssize_t got = read(console->fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EAGAIN)
			return true;
		if (got > 0) {
			keep(console, chunk, (size_t)got);
			taken += (size_t)got;
		} else if (got == 0 || errno != EINTR) {
			console->fd = -1;
		}
	}
	return console->fd >= 0;
}

bool console_read(struct console *console)
{
	return read_some(console, CONSOLE_TURN_MAX);
}

void console_drain(struct console *console)
{
	(void)read_some(console, CONSOLE_DRAIN_MAX);
}

/* From `at` to the end of its line, escaped. Owned. */
static char *rest_of_line(const char *at)
{
	_cleanup_free_ char *line = xstrndup(at, strcspn(at, "\r\n"));

	return str_escape(line, LINE_SHOWN);
}

bool console_out_of_memory(const char *text)
{
	return strstr(text, "Out of memory: Killed process") || strstr(text, PROTO_CONSOLE_MEMORY) ||
	       strstr(text, "invoked oom-killer") || strstr(text, "System is deadlocked on memory");
}

/* Behind the mark of a line that begins so; NULL. */
static const char *find_mark(const char *text)
{
	const char *at = text;

	while ((at = strstr(at, PROTO_CONSOLE_MARK)) && at > text && at[-1] != '\n')
		at++;
	return at ? at + strlen(PROTO_CONSOLE_MARK) : NULL;
}

char *console_cause(const char *text, const char **ret_mend)
{
	static const char panic[] = "Kernel panic - not syncing: ";
	static const char more_memory[] = "give it more with target.vm.memory";
	const char *at;

	*ret_mend = NULL;
	at = find_mark(text);
	if (at)
		return rest_of_line(at);
	if (console_out_of_memory(text) || strstr(text, "Initramfs unpacking failed: write error")) {
		*ret_mend = more_memory;
		return xstrdup("it ran out of memory");
	}
	at = strstr(text, panic);
	if (at) {
		_cleanup_free_ char *what = rest_of_line(at + strlen(panic));

		if (str_has_prefix(what, "No working init") || str_has_prefix(what, "VFS: "))
			*ret_mend = "the kernel does not take this initramfs: "
				    "target.vm.kernel: debian is known to";
		return xasprintf("its kernel panicked: %s", what);
	}
	return NULL;
}

char *console_tail(const char *text, size_t count)
{
	const char *end = text + strlen(text), *at = end;
	struct str out = { 0 };
	size_t lines = 0;

	str_add(&out, "");
	while (at > text) {
		/* the start of a line that is not empty */
		if (at[-1] == '\n' && at < end && *at != '\n' && *at != '\r' && ++lines == count)
			break;
		at--;
	}
	while (at < end) {
		size_t length = strcspn(at, "\n");
		_cleanup_free_ char *line = rest_of_line(at);

		if (*line)
			str_addf(&out, "%s\n", line);
		at += length + (at[length] == '\n');
	}
	return out.text;
}
