/* InRelease: see release.h. */
#include "builders/debian/release.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "builders/debian/control.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/str.h"

#define SHOWN_MAX 80	/* bytes of a value in a message */

static const char *const frame[] = {
	"-----BEGIN PGP SIGNED MESSAGE-----",
	"-----BEGIN PGP SIGNATURE-----",
	"-----END PGP SIGNATURE-----",
};

bool release_frame(const char *text, size_t size, const char **ret_why)
{
	size_t seen = 0;

	if (memchr(text, '\0', size)) {
		*ret_why = "it has a zero byte in it";
		return false;
	}
	for (size_t at = 0; at < size;) {
		const char *line = text + at, *newline = memchr(line, '\n', size - at);
		size_t length = newline ? (size_t)(newline - line) : size - at;

		at += length + 1;
		while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' '))
			length--;
		if (length >= 5 && !strncmp(line, "-----", 5)) {
			if (seen == ARRAY_SIZE(frame) || strlen(frame[seen]) != length ||
			    strncmp(line, frame[seen], length)) {
				*ret_why = "it is not one signed text";
				return false;
			}
			seen++;
		} else if (length > 0 && (seen == 0 || seen == ARRAY_SIZE(frame))) {
			*ret_why = "there is text outside of what is signed";
			return false;
		}
	}
	if (seen == ARRAY_SIZE(frame))
		return true;
	*ret_why = seen == 0 ? "it is not a signed text" : "its signature is cut off";
	return false;
}

static bool month_of(const char *name, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncmp(names + 3 * i, name, 3)) {
			*ret = i;
			return true;
		}
	return false;
}

bool release_date(const char *text, int64_t *ret_s)
{
	char day[4], month[4], zone[6];
	struct tm tm = { 0 };
	int end = 0;

	if (sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %5s%n", day, &tm.tm_mday, month,
		   &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone, &end) != 8 ||
	    text[end] != '\0' || !month_of(month, &tm.tm_mon))
		return false;
	if (strcmp(zone, "UTC") && strcmp(zone, "GMT") && strcmp(zone, "+0000"))
		return false;
	if (tm.tm_year < 1970 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	*ret_s = (int64_t)timegm(&tm);
	return true;
}

static int check_suite(const struct stanza *stanza, const char *suite, struct err *err)
{
	_cleanup_free_ char *name = stanza_get(stanza, "Suite");
	_cleanup_free_ char *codename = stanza_get(stanza, "Codename");
	_cleanup_free_ char *shown = NULL;

	if ((name && !strcmp(name, suite)) || (codename && !strcmp(codename, suite)))
		return 0;
	shown = str_escape(codename ? codename : name ? name : "no suite", SHOWN_MAX);
	err_set(err, ERR_SIGNATURE, "the signed list is of %s, not of %s", shown, suite);
	return err_mend(err, "the mirror is at fault: use another one (DUET_DEBIAN_MIRROR=URL)");
}

static int check_time(const struct stanza *stanza, int64_t now_s, struct err *err)
{
	_cleanup_free_ char *until = stanza_get(stanza, "Valid-Until");
	_cleanup_free_ char *shown = until ? str_escape(until, SHOWN_MAX) : NULL;
	int64_t until_s;

	if (!until)
		return 0;
	if (!release_date(until, &until_s))
		return err_set(err, ERR_SIGNATURE, "the signed list has a malformed Valid-Until: %s",
			       shown);
	if (now_s <= until_s)
		return 0;
	err_set(err, ERR_SIGNATURE, "the signed list expired: it was valid until %s", shown);
	return err_mend(err, "check the clock; else the mirror is not kept up: use another one "
			     "(DUET_DEBIAN_MIRROR=URL)");
}

/* One line of the list: "HEX SIZE PATH". */
static bool parse_line(char *line, const char *path, struct release_file *ret, bool *ret_bad)
{
	char *save = NULL, *hex = strtok_r(line, " \t", &save), *size = strtok_r(NULL, " \t", &save);
	char *name = strtok_r(NULL, " \t", &save);

	if (!name || strcmp(name, path))
		return false;
	*ret_bad = !digest_parse_hex(hex, &ret->sha256) || !parse_u64(size, &ret->bytes) ||
		   strtok_r(NULL, " \t", &save);
	return true;
}

static int find_file(const struct stanza *stanza, const char *path, struct release_file *ret,
		     struct err *err)
{
	_cleanup_free_ char *list = stanza_get(stanza, "SHA256");
	char *save = NULL;
	bool bad;

	if (!list)
		return err_set(err, ERR_SIGNATURE, "the signed list has no SHA256");
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!parse_line(line, path, ret, &bad))
			continue;
		if (bad)
			return err_set(err, ERR_SIGNATURE, "the signed list has a malformed line for %s",
				       path);
		return 0;
	}
	return err_set(err, ERR_SIGNATURE, "the signed list has no %s", path);
}

int release_parse(const char *text, size_t size, const char *suite, const char *path, int64_t now_s,
		  struct release_file *ret, struct err *err)
{
	struct control control = { text, size };
	_cleanup_free_ char *by_hash = NULL, *date = NULL;
	struct release_file file = { 0 };
	struct stanza stanza, second;

	if (!control_next(&control, &stanza))
		return err_set(err, ERR_SIGNATURE, "the signed list is empty");
	if (control_next(&control, &second))
		return err_set(err, ERR_SIGNATURE, "the signed list has more than one stanza");
	if (check_suite(&stanza, suite, err) < 0 || check_time(&stanza, now_s, err) < 0 ||
	    find_file(&stanza, path, &file, err) < 0)
		return -1;
	by_hash = stanza_get(&stanza, "Acquire-By-Hash");
	date = stanza_get(&stanza, "Date");
	if (date && !release_date(date, &file.date_s))
		return err_set(err, ERR_SIGNATURE, "the signed list has a malformed Date");
	file.by_hash = by_hash && !strcmp(by_hash, "yes");
	*ret = file;
	return 0;
}
