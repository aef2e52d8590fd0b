/*
 * A spec: duet.yaml, typed, checked and immutable once loaded. `spec_load` reads the file once, the
 * key table (core/spec/schema.h) checks it, and every refusal says file:line:column, what was expected
 * and the nearest known key. Relative paths of the host are made absolute against the spec's folder;
 * ${NAME} is put in where the language allows it.
 */
#ifndef DUET_CORE_SPEC_H
#define DUET_CORE_SPEC_H

#include "core/digest.h"
#include "core/err.h"
#include "core/host_path.h"
#include "core/job.h"
#include "core/place.h"
#include "core/ref.h"

#define SPEC_FILE_MAX (1024 * 1024)	/* bytes of duet.yaml, and of an env_file */
#define SPEC_DEPTH_MAX 64		/* nested collections */
#define SPEC_NODES_MAX 100000		/* scalars and collections */
#define SPEC_STEPS_MAX 256
#define SPEC_IMAGES_MAX 64	/* entries of `images` */
#define SPEC_EXPANDED_MAX (1024 * 1024)	/* bytes of all texts with a ${NAME} in them, filled in */
#define SPEC_URL_MAX 4096		/* bytes */

enum source_kind {
	SOURCE_SCRATCH, SOURCE_ARCHIVE, SOURCE_DIRECTORY, SOURCE_DEBIAN,
	SOURCE_OCI,		/* a reference: from a registry */
	SOURCE_LAYOUT,		/* an OCI layout on the host */
	SOURCE_DOCKER_ARCHIVE,	/* a tar of docker save on the host */
	SOURCE_IMAGE,		/* another image of the spec */
};

/* image.from */
struct source {
	enum source_kind kind;
	struct place place;
	char *url;		/* SOURCE_ARCHIVE: "https://..."; NULL when path is set */
	/* absolute path on the host: the archive, the folder, the layout */
	char *path;
	bool has_sha256;	/* always with a url */
	struct digest sha256;	/* of the archive as it is stored */
	/* SOURCE_DEBIAN */
	char *suite;		/* "bookworm" */
	char *variant;		/* mmdebstrap's word; never NULL */
	struct strv packages;	/* NAME or NAME=VERSION, beyond the variant's */
	char *mirror;		/* URL; NULL: the one of this host's apt */
	char *keyring;		/* absolute path on the host; NULL: Debian's */
	/* SOURCE_OCI */
	struct ref ref;
	char *tag;		/* SOURCE_LAYOUT, SOURCE_DOCKER_ARCHIVE; NULL: the only one there */
	size_t image;		/* SOURCE_IMAGE: index into spec->stages */
};

enum step_kind { STEP_ARCHIVE, STEP_COPY, STEP_RUN };

/* A folder or file of another image that a run step sees, read-only. */
struct step_mount {
	size_t image;		/* index into spec->stages */
	char *source;		/* absolute inside that image, clean */
	char *to;		/* absolute inside, clean */
};

/* A folder that a run step finds as the last one left it: the project's own, or shared by a name. */
struct step_cache {
	char *path;		/* absolute inside, clean */
	char *share;		/* a name for all projects that say it; NULL: the project's own */
	struct place place;
};

/* One entry of image.steps. */
struct step {
	enum step_kind kind;
	struct place place;
	/* archive */
	char *url;
	char *path;		/* the archive; absolute on the host */
	bool has_sha256;
	struct digest sha256;
	uint32_t strip;		/* leading components taken off; 0 to 64 */
	/* archive and copy */
	char *to;		/* absolute inside, clean; of a copy "/" at the end is kept */
	/*
	 * copy: what is copied, at least one; paths or patterns (glob(7), with ** for any depth), absolute
	 * on the host, or with from_image absolute inside that image
	 */
	struct strv patterns;
	bool from_image;
	size_t image;		/* index into spec->stages */
	uint32_t owner_uid;	/* owner: UID[:GID], GID is UID unless said; 0:0 without owner */
	uint32_t owner_gid;
	bool has_owner;
	bool has_mode;
	uint32_t mode;		/* of files; folders get x where there is r */
	/* run */
	struct strv argv;	/* never empty */
	bool is_text;		/* it was a text: /bin/sh -c TEXT */
	enum network_kind network;	/* none or nat */
	struct process process;	/* environment, user, workdir over those of the image so far */
	struct step_cache *caches;	/* kept between builds, not in the layer */
	size_t cache_count;
	struct strv secrets;	/* names: files /run/secrets/NAME for the command's user alone */
	struct step_mount *mounts;
	size_t mount_count;
};

/* `image`, or an entry of `images`. */
struct image_spec {
	char *name;		/* the spec's own name; of a stage its key */
	struct place place;
	char *platform;		/* "linux/arm64"; NULL: the host's */
	struct source from;
	struct step *steps;
	size_t step_count;
	struct process config;
};

/* An entry of `secrets`: where its value comes from when a step asks for it. Never in any key. */
struct secret {
	char *name;
	char *env;		/* NULL when path is set */
	char *path;		/* absolute on the host */
	struct place place;
};

/* auto: the image's own where it will do, else Debian's. */
enum kernel_kind { KERNEL_AUTO, KERNEL_DEBIAN, KERNEL_HOST, KERNEL_PATH };

/* target.vm: what concerns the VM runner only */
struct spec_vm {
	struct job_vm machine;
	enum kernel_kind kernel;
	char *kernel_path;	/* KERNEL_PATH: absolute; a bzImage or vmlinux */
};

enum spec_runner { SPEC_RUNNER_CONTAINER, SPEC_RUNNER_VM, SPEC_RUNNER_COUNT };

struct target {
	/* command, environment (env_file below it, once spec_read_env_files was there), workdir, user */
	struct process process;
	struct env_file *env_files;	/* owned */
	size_t env_file_count;
	bool has_command;
	char *hostname;			/* NULL: the spec's name */
	struct mount *mounts;		/* owned, and so are their descriptors */
	size_t mount_count;
	enum network_kind network;	/* none unless said */
	struct place network_place;
	bool read_only;
	uint64_t timeout_ms;
	/* bit masks; a job has (default & ~drop) | add */
	uint64_t capabilities_add;
	uint64_t capabilities_drop;
	struct place capabilities_place, seccomp_place;
	enum seccomp_kind seccomp;
	enum writes_kind writes;	/* container: {writes: memory | disk} */
	struct spec_vm vm;
};

/* A path of the host that the spec names: all of them pass through spec_host_path(), which keeps them. */
struct host_use {
	const char *object, *key;	/* borrowed from the key table */
	char *named;		/* owned; as the spec has it, variables put in */
	char *path;		/* owned; absolute */
	struct place place;
	bool is_mount;		/* a bind mount's source */
	bool is_copied;		/* the last component's link is not followed; it may be a pattern */
};

/* An entry of env_file. */
struct env_file {
	char *path;		/* owned; absolute */
	struct place place;
	bool is_read;		/* its lines are in the environment */
};

struct spec {
	char *file;		/* as named: for messages */
	char *dir;		/* absolute folder of the spec */
	char *name;
	struct image_spec image;
	/* the key `images`, in an order in which each stands behind those that it takes from */
	struct image_spec *stages;
	size_t stage_count;
	struct secret *secrets;
	size_t secret_count;
	enum spec_runner on[SPEC_RUNNER_COUNT];
	size_t on_count;	/* at least 1 */
	bool on_is_given;	/* the spec has the key */
	struct target target;
	struct host_use *host_uses;	/* owned; in the order in which they were read */
	size_t host_use_count;
	/* owned; what opens them; NULL: of a spec that is no file, and may open none */
	struct host_paths *host;
};

/*
 * Loads `file`. NULL: duet.yaml, duet.yml, .duet.yaml in the current folder, the first that exists; such
 * a name leads out of the folder through no link, for nobody said it.
 * `lookup` gives the value of ${NAME} or NULL (getenv in the program, a fixture in tests).
 * Errors: ERR_SPEC_*, each with a place and, where one is known, a mend.
 */
int spec_load(struct spec *ret, const char *file, const char *(*lookup)(const char *name),
	      struct err *err);
/*
 * Reads the files of env_file into the target's environment, those that spec->host may open; of the others is_read
 * stays false. ERR_SPEC_* with a place.
 */
int spec_read_env_files(struct spec *spec, struct err *err);
/* As spec_load, from memory; `dir` is the absolute folder that relative paths start from. */
int spec_parse(struct spec *ret, const char *file, const char *dir, const char *text, size_t size,
	       const char *(*lookup)(const char *name), struct err *err);
void spec_done(struct spec *spec);

/* The absolute path of the spec's file, which need not be there. Owned. */
char *spec_path(const struct spec *spec);
/* Does it copy out of this one of spec->stages, or mount it? */
bool step_takes_from(const struct step *step, size_t stage);
/* A run step's command as it stands in the spec, words joined by blanks. Owned, not escaped. */
char *step_command(const struct step *run);

/* The JSON Schema (draft-07) of the language, from the key table. Owned text. */
char *spec_schema_json(void);
/* The key reference of duet.yaml(5) as scdoc text, from the same table. Owned text. */
char *spec_schema_manual(void);

#endif
