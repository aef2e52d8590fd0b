/* The terminal: see log.h. */
#include "core/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/str.h"

#define REDRAW_MS 100

static enum log_level level = LOG_NORMAL;
static const char *part;	/* of a build that goes on in several processes; or NULL */
static bool drawn;		/* a line of progress stands on the terminal */

void log_progress_clear(void)
{
	if (drawn)
		fprintf(stderr, "\r\033[K");
	drawn = false;
}

void log_set_level(enum log_level new_level)
{
	level = new_level;
}

bool log_is_quiet(void)
{
	return level == LOG_QUIET;
}

/*
 * Messages quote names that others made. Whoever quotes one escapes and cuts it; nothing that moves
 * a terminal passes here, whatever was forgotten.
 */
static void print(const char *kind, unsigned int flags, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = xvasprintf(fmt, args), *visible = str_visible(text, flags);

	log_progress_clear();
	fprintf(stderr, "duet: %s%s\n", kind, visible);
}

void log_note(const char *fmt, ...)
{
	va_list args;

	if (level == LOG_QUIET)
		return;
	va_start(args, fmt);
	print("note: ", 0, fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print("warning: ", 0, fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	if (level != LOG_VERBOSE)
		return;
	va_start(args, fmt);
	print("", STR_LINES, fmt, args);
	va_end(args);
}

void log_err(const struct err *err)
{
	_cleanup_free_ char *place = str_visible(err->place ? err->place : "duet", 0);
	/* the last lines of a command are lines, each escaped before */
	_cleanup_free_ char *msg = str_visible(err->msg ? err->msg : "unknown error",
					       err->code == ERR_RUN ? STR_LINES : 0);
	_cleanup_free_ char *mend = str_visible(err->mend ? err->mend : "", 0);

	log_progress_clear();
	fprintf(stderr, "%s: error[%s]: %s\n", place, err_class(err->code), msg);
	if (*mend)
		fprintf(stderr, "%s\n", mend);
}

void log_text(const char *text)
{
	_cleanup_free_ char *visible = str_visible(text, STR_LINES);

	log_progress_clear();
	fputs(visible, stdout);
}

void log_set_part(const char *name)
{
	part = name;
}

static bool on_terminal(void)
{
	static int known = -1;

	if (part)
		return false;
	if (known < 0)
		known = isatty(STDERR_FILENO) == 1;
	return known == 1;
}

void log_progress(const char *what, uint64_t done, uint64_t total)
{
	static uint64_t drawn_ms;
	_cleanup_free_ char *visible = NULL;

	if (level == LOG_QUIET || !on_terminal() || clock_ms() - drawn_ms < REDRAW_MS)
		return;
	drawn_ms = clock_ms();
	drawn = true;
	visible = str_visible(what, 0);
	if (total)
		fprintf(stderr, "\r\033[K%s  %.1f of %.1f MB", visible, (double)done / 1e6,
			(double)total / 1e6);
	else
		fprintf(stderr, "\r\033[K%s  %.1f MB", visible, (double)done / 1e6);
	fflush(stderr);
}

void log_progress_end(const char *what)
{
	_cleanup_free_ char *visible = str_visible(what, 0);

	if (level == LOG_QUIET)
		return;
	log_progress_clear();
	/* one write: lines of several processes stay whole */
	fprintf(stderr, "%s%s%s\n", part ? part : "", part ? ": " : "", visible);
}
