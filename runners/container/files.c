/*
 * Files that a container gets for itself: mount points that the image lacks, texts bound over what it
 * has, secrets in a tmpfs. The child's side, below the new root and before pivot_root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "runners/container/container.h"

static int make_at(int parent, const char *name, bool folder)
{
	_cleanup_close_ int file = -1;

	if (folder)
		return mkdirat(parent, name, 0755);
	file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return file < 0 ? -1 : 0;
}

int container_make_target(int parent, const char *name, bool folder)
{
	struct stat st;
	int result, errnum;

	if (make_at(parent, name, folder) == 0)
		return 0;
	if (errno != EOVERFLOW || fstat(parent, &st) < 0)
		return -1;
	setfsgid(st.st_gid);
	setfsuid(st.st_uid);
	result = make_at(parent, name, folder);
	errnum = errno;
	setfsuid(0);
	setfsgid(0);
	errno = errnum;
	return result;
}

/* A detached mount of a new file on the tmpfs that is below the root. */
static int make_text(const struct container *container, const char *text)
{
	static unsigned int number;
	_cleanup_close_ int file = -1;
	char name[40], path[40];

	snprintf(name, sizeof(name), "text-%u", number++);
	file = openat(container->texts, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file < 0 || fs_write_all(file, text, strlen(text)) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return mount_clone(path, 0);
}

int container_bind_text(const struct container *container, int root, const char *target,
			const char *text, struct err *err)
{
	_cleanup_close_ int there = container_open_inside(root, target, O_PATH, err), tree = -1;

	if (there < 0 && err->code)
		return -1;
	if (there < 0 && errno == ENOENT)
		return 0; /* stubs.c has made none: its folder is not there */
	if (there < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount on %s", target);
	tree = make_text(container, text);
	if (tree < 0 || mount_attach(tree, there) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount a file on %s", target);
	return 0;
}

int container_put_secrets(const struct container *container, int root, struct err *err)
{
	const struct job *job = container->job;
	_cleanup_close_ int dir = -1;

	if (job->secret_count == 0)
		return 0;
	dir = container_open_inside(root, SECRETS_FOLDER, O_RDONLY | O_DIRECTORY, err);
	if (dir < 0 && err->code)
		return -1;
	if (dir < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "open " SECRETS_FOLDER);
	for (size_t i = 0; i < job->secret_count; i++) {
		const struct job_secret *secret = &job->secrets[i];
		_cleanup_close_ int file = openat(dir, secret->name, O_WRONLY | O_CREAT | O_EXCL |
						  O_NOFOLLOW | O_CLOEXEC, 0400);

		if (file < 0 || fs_write_all(file, secret->value, secret->size) < 0 ||
		    fchown(file, job->identity.uid, job->identity.gid) < 0)
			return err_sys_as(err, ERR_CONTAINER, errno, "make " SECRETS_FOLDER "/%s",
					  secret->name);
	}
	return 0;
}
