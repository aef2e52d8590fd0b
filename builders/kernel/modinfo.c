/* .modinfo: see modinfo.h. */
#include "builders/kernel/modinfo.h"

#include <string.h>

#include "builders/kernel/elf.h"
#include "core/path.h"
#include "core/str.h"

#define NAME_MAX_BYTES 64	/* the kernel allows 55 */

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* The name of `length` bytes with "_" for "-"; NULL when no module can have it. Owned. */
static char *clean_name(const char *text, size_t length)
{
	char *name;

	if (length == 0 || length > NAME_MAX_BYTES)
		return NULL;
	for (size_t i = 0; i < length; i++)
		if (!is_name_character(text[i]))
			return NULL;
	name = xstrndup(text, length);
	for (char *at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	return name;
}

char *modinfo_name_of(const char *path)
{
	static const char *const ends[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };
	const char *base = path_base(path);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_has_suffix(base, ends[i]))
			return clean_name(base, strlen(base) - strlen(ends[i]));
	return NULL;
}

static int add(struct strv *list, const char *text, size_t length, struct err *err)
{
	char *copy;

	if (list->count == MODINFO_WORDS_MAX)
		return err_set(err, ERR_KERNEL, "more than %d dependencies or aliases",
			       MODINFO_WORDS_MAX);
	copy = xstrndup(text, length);
	/* aliases of the crypto API have "-" in them, names never: both are compared with "_" */
	for (char *at = copy; *at; at++)
		if (*at == '-')
			*at = '_';
	strv_take(list, copy);
	return 0;
}

static int add_words(struct strv *list, const char *text, const char *parting, struct err *err)
{
	while (*text) {
		size_t length;

		text += strspn(text, parting);
		length = strcspn(text, parting);
		if (length > 0 && add(list, text, length, err) < 0)
			return -1;
		text += length;
	}
	return 0;
}

/* "pre: a b post: c": those behind "pre:". */
static int add_softdep(struct modinfo *info, const char *text, struct err *err)
{
	bool before = false;

	while (*text) {
		size_t length;

		text += strspn(text, " \t");
		length = strcspn(text, " \t");
		if (length == 4 && !strncmp(text, "pre:", 4))
			before = true;
		else if (length == 5 && !strncmp(text, "post:", 5))
			before = false;
		else if (length > 0 && before && add(&info->before, text, length, err) < 0)
			return -1;
		text += length;
	}
	return 0;
}

static int take(struct modinfo *info, const char *text, struct err *err)
{
	if (str_has_prefix(text, "depends="))
		return add_words(&info->depends, text + strlen("depends="), ", ", err);
	if (str_has_prefix(text, "softdep="))
		return add_softdep(info, text + strlen("softdep="), err);
	if (str_has_prefix(text, "alias="))
		return add(&info->aliases, text + strlen("alias="), strlen(text) - strlen("alias="),
			   err);
	return 0;
}

int modinfo_parse(const uint8_t *section, size_t size, struct modinfo *ret, struct err *err)
{
	struct modinfo info = { 0 };

	for (size_t at = 0; at < size;) {
		const char *text = (const char *)section + at;
		size_t length = strnlen(text, size - at);

		if (at + length == size) {
			modinfo_done(&info);
			return err_set(err, ERR_KERNEL, ".modinfo is cut off");
		}
		if (take(&info, text, err) < 0) {
			modinfo_done(&info);
			return -1;
		}
		at += length + 1;
	}
	*ret = info;
	return 0;
}

int modinfo_read(const uint8_t *elf, size_t size, struct modinfo *ret, struct err *err)
{
	const uint8_t *section;
	size_t section_size;

	if (!elf_is_x86_64(elf, size))
		return err_set(err, ERR_KERNEL, "it is no module for x86-64");
	if (!elf_section(elf, size, ".modinfo", &section, &section_size)) {
		*ret = (struct modinfo){ 0 };
		return 0;
	}
	return modinfo_parse(section, section_size, ret, err);
}

void modinfo_done(struct modinfo *info)
{
	strv_done(&info->depends);
	strv_done(&info->before);
	strv_done(&info->aliases);
}
