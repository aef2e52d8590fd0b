/* Mirrors: see mirror.h. */
#include "builders/debian/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "builders/debian/control.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

#define SOURCES_BYTES_MAX (1u << 20)	/* of one file of sources */
#define FILES_MAX 1000

static bool is_usable(const char *uri)
{
	return str_has_prefix(uri, "http://") || str_has_prefix(uri, "https://") ||
	       str_has_prefix(uri, "file:///");
}

/* The first URI of a list that can be used, without slashes at its end. */
static char *take_uri(const char *list)
{
	while (*list) {
		_cleanup_free_ char *uri = NULL;
		size_t length;

		list += strspn(list, " \t\n");
		length = strcspn(list, " \t\n");
		uri = xstrndup(list, length);
		list += length;
		if (!is_usable(uri))
			continue;
		while (length > 0 && uri[length - 1] == '/')
			uri[--length] = '\0';
		return TAKE_PTR(uri);
	}
	return NULL;
}

/* "deb [ OPTIONS ] URI SUITE COMPONENT..." */
static char *mirror_in_line(char *line, const char *suite)
{
	char *save = NULL, *word, *uri;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, " \t\r", &save);
	if (!word || strcmp(word, "deb"))
		return NULL;
	word = strtok_r(NULL, " \t\r", &save);
	if (word && word[0] == '[')
		while (word && !strchr(word, ']'))
			word = strtok_r(NULL, " \t\r", &save);
	if (word && strchr(word, ']'))
		word = strtok_r(NULL, " \t\r", &save);
	uri = word;
	word = strtok_r(NULL, " \t\r", &save);
	if (!uri || !word || strcmp(word, suite) || !save || !control_has_word(save, "main"))
		return NULL;
	return take_uri(uri);
}

char *mirror_in_list(const char *text, const char *suite)
{
	_cleanup_free_ char *copy = xstrdup(text);
	char *save = NULL, *found = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save))
		found = mirror_in_line(line, suite);
	return found;
}

static char *mirror_in_stanza(const struct stanza *stanza, const char *suite)
{
	_cleanup_free_ char *types = stanza_get(stanza, "Types");
	_cleanup_free_ char *uris = stanza_get(stanza, "URIs");
	_cleanup_free_ char *suites = stanza_get(stanza, "Suites");
	_cleanup_free_ char *components = stanza_get(stanza, "Components");
	_cleanup_free_ char *enabled = stanza_get(stanza, "Enabled");

	if (!types || !uris || !suites || !components || (enabled && !strcmp(enabled, "no")))
		return NULL;
	if (!control_has_word(types, "deb") || !control_has_word(suites, suite) ||
	    !control_has_word(components, "main"))
		return NULL;
	return take_uri(uris);
}

char *mirror_in_deb822(const char *text, const char *suite)
{
	struct control control = { text, strlen(text) };
	struct stanza stanza;
	char *found = NULL;

	while (!found && control_next(&control, &stanza))
		found = mirror_in_stanza(&stanza, suite);
	return found;
}

static char *mirror_in_file(const char *path, const char *suite)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	_cleanup_free_ char *text = NULL;

	/* what cannot be read has no mirror for us; that none is left is told in the end */
	if (fs_read_file(AT_FDCWD, path, SOURCES_BYTES_MAX, &text, NULL, &ignored) < 0)
		return NULL;
	return str_has_suffix(path, ".sources") ? mirror_in_deb822(text, suite) :
						  mirror_in_list(text, suite);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_folder(const char *folder, struct strv *ret)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		mem_blame(errno);
	while (dir && ret->count < FILES_MAX && (entry = readdir(dir)))
		if (str_has_suffix(entry->d_name, ".sources") ||
		    str_has_suffix(entry->d_name, ".list"))
			strv_addf(ret, "%s/%s", folder, entry->d_name);
	if (dir)
		closedir(dir);
	if (ret->count > 0)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
}

char *mirror_of_host(const char *suite)
{
	const char *root = getenv("DUET_APT_SOURCES");
	_cleanup_free_ char *list = path_join(root ? root : "/etc/apt", "sources.list");
	_cleanup_free_ char *parts = path_join(root ? root : "/etc/apt", "sources.list.d");
	_cleanup_(strv_done) struct strv files = { 0 };
	char *found = mirror_in_file(list, suite);

	list_folder(parts, &files);
	for (size_t i = 0; !found && i < files.count; i++)
		found = mirror_in_file(files.items[i], suite);
	return found;
}
