/* What a run step's command gets besides the layers below. Only run.c includes this. */
#ifndef DUET_BUILDERS_RUN_INPUTS_H
#define DUET_BUILDERS_RUN_INPUTS_H

#include "builders/builder.h"

#define RUN_CACHES_MAX 32	/* as the spec's language has it */

/* What is open while the command runs. */
struct run_inputs {
	int data[RUN_CACHES_MAX];	/* owned */
	int locks[RUN_CACHES_MAX];	/* owned; let go of by closing */
	size_t caches;
};

/*
 * Is every secret there that `step` and those after it in its plan ask for? ERR_SPEC_MISSING with the
 * place of the first that is not, before anything is run.
 */
int run_inputs_check(const struct build *build, const struct plan_step *step, struct err *err);
/* Caches, folders of other images and secrets as mounts and files of the job. */
int run_inputs_open(struct build *build, const struct step *run, struct run_inputs *inputs,
		    struct job *job, struct err *err);
void run_inputs_done(struct run_inputs *inputs);

#endif
