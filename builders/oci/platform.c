/* Platforms: see image.h. */
#include <string.h>

#include "builders/oci/image.h"
#include "core/mem.h"

#ifdef __x86_64__
#define PLATFORM "linux/amd64"
#elif defined(__aarch64__)
#define PLATFORM "linux/arm64"
#else
#error "name this architecture as GOARCH does"
#endif

#define PART_MAX 32	/* bytes of one part */

const char *oci_platform(void)
{
	return PLATFORM;
}

/* Architectures whose variants run the lower ones too; lowest first, ended by NULL. */
static const struct family {
	const char *architecture;
	const char *usual;	/* which one it is when none is named */
	const char *variants[6];
} families[] = {
	{ "amd64", "v1", { "v1", "v2", "v3", "v4" } },
	{ "arm64", "v8", { "v8", "v9" } },
	{ "arm", "v7", { "v5", "v6", "v7" } },
};

struct parts {
	char os[PART_MAX + 1], architecture[PART_MAX + 1], variant[PART_MAX + 1];
};

/* One part, and in *text what follows its "/"; NULL when nothing does. */
static bool take_part(const char **text, char ret[PART_MAX + 1])
{
	size_t length = strcspn(*text, "/");

	if (length < 1 || length > PART_MAX || strchr("._-", **text) ||
	    strspn(*text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") < length)
		return false;
	memcpy(ret, *text, length);
	ret[length] = '\0';
	*text = (*text)[length] ? *text + length + 1 : NULL;
	return true;
}

static bool split(const char *text, struct parts *ret)
{
	*ret = (struct parts){ 0 };
	return take_part(&text, ret->os) && text && take_part(&text, ret->architecture) &&
	       (!text || take_part(&text, ret->variant)) && !text;
}

bool oci_platform_is_valid(const char *text)
{
	struct parts parts;

	return split(text, &parts);
}

/* From 1 on; 0 when this family has no such variant. */
static unsigned int level(const struct family *family, const char *variant)
{
	if (!*variant)
		variant = family->usual;
	for (unsigned int i = 0; family->variants[i]; i++)
		if (!strcmp(family->variants[i], variant))
			return i + 1;
	return 0;
}

unsigned int oci_platform_rank(const char *wanted, const char *os, const char *architecture,
			       const char *variant)
{
	struct parts parts;

	if (!split(wanted, &parts) || strcmp(parts.os, os) ||
	    strcmp(parts.architecture, architecture))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		unsigned int have;

		if (strcmp(families[i].architecture, architecture))
			continue;
		have = level(&families[i], variant);
		if (have == 0)
			return !strcmp(parts.variant, variant);
		return have <= level(&families[i], parts.variant) ? have : 0;
	}
	return !strcmp(parts.variant, variant) || !*parts.variant;
}

bool oci_platform_fits(const char *wanted, const char *have)
{
	struct parts parts;

	return split(have, &parts) &&
	       oci_platform_rank(wanted, parts.os, parts.architecture, parts.variant) > 0;
}
