/* Capabilities: names, the default sets, dropping and reading back (capabilities(7)). */
#ifndef DUET_CORE_JAIL_CAPS_H
#define DUET_CORE_JAIL_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* What a job has as root: CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID. */
uint64_t caps_job_default(void);
/* What a build's step has as root: SETFCAP and SYS_CHROOT too, for package managers. */
uint64_t caps_step_default(void);
/* "CAP_NET_RAW", "NET_RAW", "net_raw"; false when there is no such capability. */
bool caps_parse(const char *name, uint64_t *ret_bit);
/* "CAP_..." of bit `number`, static text, or NULL past the last. */
const char *caps_name(unsigned int number);
/* The names of a mask, "CAP_CHOWN CAP_KILL". Owned. */
char *caps_text(uint64_t mask);
/* Whether the calling thread has all of `mask` in its effective set. */
bool caps_have(uint64_t mask);
/*
 * Sets bounding, permitted and effective to `mask`, inheritable and ambient to nothing,
 * and reads all of them back; a mismatch is an error. Needs CAP_SETPCAP in the caller's
 * user namespace when the bounding set has more than `mask`; what the caller does not
 * have cannot be given.
 */
int caps_limit(uint64_t mask, struct err *err);

#endif
