/* What the instructions work on. */
#ifndef DUET_CORE_DOCKERFILE_CONVERT_H
#define DUET_CORE_DOCKERFILE_CONVERT_H

#include "core/dockerfile/internal.h"

#define DF_GLOB_SIGNS "*?["

struct df_convert {
	struct dockerfile *out;
	const struct dockerfile_files *files;	/* borrowed; NULL: nothing is known */
	struct df_lines lines;
	const struct df_line *line;	/* the one under way */
	struct df_stage *stages;	/* owned; all so far */
	size_t stage_count, stage_total;
	struct df_stage *stage;		/* the last one; NULL before the first FROM */
	struct strv globals;		/* ARGs above the first FROM */
	struct strv secrets;		/* names */
	struct strv caches;		/* "ID", the path inside, "ID", ... */
	struct strv outside;		/* name, reference, name ... of images that no FROM names; parts */
	struct str images;		/* entries of `images` */
	bool told_user;			/* that a RUN is run as root */
};

/* Names something that the spec cannot say: at this place, and in the list of losses. Returns 0. */
int df_lose(struct df_convert *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what may be lost, with another image than is thought. No comment is written. */
void df_note(struct df_convert *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct df_scope df_scope_of(const struct df_convert *c);
/* The image that "--from=NAME" means, borrowed; one from outside is added. NULL: it is none. */
const char *df_image_of(struct df_convert *c, const char *name);
/* "a/b" at the folder that WORKDIR names; a / at the end stays. Owned; NULL: no path. */
char *df_inside(const struct df_convert *c, const char *path);
/* Ends this part of the stage: what comes later was not there for its run steps. */
void df_cut(struct df_convert *c);

/*
 * sources.c: `pattern` as ours match: with more patterns for the hidden names that Docker's wildcards match,
 * where there are such in the folder of the build.
 */
void df_take_pattern(struct df_convert *c, const char *pattern, bool of_image, struct strv *ret);
/* What the patterns in `list` match in the folder of the build, in their order. */
void df_match(const struct df_convert *c, const struct strv *list, struct strv *ret);
/* Names a source that is a symbolic link. */
void df_tell_link(struct df_convert *c, const char *path);
/*
 * Where the sources of one instruction land, with a / at its end where that is a folder; owned. The only name
 * that a pattern matches may take its place in `sources`.
 */
char *df_target(struct df_convert *c, const char *to, bool of_image, struct strv *sources);

int df_run(struct df_convert *c);	/* run.c */
int df_copy(struct df_convert *c);	/* copy.c; ADD too */
int df_env(struct df_convert *c);	/* settings.c */
int df_arg(struct df_convert *c);
int df_label(struct df_convert *c);
int df_workdir(struct df_convert *c);
int df_user(struct df_convert *c);
int df_entrypoint(struct df_convert *c);
int df_cmd(struct df_convert *c);
int df_expose(struct df_convert *c);
int df_volume(struct df_convert *c);
int df_stopsignal(struct df_convert *c);
int df_shell(struct df_convert *c);

#endif
