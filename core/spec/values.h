/* Values of a spec that need more than their text: variables, host paths, pairs. */
#ifndef DUET_CORE_SPEC_VALUES_H
#define DUET_CORE_SPEC_VALUES_H

#include "core/spec/schema.h"
#include "core/spec.h"
#include "core/yaml.h"

/* What is known while a spec is read; nothing in it is owned. */
struct spec_reader {
	const char *file;	/* for messages */
	const char *dir;	/* absolute */
	const char *(*lookup)(const char *name);
	struct spec *spec;	/* in the making */
	size_t expanded;	/* bytes that ${NAME} made so far */
	struct err *err;
};

/*
 * Puts ${NAME}, ${NAME:-default} and $$ in, where the key allows it, and checks the result against
 * the key. `node` gives the place. Owned.
 */
int spec_expand(struct spec_reader *r, const struct schema_key *key, const struct yaml_node *node,
		const char *text, char **ret);
/* The value of `name` in a map of `object`, expanded; NULL when it is absent. Owned. */
int spec_text(struct spec_reader *r, const struct yaml_node *map, const char *object,
	      const char *name, char **ret);
/*
 * Absolute, without "." and doubled slashes; ".." stays, for a link may come before it. Owned. Every path of the
 * host passes here: it is the last of spec->host_uses afterwards.
 */
int spec_host_path(struct spec_reader *r, const struct schema_key *key,
		   const struct yaml_node *node, const char *text, char **ret);
/* One of the two results is set: the URL, or the path of the host. */
int spec_reference(struct spec_reader *r, const struct yaml_node *map, const char *object,
		   char **ret_url, char **ret_path);
/* The clean form of an absolute path inside that was checked: "/srv/./x/" is "/srv/x". Owned. */
char *spec_inside(const char *text);
/* A map, or a list of NAME=VALUE, into `ret`. `map` may lack the key. */
int spec_pairs(struct spec_reader *r, const struct yaml_node *map, const char *object,
	       const char *name, struct strv *ret);
/* Where the files of target.env_file are; nothing is read. */
int spec_env_files(struct spec_reader *r, const struct yaml_node *map, struct target *ret);
/* The key sha256 of a map, checked before. */
void spec_sha256(const struct yaml_node *map, bool *ret_has, struct digest *ret);
/* A list as it is; a text as /bin/sh -c TEXT. */
void spec_argv(const struct yaml_node *node, struct strv *ret);
bool spec_is_true(const struct yaml_node *node);

/* The guest that nobody asked anything of: 512 MiB, one processor. */
extern const struct job_vm spec_machine_default;

/* The parts of the file. */
void image_spec_done(struct image_spec *image);
/* `image` and `images`: who takes from whom is looked up, circles are refused. Wants ret->name. */
int spec_read_images(struct spec_reader *r, const struct yaml_node *root, struct spec *ret);
/* `secrets`; every step's secrets have to be among them. */
int spec_read_secrets(struct spec_reader *r, const struct yaml_node *map, struct spec *ret);
int spec_read_target(struct spec_reader *r, const struct yaml_node *map, struct target *ret);
int spec_read_mounts(struct spec_reader *r, const struct yaml_node *list, struct target *ret);
int spec_read_process(struct spec_reader *r, const struct yaml_node *map, const char *object,
		      struct process *ret);

#endif
