/* QEMU's control socket (QMP): commands sent, answers awaited. The other side is not trusted. */
#ifndef DUET_RUNNERS_VM_QMP_H
#define DUET_RUNNERS_VM_QMP_H

#include "core/err.h"
#include "core/str.h"

struct qmp {
	int fd;			/* borrowed; non-blocking */
	struct str in;		/* what came and is not taken yet */
};

void qmp_done(struct qmp *qmp);
/*
 * Sends a command (JSON, one line) with a descriptor (-1: none) and waits for its answer, events
 * passed over. *ret_answer: the line, owned; may be NULL. ERR_VM with QEMU's own words.
 */
int qmp_run(struct qmp *qmp, const char *command, int fd, char **ret_answer, struct err *err);

#endif
