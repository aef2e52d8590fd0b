/* builders/kernel, the worker's side: .modinfo, ELF, boot images, lz4. */
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "builders/kernel/elf.h"
#include "builders/kernel/image.h"
#include "builders/kernel/modinfo.h"
#include "builders/kernel/take.h"
#include "core/mem.h"
#include "core/str.h"
#include "tests/unit/unit.h"

/* ---- .modinfo -------------------------------------------------------------------------------- */

static void join(const struct strv *list, char *ret)
{
	ret[0] = '\0';
	for (size_t i = 0; i < list->count; i++) {
		strcat(ret, i ? " " : "");
		strcat(ret, list->items[i]);
	}
}

static const struct {
	const char *section;
	size_t size;
	const char *depends, *before, *aliases;	/* depends NULL: refused */
} infos[] = {
#define ROW(text) text, sizeof(text)
	{ ROW("depends="), "", "", "" },
	{ ROW("license=GPL\0depends=a,b-c\0name=x"), "a b_c", "", "" },
	{ ROW("\0\0depends=a\0\0depends=b"), "a b", "", "" },
	{ ROW("softdep=pre: crc32c"), "", "crc32c", "" },
	{ ROW("softdep=pre: a b post: c pre: d"), "", "a b d", "" },
	{ ROW("softdep=post: a"), "", "", "" },
	{ ROW("softdep=a"), "", "", "" },
	{ ROW("alias=crypto-crc32c\0alias=pci:v1*"), "", "", "crypto_crc32c pci:v1*" },
	{ ROW("depend=a\0xdepends=b"), "", "", "" },
	{ "", 0, "", "", "" },
	{ "depends=a", 9, NULL, NULL, NULL },
	{ "x", 1, NULL, NULL, NULL },
#undef ROW
};

START_TEST(test_modinfo)
{
	_cleanup_(modinfo_done) struct modinfo info = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	int result = modinfo_parse((const uint8_t *)infos[_i].section, infos[_i].size, &info, &err);
	char text[200];

	ck_assert_int_eq(result, infos[_i].depends ? 0 : -1);
	if (result < 0)
		return;
	join(&info.depends, text);
	ck_assert_str_eq(text, infos[_i].depends);
	join(&info.before, text);
	ck_assert_str_eq(text, infos[_i].before);
	join(&info.aliases, text);
	ck_assert_str_eq(text, infos[_i].aliases);
}
END_TEST

START_TEST(test_modinfo_many)
{
	size_t size = 2 * (MODINFO_WORDS_MAX + 1) + 8;
	_cleanup_free_ uint8_t *section = xmalloc(size);
	_cleanup_(modinfo_done) struct modinfo info = { 0 };
	_cleanup_(err_done) struct err err = { 0 };

	memcpy(section, "depends=", 8);
	for (size_t i = 8; i < size; i += 2)
		memcpy(section + i, "a,", 2);
	section[size - 1] = '\0';
	ck_assert_int_eq(modinfo_parse(section, size, &info, &err), -1);
	ck_assert_int_eq(err.code, ERR_KERNEL);
}
END_TEST

START_TEST(test_names)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{ "kernel/crypto/crc32c-intel.ko", "crc32c_intel" },
		{ "a.ko.xz", "a" },	{ "a.ko.zst", "a" },	{ "a.ko.gz", "a" },
		{ "a.ko.bz2", NULL },	{ "ko", NULL },		{ ".ko", NULL },
		{ "a b.ko", NULL },	{ "a\n.ko", NULL },	{ "x/..ko", NULL },
		{ "modules.builtin", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *name = modinfo_name_of(rows[i].path);

		ck_assert_pstr_eq(name, rows[i].name);
	}
}
END_TEST

/* ---- ELF ------------------------------------------------------------------------------------- */

/* An ELF with one note and one section ".modinfo", so far as is looked at. */
struct small_elf {
	Elf64_Ehdr header;
	Elf64_Phdr part;
	Elf64_Shdr sections[3];
	char names[32];
	char info[16];
	Elf64_Nhdr note;
	char note_name[4];
	uint32_t entry;
};

static struct small_elf make_elf(void)
{
	struct small_elf elf = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1 },
			.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
			.e_phoff = offsetof(struct small_elf, part), .e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1, .e_shoff = offsetof(struct small_elf, sections),
			.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3, .e_shstrndx = 1,
		},
		.part = { .p_type = PT_NOTE, .p_offset = offsetof(struct small_elf, note),
			  .p_filesz = 20 },
		.names = "\0.shstrtab\0.modinfo",
		.info = "depends=a",
		.note = { 4, 4, 18 },
		.note_name = "Xen",
	};

	elf.sections[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_STRTAB,
					.sh_offset = offsetof(struct small_elf, names),
					.sh_size = sizeof(elf.names) };
	elf.sections[2] = (Elf64_Shdr){ .sh_name = 11, .sh_type = SHT_PROGBITS,
					.sh_offset = offsetof(struct small_elf, info), .sh_size = 10 };
	return elf;
}

static bool has_info(const void *elf, size_t size)
{
	const uint8_t *section;
	size_t section_size;

	return elf_section(elf, size, ".modinfo", &section, &section_size) && section_size == 10 &&
	       !memcmp(section, "depends=a", 10);
}

START_TEST(test_elf)
{
	struct small_elf elf = make_elf();

	ck_assert(elf_is_x86_64((uint8_t *)&elf, sizeof(elf)));
	ck_assert(elf_has_pvh_note((uint8_t *)&elf, sizeof(elf)));
	ck_assert(has_info(&elf, sizeof(elf)));
	elf.note.n_type = 17;
	ck_assert(!elf_has_pvh_note((uint8_t *)&elf, sizeof(elf)));
	elf.header.e_machine = EM_AARCH64;
	ck_assert(!elf_is_x86_64((uint8_t *)&elf, sizeof(elf)));
}
END_TEST

/* Nothing outside of the file is read, wherever it ends and whatever the fields say. */
START_TEST(test_elf_hostile)
{
	static const uint64_t values[] = { 0, 1, 0xffff, 0xffffffff, 0x7fffffffffffffff,
					   0xfffffffffffffff0, UINT64_MAX };
	struct small_elf good = make_elf();

	for (size_t size = 0; size < sizeof(good); size++) {
		/* of its own size, so that a sanitizer sees a byte too many */
		_cleanup_free_ uint8_t *part = xmemdup(&good, size + 1);

		(void)elf_is_x86_64(part, size);
		(void)elf_has_pvh_note(part, size);
		(void)has_info(part, size);
	}
	for (size_t at = 16; at + 8 <= sizeof(good); at += 4)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			_cleanup_free_ uint8_t *elf = xmemdup(&good, sizeof(good));

			memcpy(elf + at, &values[i], 8);
			(void)elf_has_pvh_note(elf, sizeof(good));
			(void)has_info(elf, sizeof(good));
			memcpy(elf + at, &values[i], 4);
			(void)elf_has_pvh_note(elf, sizeof(good));
			(void)has_info(elf, sizeof(good));
		}
}
END_TEST

/* ---- boot images ----------------------------------------------------------------------------- */

static int collect(void *data, const uint8_t *bytes, size_t size, struct err *err)
{
	(void)err;
	str_addn(data, (const char *)bytes, size);
	return 0;
}

#define LZ4 "\x02\x21\x4c\x18"

static const struct {
	const char *frame;
	size_t size;
	const char *plain;	/* NULL: refused */
} frames[] = {
#define ROW(text) text, sizeof(text) - 1
	{ ROW(LZ4 "\x04\0\0\0\x30" "abc"), "abc" },
	{ ROW(LZ4 "\x04\0\0\0\x30" "abc" "\x02\0\0\0\x10" "d"), "abcd" },
	{ ROW(LZ4 "\x02\0\0\0\x10" "a" LZ4 "\x02\0\0\0\x10" "b"), "ab" },
	/* one literal, a match of 4 + 2 one byte back, one literal */
	{ ROW(LZ4 "\x06\0\0\0\x12" "a" "\x01\0" "\x10" "b"), "aaaaaaab" },
	{ ROW(LZ4), "" },
	{ ROW("\x02\x21\x4c\x19\x02\0\0\0\x10" "a"), NULL },
	{ ROW("abc"), NULL },
	{ ROW(LZ4 "\x05\0\0\0\x30" "abc"), NULL },
	{ ROW(LZ4 "\x04\0\0"), NULL },
	{ ROW(LZ4 "\0\0\0\0"), NULL },
	{ ROW(LZ4 "\xff\xff\xff\xff\x10" "a"), NULL },
	{ ROW(LZ4 "\x03\0\0\0\x30" "ab"), NULL },		/* more literals than there are */
	{ ROW(LZ4 "\x06\0\0\0\x12" "a" "\x02\0" "\x10" "b"), NULL },	/* before the start */
	{ ROW(LZ4 "\x06\0\0\0\x12" "a" "\0\0" "\x10" "b"), NULL },	/* at no distance */
	{ ROW(LZ4 "\x03\0\0\0\x12" "a" "\x01"), NULL },
	{ ROW(LZ4 "\x04\0\0\0\x1f" "a" "\x01\0"), NULL },
	{ ROW(LZ4 "\x04\0\0\0\xf0\xff\xff\xff"), NULL },
	{ ROW(LZ4 "\x04\0\0\0\x12" "a" "\x01\0"), NULL },	/* ends with a match */
#undef ROW
};

START_TEST(test_lz4)
{
	_cleanup_(err_done) struct err err = { 0 };
	struct str plain = { 0 };
	_cleanup_free_ uint8_t *frame = xmemdup(frames[_i].frame, frames[_i].size);
	int result = lz4_unpack(frame, frames[_i].size, collect, &plain, &err);

	ck_assert_int_eq(result, frames[_i].plain ? 0 : -1);
	if (frames[_i].plain)
		ck_assert_str_eq(plain.text ? plain.text : "", frames[_i].plain);
	str_done(&plain);
}
END_TEST

/* A block that would grow over its 8 MiB. */
START_TEST(test_lz4_bomb)
{
	size_t run = 40000, size = 4 + 4 + 2 + 2 + run + 2;
	_cleanup_free_ uint8_t *frame = xmalloc(size);
	_cleanup_(err_done) struct err err = { 0 };
	struct str plain = { 0 };
	uint32_t packed = (uint32_t)(size - 8);

	memset(frame, 0xff, size);
	memcpy(frame, LZ4, 4);
	memcpy(frame + 4, &packed, 4);
	memcpy(frame + 8, "\x1f" "a" "\x01\0", 4);
	memcpy(frame + size - 2, "\x10" "b", 2);
	ck_assert_int_eq(lz4_unpack(frame, size, collect, &plain, &err), -1);
	str_done(&plain);
}
END_TEST

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

#define PAYLOAD_AT (2 * 512 + 16)

/* A bzImage with one sector of setup whose payload is `size` bytes. */
static struct bytes make_image(const void *payload, size_t size)
{
	uint8_t *data = xcalloc(1, PAYLOAD_AT + size + 64);

	data[0x1f1] = 1;
	data[0x1fe] = 0x55;
	data[0x1ff] = 0xaa;
	memcpy(data + 0x202, "HdrS", 4);
	data[0x206] = 0x0f;
	data[0x207] = 2;
	data[0x20e] = 0x80;
	data[0x20f] = 0;
	memcpy(data + 0x280, "6.1.0-x (a@b) #1", 17);
	put32(data + 0x248, 16);
	put32(data + 0x24c, (uint32_t)size);
	memcpy(data + PAYLOAD_AT, payload, size);
	return (struct bytes){ .data = data, .size = PAYLOAD_AT + size + 64, .heap = data };
}

static int extract(const struct bytes *image, struct err *err)
{
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);
	struct digest digest;

	return image_extract(image, out, &digest, err);
}

START_TEST(test_image)
{
	struct small_elf elf = make_elf();
	uint8_t payload[sizeof(elf) + 4] = { 0 };
	_cleanup_(bytes_done) struct bytes image = { 0 };
	_cleanup_(err_done) struct err err = { 0 };
	char release[KERNEL_RELEASE_MAX + 1];

	memcpy(payload, &elf, sizeof(elf));
	image = make_image(payload, sizeof(payload));
	ck_assert_int_eq(extract(&image, &err), 0);
	ck_assert(image_release(&image, release));
	ck_assert_str_eq(release, "6.1.0-x");
	((uint8_t *)image.heap)[PAYLOAD_AT + offsetof(struct small_elf, note) + 8] = 17;
	ck_assert_int_eq(extract(&image, &err), -1);
	ck_assert_int_eq(err.code, ERR_KERNEL_UNFIT);
	ck_assert_ptr_nonnull(strstr(err.msg, "CONFIG_PVH"));
}
END_TEST

START_TEST(test_image_hostile)
{
	static const struct {
		size_t at;
		uint32_t value;
	} rows[] = {
		{ 0x248, 0xffffffff }, { 0x24c, 0xffffffff }, { 0x24c, 0 }, { 0x24c, 7 },
		{ 0x206, 0x0207 }, { 0x202, 0 }, { 0x1fe, 0 }, { 0x1f1, 0xff }, { PAYLOAD_AT, 0 },
		{ PAYLOAD_AT, 0x184c2102 },	/* lz4, and then nothing of it */
		{ PAYLOAD_AT, 0xfd2fb528 }, { PAYLOAD_AT, 0x587a37fd }, { PAYLOAD_AT, 0x88b1f },
	};
	struct small_elf elf = make_elf();
	uint8_t payload[sizeof(elf) + 4] = { 0 };

	memcpy(payload, &elf, sizeof(elf));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(bytes_done) struct bytes image = make_image(payload, sizeof(payload));
		_cleanup_(err_done) struct err err = { 0 };

		put32((uint8_t *)image.heap + rows[i].at, rows[i].value);
		ck_assert_int_eq(extract(&image, &err), -1);
	}
	for (size_t size = 0; size < 0x250; size += 7) {
		_cleanup_(bytes_done) struct bytes image = make_image(payload, sizeof(payload));
		_cleanup_(err_done) struct err err = { 0 };
		char release[KERNEL_RELEASE_MAX + 1];

		image.size = size;
		ck_assert_int_eq(extract(&image, &err), -1);
		ck_assert(!image_release(&image, release));
	}
}
END_TEST

START_TEST(test_banner)
{
	static const char text[] = "xxLinux version 6.9-rc1+ (x@y) gcc", none[] = "Linux version ";
	struct bytes image = { .data = (const uint8_t *)text, .size = sizeof(text) };
	char release[KERNEL_RELEASE_MAX + 1];

	ck_assert(image_release(&image, release));
	ck_assert_str_eq(release, "6.9-rc1+");
	image = (struct bytes){ .data = (const uint8_t *)none, .size = sizeof(none) - 1 };
	ck_assert(!image_release(&image, release));
}
END_TEST

int main(void)
{
	const struct unit_case cases[] = {
		{ test_modinfo, ARRAY_SIZE(infos) }, { test_modinfo_many, 1 },
		{ test_names, 1 }, { test_elf, 1 }, { test_elf_hostile, 1 },
		{ test_lz4, ARRAY_SIZE(frames) }, { test_lz4_bomb, 1 }, { test_image, 1 },
		{ test_image_hostile, 1 }, { test_banner, 1 },
	};
	const struct unit unit = { "kernel_take" };

	return unit_run(&unit, cases, ARRAY_SIZE(cases));
}
