/*
 * What a step sees of another image: an overlay of its trees, mounted below the root's own tmpfs where
 * nothing inside can name it, and in it the source, resolved as that image resolves it: links cannot
 * lead out of it. The child's side.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/mount.h"
#include "core/mem.h"
#include "core/str.h"
#include "runners/container/container.h"

int container_open_images(struct container *container, struct err *err)
{
	for (size_t i = 0; i < container->job->mount_count; i++) {
		const struct mount *mount = &container->job->mounts[i];
		size_t count = mount->kind == MOUNT_IMAGE ? mount->image->layer_count : 0;

		if (mount->kind != MOUNT_IMAGE)
			continue;
		container->images[i] = xcalloc(count + 1, sizeof(int));
		for (size_t j = 0; j < count; j++) {
			container->images[i][j] = mount_find(mount->image->layers[j].tree, "layer", err);
			if (container->images[i][j] < 0)
				return -1;
		}
	}
	return 0;
}

/* The image's merged view; an overlay without an upper has two layers at least. */
static int mount_image(const struct container *container, size_t number, struct err *err)
{
	const struct mount *mount_of = &container->job->mounts[number];
	_cleanup_free_ char *name = xasprintf("image-%zu", number);
	_cleanup_free_ char *empty = xasprintf("empty-%zu", number);
	_cleanup_close_ int at = fs_open_dir_made(container->texts, name, 0755, err);
	_cleanup_close_ int below = at < 0 ? -1 : fs_open_dir_made(container->texts, empty, 0755, err);
	struct overlay_layers layers = { container->images[number], mount_of->image->layer_count,
					 .bottom = below, .top = -1 };
	char options[CONTAINER_OPTIONS_MAX] = "userxattr", path[40];

	if (below < 0)
		return -1;
	if (layers.count == 0)
		return TAKE_FD(below);
	if (container_lower_option(&layers, options, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	if (mount("overlay", path, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0)
		return err_sys_as(err, ERR_HOST, errno, "mount overlay");
	return openat(container->texts, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int bind_source(struct container *container, size_t number, int image, struct err *err)
{
	const char *source = container->job->mounts[number].source;
	_cleanup_close_ int fd = fs_open_in_root(image, source, O_PATH, 0);
	_cleanup_free_ char *shown = str_escape(source, 200);
	char path[40];

	if (fd < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount %s of another image", shown);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	container->binds[number] = mount_clone(path, 0);
	if (container->binds[number] < 0 || mount_seal(container->binds[number]) < 0)
		return err_sys_as(err, ERR_CONTAINER, errno, "mount %s of another image", shown);
	return 0;
}

int container_bind_images(struct container *container, struct err *err)
{
	for (size_t i = 0; i < container->job->mount_count; i++) {
		_cleanup_close_ int image = -1;

		if (container->job->mounts[i].kind != MOUNT_IMAGE)
			continue;
		image = mount_image(container, i, err);
		if (image < 0 || bind_source(container, i, image, err) < 0)
			return -1;
	}
	return 0;
}
