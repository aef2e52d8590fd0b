/* Paths as text: see path.h. */
#include "core/path.h"

#include <string.h>

#include "core/mem.h"

bool path_clean(const char *path, char *ret)
{
	size_t used = 0;

	for (;;) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length == 1 && path[0] == '.') {
			path++;
			continue;
		}
		if (length > PATH_NAME_MAX || (length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (used + (used > 0) + length > PATH_LENGTH_MAX)
			return false;
		if (used > 0)
			ret[used++] = '/';
		memcpy(ret + used, path, length);
		used += length;
		path += length;
	}
	ret[used] = '\0';
	return true;
}

char *path_normal(const char *path)
{
	char *out = xmalloc(strlen(path) + 2);
	size_t used = 0;

	for (;;) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length == 2 && !strncmp(path, "..", 2)) {
			while (used > 0 && out[--used] != '/')
				;
		} else if (length != 1 || path[0] != '.') {
			out[used++] = '/';
			memcpy(out + used, path, length);
			used += length;
		}
		path += length;
	}
	if (used == 0)
		out[used++] = '/';
	out[used] = '\0';
	return out;
}

char *path_join(const char *dir, const char *name)
{
	if (name[0] == '/' || !dir || !*dir)
		return xstrdup(name);
	if (!*name)
		return xstrdup(dir);
	return xasprintf("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool path_is_below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	if (length > 0 && dir[length - 1] == '/')
		length--;
	return !strncmp(path, dir, length) && (path[length] == '/' || path[length] == '\0');
}
