/* A selection as text, for another process: see select.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/select.h"

static void write_text(struct str *out, const char *text)
{
	str_addn(out, text ? "+" : "-", 1);
	str_addn(out, text ? text : "", (text ? strlen(text) : 0) + 1);
}

void select_write(const struct selection *selection, struct str *ret)
{
	write_text(ret, selection->rules_text);
	for (size_t i = 0; i < selection->count; i++) {
		const struct select_source *source = &selection->sources[i];

		write_text(ret, source->name);
		write_text(ret, source->path);
		write_text(ret, source->pattern);
		write_text(ret, source->below);
	}
}

/* Takes one text, "+TEXT" or "-" with a NUL behind it; false when there is none. */
static bool read_text(const char **at, const char *end, char **ret)
{
	size_t length = (size_t)(end - *at);
	const char *stop = length > 0 ? memchr(*at, '\0', length) : NULL;

	if (!stop || (**at != '+' && **at != '-'))
		return false;
	*ret = **at == '+' ? xstrdup(*at + 1) : NULL;
	*at = stop + 1;
	return true;
}

static int read_sources(struct selection *selection, const char *at, const char *end,
			const int *fds, size_t count, bool is_image, struct err *err)
{
	selection->sources = xcalloc(SELECT_SOURCES_MAX, sizeof(*selection->sources));
	while (at < end) {
		struct select_source *source = &selection->sources[selection->count];
		size_t number = selection->count;

		if (number == SELECT_SOURCES_MAX || (!is_image && number == count))
			return err_set(err, ERR_WORKER, "more sources than descriptors");
		source->fd = -1;
		selection->count++;
		if (!read_text(&at, end, &source->name) || !read_text(&at, end, &source->path) ||
		    !read_text(&at, end, &source->pattern) ||
		    !read_text(&at, end, &source->below) || !source->name ||
		    is_image != (source->path != NULL))
			return err_set(err, ERR_WORKER, "malformed sources");
		source->fd = is_image ? -1 : fcntl(fds[number], F_DUPFD_CLOEXEC, 3);
		if (!is_image && source->fd < 0)
			return err_sys(err, errno, "take a source");
	}
	return 0;
}

int select_read(struct selection *ret, const char *text, size_t size, const int *fds, size_t count,
		bool is_image, struct err *err)
{
	_cleanup_(select_done) struct selection selection = { .ignores = !is_image };
	const char *at = text, *end = text + size;

	if (!read_text(&at, end, &selection.rules_text))
		return err_set(err, ERR_WORKER, "malformed sources");
	if (selection.rules_text &&
	    ignore_parse(&selection.rules, IGNORE_FILE, selection.rules_text,
			 strlen(selection.rules_text), err) < 0)
		return -1;
	if (read_sources(&selection, at, end, fds, count, is_image, err) < 0)
		return -1;
	selection.trees = is_image ? fds : NULL;
	selection.tree_count = is_image ? count : 0;
	*ret = selection;
	selection = (struct selection){ 0 };
	return 0;
}

void select_done(struct selection *selection)
{
	for (size_t i = 0; i < selection->count; i++) {
		struct select_source *source = &selection->sources[i];

		mem_closep(&source->fd);
		free(source->name);
		free(source->path);
		free(source->pattern);
		free(source->below);
	}
	free(selection->sources);
	free(selection->rules_text);
	ignore_done(&selection->rules);
	*selection = (struct selection){ 0 };
}
