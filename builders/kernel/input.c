/* Kernels that are here already: see input.h. Nothing of them is read in duet itself. */
#include "builders/kernel/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "builders/kernel/take.h"
#include "builders/debian/version.h"
#include "builders/worker/message.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/path.h"
#include "core/str.h"

#define KERNELS_MAX 100	/* of one image that are looked at */

void kernel_input_done(struct kernel_input *input)
{
	for (size_t i = 0; i < input->fd_count; i++)
		mem_closep(&input->fds[i]);
	free(input->release);
	free(input->text);
	free(input->question);
	*input = (struct kernel_input){ 0 };
}

/* The boot image, and lib/modules unless it is -1. Takes both over. */
static void set_files(struct kernel_input *input, int image, int modules)
{
	input->fds[0] = image;
	input->fds[1] = modules;
	input->fd_count = modules >= 0 ? 2 : 1;
}

static int open_image(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "open %s: not a regular file", path);
	return TAKE_FD(fd);
}

static int open_folder(const char *path)
{
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void add_stamp(struct str *question, const char *path, const struct stat *st)
{
	str_addf(question, "%s %lld %lld.%09ld\n", path, (long long)st->st_size,
		 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* The paths with their sizes and times; depmod writes into the folder, so that its time changes. */
static char *question_of(const char *word, const char *path, const struct kernel_input *input)
{
	struct str question = { 0 };
	struct stat st;

	str_addf(&question, "%s\n", word);
	if (fstat(input->fds[0], &st) == 0)
		add_stamp(&question, path, &st);
	if (input->fd_count > 1 && fstat(input->fds[1], &st) == 0)
		add_stamp(&question, "modules", &st);
	if (input->fd_count > 1 && input->release &&
	    fstatat(input->fds[1], input->release, &st, 0) == 0)
		add_stamp(&question, input->release, &st);
	return question.text;
}

/* ---- the host's ------------------------------------------------------------------------------ */

int kernel_input_host(struct kernel_input *ret, struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { 0 };
	_cleanup_close_ int image = -1, modules = -1;
	_cleanup_free_ char *path = NULL;
	struct utsname name;
	struct stat st;

	if (uname(&name) < 0 || !kernel_release_is_valid(name.release))
		return err_set(err, ERR_KERNEL_NONE, "the running kernel has a strange name");
	path = xasprintf("/boot/vmlinuz-%s", name.release);
	image = open_image(path, err);
	if (image < 0) {
		if (err->code == -ENOENT)
			err->code = ERR_KERNEL_NONE;
		return err_mend(err, "take another one: vm: {kernel: debian}, or vm: {kernel: PATH}");
	}
	modules = open_folder("/lib/modules");
	if (modules < 0 || fstatat(modules, name.release, &st, 0) < 0) {
		err_set(err, ERR_KERNEL_NONE, "open /lib/modules/%s: %s", name.release,
			strerror(errno));
		return err_mend(err, "take another one: vm: {kernel: debian}, or vm: {kernel: PATH}");
	}
	set_files(&input, TAKE_FD(image), TAKE_FD(modules));
	input.release = xstrdup(name.release);
	input.text = xstrdup(path);
	input.question = question_of("host", path, &input);
	*ret = input;
	input = (struct kernel_input){ 0 };
	return 0;
}

/* ---- a file ---------------------------------------------------------------------------------- */

/* "vmlinuz-6.1.0" is of the release 6.1.0. Borrowed from `base`; NULL when it does not say. */
static const char *release_in_name(const char *base)
{
	static const char *const starts[] = { "vmlinuz-", "vmlinux-", "bzImage-", "kernel-" };

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (str_has_prefix(base, starts[i]) &&
		    kernel_release_is_valid(base + strlen(starts[i])))
			return base + strlen(starts[i]);
	return NULL;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, slash > path ? (size_t)(slash - path) : 1) : xstrdup(".");
}

/* A folder of modules that may lie there; -1. That one is there and may not be read is told. */
static int open_modules_at(const struct host_paths *host, const char *path)
{
	_cleanup_free_ char *real = host_path_where(path, 0);
	_cleanup_(err_done) struct err err = { 0 };
	int fd = host_path_open(host, "kernel modules", path, O_PATH | O_DIRECTORY, &err);

	if (fd < 0 && err.code == ERR_ALLOW && access(real, F_OK) == 0)
		log_note("the kernel's modules in %s are left out, for they lie outside the project: %s", real,
			 err.mend);
	return fd;
}

/* lib/modules for a boot image, or -1. */
static int find_modules(const struct host_paths *host, const char *path, struct kernel_input *input)
{
	static const char *const beside[] = { "../lib/modules", "../usr/lib/modules" };
	_cleanup_free_ char *folder = folder_of(path), *list = path_join(folder, "modules.builtin");
	_cleanup_(err_done) struct err none = { 0 };
	_cleanup_close_ int listed = host_path_open(host, "kernel modules", list, O_PATH, &none);

	if (listed >= 0 && kernel_release_is_valid(path_base(folder))) {
		_cleanup_free_ char *up = path_join(folder, "..");

		free(input->release);
		input->release = xstrdup(path_base(folder));
		return open_modules_at(host, up);
	}
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		_cleanup_free_ char *modules = path_join(folder, beside[i]);
		int fd = open_modules_at(host, modules);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

int kernel_input_path(const struct host_paths *host, const char *path, struct kernel_input *ret,
		      struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { 0 };
	const char *release = release_in_name(path_base(path));
	int image = host_path_open_file(host, "kernel", path, NULL, err);

	if (image < 0)
		return err->code == ERR_ALLOW ? -1 : err_mend(err, "vm: {kernel: PATH} names a bzImage (vmlinuz-RELEASE) or a vmlinux");
	input.release = release ? xstrdup(release) : NULL;
	set_files(&input, image, find_modules(host, path, &input));
	input.text = str_escape(path, PATH_LENGTH_MAX);
	input.question = question_of("path", path, &input);
	*ret = input;
	input = (struct kernel_input){ 0 };
	return 0;
}

/* ---- an image's own -------------------------------------------------------------------------- */

static void list_kernels(int tree, struct strv *releases)
{
	int fd = fs_open_in_root(tree, "boot", O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		mem_blame(errno);
		mem_closep(&fd);
		return;
	}
	while (releases->count < KERNELS_MAX && (entry = readdir(dir)))
		if (str_has_prefix(entry->d_name, "vmlinuz-") && release_in_name(entry->d_name))
			strv_add(releases, release_in_name(entry->d_name));
	closedir(dir);
}

static int newest_first(const void *a, const void *b)
{
	return version_compare(*(char *const *)b, *(char *const *)a);
}

/* lib/modules with `release` in it, as the layer has it in which modules.builtin lies: 1, 0, -1. */
static int open_modules(const int *trees, size_t count, const char *release, int *ret,
			struct err *err)
{
	_cleanup_free_ char *path = xasprintf("lib/modules/%s/modules.builtin", release);
	_cleanup_free_ struct rootfs_entry *entry = xcalloc(1, sizeof(*entry));
	int found = rootfs_find(trees, count, path, true, entry, err);

	if (found != 1)
		return found;
	close(entry->fd);
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(entry->path, '/');

		if (!slash || (i == 0 && strcmp(slash, "/modules.builtin")))
			return 0;
		*slash = '\0';
	}
	*ret = fs_open_no_links(trees[entry->layer], entry->path, O_PATH | O_DIRECTORY, 0);
	return *ret < 0 ? err_sys(err, errno, "open the image's lib/modules") : 1;
}

static int open_kernel(const struct rootfs *rootfs, const int *trees, const char *release,
		       struct kernel_input *ret, struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { 0 };
	_cleanup_free_ char *path = xasprintf("boot/vmlinuz-%s", release);
	_cleanup_close_ int image = -1, modules = -1;
	int found = open_modules(trees, rootfs->layer_count, release, &modules, err);

	if (found != 1)
		return found;
	image = rootfs_open(rootfs, path, err);
	if (image < 0) {
		/* removed by an upper layer, a link to nowhere, or no file at all: not a kernel */
		err_done(err);
		return 0;
	}
	set_files(&input, TAKE_FD(image), TAKE_FD(modules));
	input.release = xstrdup(release);
	input.text = xasprintf("/boot/vmlinuz-%s of the image", release);
	*ret = input;
	input = (struct kernel_input){ 0 };
	return 1;
}

static int take_disks(const struct rootfs *rootfs, struct kernel_input *ret, struct err *err)
{
	_cleanup_(kernel_input_done) struct kernel_input input = { .flags = WORKER_FROM_DISKS };

	for (size_t i = 0; i < rootfs->disk_count; i++) {
		int fd = fcntl(rootfs->disks[i].image, F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return err_sys(err, errno, "open the image's disks");
		input.fds[input.fd_count++] = fd;
	}
	input.text = xstrdup("the image's own kernel");
	*ret = input;
	input = (struct kernel_input){ 0 };
	return 1;
}

int kernel_input_image(const struct rootfs *rootfs, struct kernel_input *ret, struct err *err)
{
	_cleanup_(strv_done) struct strv releases = { 0 };
	_cleanup_free_ int *trees = xcalloc(ROOTFS_LAYERS_MAX, sizeof(*trees));
	int found = 0;

	if (rootfs->disk_count > 0)
		return take_disks(rootfs, ret, err);
	if (!(rootfs->forms & ROOTFS_TREES))
		return 0;
	for (size_t i = 0; i < rootfs->layer_count; i++) {
		trees[i] = rootfs->layers[i].tree;
		list_kernels(trees[i], &releases);
	}
	if (releases.count > 0)
		qsort(releases.items, releases.count, sizeof(*releases.items), newest_first);
	for (size_t i = 0; i < releases.count && found == 0; i++)
		found = open_kernel(rootfs, trees, releases.items[i], ret, err);
	return found;
}
