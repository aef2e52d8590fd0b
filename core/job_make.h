/* From a spec, an image and a command line to a job: what both runners start alike. */
#ifndef DUET_CORE_JOB_MAKE_H
#define DUET_CORE_JOB_MAKE_H

#include <stdbool.h>

#include "core/err.h"
#include "core/job.h"
#include "core/rootfs.h"
#include "core/spec.h"

/*
 * The image's process defaults, the target's values over them, and `command` (NULL: none given) in
 * the place of the target's or image's command; an entrypoint stays in front. The environment starts
 * empty: PATH and HOME have defaults, nothing comes from the caller but TERM with a terminal.
 * Errors: ERR_USAGE when nobody says what to run, ERR_JOB_USER.
 */
int job_make(struct job *ret, const struct spec *spec, const struct rootfs *rootfs,
	     const struct strv *command, bool tty, struct err *err);

/*
 * The job of a build's step: argv in the layers below, `process`: its environment, user and workdir,
 * complete. No mounts and secrets yet.
 */
int job_make_step(struct job *ret, const struct strv *argv, const struct process *process,
		  enum network_kind network, const struct rootfs *below, struct err *err);

#endif
