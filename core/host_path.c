/* Paths of the host that a spec names: see host_path.h. */
#include "core/host_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/path.h"
#include "core/str.h"

#define SHOWN 300	/* bytes of a path in a message */

struct host_paths *host_paths_new(const char *dir, struct err *err)
{
	struct host_paths *host = xcalloc(1, sizeof(*host));

	host->dir = xstrdup(dir);
	host->fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	host->real = host->fd < 0 ? NULL : xrealpath(dir);
	if (host->real)
		return host;
	err_sys(err, errno, "open the project's folder %s", dir);
	host_paths_free(host);
	return NULL;
}

void host_paths_free(struct host_paths *host)
{
	if (!host)
		return;
	mem_closep(&host->fd);
	free(host->dir);
	free(host->real);
	free(host);
}

/* Where the clean absolute `path` lies below `dir`, borrowed from it, "" for itself; NULL: it does not. */
static const char *below(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	if (!path_is_below(path, dir))
		return NULL;
	length -= length > 0 && dir[length - 1] == '/';
	return path + length + (path[length] == '/');
}

/* The folder of an absolute path. Owned. */
static char *folder_of(const char *path)
{
	size_t length = (size_t)(path_base(path) - path);

	return xstrndup(path, length > 1 ? length - 1 : 1);
}

/* Where `path` leads: through every link, but with O_NOFOLLOW not the last. Owned; NULL with errno. */
static char *where(const char *path, int flags)
{
	const char *base = path_base(path);
	_cleanup_free_ char *folder = NULL, *real = NULL;

	if (!(flags & O_NOFOLLOW) || !*base || !strcmp(base, "..") || !strcmp(base, "."))
		return xrealpath(path);
	folder = folder_of(path);
	real = xrealpath(folder);
	return real ? path_join(real, base) : NULL;
}

char *host_path_where(const char *path, int flags)
{
	_cleanup_free_ char *above = xstrdup(path), *whole = NULL;
	char *real = where(path, flags);
	size_t length = strlen(path);

	if (real)
		return real;
	/* what is there of the way to it */
	while (!real && length > 1) {
		while (length > 1 && above[length - 1] != '/')
			length--;
		above[length > 1 ? --length : 1] = '\0';
		real = xrealpath(above);
	}
	whole = path_join(real ? real : "/", path + length + strspn(path + length, "/"));
	free(real);
	return path_normal(whole);
}

/*
 * Opens `real` beneath `root`, a folder or file that the user allows. Neither had links in it a moment ago; one
 * that came since does not lead out of `root`.
 */
static int open_at_root(const char *root, const char *real, int flags)
{
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *folder = NULL;

	if (strcmp(root, real)) {
		dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return dir < 0 ? -1 : fs_open_beneath(dir, below(real, root), flags);
	}
	folder = folder_of(root);
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : fs_open_no_links(dir, path_base(root), flags, 0);
}

/* The user's root that `real` is, or lies below. Owned; NULL: none. */
static char *find_root(const struct allowed *allowed, const char *real)
{
	const struct strv *roots = &allowed->paths[OUTSIDE_PATH];

	if (allowed->kinds[OUTSIDE_PATH])
		return xstrdup("/");
	for (size_t i = 0; i < roots->count; i++) {
		_cleanup_free_ char *root = xrealpath(roots->items[i]);
		_cleanup_free_ char *link = where(roots->items[i], O_NOFOLLOW);

		if (root && path_is_below(real, root))
			return TAKE_PTR(root);
		/* it may be a link itself that is allowed, and copied */
		if (link && !strcmp(real, link))
			return TAKE_PTR(link);
	}
	return NULL;
}

static int refuse(const struct host_paths *host, const char *key, const char *path,
		  const char *leads_to, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(path, SHOWN);
	_cleanup_free_ char *word = allowed_path_word(OUTSIDE_PATH, leads_to);

	err_set(err, ERR_ALLOW, "reaches outside the project: %s %s", key, shown);
	return host ? allowed_mend(err, word, host->dir) : -1;
}

static int fail(const char *path, int errnum, struct err *err)
{
	_cleanup_free_ char *shown = str_escape(path, SHOWN);

	return err_sys(err, errnum, "open %s", shown);
}

/*
 * `path` is not beneath the project as it is written, or (`by_link`) a link in it leads out. Whether there is
 * anything is told only to who may open it.
 */
static int open_elsewhere(const struct host_paths *host, const char *key, const char *path,
			  int flags, bool by_link, struct err *err)
{
	_cleanup_free_ char *real = where(path, flags), *root = NULL, *to = NULL;
	int errnum = errno, fd = -1;

	to = real ? xstrdup(real) : host_path_where(path, flags);
	if (path_is_below(to, host->real) && (real || !by_link)) {
		if (real)
			fd = fs_open_beneath(host->fd, below(real, host->real), flags);
	} else {
		root = host->allowed ? find_root(host->allowed, to) : NULL;
		if (!root)
			return refuse(host, key, path, to, err);
		if (real)
			fd = open_at_root(root, real, flags);
	}
	if (fd >= 0)
		return fd;
	errnum = real ? errno : errnum;
	/* a link was put there meanwhile */
	if (errnum == EXDEV)
		return refuse(host, key, path, to, err);
	return fail(path, errnum, err);
}

int host_path_open(const struct host_paths *host, const char *key, const char *path, int flags,
		   struct err *err)
{
	const char *relative = host ? below(path, host->dir) : NULL;
	int fd;

	if (!host)
		return refuse(NULL, key, path, path, err);
	if (!relative)
		return open_elsewhere(host, key, path, flags, false, err);
	fd = fs_open_beneath(host->fd, relative, flags);
	if (fd >= 0)
		return fd;
	return errno == EXDEV ? open_elsewhere(host, key, path, flags, true, err)
			      : fail(path, errno, err);
}

int host_path_open_file(const struct host_paths *host, const char *key, const char *path,
			struct stat *ret_st, struct err *err)
{
	_cleanup_close_ int fd = host_path_open(host, key, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
	_cleanup_free_ char *shown = str_escape(path, SHOWN);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "open %s: not a regular file", shown);
	if (ret_st)
		*ret_st = st;
	return TAKE_FD(fd);
}

int host_path_read(const struct host_paths *host, const char *key, const char *path, size_t max,
		   char **ret_text, size_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = host_path_open(host, key, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
	_cleanup_free_ char *shown = str_escape(path, SHOWN);

	return fd < 0 ? -1 : fs_read_fd(fd, shown, max, ret_text, ret_size, err);
}

bool host_path_leads_out(const struct host_paths *host, const char *dir, const char *path,
			 int flags)
{
	_cleanup_free_ char *to = NULL, *real = NULL;
	_cleanup_close_ int fd = -1;
	const char *relative;

	if (!host) {
		to = path_normal(path);
		return !path_is_below(to, dir);
	}
	relative = below(path, host->dir);
	fd = relative ? fs_open_beneath(host->fd, relative, O_PATH | flags) : -1;
	if (fd >= 0 || (relative && errno != EXDEV))
		return false;
	real = where(path, flags);
	if (real)
		return !path_is_below(real, host->real);
	to = host_path_where(path, flags);
	return relative || !path_is_below(to, host->real);
}
