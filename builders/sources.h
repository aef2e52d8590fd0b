/* What steps copy: the sources of a step, opened, as a worker takes them. */
#ifndef DUET_BUILDERS_SOURCES_H
#define DUET_BUILDERS_SOURCES_H

#include "core/digest.h"
#include "core/select.h"
#include "core/spec.h"

/*
 * Opens a copy's sources on the host, as core/host_path.h has it; what a pattern matches is found through no
 * link at all.
 */
int sources_of_host(struct selection *ret, const struct spec *spec, const struct step *step,
		    struct err *err);
/* A folder as it is, for `from: {directory: ...}`. */
int sources_of_folder(struct selection *ret, const struct spec *spec, const char *path,
		      struct err *err);
/* Out of an image with these trees (borrowed for as long as *ret is). */
int sources_of_image(struct selection *ret, const struct step *step, const int *trees, size_t count,
		     struct err *err);
/*
 * Stands for all that stat tells of what is selected: the same state, the same content. *ret_at_rest:
 * nothing was changed within the last 2 s, when two changes can look alike.
 */
int sources_state(const struct selection *selection, struct digest *ret, bool *ret_at_rest,
		  struct err *err);
/* The selection's text as a file in memory; -1. */
int sources_text(const struct selection *selection, struct err *err);

#endif
