/* What the fuzz targets share: see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/str.h"

void fuzz_broken(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

unsigned int fuzz_byte(struct fuzz_input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

unsigned int fuzz_short(struct fuzz_input *input)
{
	unsigned int low = fuzz_byte(input);

	return low | fuzz_byte(input) << 8;
}

struct fuzz_input fuzz_part(struct fuzz_input *input, size_t size)
{
	struct fuzz_input part = { input->at, size < input->left ? size : input->left };

	if (part.left > 0)
		input->at += part.left;
	input->left -= part.left;
	return part;
}

char *fuzz_word(struct fuzz_input *input)
{
	size_t length = input->left ? strnlen((const char *)input->at, input->left) : 0;
	struct fuzz_input part = fuzz_part(input, length);

	(void)fuzz_byte(input);
	return part.left ? xstrndup((const char *)part.at, part.left) : xstrdup("");
}

char *fuzz_rest(struct fuzz_input *input)
{
	char *text = fuzz_word(input);

	input->left = 0;
	return text;
}

void fuzz_check_shown(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (!text)
		return;
	FUZZ_CHECK(str_is_utf8(text, strlen(text)));
	for (; *at; at++) {
		FUZZ_CHECK(*at >= 0x20 && *at != 0x7f);
		/* C1: U+0080 to U+009F */
		FUZZ_CHECK(at[0] != 0xc2 || at[1] > 0x9f);
		/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069, U+061C turn text around */
		FUZZ_CHECK(at[0] != 0xe2 || at[1] != 0x80 || at[2] < 0x8e ||
			   (at[2] > 0x8f && at[2] < 0xaa) || at[2] > 0xae);
		FUZZ_CHECK(at[0] != 0xe2 || at[1] != 0x81 || at[2] < 0xa6 || at[2] > 0xa9);
		FUZZ_CHECK(at[0] != 0xd8 || at[1] != 0x9c);
	}
}

void fuzz_check_err(struct err *err, int result)
{
	FUZZ_CHECK((result < 0) == (err->code != 0));
	FUZZ_CHECK(err->code == 0 || (err->msg && *err->msg && *err_class(err->code)));
	fuzz_check_shown(err->msg);
	fuzz_check_shown(err->place);
	fuzz_check_shown(err->mend);
	err_done(err);
	*err = (struct err){ 0 };
}

int fuzz_file(unsigned int number, const void *data, size_t size)
{
	static int files[FUZZ_FILES];
	struct rlimit limit;

	FUZZ_CHECK(number < FUZZ_FILES);
	if (files[number] == 0) {
		getrlimit(RLIMIT_FSIZE, &limit);
		limit.rlim_cur = FUZZ_FILE_MAX;
		setrlimit(RLIMIT_FSIZE, &limit);
		signal(SIGXFSZ, SIG_IGN);
		files[number] = memfd_create("fuzz", MFD_CLOEXEC);
	}
	FUZZ_CHECK(files[number] > 0 && ftruncate(files[number], 0) == 0);
	FUZZ_CHECK(lseek(files[number], 0, SEEK_SET) == 0);
	if (size > 0)
		FUZZ_CHECK(pwrite(files[number], data, size, 0) == (ssize_t)size);
	return files[number];
}
