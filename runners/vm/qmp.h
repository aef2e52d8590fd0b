/* QEMU's control socket (QMP): commands sent, answers awaited. The other side is not trusted. */
#ifndef DUET_RUNNERS_VM_QMP_H
#define DUET_RUNNERS_VM_QMP_H

#include "core/err.h"
#include "core/str.h"

#define QMP_TIMEOUT_MS 30000	/* a loaded host; QEMU takes a millisecond */

struct qmp {
	int fd;			/* borrowed; non-blocking */
	struct str in;		/* what came and is not taken yet */
	int timeout_ms;		/* for a whole answer; 0: QMP_TIMEOUT_MS */
};

void qmp_done(struct qmp *qmp);
/*
 * Sends a command (JSON, one line) with a descriptor (-1: none) and waits for its answer, events
 * passed over. *ret_answer: the line, owned; may be NULL. ERR_VM with QEMU's own words.
 */
int qmp_run(struct qmp *qmp, const char *command, int fd, char **ret_answer, struct err *err);

#endif
