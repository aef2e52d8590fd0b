/* Whiteouts: see whiteout.h. */
#include "builders/layer/whiteout.h"

#include <string.h>

#include "core/str.h"

#define PREFIX ".wh."
#define AUFS_PREFIX ".wh..wh."
#define OPAQUE ".wh..wh..opq"

enum whiteout whiteout_of(const char *path, const char **ret_name)
{
	for (;;) {
		const char *slash = strchr(path, '/');

		if (!str_has_prefix(path, PREFIX)) {
			if (!slash)
				return WHITEOUT_NONE;
			path = slash + 1;
			continue;
		}
		if (!strcmp(path, OPAQUE))
			return WHITEOUT_OPAQUE;
		/* .wh..wh.plnk/123.456 and kin; a folder called .wh..wh..opq is nobody's */
		if (str_has_prefix(path, AUFS_PREFIX) && path[strlen(AUFS_PREFIX)] != '\0' &&
		    !str_has_prefix(path, OPAQUE "/"))
			return WHITEOUT_IGNORED;
		path += strlen(PREFIX);
		if (slash || !*path || !strcmp(path, ".") || !strcmp(path, "..") ||
		    str_has_prefix(path, PREFIX))
			return WHITEOUT_MALFORMED;
		*ret_name = path;
		return WHITEOUT_NAME;
	}
}
