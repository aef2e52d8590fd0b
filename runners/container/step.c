/*
 * A build's step: the container of container.c, with an upper that its caller keeps. When it returns,
 * PID 1 of the step is reaped, and the kernel reaps it after everything else of its namespace: nobody
 * is left who could write to what is then packed.
 */
#include <string.h>

#include "core/mem.h"
#include "core/str.h"
#include "runners/container/container.h"
#include "runners/step.h"

#define TAIL_BYTES 8192
#define TAIL_LINES 20

/* The end of what was printed, as a ring. */
struct tail {
	char bytes[TAIL_BYTES];
	size_t start, used;
};

static void keep(void *data, const void *bytes, size_t size)
{
	struct tail *tail = data;
	const char *from = bytes;

	for (size_t i = size > TAIL_BYTES ? size - TAIL_BYTES : 0; i < size; i++) {
		tail->bytes[(tail->start + tail->used) % TAIL_BYTES] = from[i];
		if (tail->used < TAIL_BYTES)
			tail->used++;
		else
			tail->start = (tail->start + 1) % TAIL_BYTES;
	}
}

/* The last lines, each escaped; a line that is not whole at the front is left out. */
static char *tail_text(const struct tail *tail)
{
	_cleanup_free_ char *text = xmalloc(TAIL_BYTES + 1);
	size_t begin, lines = 0;
	struct str out = { 0 };

	for (size_t i = 0; i < tail->used; i++) {
		text[i] = tail->bytes[(tail->start + i) % TAIL_BYTES];
		if (!text[i])
			text[i] = ' ';
	}
	text[tail->used] = '\0';
	begin = tail->used;
	while (begin > 0 && text[begin - 1] == '\n')
		text[--begin] = '\0';
	while (begin > 0 && (text[begin - 1] != '\n' || ++lines < TAIL_LINES))
		begin--;
	str_add(&out, "");
	for (char *line = text + begin, *next; line && *line; line = next) {
		_cleanup_free_ char *shown = NULL;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		shown = str_escape(line, 500);
		str_addf(&out, "%s%s", out.length ? "\n" : "", shown);
	}
	return out.text;
}

int container_run_step(struct store *store, const struct rootfs *below, const struct job *job,
		       struct store_tmp *upper, char **ret_tail, int *ret_code, struct err *err)
{
	_cleanup_free_ struct container *container = xcalloc(1, sizeof(*container));
	_cleanup_free_ struct tail *tail = xcalloc(1, sizeof(*tail));
	int result = container_prepare(container, store, below, job, err);

	container->printed = keep;
	container->printed_data = tail;
	if (result == 0)
		result = container_make_upper(container, store, upper, err);
	if (result == 0)
		result = container_start(container, ret_code, err);
	container_done(container);
	if (result == 0)
		*ret_tail = tail_text(tail);
	return result;
}

/* The overlay refuses to take up a work folder that was used with `volatile`. */
int container_run_kept(struct store *store, const struct rootfs *below, const struct job *job,
		       int kept, int *ret_code, struct err *err)
{
	_cleanup_free_ struct container *container = xcalloc(1, sizeof(*container));
	int result = container_prepare(container, store, below, job, err);

	if (result == 0 && (store_failed_fresh(store, kept, "work", err) < 0 ||
			    store_failed_fresh(store, kept, "stubs", err) < 0))
		result = -1;
	if (result == 0)
		result = container_upper_folders(container, store, kept, err);
	if (result == 0)
		result = container_start(container, ret_code, err);
	container_done(container);
	return result;
}
