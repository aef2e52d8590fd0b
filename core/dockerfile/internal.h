/* The parts of the conversion of a Dockerfile: lines, words, stages, the spec's text. */
#ifndef DUET_CORE_DOCKERFILE_INTERNAL_H
#define DUET_CORE_DOCKERFILE_INTERNAL_H

#include <stdbool.h>

#include "core/dockerfile.h"
#include "core/mem.h"
#include "core/str.h"

/* ---- lines.c: instructions --------------------------------------------------------------------- */

struct df_line {
	unsigned int number;	/* where it begins, from 1 */
	char *word;		/* owned; "RUN", in upper case */
	char *rest;		/* owned; continuations joined, no blanks around it */
	char *heredoc;		/* owned; the lines behind it, with their ends; NULL: none */
	char *heredoc_body;	/* owned; of the only document: what is in it */
	size_t heredocs;
};

struct df_lines {
	struct df_line *items;	/* owned */
	size_t count;
	char escape;		/* '\\', or '`' by a directive */
};

int df_lines_read(struct df_lines *ret, const char *file, const char *text, size_t size,
		  struct err *err);
void df_lines_done(struct df_lines *lines);

/* ---- words.c: variables, quotes, JSON lists ---------------------------------------------------- */

/* What PATH is where nobody said. */
#define DF_USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Variables by name: the first list that has one. */
struct df_scope {
	const struct strv *environment, *arguments;
	char escape;
};

/*
 * The words of `text`, variables put in and quotes taken off. NULL, or what is wrong (a literal).
 * One that is not set is empty, as Docker has it.
 */
const char *df_words(const char *text, const struct df_scope *scope, struct strv *ret);
/* The whole text as one word. Owned; NULL with *ret_bad. */
char *df_expand(const char *text, const struct df_scope *scope, const char **ret_bad);
/* Is it a JSON list of texts? */
bool df_json_list(const char *text, struct strv *ret);
/* Takes "--NAME=VALUE" or "--NAME" off the front of *text. Owned; NULL: there is none. */
char *df_take_flag(const char **text);

/* ---- stage.c: what a stage has come to --------------------------------------------------------- */

enum df_step_kind { DF_STEP_NOTE, DF_STEP_RUN, DF_STEP_OTHER };

struct df_step {
	enum df_step_kind kind;
	struct str text;	/* YAML, its first line without indentation */
	struct strv environment;	/* in effect for a run step, ARGs too */
	char *workdir, *user;	/* owned; in effect, or NULL */
};

struct df_stage {
	char *name;		/* owned; how the Dockerfile names it, or NULL */
	char *image;		/* owned; the image it is; of a stage that was cut, of its last part */
	char *from;		/* owned; YAML */
	char *platform;		/* owned or NULL */
	bool scratch;
	bool has_root;		/* the usual folders are there */
	struct strv folders;	/* that are there, made by this stage or one below; "/srv/www" */
	struct df_step *steps;
	size_t step_count;
	struct strv inherited;	/* the environment that it began with */
	struct strv environment, arguments, labels;
	struct strv volumes, exposed, shell;
	char *workdir, *user, *stop_signal, *entrypoint, *command;	/* owned; the last two are YAML */
	char *inherited_workdir, *inherited_user;	/* owned or NULL */
	bool has_run;
	size_t parts;		/* that were cut off */
};

struct df_step *df_stage_add(struct df_stage *stage, enum df_step_kind kind);
/* The folder `path`, absolute, is there from now on, and those above it. */
void df_stage_add_folder(struct df_stage *stage, const char *path);
/* Those above it alone. */
void df_stage_add_parents(struct df_stage *stage, const char *path);
bool df_stage_has_folder(const struct df_stage *stage, const char *path);
/* Adds it as the entry `image` of images, or as the spec's own image. */
void df_stage_write(const struct df_stage *stage, bool is_last, struct str *out);
void df_stage_done(struct df_stage *stage);

/* ---- write.c: YAML ----------------------------------------------------------------------------- */

/* A scalar, in quotes where it takes them; `expands`: "$" is doubled. */
void df_put(struct str *out, const char *text, bool expands);
/* "[a, b]" */
void df_put_list(struct str *out, const struct strv *list, bool expands);
/* "key: value" with the line's end; nothing for NULL. */
void df_put_key(struct str *out, const char *key, const char *value);
/* "key: |" with the lines below, by `indent` blanks; else as df_put. With the line's end. */
void df_put_text(struct str *out, const char *key, const char *text, unsigned int indent);

#endif
