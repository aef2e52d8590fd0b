/* The initramfs: see initrd.h. */
#include "runners/vm/initrd.h"

#include <string.h>
#include <sys/stat.h>

#include "runners/init/proto.h"

#define ALIGNMENT 4

static void pad(struct str *out)
{
	static const char zeros[ALIGNMENT];

	if (out->length % ALIGNMENT)
		str_addn(out, zeros, ALIGNMENT - out->length % ALIGNMENT);
}

struct entry {
	const char *name;
	unsigned int mode, major, minor;
	const void *data;
	size_t size;
};

static void add(struct str *out, unsigned int inode, const struct entry *entry)
{
	/* magic, inode, mode, uid, gid, links, mtime, size, device of the file, of the node, name, sum */
	str_addf(out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
		 entry->mode, 0u, 0u, 1u, 0u, (unsigned int)entry->size, 0u, 0u, entry->major,
		 entry->minor, (unsigned int)strlen(entry->name) + 1, 0u);
	str_addn(out, entry->name, strlen(entry->name) + 1);
	pad(out);
	str_addn(out, entry->data, entry->size);
	pad(out);
}

void initrd_make(const struct initrd *initrd, struct str *ret)
{
	const struct entry entries[] = {
		{ "dev", S_IFDIR | 0755 },
		{ "dev/console", S_IFCHR | 0600, 5, 1 },
		{ "init", S_IFREG | 0755, 0, 0, initrd->init, initrd->init_size },
		{ PROTO_FIXED_FILE + 1, S_IFREG | 0444, 0, 0, initrd->mounts->text,
		  initrd->mounts->length },
		{ "TRAILER!!!" },
	};

	str_addn(ret, initrd->modules, initrd->modules_size);
	pad(ret);
	for (unsigned int i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		add(ret, i + 1, &entries[i]);
}
