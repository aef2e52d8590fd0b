/* Instructions of a Dockerfile: directives, comments, continued lines, here-documents. */
#include <ctype.h>
#include <string.h>

#include "core/dockerfile/internal.h"
#include "core/place.h"

#define HEREDOCS_MAX 16

struct reader {
	const char *file, *at, *end;
	unsigned int number;	/* of the line at `at` */
	char escape;
	struct err *err;
};

/* The next line without its end; *ret_length. NULL at the end of the text. */
static const char *next_line(struct reader *r, size_t *ret_length)
{
	const char *line = r->at, *end;

	if (r->at >= r->end)
		return NULL;
	end = memchr(line, '\n', (size_t)(r->end - line));
	r->at = end ? end + 1 : r->end;
	r->number++;
	*ret_length = (size_t)((end ? end : r->end) - line);
	if (*ret_length > 0 && line[*ret_length - 1] == '\r')
		--*ret_length;
	return line;
}

static size_t blanks(const char *text, size_t length)
{
	size_t count = 0;

	while (count < length && (text[count] == ' ' || text[count] == '\t'))
		count++;
	return count;
}

/* "# escape=`" and other directives, which stand above everything else. */
static void read_directives(struct reader *r)
{
	for (;;) {
		struct reader before = *r;
		size_t length, skip;
		const char *line = next_line(r, &length);
		_cleanup_free_ char *copy = line ? xstrndup(line, length) : NULL;
		char *at = copy, *value;

		if (!line || copy[skip = blanks(copy, length)] != '#') {
			*r = before;
			return;
		}
		at += skip + 1;
		at += blanks(at, strlen(at));
		value = strchr(at, '=');
		if (!value || value == at || strcspn(at, " \t") < (size_t)(value - at)) {
			*r = before;
			return;
		}
		value++;
		if (!strncasecmp(at, "escape=", 7) && (*value == '`' || *value == '\\'))
			r->escape = *value;
	}
}

/* Does the line go on? Then *length is without the sign. */
static bool goes_on(const struct reader *r, const char *line, size_t *length)
{
	size_t end = *length;

	while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	if (end == 0 || line[end - 1] != r->escape)
		return false;
	*length = end - 1;
	return true;
}

/* The word of "<<WORD", "<<-WORD" or with quotes, at `at`; *ret_strip: tabs go. Owned or NULL. */
static char *heredoc_word(const char *at, bool *ret_strip)
{
	char quote = 0;
	size_t length;

	if (at[0] != '<' || at[1] != '<' || at[2] == '<')
		return NULL;
	at += 2;
	*ret_strip = *at == '-';
	at += *ret_strip;
	if (*at == '"' || *at == '\'')
		quote = *at++;
	length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	if (length == 0 || (*at >= '0' && *at <= '9') || (quote && at[length] != quote))
		return NULL;
	return xstrndup(at, length);
}

/* Takes the lines of one document. */
static int take_heredoc(struct reader *r, struct df_line *line, const char *word, bool strip)
{
	struct str whole = { 0 }, body = { 0 };
	const char *text;
	size_t length;

	str_add(&whole, line->heredoc ? line->heredoc : "");
	str_add(&body, "");
	while ((text = next_line(r, &length))) {
		size_t tabs = 0;

		while (strip && tabs < length && text[tabs] == '\t')
			tabs++;
		str_addn(&whole, text, length);
		str_add(&whole, "\n");
		if (length - tabs == strlen(word) && !strncmp(text + tabs, word, length - tabs))
			break;
		str_addn(&body, text + tabs, length - tabs);
		str_add(&body, "\n");
	}
	free(line->heredoc);
	free(line->heredoc_body);
	line->heredoc = whole.text;
	line->heredoc_body = body.text;
	line->heredocs++;
	if (text)
		return 0;
	return place_fail(r->err, r->file, (struct place){ line->number, 1 }, ERR_SPEC_SYNTAX,
			  "the here-document %.60s does not end", word);
}

static int take_heredocs(struct reader *r, struct df_line *line)
{
	char quote = 0;

	if (strcmp(line->word, "RUN") && strcmp(line->word, "COPY") && strcmp(line->word, "ADD"))
		return 0;
	for (const char *at = line->rest; *at; at++) {
		_cleanup_free_ char *word = NULL;
		bool strip;

		if (*at == '\\' && at[1] && quote != '\'') {
			at++;
			continue;
		}
		if ((*at == '"' || *at == '\'') && (!quote || quote == *at))
			quote = quote ? 0 : *at;
		if (quote || (at > line->rest && at[-1] == '<'))
			continue;
		word = heredoc_word(at, &strip);
		if (!word)
			continue;
		if (line->heredocs == HEREDOCS_MAX)
			return place_fail(r->err, r->file, (struct place){ line->number, 1 },
					  ERR_SPEC_LIMIT, "more than %d here-documents", HEREDOCS_MAX);
		if (take_heredoc(r, line, word, strip) < 0)
			return -1;
	}
	return 0;
}

/* One instruction with all its lines, into the list; `text` is its first line. */
static int take_instruction(struct reader *r, struct df_lines *lines, const char *text,
			    size_t length)
{
	struct df_line *line = &lines->items[lines->count++];
	struct str whole = { 0 };
	bool more;
	char *at;

	*line = (struct df_line){ .number = r->number };
	str_add(&whole, "");
	for (;;) {
		size_t skip = blanks(text, length);

		/* comments and empty lines between continued ones are nothing */
		if (whole.length > 0 && (skip == length || text[skip] == '#')) {
			more = true;
		} else {
			more = goes_on(r, text, &length);
			str_addn(&whole, text, length);
		}
		if (!more || !(text = next_line(r, &length)))
			break;
	}
	for (size_t end = whole.length; end > 0 && isspace((unsigned char)whole.text[end - 1]);)
		whole.text[--end] = '\0';
	at = whole.text + blanks(whole.text, whole.length);
	line->word = xstrndup(at, strcspn(at, " \t"));
	at += strlen(line->word);
	line->rest = xstrdup(at + blanks(at, strlen(at)));
	for (char *c = line->word; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	str_done(&whole);
	return take_heredocs(r, line);
}

int df_lines_read(struct df_lines *ret, const char *file, const char *text, size_t size,
		  struct err *err)
{
	struct reader r = { file, text, text + size, 0, '\\', err };
	struct df_lines lines = { 0 };
	const char *line;
	size_t length;
	int result = 0;

	if (size > DOCKERFILE_BYTES_MAX)
		return err_set(err, ERR_SPEC_LIMIT, "read %s: more than %u bytes", file,
			       DOCKERFILE_BYTES_MAX);
	if (memchr(text, '\0', size) || !str_is_utf8(text, size))
		return err_set(err, ERR_SPEC_SYNTAX, "read %s: not a text in UTF-8", file);
	lines.items = xcalloc(DOCKERFILE_LINES_MAX, sizeof(*lines.items));
	read_directives(&r);
	while (result == 0 && (line = next_line(&r, &length))) {
		size_t skip = blanks(line, length);

		if (skip == length || line[skip] == '#')
			continue;
		if (lines.count == DOCKERFILE_LINES_MAX)
			result = place_fail(err, file, (struct place){ r.number, 1 }, ERR_SPEC_LIMIT,
					    "more than %d instructions", DOCKERFILE_LINES_MAX);
		else
			result = take_instruction(&r, &lines, line, length);
	}
	lines.escape = r.escape;
	if (result < 0)
		df_lines_done(&lines);
	else
		*ret = lines;
	return result;
}

void df_lines_done(struct df_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		free(lines->items[i].word);
		free(lines->items[i].rest);
		free(lines->items[i].heredoc);
		free(lines->items[i].heredoc_body);
	}
	free(lines->items);
	*lines = (struct df_lines){ 0 };
}
