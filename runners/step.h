/* Steps of a build: what cmd hands to the builders. */
#ifndef DUET_RUNNERS_STEP_H
#define DUET_RUNNERS_STEP_H

#include "core/err.h"
#include "core/job.h"
#include "core/rootfs.h"
#include "core/store.h"

/*
 * Runs a build's step on `below` (trees, in use); what it changed is in upper's folder "upper"
 * afterwards, and nothing of the step runs any more. `upper` is made by the caller (store_tmp_new).
 * What it prints goes to standard error. *ret_tail, owned: the last lines of it, escaped.
 */
int container_run_step(struct store *store, const struct rootfs *below, const struct job *job,
		       struct store_tmp *upper, char **ret_tail, int *ret_code, struct err *err);

/*
 * The same for a person who looks at what a failed step wrote: on `upper`, the folder (O_PATH) in which
 * that is kept, with the caller's streams, and a terminal where job->tty says so.
 */
int container_run_kept(struct store *store, const struct rootfs *below, const struct job *job,
		       int kept, int *ret_code, struct err *err);

#endif
