/* The user of a rootfs: see rootfs.h; the rules are in passwd.h. */
#include "core/rootfs.h"

#include <errno.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/passwd.h"

/* Reads a file of the image whole; *ret_text stays NULL when there is none. */
static int read_text(const struct rootfs *rootfs, const char *path, char **ret_text,
		     size_t *ret_size, struct err *err)
{
	_cleanup_close_ int fd = rootfs_open(rootfs, path, err);

	if (fd < 0 && err->code == -ENOENT) {
		err_done(err);
		return 0;
	}
	if (fd < 0 ||
	    fs_read_fd(fd, path, PASSWD_FILE_MAX, ret_text, ret_size, err) < 0) {
		err_wrap(err, "look up the user in the image");
		err->code = ERR_JOB_USER;
		return -1;
	}
	return 0;
}

int rootfs_identity(const struct rootfs *rootfs, const char *user, struct identity *ret,
		    struct err *err)
{
	_cleanup_free_ char *passwd_bytes = NULL, *group_bytes = NULL;
	struct passwd_text passwd = { 0 }, group = { 0 };

	if (read_text(rootfs, "/etc/passwd", &passwd_bytes, &passwd.size, err) < 0 ||
	    read_text(rootfs, "/etc/group", &group_bytes, &group.size, err) < 0)
		return -1;
	passwd.text = passwd_bytes;
	group.text = group_bytes;
	return passwd_identity(user, &passwd, &group, ret, err);
}
