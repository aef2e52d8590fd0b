/*
 * Builders: each kind of source and step. A builder says what its input is and makes the step's
 * blob; builders/builders.c walks a plan, unpacks what is missing and gives the rootfs.
 */
#ifndef DUET_BUILDERS_BUILDER_H
#define DUET_BUILDERS_BUILDER_H

#include <stdbool.h>

#include "core/err.h"
#include "core/lock.h"
#include "core/plan.h"
#include "core/rootfs.h"
#include "core/store.h"

/* What is looked up before there can be a plan, and what with. */
struct resolve {
	struct store *store;		/* borrowed */
	const struct spec *spec;	/* borrowed */
	const struct image_spec *image;	/* borrowed; whose inputs these are */
	/* borrowed; digests that were found before, and are written again; NULL: none is kept */
	struct lock *lock;
	bool locked;		/* --locked: ERR_LOCK rather than another or a further entry */
	bool offline;		/* --frozen: ERR_LOCK rather than a question to the network */
	bool refresh;		/* what the store remembers of an answer does not count: ask again */
	bool looks_only;	/* a plan to look at: an input that may not be read stays unknown */
	/* copy.c's own: what a step before it copies too is looked through once. Owned by builders_plan */
	char *last_copied;
	struct digest last_digest;
};

/* An image of the spec that others take from, in one build. */
struct stage {
	struct rootfs *rootfs;	/* owned; NULL: not open yet */
	bool is_made;		/* by this build, in whichever process: no_cache is satisfied */
	bool has_chain;
	struct digest chain;	/* of its layers */
};

struct build {
	struct store *store;		/* borrowed */
	const struct spec *spec;	/* borrowed */
	const struct plans *plans;	/* borrowed */
	unsigned int forms;		/* ROOTFS_TREES, ROOTFS_DISKS: what the runner wants */
	const char *name;		/* borrowed; of the image's reference; NULL: the spec's name */
	bool wants_blobs;		/* a layer whose blob was lost is made again, though its forms are there */
	bool no_kernel;			/* with ROOTFS_DISKS too: the image alone is wanted */
	struct lock *lock;		/* borrowed; as in struct resolve */
	bool locked, offline, refresh;
	bool no_cache;			/* run steps are run again, whatever the store has */
	bool explain_cache;		/* says for each step why it is made, or found where */
	/*
	 * Runs a run step's command in a container on the layers below (their trees, in use); what it
	 * changes is in upper's folder "upper" afterwards, and *ret_tail (owned) has the last lines that
	 * it printed. cmd hands in the container runner's (runners/step.h).
	 */
	int (*run_step)(struct store *store, const struct rootfs *below, const struct job *job,
			struct store_tmp *upper, char **ret_tail, int *ret_code, struct err *err);
	/* the builders' own: what other images take from is built when it is needed */
	struct stage *stages;		/* owned; by index of spec->stages */
	bool is_started;		/* one of several processes, or they have been started */
};

/* A step's blob, open for unpacking. */
struct build_blob {
	int fd;			/* owned; O_RDONLY */
	uint64_t bytes;		/* 0: unknown */
	bool has_expected;	/* not verified yet: unpacking must give this digest */
	struct digest expected;
	bool in_store;		/* the store keeps it */
	bool allow_xz;
	int64_t time_s;		/* the date of what is in it, for steps above; 0: none */
	bool has_locked_key;	/* the layer's step is remembered under this key, too */
	struct digest locked_key;
};

struct stack;

struct builder {
	const char *name;	/* the key in the spec: "archive", "copy" */
	/*
	 * What must be known of the step's input before there can be a plan: its digest, or (of an OCI
	 * image) *ret_base. NULL: nothing.
	 */
	int (*resolve)(struct resolve *resolve, const struct source *source, const struct step *step,
		       struct digest *ret, struct plan_base *ret_base, struct err *err);
	/* Makes or finds the step's blob; `below` is what it goes on top of. */
	int (*open)(struct build *build, const struct plan_step *step, struct stack *below,
		    struct build_blob *ret, struct err *err);
	/* Does the lock say all of this input? NULL: what there is to lock is locked by `resolve`. */
	bool (*is_locked)(const struct lock *lock, const struct source *source,
			  const struct step *step);
	/* Gets what is to be locked of an input, without making its layer. NULL: the layer is made. */
	int (*fetch)(struct build *build, const struct plan_step *step, struct err *err);
	/*
	 * Asks the input's source whether it still is what the lock says: a line for each difference.
	 * NULL: `resolve` asks, into another lock.
	 */
	int (*check)(struct resolve *resolve, const struct source *source, const struct step *step,
		     struct strv *ret_drifts, struct err *err);
};

extern const struct builder archive_builder, directory_builder, debian_builder, oci_builder,
	copy_builder, run_builder;

/* The builder of a source or (where it is not NULL) a step; NULL: it needs none. */
const struct builder *builder_of(const struct source *source, const struct step *step);
/* Looks up the inputs of a spec and makes the plans of all its images. resolve->image is set here. */
int builders_plan(struct resolve *resolve, struct plans *ret, struct err *err);
/*
 * Builds what is missing and writes the image's reference; the rootfs has every layer open and in
 * use, in the forms asked for, and with ROOTFS_DISKS a kernel. When it returns 0, all is durable.
 */
int builders_build(struct build *build, struct rootfs *ret, struct err *err);
/*
 * Locks what builders_plan could not, building as little as that takes: what a Debian root is made of is
 * known when it is made.
 */
int builders_lock(struct build *build, struct err *err);
/* What another process found of the inputs of an image of the spec that it built goes into the lock. */
int builders_learn(struct build *build, size_t number, struct err *err);
/*
 * How the sources of a spec's inputs differ from resolve->lock, a line each; nothing is kept.
 * resolve->image is set here.
 */
int builders_check(struct resolve *resolve, struct strv *ret_drifts, struct err *err);
/* An image of the spec that others take from, as trees; built when it is asked for first. Borrowed. */
int builders_stage(struct build *build, size_t number, struct rootfs **ret, struct err *err);
/* The name of its reference. Owned. */
char *builder_stage_name(const struct build *build, size_t number);

/*
 * kernel.c: finds or makes the kernel that the spec asks for and opens it as rootfs->kernel. The
 * disks are there already: with KERNEL_AUTO the image's own is looked for in them first.
 */
int builder_kernel(struct build *build, struct rootfs *rootfs, struct err *err);
/* Locks Debian's kernel, which a VM of the spec may need; and looks whether it is still the newest. */
int builder_kernel_lock(struct build *build, struct err *err);
int builder_kernel_check(struct resolve *resolve, struct strv *ret_drifts, struct err *err);

/*
 * What `duet doctor` says of Debian's kernel: true when a VM can have it. *ret_text is owned;
 * *ret_mend static, or NULL.
 */
bool builder_kernel_look(struct store *store, char **ret_text, const char **ret_mend);

/*
 * run.c: what run steps run under, for their keys: the filter, the capabilities, the id mode. Owned.
 */
char *builder_run_rules(struct store *store);
/* The plan whose step this is. */
const struct plan *builder_plan_of(const struct build *build, const struct plan_step *step);
/*
 * The latest time that a run step's files may have: the date of the layers below and of the plan's base,
 * not before LAYER_TIME.
 */
int64_t builder_run_time(const struct plan *plan, const struct store_layer *below, size_t count);

/*
 * archive.c: the archive on the host that a layer is, of which the store keeps no blob: 1, its descriptor
 * and path (both owned), as a build saw it last; its content may be another one by now. 0; -1.
 */
int builder_archive_find(struct store *store, const struct digest *digest, int *ret_fd,
			 char **ret_path, struct err *err);

/* pack.c: runs a pack request whose result becomes a blob of the store, and opens that. */
struct worker_request;
int builder_pack(struct store *store, struct worker_request *request, int input, const char *what,
		 struct build_blob *ret, struct err *err);
/* The same with several inputs; request->fd_count is set here. */
int builder_pack_many(struct store *store, struct worker_request *request, const int *inputs,
		      size_t count, const char *what, struct build_blob *ret, struct err *err);

#endif
