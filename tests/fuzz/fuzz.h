/*
 * Fuzz targets: one file each, with one LLVMFuzzerTestOneInput over the parsers of one kind of input.
 *
 *	make fuzz		builds them with clang's libFuzzer, ASan and UBSan (in build/fuzz)
 *	make soak		runs each for FUZZ_SECONDS
 *	make check		feeds the files of corpus/TARGET to the same code, with main.c around it
 *
 * A target finds more than crashes: what must hold of every result is asked for with FUZZ_CHECK. No
 * target forks, sleeps, speaks to a network, or writes anywhere but into memory, so that an input that
 * failed once fails again.
 */
#ifndef DUET_TESTS_FUZZ_H
#define DUET_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what) ((what) ? (void)0 : fuzz_broken(#what, __FILE__, __LINE__))
/* Says what did not hold, and aborts. */
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* What is left of an input. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* The next byte, or the next two; 0 when nothing is left. */
unsigned int fuzz_byte(struct fuzz_input *input);
unsigned int fuzz_short(struct fuzz_input *input);
/* At most `size` of the next bytes; what they are, borrowed. */
struct fuzz_input fuzz_part(struct fuzz_input *input, size_t size);
/* The text up to the next NUL, which is passed over. Owned. */
char *fuzz_word(struct fuzz_input *input);
/* All that is left as a text; a NUL in it ends it. Owned. */
char *fuzz_rest(struct fuzz_input *input);

/* May a terminal be shown this? Text without control characters in UTF-8; NULL will do. */
void fuzz_check_shown(const char *text);
/* An error as `cmd/main.c` would print it: code and text belong together. Releases it. */
void fuzz_check_err(struct err *err, int result);

/*
 * A file in memory with these bytes; there are FUZZ_FILES of them, each emptied when it is asked for
 * again. No file may have more than FUZZ_FILE_MAX bytes: writing fails with EFBIG.
 */
#define FUZZ_FILES 8
#define FUZZ_FILE_MAX (32u << 20)
int fuzz_file(unsigned int number, const void *data, size_t size);

#endif
