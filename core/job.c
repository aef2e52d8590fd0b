/* Jobs and the process defaults of images: see job.h. */
#include "core/job.h"

#include <stdlib.h>
#include <string.h>

void process_done(struct process *process)
{
	strv_done(&process->entrypoint);
	strv_done(&process->command);
	strv_done(&process->environment);
	strv_done(&process->labels);
	strv_done(&process->volumes);
	strv_done(&process->exposed);
	free(process->user);
	free(process->workdir);
	free(process->stop_signal);
	*process = (struct process){ 0 };
}

void process_copy(struct process *to, const struct process *from)
{
	struct process copy = { 0 };

	strv_copy(&copy.entrypoint, &from->entrypoint);
	strv_copy(&copy.command, &from->command);
	strv_copy(&copy.environment, &from->environment);
	strv_copy(&copy.labels, &from->labels);
	strv_copy(&copy.volumes, &from->volumes);
	strv_copy(&copy.exposed, &from->exposed);
	copy.user = from->user ? xstrdup(from->user) : NULL;
	copy.workdir = from->workdir ? xstrdup(from->workdir) : NULL;
	copy.stop_signal = from->stop_signal ? xstrdup(from->stop_signal) : NULL;
	*to = copy;
}

static void replace_text(char **text, const char *over)
{
	if (!over)
		return;
	free(*text);
	*text = xstrdup(over);
}

static void replace_list(struct strv *list, const struct strv *over)
{
	strv_done(list);
	strv_copy(list, over);
}

/* Each NAME=VALUE of `over` into `list`, in place where NAME is there. */
static void overlay_pairs(struct strv *list, const struct strv *over)
{
	for (size_t i = 0; i < over->count; i++) {
		const char *value = strchr(over->items[i], '=');
		_cleanup_free_ char *name = NULL;

		if (!value)
			continue;
		name = xstrndup(over->items[i], (size_t)(value - over->items[i]));
		strv_setenv(list, name, value + 1);
	}
}

/* Each text of `over` that `list` lacks. */
static void add_missing(struct strv *list, const struct strv *over)
{
	for (size_t i = 0; i < over->count; i++) {
		bool there = false;

		for (size_t j = 0; j < list->count; j++)
			there |= !strcmp(list->items[j], over->items[i]);
		if (!there)
			strv_add(list, over->items[i]);
	}
}

void process_overlay(struct process *base, const struct process *over)
{
	if (strv_is_said(&over->entrypoint)) {
		replace_list(&base->entrypoint, &over->entrypoint);
		strv_done(&base->command);
	}
	if (strv_is_said(&over->command))
		replace_list(&base->command, &over->command);
	overlay_pairs(&base->environment, &over->environment);
	overlay_pairs(&base->labels, &over->labels);
	add_missing(&base->volumes, &over->volumes);
	add_missing(&base->exposed, &over->exposed);
	replace_text(&base->user, over->user);
	replace_text(&base->workdir, over->workdir);
	replace_text(&base->stop_signal, over->stop_signal);
}

void identity_done(struct identity *identity)
{
	free(identity->home);
	free(identity->name);
	*identity = (struct identity){ 0 };
}

void mount_done(struct mount *mount)
{
	free(mount->source);
	free(mount->target);
	*mount = (struct mount){ .fd = -1 };
}

bool job_writes_to_host(const struct job *job)
{
	bool can_remount = job->capabilities >> 21 & 1; /* CAP_SYS_ADMIN */

	for (size_t i = 0; i < job->mount_count; i++)
		if (job->mounts[i].kind == MOUNT_BIND && (!job->mounts[i].read_only || can_remount))
			return true;
	return false;
}

static void secret_done(struct job_secret *secret)
{
	if (secret->value)
		explicit_bzero(secret->value, secret->size);
	free(secret->value);
	free(secret->name);
	*secret = (struct job_secret){ 0 };
}

void job_done(struct job *job)
{
	for (size_t i = 0; i < job->secret_count; i++)
		secret_done(&job->secrets[i]);
	free(job->secrets);
	strv_done(&job->argv);
	strv_done(&job->environment);
	identity_done(&job->identity);
	free(job->workdir);
	free(job->hostname);
	for (size_t i = 0; i < job->mount_count; i++)
		mount_done(&job->mounts[i]);
	free(job->mounts);
	*job = (struct job){ 0 };
}
