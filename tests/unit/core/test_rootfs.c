/* The merged view of trees: what an overlay of them would show. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/rootfs.h"
#include "tests/unit/unit.h"

#define TREES 3

static char top[64];
static int trees[TREES];
static struct err err;

/* "0/etc" is etc in the lowest tree. */
static char *at(const char *path)
{
	return xasprintf("%s/%s", top, path);
}

static void folder(const char *path)
{
	_cleanup_free_ char *full = at(path);

	ck_assert_int_eq(mkdir(full, 0755), 0);
}

static void file(const char *path, const char *text)
{
	_cleanup_free_ char *full = at(path);
	int fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void link_to(const char *path, const char *target)
{
	_cleanup_free_ char *full = at(path);

	ck_assert_int_eq(symlink(target, full), 0);
}

static void whiteout(const char *path)
{
	_cleanup_free_ char *full = at(path);

	ck_assert_int_eq(mknod(full, S_IFCHR, makedev(0, 0)), 0);
}

static void opaque(const char *path)
{
	_cleanup_free_ char *full = at(path);

	ck_assert_int_eq(setxattr(full, "user.overlay.opaque", "y", 1, 0), 0);
}

static void setup(void)
{
	err = (struct err){ 0 };
	strcpy(top, "/tmp/duet-rootfs.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	for (int i = 0; i < TREES; i++) {
		_cleanup_free_ char *full = xasprintf("%s/%d", top, i);

		ck_assert_int_eq(mkdir(full, 0755), 0);
		trees[i] = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	folder("0/etc");
	file("0/etc/passwd", "lowest");
	file("0/etc/group", "lowest");
	folder("0/usr");
	folder("0/usr/lib");
	file("0/usr/lib/x", "x");
	link_to("0/lib", "usr/lib");
	folder("1/etc");
	file("1/etc/passwd", "middle");
	folder("2/etc");
}

static void teardown(void)
{
	err_done(&err);
	for (int i = 0; i < TREES; i++)
		close(trees[i]);
	ck_assert_int_eq(fs_remove_tree(AT_FDCWD, top, &err), 0);
}

/* Finds `path` in tree `layer` as `where`; layer -1: it is not there. */
static void finds(const char *path, bool follow, int layer, const char *where)
{
	struct rootfs_entry entry = { .fd = -1 };
	int found = rootfs_find(trees, TREES, path, follow, &entry, &err);

	ck_assert_msg(found == (layer >= 0), "%s: %d %s", path, found, err.msg ? err.msg : "");
	if (found != 1)
		return;
	ck_assert_msg((int)entry.layer == layer, "%s: layer %zu", path, entry.layer);
	ck_assert_str_eq(entry.path, where);
	close(entry.fd);
}

START_TEST(plain)
{
	finds("etc/passwd", true, 1, "etc/passwd");
	finds("/etc//./group", true, 0, "etc/group");
	finds("/", true, 2, "");
	finds("", true, 2, "");
	finds("/..", true, 2, "");
	finds("etc", true, 2, "etc");
	finds("etc/.", true, 2, "etc");
	finds("usr/lib/..", true, 0, "usr");
	finds("../../etc/group", true, 0, "etc/group");
	finds("absent", true, -1, NULL);
	finds("etc/passwd/x", true, -1, NULL);
	finds("etc/absent/../passwd", true, -1, NULL);
}
END_TEST

START_TEST(links)
{
	link_to("2/etc/abs", "/lib/x");
	link_to("1/etc/up", "../../../usr/lib/x");
	link_to("1/dangling", "nowhere");
	link_to("1/loop", "loop");
	finds("lib/x", false, 0, "usr/lib/x");
	finds("lib", false, 0, "lib");
	finds("lib", true, 0, "usr/lib");
	finds("lib/", false, 0, "lib");
	finds("etc/abs", true, 0, "usr/lib/x");
	finds("etc/abs", false, 2, "etc/abs");
	finds("etc/up", true, 0, "usr/lib/x");
	finds("lib/../etc", true, -1, NULL);
	finds("lib/../lib/x", true, 0, "usr/lib/x");
	finds("dangling", true, -1, NULL);
	finds("dangling", false, 1, "dangling");
	ck_assert_int_eq(rootfs_find(trees, TREES, "loop", true, &(struct rootfs_entry){ 0 }, &err),
			 -1);
	ck_assert_int_eq(err.code, -ELOOP);
}
END_TEST

START_TEST(whiteouts)
{
	whiteout("1/etc/group");
	whiteout("1/usr");
	folder("2/usr");
	file("2/usr/new", "");
	finds("etc/group", true, -1, NULL);
	finds("usr", true, 2, "usr");
	finds("usr/new", true, 2, "usr/new");
	finds("usr/lib", true, -1, NULL);
	finds("lib/x", true, -1, NULL);
}
END_TEST

START_TEST(opaque_folders)
{
	opaque("1/etc");
	folder("2/usr");
	folder("2/usr/lib");
	opaque("2/usr");
	finds("etc/passwd", true, 1, "etc/passwd");
	finds("etc/group", true, -1, NULL);
	finds("lib", true, 2, "usr/lib");
	finds("lib/x", true, -1, NULL);
}
END_TEST

START_TEST(other_types_hide)
{
	file("1/usr", "a file now");
	folder("2/lib");
	finds("usr/lib/x", true, -1, NULL);
	finds("lib", true, 2, "lib");
	finds("lib/x", true, -1, NULL);
}
END_TEST

START_TEST(open_file)
{
	_cleanup_free_ char *text = NULL, *outside = at("outside"), *fifo = at("1/etc/fifo");
	struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	int fd;

	file("outside", "secret");
	link_to("2/etc/out", outside);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	rootfs_init(rootfs);
	for (int i = 0; i < TREES; i++)
		rootfs->layers[i].tree = dup(trees[i]);
	rootfs->layer_count = TREES;
	fd = rootfs_open(rootfs, "/etc/passwd", &err);
	ck_assert_int_eq(fs_read_fd(fd, "passwd", 100, &text, NULL, &err), 0);
	ck_assert_str_eq(text, "middle");
	close(fd);
	ck_assert_int_eq(rootfs_open(rootfs, "/etc/out", &err), -1);
	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert_int_eq(rootfs_open(rootfs, "/etc/fifo", &err), -1);
	ck_assert_int_eq(err.code, -EINVAL);
	ck_assert_int_eq(rootfs_open(rootfs, "/etc", &err), -1);
	ck_assert_int_eq(err.code, -EINVAL);
	rootfs_done(rootfs);
	free(rootfs);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ plain, 1 }, { links, 1 }, { whiteouts, 1 }, { opaque_folders, 1 },
		{ other_types_hide, 1 }, { open_file, 1 },
	};
	/* whiteouts are made by mknod */
	const struct unit unit = { "rootfs", .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
