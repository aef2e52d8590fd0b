/* Making layers of archives; and the headers of the tars that are written. */
#include <check.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/tarwrite.h"
#include "core/mem.h"
#include "tests/unit/builders/pack_fixture.h"
#include "tests/unit/unit.h"

static void open_archive(void (*wrap)(struct str *, const void *, size_t))
{
	struct str packed = { 0 };

	tarmake_end(&tar);
	wrap(&packed, tar.text, tar.length);
	args.archive = tarmake_fd(packed.text, packed.length);
	str_done(&packed);
}

START_TEST(archive)
{
	_cleanup_free_ char *text = NULL;
	struct stat a, b;

	tarmake_put(&tar, '5', "./tool-1.2/", NULL);
	tarmake_put(&tar, '0', "tool-1.2/README", "read");
	tarmake_put(&tar, '0', "top", "dropped");
	tarmake_add(&tar, &(struct tarmake_entry){ .name = "tool-1.2/bin/tool", .data = "#!", .size = 2,
						   .mode = 04755, .uid = 3, .gid = 4, .mtime = 99 });
	tarmake_put(&tar, '1', "tool-1.2/bin/alias", "./tool-1.2/bin/tool");
	tarmake_put(&tar, '2', "tool-1.2/link", "tool-1.2/bin/tool");
	tarmake_add(&tar, &(struct tarmake_entry){ .type = '3', .name = "tool-1.2/null", .major = 1,
						   .minor = 3 });
	open_archive(_i ? tarmake_xz : tarmake_gzip);
	args.to = "/opt/tool";
	args.strip = 1;
	pack_and_unpack();
	ck_assert_uint_eq(result.entries, 4);
	ck_assert_uint_eq(result.devices, 1);
	assert_entry("tree/opt/tool/bin/tool", S_IFREG | 04755, 3, 99);
	ck_assert_uint_eq(work_mode(&work, "tree/opt/tool/top"), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/opt/tool/bin/tool", &a, 0), 0);
	ck_assert_int_eq(fstatat(work.top, "tree/opt/tool/bin/alias", &b, 0), 0);
	ck_assert(a.st_ino == b.st_ino);
	text = work_text(&work, "tree/opt/tool/link");
	ck_assert_str_eq(text, "tool-1.2/bin/tool");
}
END_TEST

START_TEST(archive_refuses)
{
	static const struct {
		char type;
		const char *name, *text, *why;
	} cases[] = {
		{ '0', "a/../../x", "x", "\"..\"" },
		{ '0', "a/.wh.x", "", ".wh." },
		{ '1', "a/h", "gone", "strip" },
		{ '1', "a/h", "../x", "\"..\"" },
	};

	tarmake_put(&tar, cases[_i].type, cases[_i].name, cases[_i].text);
	open_archive(tarmake_gzip);
	args.strip = 1;
	refused(cases[_i].why);
}
END_TEST

START_TEST(archive_digest)
{
	tarmake_put(&tar, '0', "a/b", "x");
	open_archive(tarmake_zstd);
	args.has_expected = true;
	ck_assert_int_eq(pack_layer(), -1);
	ck_assert_int_eq(err.code, ERR_FETCH_DIGEST);
}
END_TEST

/* Headers: pax only where ustar cannot say it. */
START_TEST(headers)
{
	static const struct {
		size_t path, target;
		struct tar_entry entry;
		size_t blocks;
	} cases[] = {
		{ 100, 0, { .mode = 07777, .uid = 2097151, .gid = 2097151 }, 1 },
		{ 101, 0, { 0 }, 3 },	/* one component: no place to cut */
		{ 0, 100, { .type = TAR_SYMLINK }, 1 },
		{ 0, 101, { .type = TAR_SYMLINK }, 3 },
		{ 0, 0, { .uid = 2097152 }, 3 },
		{ 0, 0, { .gid = 2097152 }, 3 },
		{ 0, 0, { .size = 077777777777 }, 1 },
		{ 0, 0, { .size = 0100000000000 }, 3 },
		{ 0, 0, { .mtime_s = 077777777777 }, 1 },
		{ 0, 0, { .mtime_s = 0100000000000 }, 3 },
		{ 0, 0, { .mtime_s = -1 }, 3 },
		{ 0, 0, { .mtime_ns = 1 }, 3 },
	};
	_cleanup_(str_done) struct str out = { 0 };
	struct tar_entry entry = cases[_i].entry;
	char path[512], target[512], type;

	memset(path, 'p', sizeof(path));
	memset(target, 't', sizeof(target));
	path[cases[_i].path ? cases[_i].path : 5] = '\0';
	target[cases[_i].target] = '\0';
	entry.path = path;
	entry.target = cases[_i].target ? target : NULL;
	tarwrite_header(&out, &entry);
	ck_assert_uint_eq(out.length, cases[_i].blocks * TARWRITE_BLOCK);
	ck_assert_mem_eq(out.text + out.length - TARWRITE_BLOCK + 257, "ustar\00000", 8);
	type = entry.type == TAR_SYMLINK ? '2' : '0';
	ck_assert_int_eq(out.text[156], cases[_i].blocks == 1 ? type : 'x');
}
END_TEST

START_TEST(split_path)
{
	_cleanup_(str_done) struct str out = { 0 };
	char path[300];
	struct tar_entry entry = { .path = path };

	memset(path, 'p', sizeof(path));
	path[155] = '/';
	path[256] = '\0';
	tarwrite_header(&out, &entry);	/* 155 + "/" + 100 */
	ck_assert_uint_eq(out.length, TARWRITE_BLOCK);
	ck_assert_mem_eq(out.text + 345, path, 155);
	ck_assert_mem_eq(out.text, path + 156, 100);
	str_done(&out);
	path[256] = 'p';
	path[257] = '\0';
	tarwrite_header(&out, &entry);
	ck_assert_uint_eq(out.length, 3 * TARWRITE_BLOCK);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ archive, 2 }, { archive_refuses, 4 }, { archive_digest, 1 },
		{ headers, 12 }, { split_path, 1 },
	};
	const struct unit unit = { "pack archives", .takes_root = true, .setup = pack_setup, .teardown = pack_teardown };

	umask(0);
	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
