/* KVM or TCG: see accel.c. */
#ifndef DUET_RUNNERS_VM_ACCEL_H
#define DUET_RUNNERS_VM_ACCEL_H

#include <stdbool.h>

#include "core/err.h"

struct vm;

/*
 * Decides by the job and the host; says so where nobody asked for TCG (once since the host booted,
 * always with -v). ERR_HOST for `accel: kvm` without one.
 */
int accel_choose(struct vm *vm, struct err *err);
/* Remembers whether KVM ran a guest. */
void accel_remember(struct vm *vm, bool works);
/*
 * Why there can be no KVM here, as a clause, or NULL when there may be one. Static texts; *ret_mend
 * is NULL where nothing can be done on this machine.
 */
const char *accel_why_not(const char **ret_mend);

#endif
