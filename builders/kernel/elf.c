/* ELF: see elf.h. */
#include "builders/kernel/elf.h"

#include <elf.h>
#include <string.h>

#define NOTE_PVH 18u
#define SECTIONS_MAX 65535u

/* Is [offset, offset + length) within `size` bytes? */
static bool inside(uint64_t offset, uint64_t length, size_t size)
{
	return offset <= size && length <= size - offset;
}

static bool read_header(const uint8_t *data, size_t size, Elf64_Ehdr *ret)
{
	if (size < sizeof(*ret))
		return false;
	memcpy(ret, data, sizeof(*ret));
	return !memcmp(ret->e_ident, ELFMAG, SELFMAG) && ret->e_ident[EI_CLASS] == ELFCLASS64 &&
	       ret->e_ident[EI_DATA] == ELFDATA2LSB && ret->e_machine == EM_X86_64;
}

bool elf_is_x86_64(const uint8_t *data, size_t size)
{
	Elf64_Ehdr header;

	return read_header(data, size, &header);
}

static bool read_section(const uint8_t *data, size_t size, const Elf64_Ehdr *header, size_t index,
			 Elf64_Shdr *ret)
{
	uint64_t offset = header->e_shoff + index * sizeof(*ret);

	if (header->e_shentsize != sizeof(*ret) || header->e_shoff > size ||
	    !inside(offset, sizeof(*ret), size))
		return false;
	memcpy(ret, data + offset, sizeof(*ret));
	return true;
}

bool elf_section(const uint8_t *data, size_t size, const char *name, const uint8_t **ret,
		 size_t *ret_size)
{
	size_t length = strlen(name) + 1;
	Elf64_Shdr names, section;
	Elf64_Ehdr header;

	if (!read_header(data, size, &header) ||
	    !read_section(data, size, &header, header.e_shstrndx, &names) ||
	    !inside(names.sh_offset, names.sh_size, size))
		return false;
	for (size_t i = 0; i < header.e_shnum; i++) {
		if (!read_section(data, size, &header, i, &section))
			return false;
		if (!inside(section.sh_name, length, (size_t)names.sh_size) ||
		    memcmp(data + names.sh_offset + section.sh_name, name, length))
			continue;
		if (section.sh_type == SHT_NOBITS ||
		    !inside(section.sh_offset, section.sh_size, size))
			return false;
		*ret = data + section.sh_offset;
		*ret_size = (size_t)section.sh_size;
		return true;
	}
	return false;
}

/* Padded to 4 bytes, as the kernel's notes are. */
static uint64_t padded(uint32_t bytes)
{
	return ((uint64_t)bytes + 3) & ~3ull;
}

static bool has_pvh(const uint8_t *notes, size_t size)
{
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t whole;

		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		whole = padded(note.n_namesz) + padded(note.n_descsz);
		if (whole > size - at)
			return false;
		if (note.n_type == NOTE_PVH && note.n_namesz == 4 && note.n_descsz >= 4 &&
		    !memcmp(notes + at, "Xen", 4))
			return true;
		at += whole;
	}
	return false;
}

bool elf_has_pvh_note(const uint8_t *data, size_t size)
{
	Elf64_Ehdr header;

	if (!read_header(data, size, &header) || header.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	for (size_t i = 0; i < header.e_phnum; i++) {
		uint64_t offset = header.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr part;

		if (header.e_phoff > size || !inside(offset, sizeof(part), size))
			return false;
		memcpy(&part, data + offset, sizeof(part));
		if (part.p_type == PT_NOTE && inside(part.p_offset, part.p_filesz, size) &&
		    has_pvh(data + part.p_offset, (size_t)part.p_filesz))
			return true;
	}
	return false;
}
