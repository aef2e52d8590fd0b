/* The ways out of the jail by files and by descriptors: see fake_qemu.c. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/run/fake_qemu.h"

#define DESCRIPTORS_LOOKED_AT 2000
#define DISK_READ_ONLY QEMU_FD_DISK
#define DISK_WRITABLE (QEMU_FD_DISK + 1)
#define FAR (1ll << 40)	/* bytes; beyond any disk */

/* ---- files ----------------------------------------------------------------------------------- */

/* Every try returns true when it got out. */
bool fake_opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool opens_in(const char *name, int flags)
{
	char path[sizeof(dir) + 32];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return fake_opens(path, flags);
}

static bool creates(const char *folder)
{
	char path[sizeof(dir) + 32];
	bool created;

	snprintf(path, sizeof(path), "%s/duet-test-%d", folder, (int)getpid());
	created = fake_opens(path, O_WRONLY | O_CREAT | O_EXCL);
	if (created)
		unlink(path);
	return created;
}

static bool home_read(void) { return opens_in("secret", O_RDONLY); }
static bool store_read(void) { return opens_in("disk", O_RDONLY); }
static bool store_write(void) { return opens_in("disk", O_WRONLY); }
static bool passwd_read(void) { return fake_opens("/etc/passwd", O_RDONLY); }
static bool shadow_read(void) { return fake_opens("/etc/shadow", O_RDONLY); }
static bool proc_read(void) { return fake_opens("/proc/self/status", O_RDONLY); }
static bool proc_root(void) { return fake_opens("/proc/1/root/etc", O_RDONLY); }
static bool sys_read(void) { return fake_opens("/sys/kernel", O_RDONLY); }
static bool up_read(void) { return fake_opens("../../../../etc/passwd", O_RDONLY); }
static bool lib_write(void) { return creates("/usr/lib"); }
static bool firmware_write(void) { return creates("/usr/share/seabios"); }
static bool root_write(void) { return creates(""); }
static bool tmp_write(void) { return creates("/tmp"); }
static bool dev_write(void) { return creates("/dev"); }
static bool dev_kvm(void) { return fake_opens("/dev/kvm", O_RDWR); }
static bool dev_mem(void) { return fake_opens("/dev/mem", O_RDONLY); }
static bool dev_tty(void) { return fake_opens("/dev/ptmx", O_RDWR); }
static bool dev_fuse(void) { return fake_opens("/dev/fuse", O_RDWR); }
static bool dev_loop(void) { return fake_opens("/dev/loop-control", O_RDWR); }
static bool sysctl_write(void) { return fake_opens("/proc/sys/kernel/domainname", O_WRONLY); }

static bool kernel_write(void)
{
	return fake_opens(QEMU_KERNEL, O_WRONLY) || opens_in("kernel", O_WRONLY);
}

static bool initrd_write(void)
{
	return fake_opens(QEMU_INITRD, O_WRONLY) || opens_in("initrd", O_WRONLY);
}

/* Of the host's own there is nothing that the control may remove. */
static bool kernel_remove(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/kernel", dir);
	return unlink(!strcmp(mode, "out") ? path : QEMU_KERNEL) == 0;
}

static bool other_folders(void)
{
	static const char *const folders[] = { "/bin", "/sbin", "/usr/sbin", "/usr/include",
					       "/usr/share/doc", "/boot", "/home", "/root", "/var",
					       "/run", "/tmp", "/opt", "/mnt", "/srv" };
	bool found = false;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		found |= fake_opens(folders[i], O_RDONLY);
	return found;
}

/* Is there anything in the folder but what `expected` names? */
static bool more_than(const char *folder, const char *const *expected)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;
	bool more = false;

	while (stream && (entry = readdir(stream))) {
		bool known = entry->d_name[0] == '.';

		for (size_t i = 0; expected[i]; i++)
			known |= !strcmp(entry->d_name, expected[i]);
		more |= !known;
	}
	if (stream)
		closedir(stream);
	return more;
}

static bool root_listing(void)
{
	static const char *const known[] = { "usr", "lib", "lib64", "etc", "dev", "vmlinux",
					     "initrd", NULL };

	return more_than("/", known);
}

static bool dev_listing(void)
{
	static const char *const known[] = { "null", "urandom", NULL };

	return more_than("/dev", known);
}

static bool etc_listing(void)
{
	static const char *const known[] = { "ld.so.cache", NULL };

	return more_than("/etc", known);
}

static bool make_node(const char *path)
{
	if (mknod(path, S_IFCHR | 0600, makedev(1, 1)) < 0)
		return false;
	unlink(path);
	return true;
}

static bool node(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/node", dir);
	return make_node(path) || make_node("/node") || make_node("/dev/node");
}

static bool by_handle(void)
{
	struct {
		struct file_handle head;
		unsigned char room[128];
	} handle = { .head = { .handle_bytes = sizeof(handle.room) } };
	int id, fd, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (name_to_handle_at(AT_FDCWD, "/usr/lib", &handle.head, &id, 0) < 0)
		handle.head = (struct file_handle){ .handle_bytes = 8, .handle_type = 1 };
	fd = open_by_handle_at(at, &handle.head, O_RDONLY);
	close(at);
	return fd >= 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static bool other_descriptors(void)
{
	bool found = false;

	for (int fd = QEMU_FD_END; fd < DESCRIPTORS_LOOKED_AT; fd++)
		found |= fcntl(fd, F_GETFD) >= 0 && fd != ram;
	return found;
}

static bool folder_descriptor(void)
{
	for (int fd = 0; fd < DESCRIPTORS_LOOKED_AT; fd++)
		if (fchdir(fd) == 0)
			return true;
	return false;
}

static bool writes(int fd)
{
	return pwrite(fd, "x", 1, 0) == 1;
}

static bool maps(int fd)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

static bool maps_later(int fd)
{
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	return map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0;
}

static bool reopens(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fake_opens(path, O_RDWR) || openat(fd, "", O_RDWR | O_CLOEXEC) >= 0 ||
	       (fcntl(fd, F_SETFL, O_RDWR) == 0 && writes(fd));
}

static bool ram_write(void) { return writes(ram); }
static bool ram_map(void) { return maps(ram) || maps_later(ram); }
static bool ram_reopen(void) { return reopens(ram); }
static bool ram_truncate(void) { return ftruncate(ram, 1 << 20) == 0; }
static bool ram_punch(void) { return fallocate(ram, 3, 0, 4096) == 0; }
static bool state_write(void) { return writes(QEMU_FD_STATE); }
static bool floppy_write(void) { return writes(QEMU_FD_FLOPPY); }
static bool disk_write(void) { return writes(DISK_READ_ONLY); }
static bool disk_map(void) { return maps(DISK_READ_ONLY) || maps_later(DISK_READ_ONLY); }
static bool disk_reopen(void) { return reopens(DISK_READ_ONLY); }
static bool disk_chmod(void) { return fchmod(DISK_READ_ONLY, 0666) == 0; }
static bool ram_chmod(void) { return fchmod(ram, 0666) == 0; }
static bool disk_chown(void) { return fchown(DISK_READ_ONLY, getuid(), getgid()) == 0; }
static bool disk_times(void) { return futimens(DISK_READ_ONLY, NULL) == 0; }
static bool disk_lock(void) { return flock(DISK_READ_ONLY, LOCK_EX | LOCK_NB) == 0; }
static bool disk_lease(void) { return fcntl(DISK_READ_ONLY, F_SETLEASE, F_RDLCK) == 0; }

static bool disk_attribute(void)
{
	return syscall(SYS_fsetxattr, DISK_READ_ONLY, "user.duet", "x", 1, 0) == 0;
}

static bool disk_link(void)
{
	char path[sizeof(dir) + 8];

	snprintf(path, sizeof(path), "%s/link", dir);
	return linkat(DISK_READ_ONLY, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0 ||
	       linkat(DISK_READ_ONLY, "", AT_FDCWD, "/link", AT_EMPTY_PATH) == 0;
}

static bool disk_grow(void)
{
	return pwrite(DISK_WRITABLE, "x", 1, FAR) == 1 || ftruncate(DISK_WRITABLE, FAR) == 0;
}

const struct fake_try fake_file_tries[] = {
	TRY(home_read), TRY(store_read), TRY(store_write), TRY(passwd_read),
	TRY(shadow_read), TRY(proc_read), TRY(proc_root), TRY(sys_read), TRY(up_read),
	TRY(other_folders), TRY(root_listing), TRY(dev_listing), TRY(etc_listing),
	TRY(lib_write), TRY(firmware_write), TRY(root_write), TRY(tmp_write),
	TRY(dev_write), TRY(kernel_write), TRY(initrd_write), TRY(kernel_remove),
	TRY(node), TRY(by_handle), TRY(sysctl_write), TRY(dev_kvm), TRY(dev_mem),
	TRY(dev_tty), TRY(dev_fuse), TRY(dev_loop), TRY(other_descriptors),
	TRY(folder_descriptor), TRY(ram_write), TRY(ram_map), TRY(ram_reopen),
	TRY(ram_truncate), TRY(ram_punch), TRY(ram_chmod), TRY(state_write),
	TRY(floppy_write), TRY(disk_write), TRY(disk_map), TRY(disk_reopen),
	TRY(disk_chmod), TRY(disk_chown), TRY(disk_times), TRY(disk_attribute),
	TRY(disk_lock), TRY(disk_lease), TRY(disk_link), TRY(disk_grow),
	{ NULL, NULL },
};
