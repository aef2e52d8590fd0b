/*
 * Runners: each takes a rootfs and a job, runs it, and gives the exit status. cmd/ picks one from
 * the array in runners/runners.c.
 */
#ifndef DUET_RUNNERS_RUNNER_H
#define DUET_RUNNERS_RUNNER_H

#include <stdbool.h>

#include "core/err.h"
#include "core/job.h"
#include "core/rootfs.h"
#include "core/store.h"

struct runner {
	const char *name;	/* "container", "vm" */
	unsigned int forms;	/* ROOTFS_*: what it needs of a rootfs */
	/*
	 * Runs the job with the caller's standard streams; forwards signals; returns 0 and the exit
	 * code as a shell has it (128 + n for signal n, 124 for a time-out). ERR_JOB_* where the job
	 * could not be started. Nothing of the instance is left when it returns. Comes with the store's
	 * shared lock held and lets go of it once the job's folders have locks of their own.
	 */
	int (*run)(struct store *store, const struct rootfs *rootfs, const struct job *job,
		   int *ret_code, struct err *err);
	/* --explain: everything that run would do, as text; nothing is started. Owned. */
	int (*explain)(struct store *store, const struct rootfs *rootfs, const struct job *job,
		       char **ret_text, struct err *err);
};

extern const struct runner *const runners[];	/* ended by NULL */

const struct runner *runner_find(const char *name);

#endif
