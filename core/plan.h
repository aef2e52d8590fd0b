/*
 * A plan: the ordered steps that make an image, each with a cache key. Pure: no file, clock or
 * network is touched; what must be looked up first (digests of local inputs) comes in as `inputs`.
 * The same spec and inputs give the same keys on every machine and for every user.
 */
#ifndef DUET_CORE_PLAN_H
#define DUET_CORE_PLAN_H

#include "core/digest.h"
#include "core/err.h"
#include "core/spec.h"

/* Goes into every key: raised when a step's result changes for the same inputs. */
#define PLAN_FORMAT "duet-plan-3"
#define PLAN_SUMMARY_MAX 60	/* bytes of a name or command in a summary */

/* A layer that an image begins with, known before anything is fetched. */
struct plan_layer {
	struct digest diff_id;
	struct digest blob;
	uint64_t bytes;		/* of the blob */
};

/* What `from` brings along where it is an OCI image. */
struct plan_base {
	struct digest id;	/* of its manifest; zero: there is no base */
	struct digest config;	/* of its config, a blob of the store */
	char *name;		/* owned; for people: "docker.io/library/alpine:3.20" */
	struct plan_layer *layers;	/* owned; lowest first */
	size_t layer_count;
	struct process process;	/* owned */
	int64_t created_s;	/* since 1970; 0: not known */
};

void plan_base_done(struct plan_base *base);

/*
 * What must be looked up for one image. The digest of each input's content: [0] of `from`, [1 + i] of
 * step i. Scratch, OCI images and other images of the spec have none; nor has a run step. All zero
 * stands for "not looked up", which is enough where the spec gives the sha256 itself.
 */
struct plan_inputs {
	struct digest *digests;		/* borrowed, 1 + step_count */
	size_t count;
	const struct plan_base *base;	/* borrowed; NULL: none */
	/* borrowed; what run steps run under, as text: the filter's digest and the like; NULL: nothing */
	const char *rules;
	bool one_id;	/* single-uid mode: what is taken out of an image has lost its owners */
	/* borrowed, as digests: an input that nobody may read; its step has no key; NULL: none */
	const bool *unread;
};

struct plan_step {
	struct digest key;		/* of this step and all below it */
	/*
	 * of this step alone. What a run step and a copy out of another image give depends on layers whose
	 * diff-ids are known only when they are built: see plan_layer_key.
	 */
	struct digest own_key;
	const struct image_spec *image;	/* borrowed: whose step this is */
	const struct source *source;	/* borrowed from the spec; NULL unless of `from` */
	const struct step *step;	/* borrowed from the spec; NULL for `from` */
	struct plan_layer *layer;	/* owned; of an OCI image's layer; else NULL */
	struct process process;		/* of a run step: environment, user and workdir, complete */
	struct digest input;
	bool unread;		/* the keys mean nothing: an input, of a step below too, may not be read */
	bool owners_lost;	/* a copy out of an image in single-uid mode, which gives no owner of its own */
	char *summary;			/* owned; one line: "archive rootfs.tar.gz" */
};

struct plan {
	char *name;			/* owned */
	struct plan_step *steps;
	size_t step_count;		/* 0 for scratch without steps */
	struct digest key;		/* of the image: last step's key and the config */
	struct process config;		/* owned; the base's with the spec's over it */
	int64_t created_s;		/* of the base; 0: not known, or there is none */
	/* of the config of an image that is its base and nothing more: it keeps it; zero: it does not */
	struct digest same_config;
	char *platform;			/* owned; NULL: the host's */
	bool unread;			/* as in struct plan_step; such a plan is to look at only */
};

/* A spec's plans: of each of spec->stages, and of its image. */
struct plans {
	struct plan *stages;		/* owned */
	size_t stage_count;
	struct plan image;
};

/*
 * The plan of one image; `stages` are the plans of spec->stages so far: those that it may take from. An
 * image that begins with another begins with its steps.
 * Errors: ERR_SPEC_MISSING (an input that nobody looked up, or another number of them),
 * ERR_FETCH_DIGEST (an input is not what the spec's sha256 says), with the place of the step.
 */
int plan_make(struct plan *ret, const struct spec *spec, const struct image_spec *image,
	      const struct plan_inputs *inputs, const struct plan *stages, struct err *err);
/* What a step's layer is made from. Everything is borrowed. */
struct plan_made {
	const struct plan_step *step;
	const char *rules;		/* as in struct plan_inputs */
	const struct digest *chain;	/* of the layers below; NULL: there are none */
	int64_t time_s;			/* of a run step: the date of the layers below, which is its own */
	/* the chain-ids of spec->stages, by their index; of those alone that the step takes from */
	const struct digest *stages;
};

/*
 * The key of a step's layer: its own key, but for what takes more than the spec says. Of a run step: what it
 * does, the layers below and those of the images that it mounts; of a copy out of an image: that
 * image's layers.
 */
void plan_layer_key(const struct plan_made *made, struct digest *ret);
/* Calls `each` for every input of that layer: a name for people, and a digest of its value. */
void plan_layer_inputs(const struct plan_made *made,
		       void (*each)(void *data, const char *name, const struct digest *value),
		       void *data);
/* The own key that the step of a source (an archive, a folder, a Debian root) has with this input. */
void plan_source_key(const struct source *source, const struct digest *input, struct digest *ret);
/* What `duet plan` prints. Owned texts. */
char *plan_text(const struct plans *plans, const struct spec *spec);
char *plan_json(const struct plans *plans, const struct spec *spec);
void plan_done(struct plan *plan);
void plans_done(struct plans *plans);

#endif
