/* Heads of HTTP answers: see http.h. */
#include "builders/worker/fetch/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define VALIDATOR_AGE_MIN 60	/* seconds: a younger Last-Modified may hide a second change */
#define YEAR_MIN 1900		/* where struct tm counts from */
#define YEAR_MAX 9999

static const struct {
	const char *name;
	enum http_field field;
} field_names[] = {
	{ "content-encoding", HTTP_CONTENT_ENCODING },
	{ "content-length", HTTP_CONTENT_LENGTH },
	{ "content-range", HTTP_CONTENT_RANGE },
	{ "content-type", HTTP_CONTENT_TYPE },
	{ "date", HTTP_DATE },
	{ "docker-content-digest", HTTP_DOCKER_CONTENT_DIGEST },
	{ "etag", HTTP_ETAG },
	{ "last-modified", HTTP_LAST_MODIFIED },
	{ "location", HTTP_LOCATION },
	{ "oci-chunk-min-length", HTTP_OCI_CHUNK_MIN_LENGTH },
	{ "range", HTTP_RANGE },
	{ "retry-after", HTTP_RETRY_AFTER },
	{ "transfer-encoding", HTTP_TRANSFER_ENCODING },
	{ "www-authenticate", HTTP_WWW_AUTHENTICATE },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void forget_fields(struct http_reply *reply)
{
	for (size_t i = 0; i < HTTP_FIELD_COUNT; i++) {
		free(reply->fields[i]);
		reply->fields[i] = NULL;
	}
}

/* "HTTP/1.1 206 Partial Content", "HTTP/2 200 " */
static void take_status(struct http_reply *reply, const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	const char *code = space ? space + 1 : line + length;
	unsigned int status = 0;

	forget_fields(reply);
	reply->complete = false;
	for (int i = 0; i < 3; i++) {
		if (code + i >= line + length || code[i] < '0' || code[i] > '9') {
			reply->broken = "a malformed status line";
			return;
		}
		status = status * 10 + (unsigned int)(code[i] - '0');
	}
	reply->status = status;
}

static void keep_field(struct http_reply *reply, enum http_field field, const char *value,
		       size_t length)
{
	_cleanup_free_ char *copy = NULL;

	if (length > HTTP_VALUE_MAX || memchr(value, '\0', length)) {
		reply->broken = "a malformed header";
		return;
	}
	copy = xstrndup(value, length);
	if (field == HTTP_WWW_AUTHENTICATE && reply->fields[field]) {
		char *both = xasprintf("%s, %s", reply->fields[field], copy);

		if (strlen(both) > HTTP_VALUE_MAX)
			reply->broken = "too many challenges";
		free(reply->fields[field]);
		reply->fields[field] = both;
		return;
	}
	if (reply->fields[field] && strcmp(reply->fields[field], copy) != 0)
		reply->broken = "a header twice with different values";
	else if (!reply->fields[field])
		reply->fields[field] = TAKE_PTR(copy);
}

static void take_field(struct http_reply *reply, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	const char *end = line + length, *value;
	size_t name;

	if (!colon)
		return;
	name = (size_t)(colon - line);
	for (value = colon + 1; value < end && is_blank(*value); value++)
		;
	while (end > value && is_blank(end[-1]))
		end--;
	for (size_t i = 0; i < ARRAY_SIZE(field_names); i++)
		if (strlen(field_names[i].name) == name &&
		    !strncasecmp(field_names[i].name, line, name))
			keep_field(reply, field_names[i].field, value,
				   (size_t)(end - value));
}

void http_reply_line(struct http_reply *reply, const char *line, size_t length)
{
	reply->head_bytes += length;
	if (reply->head_bytes > HTTP_HEAD_MAX)
		reply->broken = "endless headers";
	if (reply->complete && reply->status >= 200)
		return;
	while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
		length--;
	if (reply->broken)
		return;
	if (length >= 5 && !memcmp(line, "HTTP/", 5))
		take_status(reply, line, length);
	else if (length == 0)
		reply->complete = true;
	else
		take_field(reply, line, length);
}

void http_reply_done(struct http_reply *reply)
{
	forget_fields(reply);
	*reply = (struct http_reply){ 0 };
}

/* What stands behind "bytes " (the unit's case does not matter), or NULL. */
static const char *behind_unit(const char *value)
{
	if (!value || strncasecmp(value, "bytes", 5) || !is_blank(value[5]))
		return NULL;
	return value + 5 + strspn(value + 5, " \t");
}

/* A number of `length` bytes of `text`. */
static bool number_of(const char *text, size_t length, uint64_t *ret)
{
	char copy[24];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return parse_u64(copy, ret);
}

bool http_content_range(const char *value, struct http_range *ret)
{
	struct http_range range = { 0 };
	const char *text = behind_unit(value), *dash, *slash;

	if (!text)
		return false;
	dash = strchr(text, '-');
	slash = strchr(text, '/');
	if (!dash || !slash || slash < dash)
		return false;
	if (!number_of(text, (size_t)(dash - text), &range.first) ||
	    !number_of(dash + 1, (size_t)(slash - dash - 1), &range.last) ||
	    range.last < range.first || range.last == UINT64_MAX)
		return false;
	if (strcmp(slash + 1, "*") != 0 &&
	    (!parse_u64(slash + 1, &range.total) || range.total <= range.last))
		return false;
	*ret = range;
	return true;
}

bool http_unsatisfied_range(const char *value, uint64_t *ret_total)
{
	const char *text = behind_unit(value);
	const char *slash = text ? strchr(text, '/') : NULL;

	return slash && parse_u64(slash + 1, ret_total);
}

static int month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncmp(months + 3 * i, name, 3))
			return i;
	return -1;
}

/* Two digits are a year from 49 years ago to 50 years ahead (RFC 9110, 5.6.7). */
static int full_year(int two_digits, int64_t now)
{
	time_t seconds = (time_t)now;
	struct tm tm;
	int year, this_year;

	if (!gmtime_r(&seconds, &tm))
		return YEAR_MIN + two_digits;
	this_year = tm.tm_year + YEAR_MIN;
	year = this_year / 100 * 100 + two_digits;
	if (year > this_year + 50)
		return year - 100;
	return year <= this_year - 50 ? year + 100 : year;
}

bool http_date(const char *value, int64_t now, int64_t *ret)
{
	/* each line: IMF-fixdate, RFC 850's, asctime's; the name of the day says nothing new */
	static const struct {
		const char *format;
		bool short_year, year_last;
	} forms[] = {
		{ "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", false, false },
		{ "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", true, false },
		{ "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", false, true },
	};
	struct tm tm = { 0 };
	char month[4] = "";
	int year = 0, end = 0;

	for (size_t i = 0; i < ARRAY_SIZE(forms) && !(end > 0 && !value[end]); i++) {
		end = 0;
		if (forms[i].year_last)
			sscanf(value, forms[i].format, month, &tm.tm_mday, &tm.tm_hour,
			       &tm.tm_min, &tm.tm_sec, &year, &end);
		else
			sscanf(value, forms[i].format, &tm.tm_mday, month, &year,
			       &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end);
		if (forms[i].short_year)
			year = full_year(year, now);
	}
	tm.tm_mon = month_of(month);
	tm.tm_year = year - YEAR_MIN;
	if (end == 0 || value[end] || tm.tm_mon < 0 || year < YEAR_MIN ||
	    year > YEAR_MAX || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
	    tm.tm_sec > 60)
		return false;
	*ret = timegm(&tm);
	return true;
}

bool http_retry_after(const char *value, int64_t now, uint64_t *ret_ms)
{
	uint64_t seconds = UINT64_MAX;
	int64_t date;

	if (!value || !*value)
		return false;
	if (!value[strspn(value, "0123456789")]) {
		if (!parse_u64(value, &seconds) && value[0] == '0')
			return false;
	} else if (http_date(value, now, &date)) {
		seconds = date > now ? (uint64_t)(date - now) : 0;
	} else {
		return false;
	}
	*ret_ms = seconds < HTTP_RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000
							   : HTTP_RETRY_AFTER_MAX_MS;
	return true;
}

bool http_encoding_is_known(const char *value)
{
	static const char *const known[] = { "", "identity", "gzip", "x-gzip" };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!value || !strcasecmp(value, known[i]))
			return true;
	return false;
}

/* "..." with etagc inside (RFC 9110, 8.8.3); W/"..." is weak. */
static bool is_strong_etag(const char *etag)
{
	size_t length = strlen(etag);

	if (length < 2 || etag[0] != '"' || etag[length - 1] != '"')
		return false;
	for (size_t i = 1; i < length - 1; i++)
		if ((unsigned char)etag[i] <= 0x20 || etag[i] == '"' || etag[i] == 0x7f)
			return false;
	return true;
}

char *http_strong_validator(const struct http_reply *reply)
{
	const char *etag = reply->fields[HTTP_ETAG];
	const char *modified = reply->fields[HTTP_LAST_MODIFIED];
	const char *date = reply->fields[HTTP_DATE];
	int64_t now = time(NULL), changed, sent;

	if (etag)
		return is_strong_etag(etag) ? xstrdup(etag) : NULL;
	if (!modified || !date || !http_date(modified, now, &changed) ||
	    !http_date(date, now, &sent) || sent - changed < VALIDATOR_AGE_MIN)
		return NULL;
	return xstrdup(modified);
}
