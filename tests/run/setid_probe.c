/*
 * Every way that is known to give a file set-id bits, by the system calls themselves, each with a file of
 * its own that is called after it. Prints what each call says; what it left is for the caller to find.
 *
 *	setid_probe FOLDER			all calls that need no rights
 *	setid_probe FOLDER foreign		chmod by the calls of i386 and x32
 *	setid_probe FOLDER overlay LOWER	the kernel copies LOWER/program up (CAP_SYS_ADMIN)
 *	setid_probe FOLDER capability		a file capability that every user of the file gets
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FCHMODAT2 452		/* not in the headers of Debian 12 */
#define BITS 06755
#define HIGH (UINT64_C(1) << 32)	/* the kernel throws it away */

static const char *folder;
static char path[4096];

static const char *at(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void say(const char *name, long result)
{
	printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "done");
}

/* A file of one's own, as a program would be. */
static int make(const char *name)
{
	int fd = open(at(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, "#!/bin/sh\n", 10) != 10)
		say(name, -1);
	return fd;
}

static void change(void)
{
	int fd;

	close(make("chmod"));
	say("chmod", syscall(SYS_chmod, at("chmod"), BITS));
	close(make("chmod-uid"));
	say("chmod-uid", syscall(SYS_chmod, at("chmod-uid"), 04755));
	close(make("chmod-gid"));
	say("chmod-gid", syscall(SYS_chmod, at("chmod-gid"), 02755));
	close(make("chmod-high"));
	say("chmod-high", syscall(SYS_chmod, at("chmod-high"), HIGH | BITS));
	fd = make("fchmod");
	say("fchmod", syscall(SYS_fchmod, fd, BITS));
	close(fd);
	close(make("fchmodat"));
	say("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, at("fchmodat"), BITS));
	close(make("fchmodat2"));
	say("fchmodat2", syscall(FCHMODAT2, AT_FDCWD, at("fchmodat2"), BITS, 0));
	fd = make("fchmodat2-empty");
	say("fchmodat2-empty", syscall(FCHMODAT2, fd, "", BITS, AT_EMPTY_PATH));
	close(fd);
	fd = make("by-proc");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say("by-proc", syscall(SYS_chmod, path, BITS));
	close(fd);
	(void)mkdir(at("folder-chmod"), 0755);
	say("folder-chmod", syscall(SYS_chmod, at("folder-chmod"), 02755));
}

static void create(void)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { O_RDWR | O_CREAT, BITS, 0 };
	long fd;

	say("open", syscall(SYS_open, at("open"), O_RDWR | O_CREAT, BITS));
	say("openat", syscall(SYS_openat, AT_FDCWD, at("openat"), O_RDWR | O_CREAT, BITS));
	say("openat-high", syscall(SYS_openat, AT_FDCWD, at("openat-high"),
				   HIGH | O_WRONLY | O_CREAT | O_EXCL, HIGH | BITS));
	say("creat", syscall(SYS_creat, at("creat"), BITS));
	say("openat2", syscall(SYS_openat2, AT_FDCWD, at("openat2"), &how, sizeof(how)));
	fd = syscall(SYS_openat, AT_FDCWD, folder, O_RDWR | O_TMPFILE, BITS);
	if (fd >= 0) {
		char from[40];

		snprintf(from, sizeof(from), "/proc/self/fd/%ld", fd);
		fd = linkat(AT_FDCWD, from, AT_FDCWD, at("tmpfile"), AT_SYMLINK_FOLLOW);
	}
	say("tmpfile", fd);
	say("mknod", syscall(SYS_mknod, at("mknod"), S_IFREG | BITS, 0));
	say("mknod-plain", syscall(SYS_mknod, at("mknod-plain"), BITS, 0));
	say("mknodat", syscall(SYS_mknodat, AT_FDCWD, at("mknodat"), S_IFREG | BITS, 0));
	/* the kernel takes the bits out */
	say("mkdir", syscall(SYS_mkdir, at("mkdir"), BITS));
	say("mkdirat", syscall(SYS_mkdirat, AT_FDCWD, at("mkdirat"), BITS));
}

/* A socket's file gets the mode of the socket. */
static void bind_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	say("socket-fchmod", syscall(SYS_fchmod, fd, BITS));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		say("socket-bind", -1);
	close(fd);
}

/* What the image has already: it is on another mount. */
static void move_in(void)
{
	static char params[256];
	int memory = (int)syscall(SYS_memfd_create, "program", 0);

	say("rename", rename("/planted/program", at("rename")));
	say("link", link("/planted/program", at("link")));
	say("memory-link", linkat(memory, "", AT_FDCWD, at("memory-link"), AT_EMPTY_PATH));
	close(memory);
	/* makes calls that no filter sees */
	say("io_uring", syscall(SYS_io_uring_setup, 1, params));
}

/* Not refused: a mode without O_CREAT means nothing, and other bits are the job's own business. */
static void harmless(void)
{
	int fd = make("plain");

	say("open-no-create", syscall(SYS_open, at("plain"), O_RDONLY, BITS));
	say("openat-folder", syscall(SYS_openat, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, BITS));
	say("fchmod-sticky", syscall(SYS_fchmod, fd, 01777));
	say("umask", umask(0) < 0777 ? 0 : -1);
	close(fd);
}

/* The 32-bit calls of a 64-bit process, with the string below 4 GiB where this program is linked. */
static void foreign(void)
{
#ifdef __x86_64__
	static char low[256];
	long result;

	close(make("i386-chmod"));
	snprintf(low, sizeof(low), "%s/i386-chmod", folder);
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(15L), "b"(low), "c"((long)BITS)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = -(int)result;
	say("i386-chmod", (int)result < 0 ? -1 : 0);
	close(make("x32-chmod"));
	say("x32-chmod", syscall(SYS_chmod | 0x40000000, at("x32-chmod"), BITS));
#endif
}

static void mount_overlay(const char *lower)
{
	char options[4096];

	(void)mkdir(at("upper"), 0755);
	(void)mkdir(at("work"), 0755);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work,userxattr", lower,
		 folder, folder);
	say("mount", mount("overlay", "/mnt", "overlay", 0, options));
	say("copy-up", utimensat(AT_FDCWD, "/mnt/program", NULL, 0));
	say("fsopen", syscall(SYS_fsopen, "overlay", 0));
	say("bind", mount(folder, "/mnt", NULL, MS_BIND, NULL));
}

static void give_capability(void)
{
	struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data = { { .permitted = 1u << CAP_SYS_ADMIN } },
	};

	close(make("capability"));
	say("capability", setxattr(at("capability"), "security.capability", &data, sizeof(data), 0));
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	folder = argv[1];
	umask(0);
	if (argc == 3 && !strcmp(argv[2], "foreign")) {
		foreign();
	} else if (argc == 4 && !strcmp(argv[2], "overlay")) {
		mount_overlay(argv[3]);
	} else if (argc == 3 && !strcmp(argv[2], "capability")) {
		give_capability();
	} else {
		change();
		create();
		bind_socket();
		move_in();
		harmless();
	}
	return 0;
}
