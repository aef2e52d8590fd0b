/*
 * The worker's roots: see root.h. A tmpfs, which is made read-only when all is in it:
 *
 *	duet, the caller's ids		opens the host's files (a resolv.conf is often a link into /run)
 *	the worker, a stranger's ids	is started in the host's mount namespace, and makes its own when it
 *					is loaded; mounts the tmpfs, makes it the root, detaches the copy
 *					of the host's tree; copies the files by content: a bind mount would
 *					keep the host's file system alive
 *
 * So would a library that is mapped from the copy: mounts below its own are locked to it, and all of them
 * stay, in no list, when it is detached. What was loaded before is of the host's own mounts.
 */
#include "builders/worker/root.h"

#include <errno.h>
#include <features.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"

/* In an older one, the files and the DNS of nsswitch.conf are libraries that are loaded when first used. */
#if defined(__GLIBC__) && !__GLIBC_PREREQ(2, 34)
#error "the worker's root has no libraries: glibc 2.34 is needed, which looks names up by itself"
#endif

#define FILE_BYTES_MAX (4u << 20)	/* certificates are about 220 KB */
#define LOCKED (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"
#define CERTIFICATES_VARIABLE "SSL_CERT_FILE"

/* What getaddrinfo(3) reads, and the certificates: the first that is there. */
static const struct {
	const char *inside;
	const char *outside[4];
} files[ROOT_FILES] = {
	{ "/etc/resolv.conf", { "/etc/resolv.conf" } },
	{ "/etc/hosts", { "/etc/hosts" } },
	{ "/etc/host.conf", { "/etc/host.conf" } },
	{ "/etc/gai.conf", { "/etc/gai.conf" } },
	/* Debian, Fedora, SUSE, Alpine; what the caller's variable names goes before */
	{ CERTIFICATES, { CERTIFICATES, "/etc/pki/tls/certs/ca-bundle.crt",
			  "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" } },
};

/*
 * Not the host's: its other words (resolve, mymachines, mdns4_minimal, ldap) are libraries that speak with
 * daemons over AF_UNIX, and would be loaded into the process that reads what the network sends.
 */
static const char nsswitch[] = "hosts: files dns\n";

/* Where the certificates are looked for: NULL means that there is no file of the caller's own. */
static const char *own_certificates(void)
{
	const char *value = getenv(CERTIFICATES_VARIABLE);

	return value && *value ? value : NULL;
}

/* -1: it cannot be read, which is what it means to those who read it: it is not there. */
static int open_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return TAKE_FD(fd);
}

static int open_first(size_t number)
{
	const char *own = own_certificates();
	int fd = -1;

	if (own && !strcmp(files[number].inside, CERTIFICATES))
		return open_file(own);
	for (size_t i = 0; i < ARRAY_SIZE(files[0].outside) && fd < 0; i++)
		if (files[number].outside[i])
			fd = open_file(files[number].outside[i]);
	return fd;
}

int root_open_files(int ret[ROOT_FILES], struct err *err)
{
	for (size_t i = 0; i < ROOT_FILES; i++)
		ret[i] = -1;
	for (size_t i = 0; i < ROOT_FILES; i++) {
		ret[i] = open_first(i);
		if (ret[i] < 0)
			ret[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (ret[i] < 0) {
			err_sys_as(err, ERR_HOST, errno, "open /dev/null");
			root_close_files(ret);
			return -1;
		}
	}
	return 0;
}

void root_close_files(int list[ROOT_FILES])
{
	for (size_t i = 0; i < ROOT_FILES; i++)
		if (list[i] >= 0)
			close(TAKE_FD(list[i]));
}

/* ---- in the worker --------------------------------------------------------------------------- */

static int give_up_streams(struct err *err)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return err_sys_as(err, ERR_HOST, errno, "open /dev/null");
	return 0;
}

static int enter_tmpfs(const char *options, struct err *err)
{
	if (give_up_streams(err) < 0)
		return -1;
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", LOCKED, options) < 0 || chdir("/tmp") < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return err_sys_as(err, ERR_HOST, errno, "enter an empty root");
	return 0;
}

static int lock_root(struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | LOCKED, NULL) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make the worker's root read-only");
	return 0;
}

static int write_file(const char *path, const char *text, size_t size, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	if (fd < 0 || fs_write_all(fd, text, size) < 0)
		return err_sys_as(err, ERR_HOST, errno, "write %s of the worker's root", path);
	return 0;
}

/* 1 when it was copied, 0 when the host has none. */
static int copy_file(size_t number, struct err *err)
{
	_cleanup_close_ int fd = ROOT_FD + (int)number;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size;

	if (fstat(fd, &st) < 0)
		return err_sys_as(err, ERR_HOST, errno, "take the host's %s",
				  files[number].inside);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (fs_read_fd(fd, files[number].inside, FILE_BYTES_MAX, &text, &size, err) < 0 ||
	    write_file(files[number].inside, text, size, err) < 0)
		return -1;
	return 1;
}

int root_enter_empty(struct err *err)
{
	if (enter_tmpfs("size=4k,mode=0555", err) < 0)
		return -1;
	return lock_root(err);
}

int root_enter_network(struct err *err)
{
	int copied = 0;

	if (enter_tmpfs("size=32m,nr_inodes=32,mode=0555", err) < 0)
		return -1;
	if (mkdir("/etc", 0555) < 0 || mkdir("/etc/ssl", 0555) < 0 ||
	    mkdir("/etc/ssl/certs", 0555) < 0)
		return err_sys_as(err, ERR_HOST, errno, "make /etc of the worker's root");
	if (write_file("/etc/nsswitch.conf", nsswitch, strlen(nsswitch), err) < 0)
		return -1;
	for (size_t i = 0; i < ROOT_FILES; i++) {
		copied = copy_file(i, err);
		if (copied < 0)
			return -1;
	}
	/* the certificates are the last */
	if ((copied || !own_certificates()) && setenv(CERTIFICATES_VARIABLE, CERTIFICATES, 1) < 0)
		return err_sys_as(err, ERR_HOST, errno, "set " CERTIFICATES_VARIABLE);
	return lock_root(err);
}
