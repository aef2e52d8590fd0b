/* Debian's package versions: see version.h. */
#include "builders/debian/version.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool version_is_valid(const char *version)
{
	const char *colon = strchr(version, ':'), *at = version;

	if (colon) {
		if (colon == version || strspn(version, "0123456789") != (size_t)(colon - version))
			return false;
		at = colon + 1;
	}
	if (!is_digit(*at))
		return false;
	for (; *at; at++)
		if (!is_digit(*at) && !is_letter(*at) && !strchr(".+-~:", *at))
			return false;
	return true;
}

/* A part of a version: `size` bytes, not ended by NUL. */
struct part {
	const char *text;
	size_t size;
};

/* "~" stands before the end, which stands before letters, which stand before all else. */
static int order(const struct part *part)
{
	char c = part->size > 0 ? *part->text : '\0';

	if (part->size == 0 || is_digit(c))
		return 0;
	if (c == '~')
		return -1;
	return is_letter(c) ? c : c + 256;
}

static void skip(struct part *part)
{
	part->text++;
	part->size--;
}

static bool at_digit(const struct part *part)
{
	return part->size > 0 && is_digit(*part->text);
}

static bool at_other(const struct part *part)
{
	return part->size > 0 && !is_digit(*part->text);
}

static int compare_words(struct part *a, struct part *b)
{
	while (at_other(a) || at_other(b)) {
		int difference = order(a) - order(b);

		if (difference != 0)
			return difference;
		skip(a);
		skip(b);
	}
	return 0;
}

/* Numbers of any length: the longer one is larger, else the first digit that differs decides. */
static int compare_numbers(struct part *a, struct part *b)
{
	int first = 0;

	while (at_digit(a) && *a->text == '0')
		skip(a);
	while (at_digit(b) && *b->text == '0')
		skip(b);
	while (at_digit(a) && at_digit(b)) {
		if (first == 0)
			first = *a->text - *b->text;
		skip(a);
		skip(b);
	}
	if (at_digit(a))
		return 1;
	return at_digit(b) ? -1 : first;
}

static int compare_parts(struct part a, struct part b)
{
	int difference = 0;

	while (difference == 0 && (a.size > 0 || b.size > 0)) {
		difference = compare_words(&a, &b);
		if (difference == 0)
			difference = compare_numbers(&a, &b);
	}
	return difference;
}

/* Splits at the first colon and the last hyphen. */
static void split(const char *version, struct part *epoch, struct part *upstream,
		  struct part *revision)
{
	const char *colon = strchr(version, ':'), *rest = colon ? colon + 1 : version;
	const char *hyphen = strrchr(rest, '-');
	size_t length = hyphen ? (size_t)(hyphen - rest) : strlen(rest);

	*epoch = (struct part){ version, colon ? (size_t)(colon - version) : 0 };
	*upstream = (struct part){ rest, length };
	*revision = (struct part){ hyphen ? hyphen + 1 : "", hyphen ? strlen(hyphen + 1) : 0 };
}

int version_compare(const char *a, const char *b)
{
	struct part epoch[2], upstream[2], revision[2];
	int difference;

	split(a, &epoch[0], &upstream[0], &revision[0]);
	split(b, &epoch[1], &upstream[1], &revision[1]);
	difference = compare_parts(epoch[0], epoch[1]);
	if (difference == 0)
		difference = compare_parts(upstream[0], upstream[1]);
	if (difference == 0)
		difference = compare_parts(revision[0], revision[1]);
	return difference;
}
