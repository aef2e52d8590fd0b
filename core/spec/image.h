/* Between image.c and step.c: images of a spec that take from each other. */
#ifndef DUET_CORE_SPEC_IMAGE_H
#define DUET_CORE_SPEC_IMAGE_H

#include "core/spec/values.h"

struct image_reader {
	struct spec_reader *r;		/* borrowed */
	struct spec *spec;		/* borrowed; its stages grow */
	const struct yaml_node *images;	/* borrowed; NULL: there are none */
	unsigned char *states;		/* of each entry: enum image_state */
};

/* The image that `name` names, read now if it was not yet: its index in spec->stages. */
int image_reader_find(struct image_reader *reader, const struct yaml_node *name, size_t *ret);
int image_read_steps(struct image_reader *reader, const struct yaml_node *list,
		     struct image_spec *ret);
void step_done(struct step *step);

#endif
