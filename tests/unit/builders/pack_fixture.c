/* What the tests of packing share: see pack_fixture.h. */
#include "tests/unit/builders/pack_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/mem.h"

struct layer_pack args;
struct selection selection;

void pack_setup(void)
{
	setup();
	args = (struct layer_pack){ .blob = -1, .archive = -1, .to = "/",
				    .selection = &selection };
}

void pack_teardown(void)
{
	mem_closep(&args.blob);
	mem_closep(&args.archive);
	select_done(&selection);
	teardown();
}

int pack_layer(void)
{
	mem_closep(&args.blob);
	args.blob = memfd_create("layer", MFD_CLOEXEC);
	return layer_pack(&args, &result, &err);
}

void pack_and_unpack(void)
{
	struct layer_unpack unpack = { .out = work.tree, .has_expected = true };
	struct layer_result again;

	ck_assert_msg(pack_layer() == 0, "%s", err.msg);
	unpack.blob = args.blob;
	unpack.expected = result.blob;
	unpack.blob_bytes = result.blob_bytes;
	ck_assert(lseek(args.blob, 0, SEEK_SET) == 0);
	ck_assert_msg(layer_unpack(&unpack, &again, &err) == 0, "%s", err.msg);
	ck_assert(digest_equal(&again.diff_id, &result.diff_id));
	ck_assert_uint_eq(again.plain_bytes, result.plain_bytes);
	ck_assert_uint_eq(again.entries, result.entries);
	ck_assert_uint_eq(again.tree_bytes, result.tree_bytes);
}

void refused(const char *why)
{
	ck_assert_int_eq(pack_layer(), -1);
	ck_assert_int_eq(err.code, ERR_LAYER);
	ck_assert_msg(strstr(err.msg, why) != NULL, "\"%s\" not in: %s", why, err.msg);
}

void file(const char *path, const char *text, mode_t mode)
{
	int fd = openat(work.top, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fs_write_all(fd, text, strlen(text)), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

void make_source(void)
{
	ck_assert_int_eq(mkdirat(work.top, "source", 0700), 0);
	file("source/z", "zz", 0600);
	file("source/a-b", "ab", 0711);
	ck_assert_int_eq(mkdirat(work.top, "source/a", 0700), 0);
	ck_assert_int_eq(fchmodat(work.top, "source/a", 02770, 0), 0);
	file("source/a/f", "f", 04640);
	ck_assert_int_eq(symlinkat("/etc/shadow", work.top, "source/l"), 0);
	ck_assert_int_eq(fchownat(work.top, "source/z", 7, 8, 0), 0);
	ck_assert_int_eq(linkat(work.top, "source/z", work.top, "source/y", 0), 0);
}

void open_source(const char *path)
{
	selection = (struct selection){ .sources = xcalloc(1, sizeof(*selection.sources)), .count = 1 };
	selection.sources->name = xstrdup(path);
	selection.sources->fd = openat(work.top, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ck_assert_int_ge(selection.sources->fd, 0);
}

void assert_entry(const char *path, mode_t mode, uid_t uid, time_t time)
{
	struct stat st;

	ck_assert_msg(fstatat(work.top, path, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", path);
	ck_assert_msg(st.st_mode == mode, "%s: %o", path, st.st_mode);
	ck_assert_msg(st.st_uid == uid && st.st_gid == uid + (uid > 0), "%s: owner", path);
	ck_assert_msg(time == 0 || st.st_mtim.tv_sec == time, "%s: time", path);
}
