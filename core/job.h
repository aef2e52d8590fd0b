/*
 * A job: what runs inside an instance, the same for both runners. Made from a spec's target, the
 * image's process defaults and the command line (core/job.c); nothing in it names a runner.
 */
#ifndef DUET_CORE_JOB_H
#define DUET_CORE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/place.h"

#define JOB_GROUPS_MAX 64	/* supplementary groups */
#define JOB_MOUNTS_MAX 64

/* The process defaults of an image: OCI image-spec, config.md, object `config`. */
struct process {
	struct strv entrypoint;
	struct strv command;
	struct strv environment;	/* NAME=VALUE, in order */
	struct strv labels;		/* NAME=VALUE */
	struct strv volumes;		/* absolute paths that stay writable in a read-only root */
	struct strv exposed;		/* "8080/tcp"; for people: nothing is published by it */
	char *user;			/* "USER[:GROUP]", names or numbers; NULL: root */
	char *workdir;			/* absolute; NULL: "/" */
	char *stop_signal;		/* "SIGQUIT", as the image has it; NULL: SIGTERM */
};

/* Who a process is inside: resolved against the image's /etc/passwd and /etc/group. */
struct identity {
	uint32_t uid;
	uint32_t gid;
	uint32_t groups[JOB_GROUPS_MAX];
	uint32_t group_count;
	char *home;		/* owned; "/" when unknown */
	char *name;		/* owned; login name, or NULL */
};

struct rootfs;

enum mount_kind {
	MOUNT_BIND, MOUNT_TMPFS,
	MOUNT_FOLDER,	/* a folder of the store, whose owners went through its id map */
	MOUNT_IMAGE,	/* what another image has at `source` */
};
enum network_kind { NETWORK_NONE, NETWORK_NAT, NETWORK_HOST };
/* Where what the job writes to its root is kept until it ends. */
enum writes_kind { WRITES_MEMORY, WRITES_DISK };
enum seccomp_kind { SECCOMP_DEFAULT, SECCOMP_UNCONFINED };

struct mount {
	enum mount_kind kind;
	/* owned; absolute path: on the host, MOUNT_IMAGE: in the image; a name for MOUNT_FOLDER */
	char *source;
	/*
	 * MOUNT_FOLDER, MOUNT_BIND: what is mounted, whatever its name leads to by now; borrowed; O_PATH.
	 * -1: a bind mount's source that nobody has checked yet (core/outside.h, outside_open_mounts)
	 */
	int fd;
	const struct rootfs *image;	/* MOUNT_IMAGE: borrowed; has trees */
	char *target;		/* owned; absolute path inside */
	bool read_only;
	uint64_t size_bytes;	/* of a tmpfs; 0: the kernel's default */
	uint32_t mode;		/* of a tmpfs; 01777 unless said */
	struct place place;	/* in the spec */
};

enum accel_kind { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };

/* The machine of a VM. */
struct job_vm {
	uint64_t memory_bytes;
	uint32_t cpus;
	enum accel_kind accel;
	uint64_t root_bytes;	/* of a scratch disk for what the job writes; 0: in memory */
	bool snapshot;		/* start from a saved state where there is one, and make one */
};

/* A file that a job finds as /run/secrets/NAME, readable for its user alone, in memory. */
struct job_secret {
	char *name;		/* owned; one component */
	char *value;		/* owned; wiped before it is freed */
	size_t size;		/* bytes */
};

struct job {
	struct strv argv;		/* entrypoint and command, joined; never empty */
	struct strv environment;	/* complete: nothing of the host's environment is added later */
	struct identity identity;
	char *workdir;			/* absolute; made inside when it is missing */
	char *hostname;
	char machine_id[33];		/* machine-id(5), another for each run; "": none */
	uint32_t umask;			/* 0022 */
	bool tty;
	bool no_stdin;			/* it gets /dev/null, not the caller's standard input */
	bool read_only;			/* the root file system */
	enum network_kind network;
	struct mount *mounts;		/* owned array, in the order in which they are made */
	size_t mount_count;
	uint64_t timeout_ms;		/* 0: none */
	uint64_t capabilities;		/* bit N: CAP_N, what the job may have at most (bounding set) */
	/*
	 * A step of a build, container only: it may gain rights by exec (sudo, su) within its
	 * capabilities, leaves no core dump, and nothing that is made for it is in what it writes.
	 */
	bool step;
	bool one_output;	/* its standard error goes where its standard output goes */
	bool mute;		/* what it prints goes nowhere; who asks for it is handed it all the same */
	struct job_secret *secrets;	/* owned */
	size_t secret_count;
	enum seccomp_kind seccomp;	/* container only */
	enum writes_kind writes;	/* container only */
	struct job_vm vm;		/* vm only */
};

void process_done(struct process *process);
void process_copy(struct process *to, const struct process *from);
/*
 * `over` on top of `base`, as Dockerfile and compose users expect: environment by name; user and
 * workdir when set; a new entrypoint drops the image's command; labels by name; volumes and ports
 * are added.
 */
void process_overlay(struct process *base, const struct process *over);

/*
 * Whether it can write to files of the host: then no file may get set-id bits inside. A job with SYS_ADMIN
 * can make a read-only mount writable.
 */
bool job_writes_to_host(const struct job *job);

void identity_done(struct identity *identity);
void mount_done(struct mount *mount);
void job_done(struct job *job);

#endif
