/*
 * Full disks: file systems of growing size, by bytes (tmpfs, ext4) and by inodes (tmpfs), on which
 * publishing fails at one point after the other. Each failure is a clean one, and then gc works with
 * nothing left. Wants a mount namespace of its own: skipped where that is not to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/mem.h"
#include "store_fixture.h"

#define STEPS 64
#define STEP_KIB 32
#define SEED_BYTES 20000

static const char place[] = "/tmp/duet-full";	/* in a mount namespace of our own */
static char seed[SEED_BYTES + 1];
static unsigned int failures, successes;

static void fail(const char *where, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", where, what, why ? why : "");
	exit(1);
}

/* Nothing is left: neither bytes nor, when they run out first, inodes. */
static void fill_up(void)
{
	char name[64], block[65536];
	int fd;

	memset(block, 1, sizeof(block));
	snprintf(name, sizeof(name), "%s/filler", place);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (size_t size = sizeof(block); fd >= 0 && size > 0; size /= 2)
		while (write(fd, block, size) == (ssize_t)size)
			;
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "%s/filler%d", place, i);
		fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
}

static void clean_failure(const char *where, struct store *store, const struct idmap *map,
			  struct err *err)
{
	struct idmap again = *map;
	struct store_gc gc;
	const char *first;

	if (err->code != ERR_STORE && err->code != -ENOSPC)
		fail(where, "not a clean failure", err->msg);
	if (check_store(store, &first) != 0)
		fail(where, "check", first);
	fill_up();
	store_done(store);
	if (store_open(store, place, &again, err) < 0)
		fail(where, "open", err->msg);
	if (store_gc(store, true, &gc, err) < 0)
		fail(where, "gc with nothing free", err->msg);
}

/* One file system, already mounted: two publications, then gc. */
static void use(const char *where)
{
	struct store store;
	struct err err = { 0 };
	struct idmap map;
	char path[64];

	fixture_map(&map);
	if (store_open(&store, place, &map, &err) < 0) {
		if (err.code != ERR_STORE && err.code != -ENOSPC)
			fail(where, "open", err.msg);
		failures++;
		err_done(&err);
		return;
	}
	for (unsigned int i = 0; i < 8; i++) {
		memset(seed, 'a' + (int)i, SEED_BYTES);
		if (put_all(&store, seed, &err) == 0) {
			successes++;
			if (has_all(&store, seed, &err) != 1)
				fail(where, "false success", err.msg);
			continue;
		}
		failures++;
		clean_failure(where, &store, &map, &err);
		break;
	}
	snprintf(path, sizeof(path), "%s/v1/tmp", place);
	if (count_entries(path) != 0)
		fail(where, "tmp/ is not empty", NULL);
	err_done(&err);
	store_done(&store);
}

static void on_tmpfs(const char *options)
{
	if (mount("tmpfs", place, "tmpfs", 0, options) < 0)
		fail(options, "mount", strerror(errno));
	use(options);
	umount2(place, MNT_DETACH);
}

/* Journal and block maps, as on most disks. False when loop devices are not to be had. */
static bool on_ext4(unsigned int size_kib)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "truncate -s %uK /dev/shm/duet-full.img && "
		 "mkfs.ext4 -q -m 0 -b 1024 -F /dev/shm/duet-full.img && "
		 "mount -o loop /dev/shm/duet-full.img %s", size_kib, place);
	if (system(command) != 0)
		return false;
	snprintf(command, sizeof(command), "ext4 of %u KiB", size_kib);
	use(command);
	shell("umount %s; rm /dev/shm/duet-full.img", place);
	return true;
}

int main(void)
{
	char options[64];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (mkdir(place, 0700) < 0 && errno != EEXIST)) {
		puts("skipped: mounting needs root");
		return 77;
	}
	for (unsigned int i = 1; i <= STEPS; i++) {
		snprintf(options, sizeof(options), "size=%uk", i * STEP_KIB);
		on_tmpfs(options);
	}
	for (unsigned int i = 4; i <= STEPS * 2; i += 2) {
		snprintf(options, sizeof(options), "size=8m,nr_inodes=%u", i);
		on_tmpfs(options);
	}
	for (unsigned int size_kib = 1600; size_kib <= 2400; size_kib += 100)
		if (!on_ext4(size_kib)) {
			puts("note: no ext4 in a loop device here");
			break;
		}
	rmdir(place);
	printf("%u publications, %u clean failures\n", successes, failures);
	return successes > 0 && failures > 0 ? 0 : 1;
}
