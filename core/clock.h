/* The one clock that waits and progress are measured with. */
#ifndef DUET_CORE_CLOCK_H
#define DUET_CORE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC: since some point in the past, never back. */
int64_t clock_ms(void);

#endif
