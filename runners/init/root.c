/*
 * duet-init in a guest: the job's root. Before HELLO, so that a saved state has it:
 *
 *	0  what every root has alike: /proc, /sys, /dev with their masks, below /fixed; the file system
 *	   in memory for what a job writes; loopback
 *
 * and then as SETUP describes it:
 *
 *	1  the clock and the random generator: a restored guest has those of its saved state
 *	2  the layers' disks, each an EROFS file, put together; over them a writable layer in memory or on
 *	   the scratch disk
 *	3  what was made before is moved there, and that becomes /; the initramfs has no path any more
 *	4  mount operations in order; the image's links are followed inside the new root only
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "runners/init/init.h"

#define OPS_MAX 256
#define PATH_ROOM 4096
#define FIXED_ROOM 16384	/* bytes of PROTO_FIXED_FILE */
#define FIXED "/fixed"
#define READ_AHEAD_KB "256"

/* A SETUP payload taken apart; the strings stay where they arrived. */
struct setup {
	struct proto_setup head;
	struct proto_mount_op ops[OPS_MAX];
	const char *target[OPS_MAX], *source[OPS_MAX], *options[OPS_MAX];
	const char *hostname;
	const char *what;	/* what is being done, for FAILED */
};

static struct setup setup;	/* static: nothing is allocated */

static const char *take_string(const char **at, const char *end)
{
	const char *text = *at, *nul = text ? memchr(text, '\0', (size_t)(end - text)) : NULL;

	*at = nul ? nul + 1 : NULL;
	return nul ? text : NULL;
}

static int parse(const uint8_t *payload, size_t length)
{
	struct proto_setup *head = &setup.head;
	const char *at, *end;

	if (length < sizeof(*head))
		return -1;
	memcpy(head, payload, sizeof(*head));
	if (head->op_count > OPS_MAX || head->disks > PROTO_DISKS_MAX ||
	    length - sizeof(*head) != head->op_count * sizeof(setup.ops[0]) + head->strings_length)
		return -1;
	memcpy(setup.ops, payload + sizeof(*head), head->op_count * sizeof(setup.ops[0]));
	at = (const char *)payload + sizeof(*head) + head->op_count * sizeof(setup.ops[0]);
	end = at + head->strings_length;
	setup.hostname = take_string(&at, end);
	for (uint32_t i = 0; i < head->op_count; i++) {
		setup.target[i] = take_string(&at, end);
		setup.source[i] = take_string(&at, end);
		setup.options[i] = take_string(&at, end);
		if (!setup.options[i] || setup.ops[i].kind >= PROTO_MOUNT_END ||
		    setup.target[i][0] != '/')
			return -1;
	}
	return setup.hostname && at == end ? 0 : -1;
}

/* ---- 1 --------------------------------------------------------------------------------------- */

static int set_clock(void)
{
	struct timespec now = { .tv_sec = (time_t)(setup.head.realtime_ns / 1000000000),
				.tv_nsec = (long)(setup.head.realtime_ns % 1000000000) };

	setup.what = "set the clock";
	return clock_settime(CLOCK_REALTIME, &now);
}

static int seed_random(void)
{
	struct {
		struct rand_pool_info info;
		uint8_t seed[sizeof(setup.head.seed)];
	} pool = { .info = { .entropy_count = 8 * sizeof(setup.head.seed),
			     .buf_size = sizeof(setup.head.seed) } };
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC), result;

	setup.what = "seed the random generator";
	if (fd < 0)
		return -1;
	memcpy(pool.info.buf, setup.head.seed, sizeof(setup.head.seed));
	result = ioctl(fd, RNDADDENTROPY, &pool);
	if (result == 0)
		result = ioctl(fd, RNDRESEEDCRNG);
	close(fd);
	memset(setup.head.seed, 0, sizeof(setup.head.seed));
	return result;
}

static int raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	result = ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return result;
}

/* ---- 2, 3 ------------------------------------------------------------------------------------ */

static int make_folder(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int mount_layers(char *lower, size_t room)
{
	size_t used = 0;

	lower[0] = '\0';
	setup.what = "mount the layers";
	/* the topmost comes first in an overlay */
	for (uint32_t i = setup.head.disks; i-- > 0;) {
		char device[] = "/dev/vda", target[] = "/layers/0";

		device[sizeof(device) - 2] += (char)i;
		target[sizeof(target) - 2] += (char)i;
		if (mount(device, target, "erofs", MS_RDONLY | MS_NODEV, NULL) < 0)
			return -1;
		used += (size_t)snprintf(lower + used, room - used, "%s%s", used ? ":" : "", target);
	}
	return 0;
}

/* Over the file system in memory. */
static int mount_scratch(void)
{
	char device[] = "/dev/vda";

	if (!(setup.head.flags & PROTO_SETUP_SCRATCH))
		return 0;
	setup.what = "mount the scratch disk";
	device[sizeof(device) - 2] += (char)setup.head.disks;
	if (guest_load("scratch") < 0 ||
	    mount(device, "/writable", "ext4", MS_NODEV | MS_NOATIME, "errors=continue") < 0 ||
	    make_folder("/writable/upper") < 0)
		return -1;
	return make_folder("/writable/work");
}

/*
 * Two overlays. The layers' marks are user.overlay.*, which a tmpfs cannot take before Linux 6.6: with
 * them no folder of the image could be removed. So the layers are put together read-only, and what is
 * written over them is marked with trusted.overlay.*. `xino`: each layer is a file system of its own with
 * the same few inode numbers; the lower overlay alone tells them apart by a device number that the upper
 * one does not pass on, and `cmp` would take two files for one.
 */
static int mount_root(void)
{
	char lower[PROTO_DISKS_MAX * 16], options[sizeof(lower) + 96];

	if (mount_layers(lower, sizeof(lower)) < 0 || mount_scratch() < 0)
		return -1;
	setup.what = "mount the overlay";
	if (setup.head.disks == 0) /* from scratch: an empty root */
		return mount("/writable/upper", "/root", NULL, MS_BIND, NULL);
	if (setup.head.disks > 1) {
		snprintf(options, sizeof(options), "userxattr,xino=on,lowerdir=%s", lower);
		if (mount("overlay", "/merged", "overlay", MS_RDONLY | MS_NODEV, options) < 0)
			return -1;
		strcpy(lower, "/merged");
	}
	snprintf(options, sizeof(options), "volatile,upperdir=/writable/upper,"
		 "workdir=/writable/work,lowerdir=%s", lower);
	return mount("overlay", "/root", "overlay", MS_NODEV, options);
}

/* ---- 4 --------------------------------------------------------------------------------------- */

/* Places where no link of the image may stand in: /proc, /sys, /dev, as seen before and after. */
static int is_ours(const char *target)
{
	static const char *const fixed[] = { "/proc", "/sys", "/dev" };

	if (!strncmp(target, "/root/", 6))
		target += 5;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		size_t length = strlen(fixed[i]);

		if (!strncmp(target, fixed[i], length) &&
		    (target[length] == '/' || target[length] == '\0'))
			return 1;
	}
	return 0;
}

/* The target of a mount, made where it is missing. */
static int make_target(const char *target)
{
	static char path[PATH_ROOM];
	struct stat st;

	if (strlen(target) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(path, target);
	for (char *at = path + 1; *at;) {
		char *slash = strchrnul(at, '/'), kept = *slash;

		*slash = '\0';
		if (is_ours(target) && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
			errno = ELOOP;
			return -1;
		}
		if (make_folder(path) < 0)
			return -1;
		*slash = kept;
		at = slash + (kept == '/');
	}
	return 0;
}

/* A link of the image must not move what the job mounts over what hides the guest's kernel. */
static int is_moved(const char *target)
{
	static char found[PATH_ROOM];

	if (is_ours(target))
		return 0;
	if (!realpath(target, found))
		return 1;
	if (!is_ours(found))
		return 0;
	setup.what = "mount: a link of the image leads into /proc, /sys or /dev";
	errno = ELOOP;
	return 1;
}

static int do_fs(uint32_t i)
{
	const char *options = setup.options[i][0] ? setup.options[i] : NULL;

	if (make_target(setup.target[i]) < 0 || is_moved(setup.target[i]))
		return -1;
	return mount(setup.source[i], setup.target[i], setup.source[i], setup.ops[i].flags, options);
}

static int do_device(uint32_t i)
{
	unsigned int major_number, minor_number;

	if (sscanf(setup.source[i], "%u:%u", &major_number, &minor_number) != 2) {
		errno = EINVAL;
		return -1;
	}
	if (mknod(setup.target[i], S_IFCHR | 0666, makedev(major_number, minor_number)) < 0)
		return -1;
	return chmod(setup.target[i], 0666);
}

static int do_link(uint32_t i)
{
	return symlink(setup.source[i], setup.target[i]);
}

/* A full disk takes a part first, and says why with the next. */
static int write_text(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t put = write(fd, text, left);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		text += put;
		left -= (size_t)put;
	}
	return 0;
}

static int do_file(uint32_t i)
{
	struct stat st;
	int fd, result;

	/* one that is empty says as little as none */
	if (lstat(setup.target[i], &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > 0))
		return 0;
	fd = open(setup.target[i], O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
	result = write_text(fd, setup.source[i]);
	close(fd);
	return result;
}

static int do_sysctl(uint32_t i)
{
	int fd = open(setup.target[i], O_WRONLY | O_CLOEXEC), result;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	result = write(fd, setup.source[i], strlen(setup.source[i])) < 0 ? -1 : 0;
	close(fd);
	return result;
}

static int do_mask(uint32_t i)
{
	struct stat st;

	if (lstat(setup.target[i], &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISDIR(st.st_mode))
		return mount("tmpfs", setup.target[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV,
			     "size=4k,mode=0555");
	return mount("/dev/null", setup.target[i], NULL, MS_BIND, NULL);
}

static int do_read_only(uint32_t i)
{
	const char *target = setup.target[i];

	if (target[1] && mount(target, target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return errno == ENOENT ? 0 : -1;
	return mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | setup.ops[i].flags, NULL);
}

static int do_mounts(void)
{
	static int (*const steps[PROTO_MOUNT_END])(uint32_t) = {
		[PROTO_MOUNT_FS] = do_fs,	  [PROTO_MOUNT_DEVICE] = do_device,
		[PROTO_MOUNT_LINK] = do_link,	  [PROTO_MOUNT_FILE] = do_file,
		[PROTO_MOUNT_SYSCTL] = do_sysctl, [PROTO_MOUNT_MASK] = do_mask,
		[PROTO_MOUNT_READ_ONLY] = do_read_only,
	};

	for (uint32_t i = 0; i < setup.head.op_count; i++) {
		setup.what = setup.target[i];
		if (steps[setup.ops[i].kind](i) < 0)
			return -1;
	}
	return 0;
}

/* ---- 3 --------------------------------------------------------------------------------------- */

static int enter_root(void)
{
	static const char *const fixed[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		char from[16], to[16];

		setup.what = fixed[i];
		snprintf(from, sizeof(from), FIXED "%s", fixed[i]);
		snprintf(to, sizeof(to), "/root%s", fixed[i]);
		if (make_target(to) < 0 || mount(from, to, NULL, MS_MOVE, NULL) < 0)
			return -1;
	}
	setup.what = "enter the new root";
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return -1;
	return chdir("/");
}

/* ---- 0 --------------------------------------------------------------------------------------- */

/* The operations of PROTO_FIXED_FILE, with FIXED as their root. */
static int make_fixed(void)
{
	static uint8_t payload[FIXED_ROOM];
	int fd = open(PROTO_FIXED_FILE, O_RDONLY | O_CLOEXEC), root = open("/", O_PATH | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : guest_read(fd, payload, sizeof(payload));

	if (fd >= 0)
		close(fd);
	if (root < 0 || size < 0)
		return -1;
	if (parse(payload, (size_t)size) < 0) {
		errno = EINVAL;
		return -1;
	}
	if (chroot(FIXED) < 0 || chdir("/") < 0 || do_mounts() < 0 || fchdir(root) < 0 ||
	    chroot(".") < 0)
		return -1;
	close(root);
	return 0;
}

/* Programs are read in fewer and larger pieces: each takes an interrupt and its way through virtio. */
static void read_ahead(void)
{
	char path[] = "/sys/block/vda/queue/read_ahead_kb";
	char *letter = strstr(path, "vda") + 2;
	int fd;

	/* the layers and the scratch disk */
	for (; *letter <= 'a' + PROTO_DISKS_MAX; ++*letter) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		(void)!write(fd, READ_AHEAD_KB, strlen(READ_AHEAD_KB));
		close(fd);
	}
}

void root_prepare(void)
{
	static const char *const folders[] = { FIXED, FIXED "/proc", FIXED "/sys", FIXED "/dev",
					       "/root", "/layers", "/merged", "/writable" };
	char layer[] = "/layers/0";

	umask(0022);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (make_folder(folders[i]) < 0)
			guest_fail(folders[i]);
	for (; layer[sizeof(layer) - 2] < '0' + PROTO_DISKS_MAX; layer[sizeof(layer) - 2]++)
		if (make_folder(layer) < 0)
			guest_fail(layer);
	if (mount("tmpfs", "/writable", "tmpfs", MS_NODEV, "mode=0755") < 0 ||
	    make_folder("/writable/upper") < 0 || make_folder("/writable/work") < 0)
		guest_fail("mount a file system in memory");
	if (raise_loopback() < 0)
		guest_fail("raise loopback");
	read_ahead();
	if (make_fixed() < 0)
		guest_fail(setup.what ? setup.what : "read " PROTO_FIXED_FILE);
	setup = (struct setup){ 0 };
}

bool root_is_full(void)
{
	struct statvfs root;

	return statvfs("/", &root) == 0 && !(root.f_flag & ST_RDONLY) &&
	       ((root.f_blocks > 0 && root.f_bavail == 0) || (root.f_files > 0 && root.f_ffree == 0));
}

void root_setup(struct init *init, const uint8_t *payload, size_t length)
{
	struct {
		struct proto_failed head;
		char text[256];
	} failed = { .head = { .step = PROTO_STEP_SETUP } };

	if (!init->guest || init->broken || setup.hostname || parse(payload, length) < 0 ||
	    memcmp(setup.head.nonce, init->nonce, sizeof(init->nonce)))
		init_end(1);
	if (set_clock() == 0 && seed_random() == 0 &&
	    sethostname(setup.hostname, strlen(setup.hostname)) == 0 && mount_root() == 0 &&
	    enter_root() == 0 && do_mounts() == 0)
		return;
	failed.head.error = (uint32_t)errno;
	snprintf(failed.text, sizeof(failed.text), "guest: %s", setup.what);
	init->broken = true;
	channel_queue(init, PROTO_FAILED, 0, 0, &failed, sizeof(failed.head) + strlen(failed.text));
}
