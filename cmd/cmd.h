/* The command line: the table of subcommands and what they share. Only cmd/ includes this. */
#ifndef DUET_CMD_CMD_H
#define DUET_CMD_CMD_H

#include <stdbool.h>

#include "builders/builder.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/outside.h"
#include "core/plan.h"
#include "core/rootfs.h"
#include "core/spec.h"
#include "core/store.h"
#include "runners/runner.h"

#define CLI_ALLOW_MAX 16

/* What the options say. Everything is borrowed from argv. */
struct cli {
	const char *file;	/* -f */
	const char *store;	/* --store */
	const char *on;		/* --on */
	const char *platform;	/* --platform */
	const char *format;	/* --format */
	bool json;		/* --json */
	bool explain;		/* --explain */
	bool tty;		/* -t */
	bool all;		/* --all */
	const char *from;	/* --from */
	const char *image;	/* --image */
	bool locked;		/* --locked, --frozen */
	bool frozen;		/* --frozen */
	bool check;		/* --check */
	bool update;		/* --update */
	bool check_reproducible;	/* --check-reproducible */
	const char *username;	/* --username */
	bool password_stdin;	/* --password-stdin */
	bool no_verify;		/* --no-verify */
	bool no_cache;		/* --no-cache */
	bool explain_cache;	/* --explain-cache */
	bool failed;		/* --failed */
	const char *allow[CLI_ALLOW_MAX];	/* --allow, as often as it was given */
	size_t allow_count;
	char **rest;		/* operands; behind "--" for run */
	int rest_count;
	bool has_separator;	/* "--" was given */
};

#define OPT_FILE 1u	/* -f FILE */
#define OPT_STORE 2u	/* --store DIR */
#define OPT_ON 4u	/* --on RUNNER */
#define OPT_JSON 8u	/* --json */
#define OPT_EXPLAIN 16u	/* --explain */
#define OPT_TTY 32u	/* -t, -i, -it */
#define OPT_ALL 64u	/* --all */
#define OPT_ALLOW 128u	/* --allow WORDS */
#define OPT_PLATFORM 256u	/* --platform OS/ARCHITECTURE */
#define OPT_LOGIN 512u	/* --username, --password-stdin, --no-verify */
#define OPT_CACHE 1024u	/* --no-cache, --explain-cache */
#define OPT_FAILED 2048u	/* --failed */
#define OPT_FORMAT 4096u	/* --format FORMAT */
#define OPT_FROM 8192u	/* --from FILE */
#define OPT_LOCKED 16384u	/* --locked, --frozen */
#define OPT_UPDATE 32768u	/* --check, --update */
#define OPT_TWICE 65536u	/* --check-reproducible */
#define OPT_IMAGE 131072u	/* --image REFERENCE */

struct command {
	const char *name;
	const char *group;
	const char *summary;	/* one line, for the overview */
	const char *operands;	/* "[-- COMMAND...]" or "" */
	unsigned int options;	/* OPT_* */
	int operands_max;
	bool runs_job;		/* exit codes of a job: duet's own failures are 125 */
	/* 0 and the exit code, or -1 with err. */
	int (*run)(const struct cli *cli, int *ret_code, struct err *err);
};

int cmd_build(const struct cli *cli, int *ret_code, struct err *err);
int cmd_check(const struct cli *cli, int *ret_code, struct err *err);
int cmd_doctor(const struct cli *cli, int *ret_code, struct err *err);
int cmd_export(const struct cli *cli, int *ret_code, struct err *err);
int cmd_gc(const struct cli *cli, int *ret_code, struct err *err);
int cmd_images(const struct cli *cli, int *ret_code, struct err *err);
int cmd_init(const struct cli *cli, int *ret_code, struct err *err);
int cmd_inspect(const struct cli *cli, int *ret_code, struct err *err);
int cmd_lock(const struct cli *cli, int *ret_code, struct err *err);
int cmd_login(const struct cli *cli, int *ret_code, struct err *err);
int cmd_logout(const struct cli *cli, int *ret_code, struct err *err);
int cmd_plan(const struct cli *cli, int *ret_code, struct err *err);
int cmd_pull(const struct cli *cli, int *ret_code, struct err *err);
int cmd_push(const struct cli *cli, int *ret_code, struct err *err);
int cmd_run(const struct cli *cli, int *ret_code, struct err *err);
int cmd_schema(const struct cli *cli, int *ret_code, struct err *err);
int cmd_shell(const struct cli *cli, int *ret_code, struct err *err);
int cmd_store(const struct cli *cli, int *ret_code, struct err *err);

/*
 * A line that a person types at the terminal behind `prompt`; `hidden`: it is not shown. Owned.
 * ERR_USAGE without a terminal.
 */
int ask_line(const char *prompt, bool hidden, char **ret, struct err *err);
/* All of standard input but the line feed at its end, at most `max` bytes, no NUL. Owned. */
int ask_stdin(size_t max, char **ret, struct err *err);

/* The runners of one call, in order. */
struct chosen {
	const struct runner *runners[SPEC_RUNNER_COUNT];
	size_t count;
	unsigned int forms;	/* ROOTFS_*: what they need of the rootfs */
};

/*
 * By --on; without it the first of the spec's `on`. `all` is what the spec's `on` names, else both.
 * ERR_USAGE for an unknown name.
 */
int chosen_find(const struct cli *cli, const struct spec *spec, struct chosen *ret,
		struct err *err);

/* The spec, the store and the plan that a command works on; opened by session_open in this order. */
struct session {
	struct spec spec;
	struct store store;
	struct plans plans;
	struct lock lock;
	struct allowed allowed;	/* what spec.host opens by */
	bool has_spec, has_store, has_plan, has_lock;
	bool lock_is_others;	/* of a duet with other formats */
	bool looks_only;	/* what may not be read is left out of the plan (struct resolve) */
};

/* What --allow and the user's configuration file allow to this spec. */
int allow_find(const struct cli *cli, const struct spec *spec, struct allowed *ret, struct err *err);
/*
 * Is everything of the session's spec that reaches outside its project allowed, as far as it matters to a build
 * for `chosen` (NULL: no runner's forms), and with `job` to starting its target? ERR_ALLOW with the place
 * and the word that would allow it, before anything is built; what opens a path later asks again. With
 * `job` opens what the target mounts: see outside_open_mounts.
 */
int allow_check(struct session *session, const struct chosen *chosen, bool job, struct err *err);
/* Was every env_file read? ERR_ALLOW when one may not be: a job would miss it. */
int allow_env_files(const struct session *session, struct err *err);

/* Loads the spec, and those files of its env_file that may be read. */
int session_spec(struct session *session, const struct cli *cli, struct err *err);
/* In the environment of a build that is to have other host ids than the one before (reproduce.c). */
#define SESSION_OTHER_IDS "DUET_OTHER_IDS"
int session_store(struct session *session, const struct cli *cli, struct err *err);
/*
 * The lock beside the spec, empty where there is none. With --locked one by a duet that makes other
 * layers of the same inputs is ERR_LOCK; else that is only told.
 */
int session_lock(struct session *session, const struct cli *cli, struct err *err);
/* What `session` is resolved with. */
struct resolve session_resolve(struct session *session, const struct cli *cli);
/* Spec, store, lock and plans. */
int session_open(struct session *session, const struct cli *cli, struct err *err);
/* What `session` was opened for: the image in these forms. */
struct build session_build(struct session *session, const struct cli *cli, unsigned int forms);
/*
 * The lock after a build for `forms`: what nobody asks for any more is dropped; it is written when
 * something changed. A folder that cannot be written is a warning to who wanted an image, and an error
 * with `wanted`. With --locked nothing may have changed.
 */
int session_keep_lock(struct session *session, const struct cli *cli, unsigned int forms, bool wanted,
		      struct err *err);
void session_done(struct session *session);

/*
 * An image of the store by its name, or by a reference that means the same ("alpine"). 1, 0, -1 as
 * store_image_get.
 */
int image_find(struct store *store, const char *name, struct store_image *ret, struct err *err);
/* The same for `command`, which cannot do without: ERR_USAGE when there is none. */
int image_get(struct store *store, const char *command, const char *name,
	      struct store_image *ret, struct err *err);
/*
 * The same for what is given away: the image that is `named`; NULL: that of `spec`, if that spec made it.
 * Another project's with the same name is not to be given away by mistake.
 */
int image_get_given(struct store *store, const char *command, const char *named,
		    const struct spec *spec, struct store_image *ret, struct err *err);
/* A place in `what`, a spec that is no file (image_spec), tells nobody anything. */
void image_forget_place(const char *what, struct err *err);
/* A spec that says no more than what the image begins with; `platform` may be NULL. */
int image_spec(const char *what, const char *from, const char *platform, struct spec *ret,
	       struct err *err);
/*
 * What --image names, in `forms`: as it is in the store, else pulled. The session has a store and a
 * spec of image_spec, which may become another.
 */
int image_open(struct session *session, const struct cli *cli, unsigned int forms,
	       struct rootfs *ret, struct err *err);

/* reproduce.c: duet build --check-reproducible. */
int reproduce(const struct cli *cli, int *ret_code, struct err *err);

#endif
