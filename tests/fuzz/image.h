/* For the targets that read EROFS images: a walk over everything in one. */
#ifndef DUET_TESTS_FUZZ_IMAGE_H
#define DUET_TESTS_FUZZ_IMAGE_H

#include <stdbool.h>

#include "core/erofs.h"
#include "core/mem.h"

/*
 * Reads every entry that can be reached, its attributes and the two ends of its content, up to bounds
 * of its own; each name that a folder lists must be found in it again. `sound`: nothing may fail.
 * `ret_paths` gets some of the paths; may be NULL. Returns how many entries there are.
 */
size_t image_walk(struct erofs *erofs, bool sound, struct strv *ret_paths);
/* Opens it for that; NULL when it is none (which must not be when it is `sound`). */
struct erofs *image_open(int fd, bool sound);

#endif
