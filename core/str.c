/* Text: see str.h. */
#include "core/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/mem.h"

#define NEAREST_LENGTH_MAX 64	/* longer words are never a slip of the fingers */
#define TIME_MAX 253402300799	/* 9999-12-31T23:59:59Z */

void str_addn(struct str *s, const char *data, size_t length)
{
	if (s->room < s->length + length + 1) {
		s->room = (s->length + length + 1) * 2;
		s->text = xrealloc(s->text, s->room);
	}
	if (length)
		memcpy(s->text + s->length, data, length);
	s->length += length;
	s->text[s->length] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_addn(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	str_add(s, text);
}

void str_add_time(struct str *s, int64_t seconds)
{
	time_t cut = seconds < 0 ? 0 : seconds > TIME_MAX ? TIME_MAX : seconds;
	char text[32];
	struct tm tm;

	gmtime_r(&cut, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	str_add(s, text);
}

void str_done(struct str *s)
{
	free(s->text);
	*s = (struct str){ 0 };
}

bool str_has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

bool str_has_suffix(const char *text, const char *suffix)
{
	size_t text_length = strlen(text), length = strlen(suffix);

	return text_length >= length && !strcmp(text + text_length - length, suffix);
}

/* The length of the valid UTF-8 sequence at `s` and its code point; 0 when it is not valid. */
static size_t utf8_sequence(const unsigned char *s, size_t length, uint32_t *ret_point)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
		      : s[0] < 0xf8 ? 4 : 0;
	uint32_t point;

	if (size == 0 || size > length)
		return 0;
	point = size == 1 ? s[0] : s[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < lowest[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return size;
}

bool str_is_utf8(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t point;
	size_t size;

	for (size_t i = 0; i < length; i += size) {
		size = utf8_sequence(s + i, length - i, &point);
		if (size == 0)
			return false;
	}
	return true;
}

static bool repaints(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) ||
	       (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2060 && point <= 0x206f) || point == 0x061c || point == 0xfeff;
}

/* Adds what stands at `s`, visible to whoever reads it. Returns the bytes taken. */
static size_t add_visible(struct str *out, const char *text, size_t length, unsigned int flags)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t point;
	size_t size = utf8_sequence(s, length, &point);

	if (size == 0) {
		str_addf(out, flags & STR_JSON ? "%c" : "\\x%02x", *s);
		return 1;
	}
	if (!repaints(point) || (point == '\n' && flags & STR_LINES))
		str_addn(out, text, size);
	else if (flags & STR_JSON)
		str_addf(out, "\\u%04x", point);
	else
		str_addf(out, point < 0x80 ? "\\x%02x" : "\\u{%04x}", point);
	return size;
}

char *str_escape(const char *text, size_t max)
{
	size_t length = strlen(text), size;
	struct str out = { 0 };

	str_addn(&out, "", 0);
	for (size_t i = 0; i < length; i += size) {
		if (out.length > max) {
			str_add(&out, "...");
			break;
		}
		if (text[i] == '\\')
			str_add(&out, "\\");
		size = add_visible(&out, text + i, length - i, 0);
	}
	return out.text;
}

char *str_visible(const char *text, unsigned int flags)
{
	size_t length = strlen(text);
	struct str out = { 0 };

	str_addn(&out, "", 0);
	for (size_t i = 0; i < length;)
		i += add_visible(&out, text + i, length - i, flags);
	return out.text;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, with one row of the table. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[NEAREST_LENGTH_MAX + 1];
	size_t length = strlen(b);

	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			size_t above = row[j + 1];

			row[j + 1] = smallest(above + 1, row[j] + 1, corner + (a[i] != b[j]));
			corner = above;
		}
	}
	return row[length];
}

const char *str_nearest(const char *text, const char *const *words)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX, length = strlen(text);

	if (length > NEAREST_LENGTH_MAX)
		return NULL;
	for (; *words; words++) {
		size_t distance;

		if (strlen(*words) > NEAREST_LENGTH_MAX)
			continue;
		distance = strcasecmp(text, *words) ? edit_distance(text, *words) : 0;
		if (distance < best_distance) {
			best_distance = distance;
			best = *words;
		}
	}
	if (!best || best_distance > (length <= 3 ? 1 : length <= 6 ? 2 : 3))
		return NULL;
	return best;
}
