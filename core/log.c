/* The terminal: see log.h. */
#include "core/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/str.h"

#define REDRAW_MS 100

static enum log_level level = LOG_NORMAL;

void log_set_level(enum log_level new_level)
{
	level = new_level;
}

static void print(const char *kind, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL, *shown = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	shown = str_printable(text ? text : "out of memory");
	fprintf(stderr, "duet: %s%s\n", kind, shown);
}

void log_note(const char *fmt, ...)
{
	va_list args;

	if (level == LOG_QUIET)
		return;
	va_start(args, fmt);
	print("note: ", fmt, args);
	va_end(args);
}

void log_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print("warning: ", fmt, args);
	va_end(args);
}

void log_debug(const char *fmt, ...)
{
	va_list args;

	if (level != LOG_VERBOSE)
		return;
	va_start(args, fmt);
	print("", fmt, args);
	va_end(args);
}

void log_err(const struct err *err)
{
	_cleanup_free_ char *place = str_printable(err->place ? err->place : "duet");
	_cleanup_free_ char *msg = str_printable(err->msg ? err->msg : "unknown error");
	_cleanup_free_ char *mend = str_printable(err->mend ? err->mend : "");

	fprintf(stderr, "%s: error[%s]: %s\n", place, err_class(err->code), msg);
	if (err->mend)
		fprintf(stderr, "%s\n", mend);
}

static bool on_terminal(void)
{
	static int known = -1;

	if (known < 0)
		known = isatty(STDERR_FILENO) == 1;
	return known == 1;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void log_progress(const char *what, uint64_t done, uint64_t total)
{
	_cleanup_free_ char *shown = NULL;
	static uint64_t drawn_ms;

	if (level == LOG_QUIET || !on_terminal() || now_ms() - drawn_ms < REDRAW_MS)
		return;
	drawn_ms = now_ms();
	shown = str_printable(what);
	if (total)
		fprintf(stderr, "\r\033[K%s  %.1f of %.1f MB", shown, (double)done / 1e6,
			(double)total / 1e6);
	else
		fprintf(stderr, "\r\033[K%s  %.1f MB", shown, (double)done / 1e6);
	fflush(stderr);
}

void log_progress_end(const char *what)
{
	_cleanup_free_ char *shown = str_printable(what);

	if (level == LOG_QUIET)
		return;
	if (on_terminal())
		fprintf(stderr, "\r\033[K");
	fprintf(stderr, "%s\n", shown);
}
