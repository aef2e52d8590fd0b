/*
 * Layers as EROFS files: that the bytes depend on nothing but the tar, that an unfinished one is none, what it
 * costs in bytes and memory, and finding files in them.
 */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/erofs_format.h"
#include "core/mem.h"
#include "core/rootfs.h"
#include "tests/unit/builders/forms.h"
#include "tests/unit/builders/layer_fixture.h"
#include "tests/unit/unit.h"

/* ---- the same bytes -------------------------------------------------------------------------- */

static void make_sample(void)
{
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%d/f%d", i % 7, i);
		put_sized(name, (size_t)i * 97 % 9000);
	}
	put('1', "link", "d0/f0");
	put('2', "sym", "d0");
	put('0', "d1/.wh.gone", "");
	tarmake_end(&tar);
}

START_TEST(same_bytes)
{
	static void (*const wraps[])(struct str *, const void *, size_t) = { tarmake_gzip,
									      tarmake_zstd };
	struct str first = { 0 }, again = { 0 }, blob = { 0 };
	int fd;

	make_sample();
	fd = image_of(&tar);
	forms_bytes(fd, &first);
	close(fd);
	/* the diff-id's first bytes are the UUID */
	ck_assert_int_eq(memcmp(first.text + EROFS_SUPER_OFFSET + offsetof(struct erofs_super, uuid),
				result.diff_id.bytes, 16), 0);
	if (_i < 2) {
		wraps[_i](&blob, tar.text, tar.length);
	} else {
		str_addn(&blob, tar.text, tar.length);
		umask(_i == 2 ? 077 : 0);
		setenv("TZ", _i == 3 ? "Pacific/Kiritimati" : "UTC", 1);
		tzset();
	}
	fd = image_of(&blob);
	forms_bytes(fd, &again);
	close(fd);
	ck_assert_uint_eq(first.length, again.length);
	ck_assert(!memcmp(first.text, again.text, first.length));
	str_done(&first);
	str_done(&again);
	str_done(&blob);
}
END_TEST

/* Nothing but block 0 makes it an image, and that is written last: what fails has no magic. */
START_TEST(unfinished)
{
	_cleanup_close_ int out = memfd_create("erofs", MFD_CLOEXEC);
	_cleanup_close_ int blob = -1;
	struct layer_unpack args = { .form = LAYER_EROFS, .out = out, .has_expected = true };
	struct str bytes = { 0 };

	make_sample();
	args.blob = blob = tarmake_fd(tar.text, tar.length);
	ck_assert_int_eq(layer_unpack(&args, &result, &err), -1);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
	forms_bytes(out, &bytes);
	for (size_t i = 0; i < bytes.length && i < EROFS_BLOCK; i++)
		ck_assert_int_eq(bytes.text[i], 0);
	str_done(&bytes);
}
END_TEST

/* Files of all sizes below 4 KiB: how much of the image is no content and no inode. */
START_TEST(waste)
{
	uint64_t content = 0;
	struct stat st;
	int fd;

	for (unsigned int i = 0; i < 4000; i++) {
		size_t size = i * 2654435761u >> 20;
		char name[32];

		snprintf(name, sizeof(name), "%u", i);
		put_sized(name, size);
		content += size + sizeof(struct erofs_disk_inode);
	}
	fd = image();
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_msg((uint64_t)st.st_size < content + content / 10, "%llu bytes for %llu",
		      (unsigned long long)st.st_size, (unsigned long long)content);
	close(fd);
}
END_TEST

/* 300,000 files of 1.5 kB: their names are held, nothing else. In a process of its own. */
START_TEST(memory)
{
#ifdef __SANITIZE_ADDRESS__
	fprintf(stderr, "memory: not measured with AddressSanitizer\n");
#else
	FILE *file = tmpfile();
	struct rusage usage;
	int status;
	pid_t pid;

	for (int i = 0; i < 300000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "d%d/some-file-of-a-package-%06d.txt", i / 100, i);
		put_sized(name, 1500);
		if (tar.length < 1 << 20 && i < 299999)
			continue;
		ck_assert_uint_eq(fwrite(tar.text, 1, tar.length, file), tar.length);
		tar.length = 0;
	}
	tarmake_end(&tar);
	ck_assert_uint_eq(fwrite(tar.text, 1, tar.length, file), tar.length);
	ck_assert_int_eq(fflush(file), 0);
	rewind(file);
	pid = fork();
	if (pid == 0) {
		FILE *out = tmpfile();
		struct layer_unpack args = { .blob = fileno(file), .form = LAYER_EROFS,
					     .out = fileno(out) };

		_exit(layer_unpack(&args, &result, &err) < 0);
	}
	ck_assert_int_eq(wait4(pid, &status, 0, &usage), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(usage.ru_maxrss < 128 * 1024, "%ld KiB", usage.ru_maxrss);
	fclose(file);
#endif
}
END_TEST

/* ---- finding files in images ----------------------------------------------------------------- */

START_TEST(rootfs_disks)
{
	_cleanup_free_ struct rootfs *rootfs = xmalloc(sizeof(*rootfs));
	struct identity identity = { 0 };
	char text[64] = "";
	int fd;

	rootfs_init(rootfs);
	rootfs->forms = ROOTFS_DISKS;
	put('0', "etc/passwd", "root:x:0:0::/:/bin/sh\nlow:x:5:6::/:/bin/sh\n");
	put('0', "etc/gone", "x");
	put('2', "link", "/etc/passwd");
	rootfs->disks[rootfs->disk_count++].image = image();
	str_done(&tar);
	put('0', "etc/passwd", "root:x:0:0::/:/bin/sh\ntop:x:7:8::/:/bin/sh\n");
	put('0', "etc/.wh.gone", "");
	rootfs->disks[rootfs->disk_count++].image = image();
	fd = rootfs_open(rootfs, "/link", &err);
	ck_assert_msg(fd >= 0, "%s", err.msg);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	ck_assert_ptr_nonnull(strstr(text, "top:x:7"));
	close(fd);
	ck_assert_int_eq(rootfs_identity(rootfs, "top", &identity, &err), 0);
	ck_assert(identity.uid == 7 && identity.gid == 8);
	identity_done(&identity);
	ck_assert_int_eq(rootfs_open(rootfs, "/etc/gone", &err), -1);
	ck_assert_int_eq(err.code, -ENOENT);
	ck_assert_int_eq(rootfs_open(rootfs, "/etc", &err), -1);
	ck_assert_int_eq(err.code, -EINVAL);
	rootfs_done(rootfs);
}
END_TEST

START_TEST(rootfs_limit)
{
	_cleanup_free_ struct rootfs *rootfs = xmalloc(sizeof(*rootfs));
	_cleanup_free_ char *bytes = xcalloc(1, ROOTFS_COPY_MAX + 1);
	int fd;

	rootfs_init(rootfs);
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "f", .data = bytes,
						   .size = ROOTFS_COPY_MAX + (size_t)_i });
	rootfs->disks[rootfs->disk_count++].image = image();
	fd = rootfs_open(rootfs, "f", &err);
	ck_assert_int_eq(fd < 0, _i);
	if (_i)
		ck_assert_int_eq(err.code, -EFBIG);
	else
		close(fd);
	rootfs_done(rootfs);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ same_bytes, 4 }, { unfinished, 1 }, { waste, 1 }, { memory, 1 },
		{ rootfs_disks, 1 }, { rootfs_limit, 2 },
	};
	const struct unit unit = { "EROFS bytes", .timeout_s = 60, .takes_root = true, .setup = setup, .teardown = teardown };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
