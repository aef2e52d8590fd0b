/*
 * The init of a guest that loads modules as modules/order says, line by line, and tells on the console:
 * "loaded NAME", "failed NAME: ERRNO" (a "?" may), at the end "devices N", the virtio devices seen.
 * Compiled by kernel.sh with musl-gcc, run by nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char order[65536];

static void load(char *name)
{
	size_t length = strlen(name);
	int optional = length > 0 && name[length - 1] == '?', fd;
	char path[300];

	if (optional)
		name[length - 1] = '\0';
	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		printf("failed %s%s: %d\n", name, optional ? "?" : "", errno);
	else
		printf("loaded %s\n", name);
	close(fd);
}

static int count(const char *folder)
{
	DIR *dir = opendir(folder);
	int found = 0;

	while (dir && readdir(dir))
		found++;
	return found > 2 ? found - 2 : 0;
}

int main(void)
{
	int fd;

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	dup2(fd, 1);
	setvbuf(stdout, NULL, _IONBF, 0);
	fd = open("/modules/order", O_RDONLY);
	if (fd < 0 || read(fd, order, sizeof(order) - 1) <= 0)
		printf("no order\n");
	for (char *lines, *line = strtok_r(order, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
		char *words, *word = strtok_r(line, " ", &words);

		while (word && (word = strtok_r(NULL, " ", &words)))
			load(word);
	}
	printf("devices %d\n", count("/sys/bus/virtio/devices"));
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
