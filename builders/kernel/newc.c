/* newc: see newc.h. */
#include "builders/kernel/newc.h"

#include <string.h>

static void pad(struct str *out)
{
	str_addn(out, "\0\0\0", (4 - out->length % 4) % 4);
}

static void add_entry(struct str *out, const char *path, uint32_t inode, uint32_t mode,
		      uint32_t links, const void *data, size_t size)
{
	/* magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor
	 * namesize check */
	str_addf(out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0,
		 0, links, 0, (unsigned int)size, 0, 0, 0, 0, (unsigned int)strlen(path) + 1, 0);
	str_addn(out, path, strlen(path) + 1);
	pad(out);
	str_addn(out, data, size);
	pad(out);
}

void newc_add(struct newc *newc, const char *path, uint32_t mode, const void *data, size_t size)
{
	bool folder = (mode & 0170000) == 0040000;

	add_entry(&newc->out, path, ++newc->inode, mode, folder ? 2 : 1, data, size);
}

void newc_end(struct newc *newc)
{
	add_entry(&newc->out, "TRAILER!!!", 0, 0, 1, "", 0);
}

void newc_done(struct newc *newc)
{
	str_done(&newc->out);
}
