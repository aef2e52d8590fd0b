/* For the tests of layers: a work folder and a tar that is put together, fresh for each case. */
#ifndef DUET_TESTS_LAYER_FIXTURE_H
#define DUET_TESTS_LAYER_FIXTURE_H

#include "builders/layer/layer.h"
#include "core/err.h"
#include "core/str.h"
#include "tests/unit/builders/tarmake.h"

extern struct work work;
extern struct str tar;
extern struct layer_result result;
/* a function of libc's has this name, too, and is not to become this */
extern struct err err __attribute__((visibility("hidden")));

void setup(void);
/* What is beside the tree is as it was, or the case fails. */
void teardown(void);
/* An entry of `tar`: type, name, and link or content. */
void put(char type, const char *name, const char *text);
/* A file of `size` bytes that are not all the same. */
void put_sized(const char *name, size_t size);
/* Such bytes, owned, with one more than `size`. */
char *pattern(size_t size);
/* Ends the tar; it is unpacked, and its forms are alike, or the case fails. `above`: what lies in work.lower. */
void unpacked(bool above);
/* A tar as an EROFS file in memory: its descriptor, which the caller closes. */
int image_of(const struct str *blob);
/* Ends the tar and does so. */
int image(void);

#endif
