/* --explain: what both runners say alike. */
#ifndef DUET_RUNNERS_EXPLAIN_H
#define DUET_RUNNERS_EXPLAIN_H

#include "core/job.h"
#include "core/str.h"

/* User, working folder, host name, capabilities. */
void explain_job(const struct job *job, struct str *out);
/* The mounts and the command. */
void explain_inside(const struct job *job, bool single_uid, struct str *out);

#endif
