/* Places: see place.h. */
#include "core/place.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/mem.h"

int place_fail(struct err *err, const char *file, struct place place, int code, const char *fmt,
	       ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	err_set(err, code, "%s", text);
	if (place.line > 0)
		err_place(err, file, place.line, place.column);
	return -1;
}
