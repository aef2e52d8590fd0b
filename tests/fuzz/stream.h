/*
 * For the targets that read archives: builders/layer/stream.h from memory, in place of the threads that
 * read, inflate and hash in a worker.
 */
#ifndef DUET_TESTS_FUZZ_STREAM_H
#define DUET_TESTS_FUZZ_STREAM_H

#include "tests/fuzz/fuzz.h"

/* What every stream has from now on, borrowed, in pieces of so many bytes (not 0). */
void stream_set(struct fuzz_input input, size_t size);

#endif
