/*
 * Finds or makes a kernel as a build for the VM runner does:
 *
 *	kernel_tool STORE debian|host|auto|PATH [LAYER...]
 *
 * LAYERs are an image's, lowest first: folders (trees), or EROFS files. Prints the release and the id;
 * with $KERNEL_OUT copies vmlinux and modules into that folder. Exit code 1 and the error on standard
 * error when it fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/builder.h"
#include "core/host_path.h"
#include "core/log.h"
#include "core/mem.h"

static int copy_out(const char *folder, const char *name, int fd)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_close_ int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	off_t at = 0;
	ssize_t put;

	if (out < 0)
		return -1;
	while ((put = sendfile(out, fd, &at, 1 << 20)) > 0)
		;
	return (int)put;
}

static int show(const struct rootfs_kernel *kernel)
{
	const char *folder = getenv("KERNEL_OUT");
	char id[DIGEST_TEXT_SIZE];

	digest_text(&kernel->id, id);
	printf("%s\n%s\n", kernel->release, id);
	if (!folder)
		return 0;
	return copy_out(folder, "vmlinux", kernel->vmlinux) < 0 ||
	       copy_out(folder, "modules", kernel->modules) < 0;
}

static void set_kernel(struct spec *spec, const char *word)
{
	static const char *const words[] = { [KERNEL_AUTO] = "auto", [KERNEL_DEBIAN] = "debian",
					     [KERNEL_HOST] = "host" };

	spec->target.vm.kernel = KERNEL_PATH;
	spec->target.vm.kernel_path = (char *)word;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			spec->target.vm.kernel = (enum kernel_kind)i;
}

static int open_layers(struct rootfs *rootfs, char **paths)
{
	for (; *paths; paths++) {
		struct rootfs_layer *layer = &rootfs->layers[rootfs->layer_count++];
		int fd = open(*paths, O_RDONLY | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0)
			return -1;
		/* a diff-id of its own, which pins go by */
		digest_of(*paths, strlen(*paths), &layer->diff_id);
		if (S_ISDIR(st.st_mode)) {
			rootfs->forms |= ROOTFS_TREES;
			layer->tree = fd;
		} else {
			rootfs->forms |= ROOTFS_DISKS;
			rootfs->disks[rootfs->disk_count++].image = fd;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct spec spec = { .file = (char *)"duet.yaml", .name = (char *)"test" };
	struct build build = { .spec = &spec, .forms = ROOTFS_DISKS };
	struct err err = { 0 };
	struct store store;
	struct idmap map;
	const char *why;
	int code = 1;

	if (argc < 3)
		return 2;
	if (getenv("KERNEL_VERBOSE"))
		log_set_level(LOG_VERBOSE);
	set_kernel(&spec, argv[2]);
	/* a kernel may lie anywhere here: the whole host is the project */
	spec.host = host_paths_new("/", &err);
	if (!spec.host) {
		log_err(&err);
		return 2;
	}
	rootfs_init(rootfs);
	if (open_layers(rootfs, argv + 3) < 0)
		return 2;
	if (idmap_find(&map, false, &why, &err) == 0 && store_open(&store, argv[1], &map, &err) == 0) {
		build.store = &store;
		if (builder_kernel(&build, rootfs, &err) == 0)
			code = show(&rootfs->kernel);
		store_done(&store);
	}
	if (err.code)
		log_err(&err);
	err_done(&err);
	rootfs_done(rootfs);
	host_paths_free(spec.host);
	return code;
}
