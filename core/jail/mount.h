/* Mounts by descriptor, for children in a mount namespace of their own; and how they tell failures. */
#ifndef DUET_CORE_JAIL_MOUNT_H
#define DUET_CORE_JAIL_MOUNT_H

#include <stddef.h>

#include "core/err.h"

/* A detached clone of what is mounted at `path`; `flags`: AT_RECURSIVE or 0. -1 with errno. */
int mount_clone(const char *path, unsigned int flags);
/* The same of an open file or folder (O_PATH will do), which is in a mount of this namespace. */
int mount_clone_fd(int fd, unsigned int flags);
/*
 * The same file or folder as `fd`, but through a mount of this namespace (O_PATH): the kernel clones
 * and overlays no other. Found by its path and compared by inode. ERR_HOST when it was replaced.
 */
int mount_find(int fd, const char *what, struct err *err);
/* Attaches a detached mount on an O_PATH descriptor; -1 with errno. */
int mount_attach(int tree, int target);
/* Read-only, nosuid, nodev, for a detached mount and all below; -1 with errno. */
int mount_seal(int tree);
/* Makes every mount private to this namespace; -1 with errno. */
int mount_make_private(void);
/* Makes the folder `root` (a mount) the root and detaches what was; -1 with errno. */
int mount_pivot(int root);

/*
 * A child's failure on its way to the parent: written once, before it exits with the code that
 * jail_report gives. `fd` is one end of a pipe or socket that exec closes.
 */
int jail_report(int fd, struct err *err);
/* The parent's side: puts the child's words, when there are any, in the place of what is in err. */
void jail_take_report(int fd, struct err *err);

#endif
