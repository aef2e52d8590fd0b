/* The VM's kernel. */
#include "builders/builder.h"

int builder_kernel(struct build *build, struct rootfs *rootfs, struct err *err)
{
	(void)build;
	(void)rootfs;
	return err_set(err, ERR_HOST, "find a kernel: not there yet");
}
