/* builders/kernel, the worker's side: configurations, newc, lists of packages. */
#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "builders/kernel/config.h"
#include "builders/kernel/newc.h"
#include "builders/kernel/take.h"
#include "core/fs.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

/* ---- configuration --------------------------------------------------------------------------- */

START_TEST(test_config)
{
	/* "CONFIG_A=y\nCONFIG_B=m\nCONFIG_AB=8\n" */
	static const uint8_t packed[] = {
		0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
		0x73, 0xf6, 0xf7, 0x73, 0xf3, 0x74, 0x8f, 0x77, 0xb4, 0xad, 0xe4, 0x72,
		0x86, 0x30, 0x9d, 0x6c, 0x73, 0x61, 0x4c, 0x47, 0x27, 0x5b, 0x0b, 0x2e,
		0x00, 0x0f, 0xb9, 0x98, 0xf3, 0x22, 0x00, 0x00, 0x00,
	};
	uint8_t vmlinux[256] = "code IKCFG_ST code IKCFG_ST";
	size_t at = 27;
	_cleanup_free_ char *config = NULL;
	struct bytes bytes = { .data = vmlinux };

	memcpy(vmlinux + at, packed, sizeof(packed));
	memcpy(vmlinux + at + sizeof(packed), "IKCFG_ED", 8);
	for (bytes.size = 0; bytes.size < at + sizeof(packed) + 8; bytes.size++)
		ck_assert_ptr_null(config_find(&bytes));
	bytes.size = sizeof(vmlinux);
	config = config_find(&bytes);
	ck_assert_str_eq(config, "CONFIG_A=y\nCONFIG_B=m\nCONFIG_AB=8\n");
	ck_assert_int_eq(config_value(config, "CONFIG_A"), 'y');
	ck_assert_int_eq(config_value(config, "CONFIG_B"), 'm');
	ck_assert_int_eq(config_value(config, "CONFIG_AB"), 0);
	ck_assert_int_eq(config_value(config, "CONFIG_C"), 0);
	vmlinux[at + 12] ^= 0xff;
	ck_assert_ptr_null(config_find(&bytes));
}
END_TEST

/* ---- newc ------------------------------------------------------------------------------------ */

#define ZERO "00000000"

START_TEST(test_newc)
{
	static const char want[] =
		"070701" "00000001" "000041ed" ZERO ZERO "00000002" ZERO ZERO ZERO ZERO ZERO ZERO
		"00000002" ZERO "d\0"
		"070701" "00000002" "000081a4" ZERO ZERO "00000001" ZERO "00000005" ZERO ZERO ZERO ZERO
		"00000004" ZERO "d/f\0\0\0" "hello\0\0\0"
		"070701" ZERO ZERO ZERO ZERO "00000001" ZERO ZERO ZERO ZERO ZERO ZERO "0000000b" ZERO
		"TRAILER!!!\0\0\0\0";
	struct newc newc = { 0 };

	newc_add(&newc, "d", 0040755, "", 0);
	newc_add(&newc, "d/f", 0100644, "hello", 5);
	newc_end(&newc);
	ck_assert_uint_eq(newc.out.length, sizeof(want) - 1);
	ck_assert(!memcmp(newc.out.text, want, sizeof(want) - 1));
	ck_assert_uint_eq(newc.out.length % 4, 0);
	newc_done(&newc);
}
END_TEST

/* ---- lists of packages ----------------------------------------------------------------------- */

static void no_progress(void *data, uint64_t done, uint64_t total)
{
	(void)data;
	(void)done;
	(void)total;
}

static char *indexed(const char *text, size_t size, struct err *err)
{
	_cleanup_close_ int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	char *found = NULL;

	ck_assert_int_eq(fs_write_all(in, text, size), 0);
	if (kernel_index(in, size, "linux-image-", "cloud-amd64", out, no_progress, NULL, err) < 0)
		return NULL;
	ck_assert_int_eq(fs_read_fd(out, "out", 1 << 20, &found, NULL, err), 0);
	return found;
}

START_TEST(test_index)
{
	static const char text[] =
		"\n\nPackage: a\nX: linux-image-cloud-amd64\n\n"
		"Package: linux-image-cloud-amd64\nVersion: 1\n\n\n"
		"Package: linux-image-amd64\n\n"
		"Version: 1\nPackage: linux-image-cloud-amd64\n\n"
		"Package: linux-image-6-cloud-amd64-dbg\n\n"
		"Package: linux-image-6-cloud-amd64\nVersion: 2";
	_cleanup_(err_done) struct err err = { 0 };
	_cleanup_free_ char *found = indexed(text, sizeof(text) - 1, &err);

	ck_assert_str_eq(found, "Package: linux-image-cloud-amd64\nVersion: 1\n\n"
				"Package: linux-image-6-cloud-amd64\nVersion: 2\n");
}
END_TEST

START_TEST(test_index_limits)
{
	_cleanup_free_ char *text = xmalloc(INDEX_STANZA_BYTES_MAX + 100);
	_cleanup_free_ char *empty = NULL, *found = NULL;
	_cleanup_(err_done) struct err err = { 0 };

	empty = indexed("", 0, &err);
	ck_assert_str_eq(empty, "");
	memset(text, 'x', INDEX_STANZA_BYTES_MAX + 100);
	found = indexed(text, INDEX_STANZA_BYTES_MAX + 100, &err);
	ck_assert_ptr_null(found);
	ck_assert_int_eq(err.code, ERR_KERNEL);
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_config, 1 }, { test_newc, 1 }, { test_index, 1 },
		{ test_index_limits, 1 },
	};
	const struct unit unit = { "kernel_lists" };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
