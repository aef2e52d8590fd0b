/* Where what a job writes is kept: in the store or in memory. The parent's side; see root.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/sys.h"
#include "runners/container/container.h"

/* File systems that are known to hold an overlay's upper: xattrs, whiteouts, RENAME_WHITEOUT. */
static bool holds_upper(int dir)
{
	static const unsigned int kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
					      F2FS_SUPER_MAGIC, TMPFS_MAGIC };
	struct statfs fs;

	if (fstatfs(dir, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((unsigned int)fs.f_type == kinds[i])
			return true;
	return false;
}

/*
 * Can a tmpfs be an overlay's upper here? With userxattr it has to hold user.*, which it does since
 * Linux 6.6; before that folders of the image could not be removed or renamed. A file in memory is
 * of the same kind.
 */
static bool memory_holds_upper(void)
{
	_cleanup_close_ int fd = memfd_create("duet-probe", MFD_CLOEXEC);

	return fd < 0 || fsetxattr(fd, "user.duet.probe", "y", 1, 0) == 0;
}

/* Where the writable layer is: as asked, but not in a memory that cannot hold it. */
static enum writes_kind choose_writes(const struct job *job)
{
	if (job->writes != WRITES_MEMORY || memory_holds_upper())
		return job->writes;
	log_debug("this kernel's tmpfs holds no overlay (Linux 6.6 has one that does): what the job "
		  "writes to its root is kept in the store until it ends");
	return WRITES_DISK;
}

/*
 * A folder in the store's temporary one; a new one is owned by the namespace's root, whatever the umask.
 * One that is taken up again stays as it is.
 */
static int make_folder(struct store *store, int dir, const char *name, struct err *err)
{
	uint32_t uid, gid;
	int fd;

	if (!idmap_uid_outside(&store->map, 0, &uid) || !idmap_gid_outside(&store->map, 0, &gid))
		return err_set(err, ERR_CONTAINER, "the id map has no root");
	if (mkdirat(dir, name, 0755) == 0) {
		if (fchmodat(dir, name, 0755, 0) < 0 ||
		    (geteuid() == 0 && fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0))
			return err_sys_as(err, ERR_CONTAINER, errno, "give away %s", name);
	} else if (errno != EEXIST) {
		return err_sys_as(err, ERR_CONTAINER, errno, "make folder %s", name);
	}
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys_as(err, ERR_CONTAINER, errno, "open folder %s", name);
}

int container_upper_folders(struct container *container, struct store *store, int dir,
			    struct err *err)
{
	const struct {
		const char *name;
		int *fd;
	} folders[] = { { CONTAINER_UPPER, &container->upper }, { "work", &container->work },
			{ "stubs", &container->stubs } };

	for (size_t i = 0; i < (container->job->step ? 3 : 2); i++) {
		*folders[i].fd = make_folder(store, dir, folders[i].name, err);
		if (*folders[i].fd < 0)
			return -1;
	}
	return 0;
}

int container_make_upper(struct container *container, struct store *store, struct store_tmp *tmp,
			 struct err *err)
{
	if (!container->job->step && choose_writes(container->job) == WRITES_MEMORY) {
		container->memory_bytes = sys_memory_available() / 2;
		return 0;
	}
	if (!holds_upper(store->dir)) {
		err_set(err, ERR_HOST, "keep what the job writes in %s: the file system holds no "
			"overlay", store->path);
		return err_mend(err, "%sa store on ext4, xfs or btrfs",
				container->job->step ? "" : "target.container.writes: memory, or ");
	}
	if (!tmp->id[0] && store_tmp_new(store, tmp, err) < 0)
		return -1;
	return container_upper_folders(container, store, tmp->dir, err);
}

void container_drop_upper(struct store *store, struct store_tmp *tmp)
{
	struct err err = { 0 };

	if (store_tmp_drop(store, tmp, &err) < 0)
		log_warn("remove the writable layer: %s", err.msg);
	err_done(&err);
}
