/* Taking a kernel apart: see take.h. */
#include "builders/kernel/take.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "builders/kernel/config.h"
#include "builders/kernel/files.h"
#include "builders/kernel/image.h"
#include "builders/kernel/modules.h"
#include "builders/layer/hash.h"
#include "core/fs.h"
#include "core/mem.h"

static int write_archive(int fd, const struct str *archive, struct digest *ret, struct err *err)
{
	struct hash hash;

	if (fs_write_all(fd, archive->text, archive->length) < 0)
		return err_sys(err, errno, "write modules");
	hash_init(&hash);
	hash_add(&hash, archive->text, archive->length);
	hash_end(&hash, ret);
	hash_done(&hash);
	return 0;
}

/* The configuration that the kernel carries; NULL when it has none. */
static int read_config(int fd, char **ret, struct err *err)
{
	_cleanup_(bytes_done) struct bytes vmlinux = { 0 };

	if (bytes_map(fd, KERNEL_VMLINUX_BYTES_MAX, &vmlinux, err) < 0)
		return err_wrap(err, "vmlinux");
	*ret = config_find(&vmlinux);
	return 0;
}

static int take(const struct kernel_take *args, const struct bytes *image,
		const struct kernel_files *files, struct kernel_taken *ret, struct err *err)
{
	_cleanup_(str_done) struct str archive = { 0 };
	_cleanup_free_ char *config = NULL;

	if (image_extract(image, args->vmlinux, &ret->vmlinux, err) < 0)
		return err_wrap(err, "kernel %s", ret->release);
	if (!files->ops && read_config(args->vmlinux, &config, err) < 0)
		return -1;
	if (modules_pack(files, config, ret->release, &archive, err) < 0)
		return -1;
	return write_archive(args->archive, &archive, &ret->archive, err);
}

static int take_package(const struct kernel_take *args, struct kernel_taken *ret,
			struct err *err)
{
	struct kernel_files files = { .ops = &deb_files_ops };
	struct deb *deb;
	int result;

	if (deb_new(args->package, args->progress, args->progress_data, &deb, err) < 0) {
		if (err->code == ERR_LAYER)
			err->code = ERR_KERNEL;
		return err_wrap(err, "read the package");
	}
	files.data = deb;
	strcpy(ret->release, deb_release(deb));
	result = take(args, deb_image(deb), &files, ret, err);
	deb_free(deb);
	return result;
}

static int take_disks(const struct kernel_take *args, struct kernel_taken *ret, struct err *err)
{
	struct kernel_files files = { .ops = &disks_files_ops };
	struct disks *disks;
	int result;

	if (disks_new(args->disks, args->disk_count, &disks, err) < 0)
		return -1;
	files.data = disks;
	strcpy(ret->release, disks_release(disks));
	result = take(args, disks_image(disks), &files, ret, err);
	disks_free(disks);
	return result;
}

static int name_release(const struct kernel_take *args, const struct bytes *image, char *ret,
			struct err *err)
{
	if (*args->release && kernel_release_is_valid(args->release))
		strcpy(ret, args->release);
	else if (!image_release(image, ret))
		return err_set(err, ERR_KERNEL, "it does not say which release it is: is it a kernel?");
	return 0;
}

static int take_files(const struct kernel_take *args, struct kernel_taken *ret, struct err *err)
{
	_cleanup_(bytes_done) struct bytes image = { 0 };
	_cleanup_close_ int dir = -1;
	struct folder_files folder;
	struct kernel_files files = { .data = &folder };

	if (bytes_map(args->image, KERNEL_IMAGE_BYTES_MAX, &image, err) < 0 ||
	    name_release(args, &image, ret->release, err) < 0)
		return err_wrap(err, "read the kernel");
	if (args->modules >= 0) {
		dir = fs_open_in_root(args->modules, ret->release, O_RDONLY | O_DIRECTORY, 0);
		if (dir < 0 && errno != ENOENT)
			return err_sys(err, errno, "open the modules of %s", ret->release);
	}
	if (dir >= 0) {
		folder.dir = dir;
		files.ops = &folder_files_ops;
	}
	return take(args, &image, &files, ret, err);
}

int kernel_take(const struct kernel_take *args, struct kernel_taken *ret, struct err *err)
{
	int result;

	*ret = (struct kernel_taken){ 0 };
	result = args->package >= 0 ? take_package(args, ret, err) :
		 args->disks	    ? take_disks(args, ret, err) :
				      take_files(args, ret, err);
	/* streams are unpacked by what unpacks layers */
	if (result < 0 && (err->code == ERR_LAYER || err->code == ERR_LAYER_LIMIT))
		err->code = ERR_KERNEL;
	return result;
}
