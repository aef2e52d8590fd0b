/*
 * Errors: made once at the cause, wrapped on the way up, printed once by cmd/main.c.
 *
 * A function that can fail returns 0 or -1 and takes a `struct err *` as its last parameter.
 * Messages are lower-case verb phrases with the object in them ("write etc/passwd"); the text of
 * errno comes last. `err_wrap` puts what was being attempted in front of what is there already:
 *
 *	duet: error[store.write]: build web: layer sha256:ab12: write etc/passwd: No space left on device
 *	make room, or name another store with --store DIR
 */
#ifndef DUET_CORE_ERR_H
#define DUET_CORE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* Domain codes begin above every errno; err_class() names each for the message. */
enum err_code {
	ERR_USAGE = 1025,	/* usage: the command line */
	ERR_SPEC_SYNTAX,	/* spec.syntax: not YAML, or YAML that duet refuses */
	ERR_SPEC_UNKNOWN_KEY,	/* spec.unknown-key */
	ERR_SPEC_TYPE,		/* spec.type: another kind of node was expected */
	ERR_SPEC_VALUE,		/* spec.value: right kind, wrong value */
	ERR_SPEC_LIMIT,		/* spec.limit: too deep, too large, too many */
	ERR_SPEC_MISSING,	/* spec.missing: a required key, file or variable */
	ERR_FETCH,		/* fetch.failed: the network or the server */
	ERR_FETCH_DIGEST,	/* fetch.digest: other bytes than were asked for */
	ERR_LAYER,		/* layer.refused: a hostile or broken archive */
	ERR_LAYER_LIMIT,	/* layer.limit: a bound on archives was met */
	ERR_STORE,		/* store.failed */
	ERR_STORE_BUSY,		/* store.busy: somebody else holds the lock */
	ERR_WORKER,		/* worker.failed: the worker died or spoke nonsense */
	ERR_HOST,		/* host.missing: this machine lacks something */
	ERR_CONTAINER,		/* container.start */
	ERR_AGENT,		/* agent.protocol */
	ERR_JOB_NOT_FOUND,	/* job.not-found: exit code 127 */
	ERR_JOB_NOT_EXEC,	/* job.not-executable: exit code 126 */
	ERR_JOB_TIMEOUT,	/* job.timeout: exit code 124 */
	ERR_JOB_USER,		/* job.user: no such user or group in the image */
	ERR_JOB_START,		/* job.start: duet-init could not make what the job needs */
	ERR_VM,			/* vm.start: the guest or its QEMU did not come up */
	ERR_SIGNATURE,		/* fetch.signature: not signed by whom it should be, or out of date */
	ERR_KERNEL,		/* kernel.refused: a package, image or module that cannot be read */
	ERR_KERNEL_UNFIT,	/* kernel.unfit: it lacks what a VM here needs */
	ERR_KERNEL_NONE,	/* kernel.none: there is no kernel there */
	ERR_DEBIAN,		/* debian.failed: mmdebstrap could not make the root */
	ERR_ALLOW,		/* allow.missing: the spec reaches outside its project */
	ERR_OCI,		/* oci.refused: a manifest, index or config that cannot be believed */
	ERR_OCI_PLATFORM,	/* oci.platform: the image is not there for this platform */
	ERR_AUTH,		/* auth.refused: the registry wants another login, or a broken store of them */
	ERR_LAYER_LOWER,	/* layer.lower: it needs the layers below; never shown */
	ERR_LOCK,		/* lock.differs: duet.lock says something else, or lacks an input */
	ERR_RUN,		/* run.failed: a command of a step ended with another code than 0 */
	ERR_REPRODUCIBLE,	/* build.differs: two builds gave different results */
	ERR_WORKER_MEMORY,	/* worker.memory: the worker met the limit of its memory */
	ERR_CODE_END
};

struct err {
	int code;	/* 0: none; -errno; or an enum err_code */
	char *place;	/* owned; "duet.yaml:7:3", or NULL */
	char *msg;	/* owned; never NULL when code is not 0 */
	char *mend;	/* owned; one line: what to do; or NULL */
};

/* Each of these returns -1, so that a failure reads `return err_set(...)`. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As err_set with -errnum as the code, and ": strerror(errnum)" behind the text. */
int err_sys(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* err_sys for a domain code: the class is `code`, strerror(errnum) ends the text. */
int err_sys_as(struct err *err, int code, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts "TEXT: " in front of the message. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the mend (replaces one that is there). Returns -1 as well. */
int err_mend(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the place "FILE:LINE:COLUMN"; line and column count from 1. */
int err_place(struct err *err, const char *file, unsigned int line, unsigned int column);

/* The bracketed class of a code: "spec.unknown-key"; for -errno codes "host.system". */
const char *err_class(int code);
/* Moves *from into *to (which is released first); *from becomes empty. */
void err_move(struct err *to, struct err *from);
void err_done(struct err *err);

#endif
