/* Jobs from specs: see job_make.h. */
#include "core/job_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/jail/caps.h"
#include "core/log.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define UMASK_DEFAULT 0022
#define VOLUME_MODE 0755
#define STEP_HOSTNAME "build"	/* the same everywhere: it must not make a difference */

static bool is_mounted(const struct target *target, const char *path)
{
	for (size_t i = 0; i < target->mount_count; i++)
		if (!strcmp(target->mounts[i].target, path))
			return true;
	return false;
}

/* What the image calls a volume stays writable in a read-only root: in memory, and empty. */
static void add_volumes(struct job *job, const struct target *target, const struct strv *volumes)
{
	for (size_t i = 0; target->read_only && i < volumes->count; i++)
		if (!is_mounted(target, volumes->items[i]))
			job->mounts[job->mount_count++] = (struct mount){
				.kind = MOUNT_TMPFS, .mode = VOLUME_MODE, .fd = -1,
				.target = xstrdup(volumes->items[i]),
			};
}

static int copy_mounts(struct job *job, const struct target *target, const struct strv *volumes,
		       struct err *err)
{
	if (volumes->count + target->mount_count > JOB_MOUNTS_MAX)
		return err_set(err, ERR_USAGE, "more than %d mounts and volumes of the image",
			       JOB_MOUNTS_MAX);
	job->mounts = xcalloc(volumes->count + target->mount_count, sizeof(*job->mounts));
	add_volumes(job, target, volumes);
	for (size_t i = 0; i < target->mount_count; i++) {
		struct mount *to = &job->mounts[job->mount_count++];

		*to = target->mounts[i];
		to->source = to->source ? xstrdup(to->source) : NULL;
		to->target = xstrdup(to->target);
	}
	return 0;
}

static void fill_environment(struct job *job, const struct process *process, bool tty)
{
	strv_setenv(&job->environment, "PATH", PATH_DEFAULT);
	strv_setenv(&job->environment, "HOME", job->identity.home);
	if (tty && getenv("TERM"))
		strv_setenv(&job->environment, "TERM", getenv("TERM"));
	for (size_t i = 0; i < process->environment.count; i++) {
		const char *text = process->environment.items[i], *equals = strchr(text, '=');
		_cleanup_free_ char *name = NULL;

		if (!equals)
			continue;
		name = xstrndup(text, (size_t)(equals - text));
		strv_setenv(&job->environment, name, equals + 1);
	}
}

/* A random UUID (RFC 9562, version 4) without its dashes, as machine-id(5) asks for. */
static int make_machine_id(char ret[33], struct err *err)
{
	uint8_t bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return err_sys(err, errno, "get random bytes");
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int make(struct job *job, const struct spec *spec, const struct process *process,
		const struct rootfs *rootfs, const struct strv *command, bool tty,
		struct err *err)
{
	const struct target *target = &spec->target;

	strv_copy(&job->argv, &process->entrypoint);
	strv_copy(&job->argv, command ? command : &process->command);
	if (job->argv.count == 0) {
		err_set(err, ERR_USAGE, "run %s: neither the spec nor the image says what to run",
			spec->name);
		return err_mend(err, "give target.command in the spec, or: duet run -- COMMAND");
	}
	if (rootfs_identity(rootfs, process->user, &job->identity, err) < 0 ||
	    make_machine_id(job->machine_id, err) < 0 ||
	    copy_mounts(job, target, &process->volumes, err) < 0)
		return -1;
	fill_environment(job, process, tty);
	job->workdir = xstrdup(process->workdir ? process->workdir : "/");
	job->hostname = xstrdup(target->hostname ? target->hostname : spec->name);
	job->umask = UMASK_DEFAULT;
	job->tty = tty;
	job->read_only = target->read_only;
	job->network = target->network;
	job->timeout_ms = target->timeout_ms;
	job->capabilities = (caps_job_default() & ~target->capabilities_drop) |
			    target->capabilities_add;
	job->seccomp = target->seccomp;
	job->writes = target->writes;
	job->vm = target->vm.machine;
	return 0;
}

int job_make(struct job *ret, const struct spec *spec, const struct rootfs *rootfs,
	     const struct strv *command, bool tty, struct err *err)
{
	struct process process = { 0 };
	struct job job = { 0 };
	int result;

	process_copy(&process, &rootfs->process);
	process_overlay(&process, &spec->target.process);
	result = make(&job, spec, &process, rootfs, command, tty, err);
	process_done(&process);
	if (result < 0) {
		job_done(&job);
		return -1;
	}
	*ret = job;
	return 0;
}

int job_make_step(struct job *ret, const struct strv *argv, const struct process *process,
		  enum network_kind network, const struct rootfs *below, struct err *err)
{
	struct job job = {
		.step = true,
		.no_stdin = true,
		.one_output = true,
		.mute = log_is_quiet(),
		.umask = UMASK_DEFAULT,
		.network = network,
		.capabilities = caps_step_default(),
	};

	if (rootfs_identity(below, process->user, &job.identity, err) < 0) {
		job_done(&job);
		return -1;
	}
	strv_copy(&job.argv, argv);
	fill_environment(&job, process, false);
	job.workdir = xstrdup(process->workdir ? process->workdir : "/");
	job.hostname = xstrdup(STEP_HOSTNAME);
	*ret = job;
	return 0;
}
