/*
 * Taking a kernel apart, in duet-worker: a package, a boot image and its modules, or an image's files
 * in; an ELF for PVH boot and an archive of the modules that a VM needs out. Everything that comes in
 * may be hostile.
 *
 *	deb, folder, disks	where files are (struct kernel_files)
 *	image		boot image -> vmlinux
 *	modules		.modinfo of modules -> what each feature needs, in load order
 *	archive		-> newc
 */
#ifndef DUET_BUILDERS_KERNEL_TAKE_H
#define DUET_BUILDERS_KERNEL_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"
#include "core/err.h"

#define KERNEL_PACKAGE_BYTES_MAX (512ull << 20)	/* plain bytes of a .deb's data */
#define KERNEL_FILES_MAX 50000			/* files of a package, or below a modules folder */
#define KERNEL_IMAGE_BYTES_MAX (512u << 20)	/* a boot image, or an ELF that is given as such */
#define KERNEL_VMLINUX_BYTES_MAX (1ull << 30)
#define KERNEL_MODULE_BYTES_MAX (64u << 20)	/* plain bytes of one module */
#define KERNEL_LIST_BYTES_MAX (16u << 20)	/* modules.builtin, modules.alias */
#define KERNEL_ARCHIVE_BYTES_MAX (256u << 20)
#define KERNEL_RELEASE_MAX 128			/* bytes of a release, without the NUL */
#define KERNEL_DEPTH_MAX 32			/* folders below lib/modules/RELEASE */

typedef void kernel_progress(void *data, uint64_t done, uint64_t total);

struct kernel_take {
	int vmlinux, archive;	/* borrowed; empty files, O_RDWR */
	int package;		/* borrowed; a .deb; or -1 */
	const int *disks;	/* borrowed; EROFS files of an image, lowest first; or NULL */
	size_t disk_count;
	/* without a package and disks: */
	int image;		/* borrowed; a bzImage or vmlinux */
	int modules;		/* borrowed; the folder lib/modules; -1: all is built in */
	const char *release;	/* "": as the package or the image has it */
	kernel_progress *progress;
	void *progress_data;
};

struct kernel_taken {
	char release[KERNEL_RELEASE_MAX + 1];
	struct digest vmlinux, archive;
};

/*
 * Errors: ERR_KERNEL (cannot be read), ERR_KERNEL_UNFIT (lacks what a VM needs, named in the message),
 * ERR_KERNEL_NONE (there is none), -errno of the files written.
 */
int kernel_take(const struct kernel_take *args, struct kernel_taken *ret, struct err *err);

/*
 * The stanzas of the packages whose names begin with `prefix` and end with `suffix`, out of a Packages
 * list (gzip, xz, zstd or plain) of `bytes` bytes, into a file.
 */
#define INDEX_PLAIN_BYTES_MAX (512ull << 20)
#define INDEX_STANZA_BYTES_MAX (256u << 10)
#define INDEX_FOUND_BYTES_MAX (4u << 20)	/* of all stanzas that are kept */
int kernel_index(int list, uint64_t bytes, const char *prefix, const char *suffix, int out,
		 kernel_progress *progress, void *data, struct err *err);

/* "6.1.0-56-cloud-amd64": letters, digits and "._+~-", not beginning with "." or "-". Pure. */
bool kernel_release_is_valid(const char *release);

#endif
