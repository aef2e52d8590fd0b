/* The terminal: only cmd/ and this file write to it. Everything human goes to standard error. */
#ifndef DUET_CORE_LOG_H
#define DUET_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

void log_set_level(enum log_level level);
/* -q: is nothing printed but errors? */
bool log_is_quiet(void);
/* What a person should know though nothing failed: "duet: note: ...". Not printed with -q. */
void log_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* With -v only. */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The one place where an error is printed: place or "duet", class, message, mend. */
void log_err(const struct err *err);
/* A text for standard output as it is, but for what would move a terminal. */
void log_text(const char *text);

/*
 * Progress of one long piece of work: a line redrawn at most ten times a second on a terminal, one
 * line when it is finished elsewhere. `total` is 0 when unknown. Bytes.
 */
void log_progress(const char *what, uint64_t done, uint64_t total);
void log_progress_end(const char *what);
/* Takes such a line away, so that what others print begins at a line's start. */
void log_progress_clear(void);

/*
 * From here on this process is one of several that build at the same time: it draws no progress, and
 * its lines begin with `name` (borrowed).
 */
void log_set_part(const char *name);

#endif
