/* --explain: see explain.h. */
#include "runners/explain.h"

#include "core/jail/caps.h"
#include "core/mem.h"
#include "runners/mounts.h"

#define WORD_SHOWN 65536	/* bytes of a word of the command */

void explain_job(const struct job *job, struct str *out)
{
	_cleanup_free_ char *caps = caps_text(job->capabilities);

	str_addf(out, "user         %u:%u\nworkdir      %s\nhostname     %s\n",
		 job->identity.uid, job->identity.gid, job->workdir, job->hostname);
	str_addf(out, "capabilities %s\nno new privs yes\n", caps);
}

void explain_inside(const struct job *job, bool single_uid, struct str *out)
{
	_cleanup_free_ char *mounts = NULL;
	struct mount_list list;

	mounts_plan(job, single_uid, &list);
	mounts = mounts_text(&list);
	mounts_done(&list);
	str_addf(out, "mounts\n%scommand\n", mounts);
	for (size_t i = 0; i < job->argv.count; i++) {
		_cleanup_free_ char *word = str_escape(job->argv.items[i], WORD_SHOWN);

		str_addf(out, "  %s\n", word);
	}
}
