/* What scalars of duet.yaml must be: see schema.h. */
#include <string.h>

#include "core/digest.h"
#include "core/jail/caps.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/path.h"
#include "core/ref.h"
#include "core/spec/schema.h"

#define USER_NAME_MAX 64	/* bytes */

static bool check_version(const char *text)
{
	return !strcmp(text, "1");
}

static bool check_bool(const char *text)
{
	return !strcmp(text, "true") || !strcmp(text, "false");
}

static bool check_not_empty(const char *text)
{
	return *text != '\0';
}

/* An id, or a name that passwd(5) could hold. */
static bool check_user_part(const char *part, size_t length)
{
	char name[USER_NAME_MAX + 1];
	uint32_t id;

	if (length == 0 || length > USER_NAME_MAX || part[0] == '-')
		return false;
	memcpy(name, part, length);
	name[length] = '\0';
	if (strspn(name, "0123456789") == length)
		return parse_id(name, &id);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] <= ' ' || strchr("/:\x7f", name[i]))
			return false;
	return true;
}

static bool check_user(const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon)
		return check_user_part(text, strlen(text));
	return check_user_part(text, (size_t)(colon - text)) &&
	       check_user_part(colon + 1, strlen(colon + 1));
}

static bool check_owner(const char *text)
{
	const char *colon = strchr(text, ':');

	return text[strspn(text, "0123456789:")] == '\0' && check_user(text) &&
	       (!colon || !strchr(colon + 1, ':'));
}

/* An image whose config has any is refused when it is read. */
static bool has_control_characters(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static bool check_inside(const char *text)
{
	char clean[PATH_LENGTH_MAX + 1];

	return text[0] == '/' && !has_control_characters(text) && path_clean(text, clean);
}

static bool check_sha256(const char *text)
{
	struct digest digest;

	return digest_parse_hex(text, &digest);
}

static bool check_size(const char *text)
{
	uint64_t bytes;

	return parse_size(text, &bytes);
}

static bool check_duration(const char *text)
{
	uint64_t ms;

	return parse_duration_ms(text, &ms);
}

static bool check_mode(const char *text)
{
	uint32_t mode;

	return parse_mode(text, &mode);
}

static bool check_capability(const char *text)
{
	uint64_t bit;

	return !strcmp(text, "ALL") || caps_parse(text, &bit);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static bool check_suite(const char *text)
{
	return text[0] >= 'a' && text[0] <= 'z' && strlen(text) <= 64 &&
	       text[strspn(text, LOWER DIGITS ".-")] == '\0';
}

/* Debian's policy, 5.6.1 and 5.6.12: nothing that an option or a shell could be made of. */
static bool check_package(const char *text)
{
	size_t name = strspn(text, LOWER DIGITS "+.-");

	if (name < 2 || strlen(text) > 200 || !strchr(LOWER DIGITS, text[0]))
		return false;
	if (!text[name])
		return true;
	return text[name] == '=' && text[name + 1] >= '0' && text[name + 1] <= '9' &&
	       text[name + 1 + strspn(text + name + 1, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS
				      ".+-:~")] == '\0';
}

static bool check_mirror(const char *text)
{
	bool known = !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8) ||
		     !strncmp(text, "file:///", 8);

	return known && strlen(text) <= 1024 &&
	       text[strspn(text, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "/:.-_~%+@")] == '\0';
}

static bool check_kernel(const char *text)
{
	return !strcmp(text, "auto") || !strcmp(text, "debian") || !strcmp(text, "host") ||
	       text[0] == '/' || !strncmp(text, "./", 2) || !strncmp(text, "../", 3);
}

static bool check_source(const char *text)
{
	return !ref_refusal(text);
}

static bool check_platform(const char *text)
{
	size_t length = strspn(text, LOWER DIGITS "/");

	return !strncmp(text, "linux/", 6) && strlen(text) <= 64 && !text[length] &&
	       !strstr(text, "//") && text[length - 1] != '/';
}

static bool check_exposed(const char *text)
{
	const char *protocol = strchr(text, '/');
	_cleanup_free_ char *port = xstrndup(text, protocol ? (size_t)(protocol - text) : SIZE_MAX);
	uint32_t number;

	return parse_u32_max(port, 65535, &number) && number > 0 &&
	       (!protocol || !strcmp(protocol, "/tcp") || !strcmp(protocol, "/udp") ||
		!strcmp(protocol, "/sctp"));
}

/* As image configs have it: a name with SIG, or a number. */
static bool check_signal(const char *text)
{
	uint32_t number;

	if (parse_u32_max(text, 64, &number))
		return number > 0;
	return !strncmp(text, "SIG", 3) && strlen(text) <= 16 && text[3] &&
	       text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "+-")] == '\0';
}

static const struct schema_value values[SCHEMA_TYPE_COUNT] = {
	[SCHEMA_NONE] = { "nothing", NULL, NULL, "{\"not\": {}}" },
	[SCHEMA_TEXT] = { "text", NULL, NULL,
			  "{\"type\": [\"string\", \"number\", \"boolean\"]}" },
	[SCHEMA_VERSION] = { "1", check_version, "1 is the only version of the language",
			     "{\"enum\": [1, \"1\"]}" },
	[SCHEMA_BOOL] = { "true or false", check_bool, NULL, "{\"type\": \"boolean\"}" },
	[SCHEMA_NUMBER] = { "a whole number", NULL, NULL, "{\"type\": \"integer\"}" },
	[SCHEMA_WORD] = { "a word", NULL, NULL, "{\"type\": \"string\"}" },
	[SCHEMA_NAME] = { "a name", parse_is_name,
			  "a name has 1 to 64 letters, digits, \"_\", \".\" and \"-\", and begins "
			  "with a letter or digit",
			  "{\"type\": [\"string\", \"number\"],"
			  " \"pattern\": \"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$\"}" },
	[SCHEMA_HOSTNAME] = { "a host name", parse_is_hostname,
			      "a host name has 1 to 63 letters, digits, \".\" and \"-\"",
			      "{\"type\": [\"string\", \"number\"],"
			      " \"pattern\": \"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$\"}" },
	[SCHEMA_USER] = { "USER or USER:GROUP", check_user,
			  "write names of the image or numbers from 0 to 4294967293, as www-data "
			  "or 33:33",
			  "{\"type\": [\"string\", \"integer\"],"
			  " \"pattern\": \"^[^-/:\\\\s][^/:\\\\s]*(:[^-/:\\\\s][^/:\\\\s]*)?$\"}" },
	[SCHEMA_INSIDE] = { "an absolute path inside", check_inside,
			    "begin the path with / and leave out \"..\" and control characters",
			    "{\"type\": \"string\","
			    " \"pattern\": \"^/[^\\\\u0000-\\\\u001f\\\\u007f]*$\"}" },
	[SCHEMA_HOST_PATH] = { "a path of the host", check_not_empty, NULL,
			       "{\"type\": \"string\", \"minLength\": 1}", true },
	[SCHEMA_REFERENCE] = { "a URL or a path", check_not_empty, NULL,
			       "{\"type\": \"string\", \"minLength\": 1}", true },
	[SCHEMA_SHA256] = { "64 lower-case hexadecimal digits", check_sha256,
			    "sha256sum FILE prints them",
			    "{\"type\": [\"string\", \"number\"],"
			    " \"pattern\": \"^[0-9a-f]{64}$\"}" },
	[SCHEMA_SIZE] = { "a size such as 512M", check_size,
			  "write digits and K, M, G or T (powers of 1024)",
			  "{\"type\": [\"string\", \"integer\"],"
			  " \"pattern\": \"^(0|[1-9][0-9]*)([KMGTkmgt]([iI]?[bB])?)?$\"}" },
	[SCHEMA_DURATION] = { "a duration such as 90s, 10m or 1h30m", check_duration,
			      "units are ms, s, m, h and d, the largest first; from 1ms to 30d",
			      "{\"type\": [\"string\", \"integer\"],"
			      " \"pattern\": \"^([0-9]+|([0-9]+(ms|s|m|h|d))+)$\"}" },
	[SCHEMA_MODE] = { "a mode such as 0644", check_mode,
			  "write octal digits as chmod takes them, without a prefix",
			  "{\"type\": [\"string\", \"integer\"],"
			  " \"pattern\": \"^0?[0-7]{1,4}$\"}" },
	[SCHEMA_OWNER] = { "UID or UID:GID in numbers", check_owner,
			   "names are not looked up while building: write numbers, as 33:33",
			   "{\"type\": [\"string\", \"integer\"],"
			   " \"pattern\": \"^[0-9]+(:[0-9]+)?$\"}" },
	[SCHEMA_MOUNT] = { "SRC:DST, SRC:DST:ro or SRC:DST:rw", check_not_empty,
			   "write ./FOLDER:/PATH",
			   "{\"type\": \"string\", \"pattern\": \":\"}", true },
	[SCHEMA_CAPABILITY] = { "a capability such as NET_RAW", check_capability,
				"capabilities(7) lists them",
				"{\"type\": \"string\", \"pattern\": \"^[A-Za-z_]+$\"}" },
	[SCHEMA_SUITE] = { "a suite such as bookworm", check_suite,
			   "write Debian's name of it, in lower case",
			   "{\"type\": \"string\", \"pattern\": \"^[a-z][a-z0-9.-]{0,63}$\"}" },
	[SCHEMA_PACKAGE] = { "a package such as curl or curl=7.88.1-10", check_package,
			     "names have lower-case letters, digits, \"+\", \"-\" and \".\"",
			     "{\"type\": \"string\", \"pattern\": \"^[a-z0-9][a-z0-9+.-]+"
			     "(=[0-9][A-Za-z0-9.+:~-]*)?$\"}" },
	[SCHEMA_MIRROR] = { "the URL of a mirror", check_mirror,
			    "write http://, https:// or file:/// and the folder that has dists/",
			    "{\"type\": \"string\","
			    " \"pattern\": \"^(https?://|file:///|.*[$][{])\"}" },
	[SCHEMA_KERNEL] = { "auto, debian, host or a path", check_kernel,
			    "a path begins with / or ./",
			    "{\"type\": \"string\","
			    " \"pattern\": \"^(auto|debian|host|[.]{0,2}/.*)$\"}", true },
	[SCHEMA_SOURCE] = { "scratch or a reference such as docker.io/library/alpine:3.20",
			    check_source,
			    "a reference is NAME or HOST/NAME, with :TAG or @sha256:HEX behind it; for a "
			    "file or folder write {archive: ...}, {directory: ...} or {layout: ...}",
			    "{\"type\": \"string\", \"minLength\": 1}" },
	[SCHEMA_PLATFORM] = { "a platform such as linux/arm64", check_platform,
			      "write linux/ and Go's name of the architecture: amd64, arm64, arm/v7",
			      "{\"type\": \"string\", \"pattern\": \"^(linux/|.*[$][{])\"}" },
	[SCHEMA_EXPOSED] = { "a port such as 8080 or 53/udp", check_exposed,
			     "a number from 1 to 65535, with /tcp, /udp or /sctp behind it",
			     "{\"type\": [\"string\", \"integer\"],"
			     " \"pattern\": \"^[0-9]{1,5}(/(tcp|udp|sctp))?$\"}" },
	[SCHEMA_SIGNAL] = { "a signal such as SIGTERM", check_signal, "signal(7) lists them",
			    "{\"type\": [\"string\", \"integer\"]}" },
};

const struct schema_value *schema_value(enum schema_type type)
{
	return &values[type];
}
