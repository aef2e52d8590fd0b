/* Errors: see err.h. */
#include "core/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static const char *const classes[ERR_CODE_END - ERR_USAGE] = {
	[ERR_USAGE - ERR_USAGE] = "usage",
	[ERR_SPEC_SYNTAX - ERR_USAGE] = "spec.syntax",
	[ERR_SPEC_UNKNOWN_KEY - ERR_USAGE] = "spec.unknown-key",
	[ERR_SPEC_TYPE - ERR_USAGE] = "spec.type",
	[ERR_SPEC_VALUE - ERR_USAGE] = "spec.value",
	[ERR_SPEC_LIMIT - ERR_USAGE] = "spec.limit",
	[ERR_SPEC_MISSING - ERR_USAGE] = "spec.missing",
	[ERR_FETCH - ERR_USAGE] = "fetch.failed",
	[ERR_FETCH_DIGEST - ERR_USAGE] = "fetch.digest",
	[ERR_LAYER - ERR_USAGE] = "layer.refused",
	[ERR_LAYER_LIMIT - ERR_USAGE] = "layer.limit",
	[ERR_STORE - ERR_USAGE] = "store.failed",
	[ERR_STORE_BUSY - ERR_USAGE] = "store.busy",
	[ERR_WORKER - ERR_USAGE] = "worker.failed",
	[ERR_HOST - ERR_USAGE] = "host.missing",
	[ERR_CONTAINER - ERR_USAGE] = "container.start",
	[ERR_AGENT - ERR_USAGE] = "agent.protocol",
	[ERR_JOB_NOT_FOUND - ERR_USAGE] = "job.not-found",
	[ERR_JOB_NOT_EXEC - ERR_USAGE] = "job.not-executable",
	[ERR_JOB_TIMEOUT - ERR_USAGE] = "job.timeout",
	[ERR_JOB_USER - ERR_USAGE] = "job.user",
	[ERR_JOB_START - ERR_USAGE] = "job.start",
	[ERR_VM - ERR_USAGE] = "vm.start",
	[ERR_ALLOW - ERR_USAGE] = "allow.missing",
	[ERR_DEBIAN - ERR_USAGE] = "debian.failed",
	[ERR_OCI - ERR_USAGE] = "oci.refused",
	[ERR_OCI_PLATFORM - ERR_USAGE] = "oci.platform",
	[ERR_AUTH - ERR_USAGE] = "auth.refused",
	[ERR_LAYER_LOWER - ERR_USAGE] = "layer.lower",
	[ERR_LOCK - ERR_USAGE] = "lock.differs",
	[ERR_RUN - ERR_USAGE] = "run.failed",
	[ERR_REPRODUCIBLE - ERR_USAGE] = "build.differs",
	[ERR_SIGNATURE - ERR_USAGE] = "fetch.signature",
	[ERR_KERNEL - ERR_USAGE] = "kernel.refused",
	[ERR_KERNEL_UNFIT - ERR_USAGE] = "kernel.unfit",
	[ERR_KERNEL_NONE - ERR_USAGE] = "kernel.none",
	[ERR_WORKER_MEMORY - ERR_USAGE] = "worker.memory",
};

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list args;

	err_done(err);
	err->code = code;
	va_start(args, fmt);
	err->msg = xvasprintf(fmt, args);
	va_end(args);
	return -1;
}

static int set_with_errno(struct err *err, int code, int errnum, const char *fmt, va_list args)
{
	_cleanup_free_ char *text = xvasprintf(fmt, args);

	err_done(err);
	err->code = code;
	err->msg = xasprintf("%s: %s", text, strerror(errnum));
	return -1;
}

int err_sys(struct err *err, int errnum, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_with_errno(err, -errnum, errnum, fmt, args);
	va_end(args);
	return -1;
}

int err_sys_as(struct err *err, int code, int errnum, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_with_errno(err, code, errnum, fmt, args);
	va_end(args);
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	char *msg;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	msg = xasprintf("%s: %s", text, err->msg ? err->msg : "unknown error");
	free(err->msg);
	err->msg = msg;
	if (err->code == 0)
		err->code = -EIO;
	return -1;
}

int err_mend(struct err *err, const char *fmt, ...)
{
	va_list args;

	free(err->mend);
	va_start(args, fmt);
	err->mend = xvasprintf(fmt, args);
	va_end(args);
	return -1;
}

int err_place(struct err *err, const char *file, unsigned int line, unsigned int column)
{
	free(err->place);
	err->place = xasprintf("%s:%u:%u", file, line, column);
	return -1;
}

const char *err_class(int code)
{
	if (code >= ERR_USAGE && code < ERR_CODE_END)
		return classes[code - ERR_USAGE];
	return "host.system";
}

void err_move(struct err *to, struct err *from)
{
	err_done(to);
	*to = *from;
	*from = (struct err){ 0 };
}

void err_done(struct err *err)
{
	free(err->place);
	free(err->msg);
	free(err->mend);
	*err = (struct err){ 0 };
}
