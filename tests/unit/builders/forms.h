/*
 * For the tests of layers: both forms of a layer as lists of their entries, with all that a layer
 * can say about each, so that they can be compared.
 */
#ifndef DUET_TESTS_FORMS_H
#define DUET_TESTS_FORMS_H

#include "builders/layer/layer.h"
#include "core/erofs.h"
#include "core/str.h"

/* One line for each entry, folders before what is in them, names in the order of their bytes. */
void forms_list_tree(int tree, struct str *out);
/* The same of an image: 0, or -1 with err. */
int forms_list_erofs(int image, struct str *out, struct err *err);
/* layer_unpack into an EROFS file in memory: its descriptor, or -1. */
int forms_erofs(const struct str *blob, const int *lower, size_t lower_count,
		struct layer_result *ret, struct err *err);
/* A tree as a layer's tar, its whiteouts and opaque marks under their names there. */
void forms_tar_of_tree(int tree, struct str *out);
/* All bytes of a file, owned. */
void forms_bytes(int fd, struct str *out);

#endif
