/*
 * duet-init in a guest: from the kernel's hand-over to the agent's channel.
 *
 *	1  devtmpfs, proc and sysfs in the initramfs
 *	2  the modules of `base` and `disk`, as modules/order lists them
 *	3  what every root has alike (root.c)
 *	4  the virtio-serial port of the agent, found by its name; the host must be on it
 *
 * A saved state is taken right after this, while the first HELLO waits for its answer: nothing here
 * may depend on the job, on the image or on what is random.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runners/init/init.h"

#define ORDER_MAX 8192		/* bytes of modules/order */
#define MODULES_MAX 64
#define NAME_ROOM 64
#define PORTS "/sys/class/virtio-ports"
#define PORT_TRIES 1000		/* of PORT_WAIT_MS: a port may come late */
#define PORT_WAIT_MS 10

static char order[ORDER_MAX];
static char loaded[MODULES_MAX][NAME_ROOM];

_Noreturn void guest_fail(const char *what)
{
	dprintf(2, "\n" PROTO_CONSOLE_MARK "%s: %s\n", what, strerror(errno));
	reboot(RB_AUTOBOOT);
	_exit(1);
}

ssize_t guest_read(int fd, void *to, size_t room)
{
	char *at = to;
	size_t used = 0;
	ssize_t got = 0;

	while (used < room && (got = read(fd, at + used, room - used)) > 0)
		used += (size_t)got;
	return got < 0 ? -1 : (ssize_t)used;
}

/* Whole, ended by NUL; -1 with errno. */
static int read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -1;
	size = guest_read(fd, text, room - 1);
	close(fd);
	text[size < 0 ? 0 : size] = '\0';
	return size < 0 ? -1 : 0;
}

/* ---- modules --------------------------------------------------------------------------------- */

/* The place for a name that is not there yet; NULL when it is, or there is no room. */
static char *new_name(const char *name)
{
	for (int i = 0; i < MODULES_MAX; i++) {
		if (!loaded[i][0])
			return loaded[i];
		if (!strcmp(loaded[i], name))
			return NULL;
	}
	return NULL;
}

/* "NAME", or "NAME?" for one that may fail. */
static int load(const char *word, size_t length)
{
	char name[NAME_ROOM], path[NAME_ROOM + 16];
	int optional = word[length - 1] == '?', fd, result;
	char *place;

	length -= (size_t)optional;
	if (length == 0 || length >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, word, length);
	name[length] = '\0';
	place = new_name(name);
	if (!place)
		return 0;
	strcpy(place, name);
	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = (int)syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	if (result < 0 && (optional || errno == EEXIST))
		return 0;
	return result;
}

int guest_load(const char *feature)
{
	size_t length = strlen(feature);
	const char *line = order;

	while (*line && (strncmp(line, feature, length) ||
			 (line[length] != ' ' && line[length] != '\n'))) {
		line = strchrnul(line, '\n');
		line += *line == '\n';
	}
	if (!*line) {
		errno = ENOSYS;
		return -1;
	}
	line += length;
	while (*line == ' ') {
		size_t word = strcspn(++line, " \n");

		if (word > 0 && load(line, word) < 0)
			return -1;
		line += word;
	}
	return 0;
}

/* ---- the channel ----------------------------------------------------------------------------- */

/* /dev/vportNpM of the agent; -1 when it is not there (yet). */
static int open_port(void)
{
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	int fd = -1;

	if (!ports)
		return -1;
	while (fd < 0 && (entry = readdir(ports))) {
		char path[sizeof(PORTS) + sizeof(entry->d_name) + 8], name[32];

		snprintf(path, sizeof(path), PORTS "/%s/name", entry->d_name);
		if (entry->d_name[0] == '.' || read_text(path, name, sizeof(name)) < 0 ||
		    strcmp(name, PROTO_PORT_NAME "\n"))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	closedir(ports);
	return fd;
}

/* Until the host is on it, a port reads as if it had ended. */
static int wait_for_host(int fd)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		struct pollfd port = { .fd = fd, .events = POLLOUT };

		if (poll(&port, 1, 0) == 1 && port.revents == POLLOUT)
			return 0;
		poll(NULL, 0, PORT_WAIT_MS);
	}
	errno = ETIMEDOUT;
	return -1;
}

static void mount_early(const char *kind, const char *target)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		guest_fail(target);
	if (mount(kind, target, kind, MS_NOSUID | MS_NOEXEC, NULL) < 0 && errno != EBUSY)
		guest_fail(target);
}

int guest_start(void)
{
	int fd = -1;

	mount_early("devtmpfs", "/dev");
	mount_early("proc", "/proc");
	mount_early("sysfs", "/sys");
	if (read_text("/modules/order", order, sizeof(order)) < 0)
		guest_fail("read /modules/order");
	if (guest_load("base") < 0)
		guest_fail("load the modules of virtio");
	if (guest_load("disk") < 0)
		guest_fail("load the modules of the disks");
	root_prepare();
	for (int i = 0; fd < 0 && i < PORT_TRIES; i++) {
		fd = open_port();
		if (fd < 0)
			poll(NULL, 0, PORT_WAIT_MS);
	}
	if (fd < 0 || wait_for_host(fd) < 0)
		guest_fail("find the agent's port");
	return fd;
}
