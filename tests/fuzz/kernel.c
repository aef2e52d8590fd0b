/*
 * Kernels: boot images, packages, ELF, .modinfo, LZ4, the configuration in a kernel, and the order of
 * modules that name each other.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "builders/kernel/config.h"
#include "builders/kernel/elf.h"
#include "builders/kernel/files.h"
#include "builders/kernel/image.h"
#include "builders/kernel/modinfo.h"
#include "builders/kernel/modules.h"
#include "builders/kernel/take.h"
#include "core/mem.h"
#include "core/path.h"
#include "tests/fuzz/fuzz.h"

#define PACKED_MAX 4096		/* bytes of an input that may blow up a thousandfold and more */
#define FILES_MAX 64

static void check_release(const char *release)
{
	FUZZ_CHECK(kernel_release_is_valid(release) && strlen(release) <= KERNEL_RELEASE_MAX);
	FUZZ_CHECK(!strchr(release, '/') && release[0] != '.');
	fuzz_check_shown(release);
}

static void boot_image(struct fuzz_input *input)
{
	char release[KERNEL_RELEASE_MAX + 1];
	struct bytes image = { .data = input->at, .size = input->left };
	struct digest digest;
	struct err err = { 0 };
	int result;

	if (input->left > PACKED_MAX)
		return;
	result = image_extract(&image, fuzz_file(0, NULL, 0), &digest, &err);
	FUZZ_CHECK(result == 0 || err.code == ERR_KERNEL || err.code == ERR_KERNEL_UNFIT ||
		   err.code == ERR_LAYER || err.code == -EFBIG);
	fuzz_check_err(&err, result);
	if (image_release(&image, release))
		check_release(release);
}

static void take(struct kernel_take *args)
{
	struct kernel_taken taken;
	struct err err = { 0 };
	int result;

	args->vmlinux = fuzz_file(0, NULL, 0);
	args->archive = fuzz_file(1, NULL, 0);
	result = kernel_take(args, &taken, &err);
	FUZZ_CHECK(result == 0 || (err.code >= ERR_KERNEL && err.code <= ERR_KERNEL_NONE) ||
		   err.code == ERR_STORE || err.code == -EFBIG);
	fuzz_check_err(&err, result);
	if (result == 0)
		check_release(taken.release);
}

static void package(struct fuzz_input *input)
{
	struct kernel_take args = { .package = fuzz_file(2, input->at, input->left), .image = -1,
				    .modules = -1, .release = "" };

	if (input->left <= PACKED_MAX * 4)
		take(&args);
}

static void alone(struct fuzz_input *input)
{
	struct kernel_take args = { .package = -1, .image = fuzz_file(2, input->at, input->left),
				    .modules = -1, .release = "" };

	if (input->left <= PACKED_MAX)
		take(&args);
}

static void elf(struct fuzz_input *input)
{
	struct modinfo info;
	struct err err = { 0 };
	int result = modinfo_read(input->at, input->left, &info, &err);

	fuzz_check_err(&err, result);
	if (result == 0)
		modinfo_done(&info);
	(void)elf_has_pvh_note(input->at, input->left);
}

static void modinfo(struct fuzz_input *input)
{
	struct modinfo info;
	struct err err = { 0 };
	int result = modinfo_parse(input->at, input->left, &info, &err);

	fuzz_check_err(&err, result);
	if (result == 0)
		modinfo_done(&info);
}

static void config(struct fuzz_input *input)
{
	struct bytes vmlinux = { .data = input->at, .size = input->left };
	_cleanup_free_ char *text = config_find(&vmlinux);

	if (text)
		(void)config_value(text, "CONFIG_EROFS_FS");
}

static int drop(void *data, const uint8_t *bytes, size_t size, struct err *err)
{
	static volatile uint8_t seen;

	(void)data;
	(void)err;
	if (size > 0)
		seen ^= bytes[size - 1];
	(void)seen;
	return 0;
}

static void lz4(struct fuzz_input *input)
{
	struct err err = { 0 };
	int result = lz4_unpack(input->at, input->left, drop, NULL, &err);

	fuzz_check_err(&err, result);
}

static void file_names(struct fuzz_input *input)
{
	_cleanup_free_ char *path = fuzz_rest(input), *name = modinfo_name_of(path);

	FUZZ_CHECK(!name || (*name && !strchr(name, '/') && !strchr(name, '-')));
	fuzz_check_shown(name);
	(void)kernel_release_is_valid(path);
}

/* ---- modules that name each other ------------------------------------------------------------ */

struct memory {
	struct {
		char *path;	/* owned */
		struct fuzz_input content;
	} files[FILES_MAX];
	size_t count;
};

static int each(void *data, int (*to_take)(void *to, const char *path, struct err *err), void *to,
		struct err *err)
{
	const struct memory *memory = data;

	for (size_t i = 0; i < memory->count; i++)
		if (to_take(to, memory->files[i].path, err) < 0)
			return -1;
	return 0;
}

/* A module whose .modinfo are these bytes. */
static struct bytes wrap(struct fuzz_input section)
{
	static const char names[] = "\0.modinfo";
	const Elf64_Ehdr head = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_machine = EM_X86_64,
		.e_shoff = sizeof(head),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 2,
		.e_shstrndx = 0,
	};
	const Elf64_Shdr sections[2] = {
		{ .sh_type = SHT_STRTAB, .sh_offset = sizeof(head) + sizeof(sections),
		  .sh_size = sizeof(names) },
		{ .sh_type = SHT_PROGBITS, .sh_name = 1, .sh_size = section.left,
		  .sh_offset = sizeof(head) + sizeof(sections) + sizeof(names) },
	};
	size_t size = sizeof(head) + sizeof(sections) + sizeof(names) + section.left;
	uint8_t *data = xmalloc(size), *at = data;

	at = mempcpy(at, &head, sizeof(head));
	at = mempcpy(at, sections, sizeof(sections));
	at = mempcpy(at, names, sizeof(names));
	if (section.left)
		memcpy(at, section.at, section.left);
	return (struct bytes){ .data = data, .size = size, .heap = data };
}

static int read_file(void *data, const char *path, size_t max, struct bytes *ret, struct err *err)
{
	const struct memory *memory = data;

	(void)max;
	(void)err;
	for (size_t i = 0; i < memory->count; i++) {
		_cleanup_free_ char *name = modinfo_name_of(memory->files[i].path);

		if (strcmp(memory->files[i].path, path))
			continue;
		if (name)
			*ret = wrap(memory->files[i].content);
		else
			*ret = (struct bytes){ .data = memory->files[i].content.at,
					       .size = memory->files[i].content.left };
		return 1;
	}
	return 0;
}

/* PATH, NUL, two bytes of length, and so many bytes of content: again and again. */
static void modules(struct fuzz_input *input)
{
	static const struct kernel_files_ops ops = { each, read_file };
	struct memory memory = { .count = 0 };
	const struct kernel_files files = { &ops, &memory };
	struct str archive = { 0 };
	struct err err = { 0 };
	int result;

	while (input->left > 0 && memory.count < FILES_MAX) {
		char *path = fuzz_word(input), *clean = xmalloc(PATH_LENGTH_MAX + 1);

		if (!path_clean(path, clean))
			strcpy(clean, "a");
		free(path);
		memory.files[memory.count].path = clean;
		memory.files[memory.count++].content = fuzz_part(input, fuzz_short(input));
	}
	result = modules_pack(&files, NULL, "6.1", &archive, &err);
	FUZZ_CHECK(result == 0 || err.code == ERR_KERNEL || err.code == ERR_KERNEL_UNFIT);
	fuzz_check_err(&err, result);
	str_done(&archive);
	for (size_t i = 0; i < memory.count; i++)
		free(memory.files[i].path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_input *) = {
		boot_image, package, alone, elf, modinfo, config, lz4, file_names, modules,
	};
	struct fuzz_input input = { data, size };

	kinds[fuzz_byte(&input) % ARRAY_SIZE(kinds)](&input);
	return 0;
}
