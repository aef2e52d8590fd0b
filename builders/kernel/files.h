/*
 * The files of a kernel's modules, wherever they are: names are clean paths relative to
 * lib/modules/RELEASE ("kernel/fs/erofs/erofs.ko", "modules.builtin").
 */
#ifndef DUET_BUILDERS_KERNEL_FILES_H
#define DUET_BUILDERS_KERNEL_FILES_H

#include "builders/kernel/bytes.h"
#include "core/err.h"

#define KERNEL_PATH_SHOWN 200	/* bytes of a path in a message, where it is escaped */

struct kernel_files_ops {
	/* Calls `take` for every regular file, in any order; stops when it gives not 0. */
	int (*each)(void *data, int (*take)(void *to, const char *path, struct err *err), void *to,
		    struct err *err);
	/* The content of a file: 1, 0 when there is none, -1. */
	int (*read)(void *data, const char *path, size_t max, struct bytes *ret, struct err *err);
};

struct kernel_files {
	const struct kernel_files_ops *ops;	/* NULL: no modules, all is built in */
	void *data;				/* borrowed */
};

/* A folder of the host. `data` is a struct folder_files. */
struct folder_files {
	int dir;	/* borrowed; lib/modules/RELEASE, O_RDONLY or O_PATH */
};
extern const struct kernel_files_ops folder_files_ops;

/* A Debian package of a kernel, read whole. `data` is a struct deb. */
struct deb;
extern const struct kernel_files_ops deb_files_ops;

/* The one kernel in a .deb; `release` gets KERNEL_RELEASE_MAX + 1 bytes; *ret_image is borrowed. */
int deb_new(int fd, void (*progress)(void *data, uint64_t done, uint64_t total), void *data,
	    struct deb **ret, struct err *err);
const char *deb_release(const struct deb *deb);
const struct bytes *deb_image(const struct deb *deb);
void deb_free(struct deb *deb);

/* The newest kernel of an image in EROFS files, lowest first. `data` is a struct disks. */
struct disks;
extern const struct kernel_files_ops disks_files_ops;

/* ERR_KERNEL_NONE when there is no boot/vmlinuz-RELEASE with lib/modules/RELEASE. */
int disks_new(const int *fds, size_t count, struct disks **ret, struct err *err);
const char *disks_release(const struct disks *disks);
const struct bytes *disks_image(const struct disks *disks);
void disks_free(struct disks *disks);

#endif
