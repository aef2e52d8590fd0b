/*
 * Builders: each kind of source and step. A builder says what its input is and makes the step's
 * blob; builders/builders.c walks a plan, unpacks what is missing and gives the rootfs.
 */
#ifndef DUET_BUILDERS_BUILDER_H
#define DUET_BUILDERS_BUILDER_H

#include <stdbool.h>

#include "core/err.h"
#include "core/plan.h"
#include "core/rootfs.h"
#include "core/store.h"

struct build {
	struct store *store;		/* borrowed */
	const struct spec *spec;	/* borrowed */
	const struct plan *plan;	/* borrowed */
	unsigned int forms;		/* ROOTFS_TREES, ROOTFS_DISKS: what the runner wants */
};

/* A step's blob, open for unpacking. */
struct build_blob {
	int fd;			/* owned; O_RDONLY */
	uint64_t bytes;		/* 0: unknown */
	bool has_expected;	/* not verified yet: unpacking must give this digest */
	struct digest expected;
	bool in_store;		/* the store keeps it */
	bool allow_xz;
};

struct builder {
	const char *name;	/* the key in the spec: "archive", "copy" */
	/* The digest of the step's input, needed before there can be a plan. */
	int (*resolve)(struct store *store, const struct source *source, const struct step *step,
		       struct digest *ret, struct err *err);
	/* Makes or finds the step's blob. */
	int (*open)(struct build *build, const struct plan_step *step, struct build_blob *ret,
		    struct err *err);
};

extern const struct builder archive_builder, directory_builder, debian_builder, copy_builder;

/* Looks up the inputs of a spec and makes the plan. */
int builders_plan(struct store *store, const struct spec *spec, struct plan *ret, struct err *err);
/*
 * Builds what is missing and writes the image's reference; the rootfs has every layer open and in
 * use, in the forms asked for, and with ROOTFS_DISKS a kernel. When it returns 0, all is durable.
 */
int builders_build(struct build *build, struct rootfs *ret, struct err *err);

/*
 * kernel.c: finds or makes the kernel that the spec asks for and opens it as rootfs->kernel. The
 * disks are there already: with KERNEL_AUTO the image's own is looked for in them first.
 */
int builder_kernel(struct build *build, struct rootfs *rootfs, struct err *err);

/*
 * What `duet doctor` says of Debian's kernel: true when a VM can have it. *ret_text is owned;
 * *ret_mend static, or NULL.
 */
bool builder_kernel_look(struct store *store, char **ret_text, const char **ret_mend);

/* pack.c: runs a pack request whose result becomes a blob of the store, and opens that. */
struct worker_request;
int builder_pack(struct store *store, struct worker_request *request, int input, const char *what,
		 struct build_blob *ret, struct err *err);

#endif
