/*
 * What a run step's command gets besides the layers below: cache folders of the store, folders of other
 * images of the spec, secrets. Nothing of it ends in the layer: each is a mount of its own.
 */
#include "builders/run_inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/outside.h"
#include "core/path.h"
#include "core/str.h"

#define SECRET_BYTES_MAX (1024 * 1024)

/* ---- secrets --------------------------------------------------------------------------------- */

static const struct secret *find_secret(const struct spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->secret_count; i++)
		if (!strcmp(spec->secrets[i].name, name))
			return &spec->secrets[i];
	return NULL;
}

static int missing(const struct spec *spec, const struct secret *secret, struct err *err)
{
	err_set(err, ERR_SPEC_MISSING, "secret %s: $%s is not set", secret->name, secret->env);
	err_mend(err, "set %s in duet's environment", secret->env);
	return err_place(err, spec->file, secret->place.line, secret->place.column);
}

static int take_secret(const struct spec *spec, const char *name, struct job_secret *ret,
		       struct err *err)
{
	const struct secret *secret = find_secret(spec, name);
	const char *value;

	if (!secret)
		return err_set(err, ERR_SPEC_MISSING, "secret %s: the spec has none of that name", name);
	if (secret->path) {
		if (host_path_read(spec->host, "secret file", secret->path, SECRET_BYTES_MAX, &ret->value,
				   &ret->size, err) == 0) {
			ret->name = xstrdup(name);
			return 0;
		}
		err_wrap(err, "secret %s", name);
		if (err->code != ERR_ALLOW)
			err_mend(err, "make the file %s, for you alone", secret->path);
		return err_place(err, spec->file, secret->place.line, secret->place.column);
	}
	value = getenv(secret->env);
	if (!value)
		return missing(spec, secret, err);
	*ret = (struct job_secret){ xstrdup(name), xstrdup(value), strlen(value) };
	return 0;
}

/* Only looks: a value is not held longer than its own command needs it. */
static int check_secret(const struct spec *spec, const char *name, struct err *err)
{
	const struct secret *secret = find_secret(spec, name);

	if (!secret || !secret->env) {
		_cleanup_close_ int fd = secret ? host_path_open_file(spec->host, "secret file",
								      secret->path, NULL, err) : -1;

		if (!secret || fd >= 0)
			return 0;
		err_wrap(err, "secret %s", name);
		if (err->code != ERR_ALLOW) {
			err->code = ERR_SPEC_MISSING;
			err_mend(err, "make that file, for you alone");
		}
		return err_place(err, spec->file, secret->place.line, secret->place.column);
	}
	return getenv(secret->env) ? 0 : missing(spec, secret, err);
}

int run_inputs_check(const struct build *build, const struct plan_step *step, struct err *err)
{
	const struct plan *plan = builder_plan_of(build, step);

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct step *run = plan->steps[i].step;

		if (&plan->steps[i] < step && plan->steps[i].step != step->step)
			continue;
		for (size_t j = 0; run && j < run->secrets.count; j++)
			if (check_secret(build->spec, run->secrets.items[j], err) < 0)
				return -1;
	}
	return 0;
}

/* From here on this process has values in its memory: they are not to be in a core dump of it. */
static void forbid_core_dumps(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur > 1) {
		limit.rlim_cur = 1; /* none is handed to a helper either */
		(void)setrlimit(RLIMIT_CORE, &limit);
	}
}

static int add_secrets(const struct build *build, const struct step *run, struct job *job,
		       struct err *err)
{
	if (run->secrets.count == 0)
		return 0;
	forbid_core_dumps();
	job->secrets = xcalloc(run->secrets.count, sizeof(*job->secrets));
	for (size_t i = 0; i < run->secrets.count; i++)
		if (take_secret(build->spec, run->secrets.items[i],
				&job->secrets[job->secret_count++], err) < 0)
			return -1;
	return 0;
}

/* ---- mounts ---------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
	return strcmp((*(const struct step_cache *const *)a)->path,
		      (*(const struct step_cache *const *)b)->path);
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct mount *)a)->target, ((const struct mount *)b)->target);
}

static int add_mount(struct job *job, const struct mount *mount, struct err *err)
{
	if (!strcmp(mount->target, "/"))
		return err_set(err, ERR_SPEC_VALUE, "mount on /: a step's root is its layers");
	job->mounts[job->mount_count] = *mount;
	job->mounts[job->mount_count].source = xstrdup(mount->source);
	job->mounts[job->mount_count++].target = xstrdup(mount->target);
	return 0;
}

static int open_cache(struct build *build, const struct step_cache *cache, struct run_inputs *inputs,
		      struct job *job, struct err *err)
{
	const struct store_cache which = { build->spec->dir, cache->share, cache->path };
	size_t n = inputs->caches;
	struct mount mount = { .kind = MOUNT_FOLDER, .source = (char *)"cache",
			       .target = cache->path };

	if (n == RUN_CACHES_MAX)
		return err_set(err, ERR_SPEC_LIMIT, "more than %d caches", RUN_CACHES_MAX);
	if (outside_check_cache(build->spec, cache, err) < 0 ||
	    store_cache_open(build->store, &which, &inputs->data[n], &inputs->locks[n], err) < 0)
		return -1;
	inputs->caches++;
	mount.fd = inputs->data[n];
	return add_mount(job, &mount, err);
}

/*
 * In the order of their paths and each once: two builds never wait for each other in a ring. A cache has
 * its path in every step, whoever shares it.
 */
static int add_caches(struct build *build, const struct step *run, struct run_inputs *inputs,
		      struct job *job, struct err *err)
{
	_cleanup_free_ const struct step_cache **caches = xcalloc(run->cache_count, sizeof(*caches));

	for (size_t i = 0; i < run->cache_count; i++)
		caches[i] = &run->caches[i];
	if (run->cache_count > 1)
		qsort(caches, run->cache_count, sizeof(*caches), by_path);
	for (size_t i = 0; i < run->cache_count; i++)
		if ((i == 0 || strcmp(caches[i - 1]->path, caches[i]->path)) &&
		    open_cache(build, caches[i], inputs, job, err) < 0)
			return -1;
	return 0;
}

static int add_images(struct build *build, const struct step *run, struct job *job,
		      struct err *err)
{
	for (size_t i = 0; i < run->mount_count; i++) {
		struct mount mount = { .kind = MOUNT_IMAGE, .source = run->mounts[i].source,
				       .target = run->mounts[i].to, .read_only = true };
		struct rootfs *image;

		if (builders_stage(build, run->mounts[i].image, &image, err) < 0)
			return -1;
		mount.image = image;
		if (add_mount(job, &mount, err) < 0)
			return -1;
	}
	return 0;
}

int run_inputs_open(struct build *build, const struct step *run, struct run_inputs *inputs,
		    struct job *job, struct err *err)
{
	job->mounts = xcalloc(run->cache_count + run->mount_count + 1, sizeof(*job->mounts));
	if (run->cache_count + run->mount_count > JOB_MOUNTS_MAX)
		return err_set(err, ERR_SPEC_LIMIT, "more than %d mounts", JOB_MOUNTS_MAX);
	/* other images first: building one may take the same caches */
	if (add_images(build, run, job, err) < 0 ||
	    add_caches(build, run, inputs, job, err) < 0)
		return -1;
	if (job->mount_count > 1)
		qsort(job->mounts, job->mount_count, sizeof(*job->mounts), by_target);
	return add_secrets(build, run, job, err);
}

void run_inputs_done(struct run_inputs *inputs)
{
	for (size_t i = 0; i < inputs->caches; i++) {
		close(inputs->data[i]);
		close(inputs->locks[i]);
	}
	inputs->caches = 0;
}
