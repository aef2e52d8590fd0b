/* Values from text: see parse.h. */
#include "core/parse.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/mem.h"

#define ID_MAX 4294967293u		/* 2^32 - 3 */
#define NAME_LENGTH_MAX 64
#define HOSTNAME_LENGTH_MAX 63
#define DURATION_MAX_MS (30ull * 24 * 3600 * 1000)

/* Digits at *text up to the first other character; false when there are none or too many. */
static bool digits(const char **text, uint64_t *ret)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9'))
		return false;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	*text = at;
	*ret = value;
	return true;
}

bool parse_u64(const char *text, uint64_t *ret)
{
	uint64_t value;

	if (!digits(&text, &value) || *text)
		return false;
	*ret = value;
	return true;
}

bool parse_u32_max(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t value;

	if (!parse_u64(text, &value) || value > max)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool parse_id(const char *text, uint32_t *ret)
{
	return parse_u32_max(text, ID_MAX, ret);
}

bool parse_mode(const char *text, uint32_t *ret)
{
	size_t length = strlen(text);
	uint32_t value = 0;

	if (length < 1 || length > 5 || (length == 5 && text[0] != '0'))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '7')
			return false;
		value = value << 3 | (uint32_t)(*text - '0');
	}
	*ret = value;
	return true;
}

bool parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "kmgt";
	uint64_t value;

	if (!digits(&text, &value))
		return false;
	if (*text) {
		const char *unit = strchr(units, *text | 0x20);

		if (!unit || !*unit)
			return false;
		for (const char *u = units; u <= unit; u++)
			if (__builtin_mul_overflow(value, 1024u, &value))
				return false;
		text++;
		if (*text && strcasecmp(text, "b") && strcasecmp(text, "ib"))
			return false;
	}
	*ret_bytes = value;
	return true;
}

static bool duration_unit(const char **text, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
		      { "d", 86400000 } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t length = strlen(units[i].name);

		if (!strncmp(*text, units[i].name, length)) {
			*text += length;
			*ret_ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool parse_duration_ms(const char *text, uint64_t *ret_ms)
{
	uint64_t total = 0, value, unit_ms, last_ms = UINT64_MAX;

	if (parse_u64(text, &value)) {
		if (__builtin_mul_overflow(value, 1000u, &total))
			return false;
		text += strlen(text);
	}
	while (*text) {
		if (!digits(&text, &value) || !duration_unit(&text, &unit_ms))
			return false;
		if (unit_ms >= last_ms || __builtin_mul_overflow(value, unit_ms, &value) ||
		    __builtin_add_overflow(total, value, &total))
			return false;
		last_ms = unit_ms;
	}
	if (total < 1 || total > DURATION_MAX_MS)
		return false;
	*ret_ms = total;
	return true;
}

/* `count` digits and what must follow them (NUL: nothing), up to a highest value. */
static bool field(const char **text, int count, char stop, int max, int *ret)
{
	int value = 0;

	for (; count > 0; count--, ++*text) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (**text - '0');
	}
	if (value > max || (stop && **text != stop))
		return false;
	*text += stop != '\0';
	*ret = value;
	return true;
}

static bool zone(const char *text, int64_t *ret_s)
{
	int sign = *text == '-' ? -1 : 1, hours, minutes;

	if (!strcmp(text, "Z") || !strcmp(text, "z")) {
		*ret_s = 0;
		return true;
	}
	if (*text != '+' && *text != '-')
		return false;
	text++;
	if (!field(&text, 2, ':', 23, &hours) || !field(&text, 2, '\0', 59, &minutes) || *text)
		return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool parse_time(const char *text, int64_t *ret_s)
{
	struct tm tm = { 0 }, back;
	int64_t offset;
	time_t seconds;

	if (!field(&text, 4, '-', 9999, &tm.tm_year) || !field(&text, 2, '-', 12, &tm.tm_mon) ||
	    !field(&text, 2, '\0', 31, &tm.tm_mday) || (*text != 'T' && *text != 't'))
		return false;
	text++;
	if (!field(&text, 2, ':', 23, &tm.tm_hour) || !field(&text, 2, ':', 59, &tm.tm_min) ||
	    !field(&text, 2, '\0', 60, &tm.tm_sec))
		return false;
	if (*text == '.') {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (!zone(text, &offset) || tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mday < 1)
		return false;
	tm.tm_sec -= tm.tm_sec == 60;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	back = tm;
	seconds = timegm(&back);
	if (back.tm_mday != tm.tm_mday)
		return false; /* there is no such day */
	*ret_s = (int64_t)seconds - offset;
	return true;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool parse_is_name(const char *text)
{
	if (!is_alnum(*text) || strlen(text) > NAME_LENGTH_MAX)
		return false;
	for (; *text; text++)
		if (!is_alnum(*text) && *text != '_' && *text != '.' && *text != '-')
			return false;
	return true;
}

bool parse_is_hostname(const char *text)
{
	size_t length = strlen(text);

	if (length < 1 || length > HOSTNAME_LENGTH_MAX)
		return false;
	if (!is_alnum(text[0]) || !is_alnum(text[length - 1]))
		return false;
	for (; *text; text++)
		if (!is_alnum(*text) && *text != '-' && *text != '.')
			return false;
	return true;
}

bool parse_is_env_name(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (*text == '=' || (unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}
