/* Open folders of one layer or several: see merged.h. */
#include "core/merged.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/path.h"
#include "core/view.h"

static int open_folder(int dir, const char *name)
{
	return fs_open_no_links(dir, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY, 0);
}

static void add(struct merged *folder, int fd)
{
	folder->fds = xreallocarray(folder->fds, folder->count + 1, sizeof(fd));
	folder->fds[folder->count++] = fd;
}

/* `fds` as a folder of its own: opened anew, so that each reader has its own position. */
static int open_all(struct merged *ret, const int *fds, size_t count, bool backwards, bool layered)
{
	_cleanup_(merged_done) struct merged folder = { .layered = layered };

	for (size_t i = 0; i < count; i++) {
		int fd = open_folder(fds[backwards ? count - 1 - i : i], "");

		if (fd < 0)
			return -1;
		add(&folder, fd);
	}
	*ret = folder;
	folder = (struct merged){ 0 };
	return 0;
}

int merged_plain(struct merged *ret, int fd)
{
	return open_all(ret, &fd, 1, false, false);
}

int merged_root(struct merged *ret, const int *trees, size_t count)
{
	return open_all(ret, trees, count, true, true);
}

static bool is_whiteout(const struct merged *folder, const struct stat *st)
{
	return folder->layered && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Looks in the layers from `from` on; 1 and the layer, 0 when there is nothing, -1. */
static int look(const struct merged *folder, size_t from, const char *name, size_t *ret_layer,
		struct stat *ret)
{
	for (size_t i = from; i < folder->count; i++) {
		if (fstatat(folder->fds[i], name, ret, AT_SYMLINK_NOFOLLOW) == 0) {
			*ret_layer = i;
			return 1;
		}
		if (errno != ENOENT)
			return -1;
	}
	return 0;
}

int merged_look(const struct merged *folder, const char *name, int *ret_dir, struct stat *ret)
{
	size_t layer;
	int found = look(folder, 0, name, &layer, ret);

	if (found != 1)
		return found;
	*ret_dir = folder->fds[layer];
	return !is_whiteout(folder, ret);
}

static bool is_opaque(int fd)
{
	char value;

	return fgetxattr(fd, VIEW_OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

int merged_enter(const struct merged *folder, const char *name, struct merged *ret)
{
	_cleanup_(merged_done) struct merged below = { .layered = folder->layered };
	struct stat st;
	size_t layer;
	int found;

	for (size_t from = 0; from < folder->count; from = layer + 1) {
		int fd;

		found = look(folder, from, name, &layer, &st);
		if (found < 0)
			return -1;
		if (found == 0 || !S_ISDIR(st.st_mode))
			break; /* anything else hides what is below it */
		fd = open_folder(folder->fds[layer], name);
		if (fd < 0)
			return -1;
		add(&below, fd);
		if (folder->layered && is_opaque(fd))
			break;
	}
	if (below.count == 0) {
		errno = ENOENT;
		return -1;
	}
	*ret = below;
	below = (struct merged){ 0 };
	return 0;
}

int merged_walk(const struct merged *folder, const char *path, struct merged *ret)
{
	_cleanup_(merged_done) struct merged at = { 0 };
	char name[PATH_NAME_MAX + 1];

	if (open_all(&at, folder->fds, folder->count, false, folder->layered) < 0)
		return -1;
	while (*path) {
		size_t length = strcspn(path, "/");
		struct merged next;

		if (length > PATH_NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		path += length + (path[length] == '/');
		if (merged_enter(&at, name, &next) < 0)
			return -1;
		merged_done(&at);
		at = next;
	}
	*ret = at;
	at = (struct merged){ 0 };
	return 0;
}

static int list(int fd, struct strv *ret)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int failed;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	rewinddir(dir); /* the position is that of `fd` */
	errno = 0;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			strv_add(ret, entry->d_name);
	failed = errno;
	closedir(dir);
	errno = failed;
	return failed ? -1 : 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of several layers: each name once, and none that its topmost entry hides. */
static int drop_hidden(const struct merged *folder, struct strv *names)
{
	size_t kept = 0;

	for (size_t i = 0; i < names->count; i++) {
		bool again = kept > 0 && !strcmp(names->items[kept - 1], names->items[i]);
		struct stat st;
		int dir, found = again ? 0 : merged_look(folder, names->items[i], &dir, &st);

		if (found < 0)
			return -1;
		if (found == 0)
			free(names->items[i]);
		else
			names->items[kept++] = names->items[i];
		if (kept <= i)
			names->items[i] = NULL;
	}
	names->count = kept;
	return 0;
}

int merged_names(const struct merged *folder, struct strv *ret)
{
	_cleanup_(strv_done) struct strv names = { 0 };

	for (size_t i = 0; i < folder->count; i++)
		if (list(folder->fds[i], &names) < 0)
			return -1;
	if (names.count > 1)
		qsort(names.items, names.count, sizeof(*names.items), compare);
	if (folder->layered && drop_hidden(folder, &names) < 0)
		return -1;
	*ret = names;
	names = (struct strv){ 0 };
	return 0;
}

void merged_done(struct merged *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		close(folder->fds[i]);
	free(folder->fds);
	*folder = (struct merged){ 0 };
}
