/* What apt prints of a package, which a hostile mirror has a say in. */
#include <check.h>
#include <stdlib.h>

#include "builders/debian/packages.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define HEX "3065c5e319072f13c43376b35405a11728bada6943de1b5865e47fe38833f9f4"
#define REST " SHA256:" HEX

START_TEST(test_read)
{
	struct package got;

	ck_assert(packages_parse_line("'file:/mirror/pool/main/h/x_1%3a2%2b_amd64.deb' "
				      "x_1%3a2_amd64.deb 704" REST, &got));
	ck_assert_str_eq(got.path, "pool/main/h/x_1:2+_amd64.deb");
	ck_assert_str_eq(got.file, "x_1%3a2_amd64.deb");
	ck_assert_uint_eq(got.bytes, 704);
	free(got.path);
	free(got.file);
}
END_TEST

START_TEST(test_hostile)
{
	static const char *const lines[] = {
		"",
		"'file:/mirror/'",
		"'file:/mirror/pool/x.deb",
		"'file:/mirror/pool/x.deb' x.deb 704",
		/* paths */
		"'file:/mirror/../../x.deb' x.deb 704" REST,
		"'file:/mirror/pool/../../x.deb' x.deb 704" REST,
		"'file:/mirror/pool/%2e%2e/x.deb' x.deb 704" REST,
		"'file:/mirror/pool%2f..%2f..%2fx.deb' x.deb 704" REST,
		"'file:/mirror/pool/..' x.deb 704" REST,
		"'file:/mirror/pool/./x.deb' x.deb 704" REST,
		"'file:/mirror/pool//x.deb' x.deb 704" REST,
		"'file:/mirror//etc/x.deb' x.deb 704" REST,
		"'file:/mirror/dists/own/InRelease' x.deb 704" REST,
		"'file:/etc/pool/x.deb' x.deb 704" REST,
		"'http://127.0.0.1/pool/x.deb' x.deb 704" REST,
		/* names */
		"'file:/mirror/pool/x.deb' ../x.deb 704" REST,
		"'file:/mirror/pool/x.deb' a/x.deb 704" REST,
		"'file:/mirror/pool/x.deb' x.rpm 704" REST,
		/* sizes */
		"'file:/mirror/pool/x.deb' x.deb 0" REST,
		"'file:/mirror/pool/x.deb' x.deb -1" REST,
		"'file:/mirror/pool/x.deb' x.deb 4294967297" REST,
		"'file:/mirror/pool/x.deb' x.deb 99999999999999999999999" REST,
		"'file:/mirror/pool/x.deb' x.deb 7x" REST,
		/* digests */
		"'file:/mirror/pool/x.deb' x.deb 704 ",
		"'file:/mirror/pool/x.deb' x.deb 704 SHA256:",
		"'file:/mirror/pool/x.deb' x.deb 704 SHA256:" HEX "0",
		"'file:/mirror/pool/x.deb' x.deb 704" REST " more",
		"'file:/mirror/pool/x.deb' x.deb 704 MD5Sum:d41d8cd98f00b204e9800998ecf8427e",
		"'file:/mirror/pool/x.deb' x.deb 704 SHA512:" HEX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct package got;

		ck_assert_msg(!packages_parse_line(lines[i], &got), "%s", lines[i]);
	}
}
END_TEST

int main(void)
{
	const struct unit_case list[] = { { test_read, 1 }, { test_hostile, 1 } };
	const struct unit unit = { "debian packages" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
