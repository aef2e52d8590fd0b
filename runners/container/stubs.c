/*
 * Mount points of a build's step. What is mounted needs something to be mounted on; made in the upper
 * it would end in the layer, and to remove it afterwards by its name is how others have lost files of
 * the host. So it is made in a layer of its own, on top of the image's and below the upper, which
 * nobody keeps. Folders on the way look there as they do in the image.
 *
 * Runs before the overlay is mounted, as uid 0 of the namespace: paths are resolved in the merged view.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"
#include "runners/container/container.h"

#define LINKS_MAX 40	/* as the kernel's MAXSYMLINKS */

struct stubs {
	int dir;
	int trees[ROOTFS_LAYERS_MAX + 1];	/* the layers, then what is made here */
	size_t count;
	bool any;
	struct err *err;
};

/* What is made for one mount. */
struct stub {
	const char *target;	/* absolute inside */
	bool folder;
	bool parents;		/* its parents too; else it is made where they are there */
	bool follow;		/* a link at its end is followed */
};

/* The folder `path` of the view in the stubs' layer, with the view's owner and mode; O_RDONLY. */
static int open_mirrored(struct stubs *stubs, const char *path)
{
	_cleanup_close_ int at = openat(stubs->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char prefix[PATH_LENGTH_MAX + 1];
	size_t length = 0;

	while (at >= 0 && path[length]) {
		struct rootfs_entry entry;
		struct stat st, parent;
		const char *name;
		int next;

		length += path[length] == '/';
		name = path + length;
		length += strcspn(name, "/");
		snprintf(prefix, sizeof(prefix), "%.*s", (int)length, path);
		name = path_base(prefix);
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT) {
			if (rootfs_find(stubs->trees, stubs->count, prefix, false, &entry,
					stubs->err) != 1)
				return -1;
			if (fstat(entry.fd, &st) == 0 && fstat(at, &parent) == 0 &&
			    mkdirat(at, name, 0700) == 0)
				next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(entry.fd);
			if (next < 0 || fchown(next, st.st_uid, st.st_gid) < 0 ||
			    fchmod(next, st.st_mode & 07777) < 0 ||
			    futimens(next, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0 ||
			    futimens(at, (struct timespec[]){ parent.st_atim, parent.st_mtim }) < 0) {
				mem_closep(&next);
				return -1;
			}
		}
		close(at);
		at = next;
	}
	return TAKE_FD(at);
}

/* Makes `name` in the folder `at` of the view, where nothing has that name. */
static int make_one(struct stubs *stubs, const char *at, const char *name, bool folder)
{
	_cleanup_close_ int dir = open_mirrored(stubs, at), file = -1;
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0)
		return stubs->err->code ? -1 : err_sys_as(stubs->err, ERR_CONTAINER, errno,
							  "make a mount point in /%s", at);
	if (folder && mkdirat(dir, name, 0755) < 0)
		return err_sys_as(stubs->err, ERR_CONTAINER, errno, "make %s/%s", at, name);
	if (!folder) {
		file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (file < 0)
			return err_sys_as(stubs->err, ERR_CONTAINER, errno, "make %s/%s", at, name);
	}
	futimens(dir, (struct timespec[]){ st.st_atim, st.st_mtim });
	stubs->any = true;
	return 0;
}

/* Puts a link's target in front of what is left of the way. */
static int follow(struct stubs *stubs, int link, char **rest, char *at)
{
	char target[PATH_LENGTH_MAX + 1];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
	char *joined;

	if (length < 0)
		return err_sys_as(stubs->err, ERR_CONTAINER, errno, "follow a link in /%s", at);
	target[length] = '\0';
	joined = xasprintf("%s/%s", target, *rest);
	free(*rest);
	*rest = joined;
	if (target[0] == '/')
		at[0] = '\0';
	return 0;
}

static void take_name(char *rest, char *ret, size_t room)
{
	size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/");

	snprintf(ret, room, "%.*s", (int)length, rest + skip);
	memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
	skip = strspn(rest, "/");
	memmove(rest, rest + skip, strlen(rest + skip) + 1);
}

/* One step of the way: 1 when there is no way on and nothing is to be made. */
static int enter_name(struct stubs *stubs, const struct stub *stub, char at[PATH_LENGTH_MAX + 1],
		      const char *name, char **rest, unsigned int *links)
{
	_cleanup_free_ char *path = xasprintf("%s%s%s", at, *at ? "/" : "", name);
	_cleanup_close_ int fd = -1;
	bool last = **rest == '\0';
	struct rootfs_entry entry;
	struct stat st;
	int found;

	if (strlen(path) > PATH_LENGTH_MAX || strlen(name) > PATH_NAME_MAX)
		return err_sys_as(stubs->err, ERR_CONTAINER, ENAMETOOLONG, "mount on %s",
				  stub->target);
	found = rootfs_find(stubs->trees, stubs->count, path, false, &entry, stubs->err);
	if (found < 0)
		return -1;
	if (found == 1) {
		fd = entry.fd;
		if (fstat(fd, &st) < 0)
			return err_sys_as(stubs->err, ERR_CONTAINER, errno, "look at /%s", path);
		if (S_ISLNK(st.st_mode) && (!last || stub->follow)) {
			if (++*links > LINKS_MAX)
				return err_sys_as(stubs->err, ERR_CONTAINER, ELOOP, "mount on %s",
						  stub->target);
			return follow(stubs, fd, rest, at);
		}
		if (!last && !S_ISDIR(st.st_mode))
			return err_sys_as(stubs->err, ERR_CONTAINER, ENOTDIR, "mount on %s",
					  stub->target);
	} else if (!last && !stub->parents) {
		return 1;
	} else if (make_one(stubs, at, name, stub->folder || !last) < 0) {
		return -1;
	}
	strcpy(at, path);
	return 0;
}

static int make_stub(struct stubs *stubs, const struct stub *stub)
{
	_cleanup_free_ char *rest = xstrdup(stub->target);
	char at[PATH_LENGTH_MAX + 1] = "", name[PATH_LENGTH_MAX + 1];
	unsigned int links = 0;

	for (;;) {
		int result;

		take_name(rest, name, sizeof(name));
		if (!*name)
			return 0;
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			char *slash = strrchr(at, '/');

			*(slash ? slash : at) = '\0';
			continue;
		}
		result = enter_name(stubs, stub, at, name, &rest, &links);
		if (result != 0)
			return result < 0 ? -1 : 0;
	}
}

static bool is_inside_ours(const char *target)
{
	return str_has_prefix(target, "/proc/") || str_has_prefix(target, "/sys/") ||
	       str_has_prefix(target, "/dev/");
}

int container_make_stubs(const struct container *container, bool *ret_any, struct err *err)
{
	_cleanup_free_ struct stubs *stubs = xcalloc(1, sizeof(*stubs));

	stubs->dir = container->stubs;
	stubs->err = err;
	for (size_t i = 0; i < container->rootfs->layer_count; i++)
		stubs->trees[stubs->count++] = container->layers[i];
	stubs->trees[stubs->count++] = container->stubs;
	for (size_t i = 0; i < container->mounts.count; i++) {
		const struct mount_op *op = &container->mounts.ops[i];
		struct stub stub = { op->target, op->kind != MOUNT_OP_FILE,
				     op->kind != MOUNT_OP_FILE, op->kind != MOUNT_OP_FILE };
		struct stat st;

		if ((op->kind != MOUNT_OP_FS && op->kind != MOUNT_OP_BIND &&
		     op->kind != MOUNT_OP_FILE) || is_inside_ours(op->target))
			continue;
		if (op->kind == MOUNT_OP_BIND && fstat(container->binds[op->bind], &st) == 0)
			stub.folder = S_ISDIR(st.st_mode);
		if (make_stub(stubs, &stub) < 0)
			return -1;
	}
	if (container->resolver) {
		const struct stub stub = { .target = RESOLVER_FILE, .parents = true, .follow = true };

		if (make_stub(stubs, &stub) < 0)
			return -1;
	}
	*ret_any = stubs->any;
	return 0;
}
