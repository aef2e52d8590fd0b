/* duet run: build what is missing, then the target as a job on one of the runners. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/job_make.h"
#include "core/log.h"
#include "core/str.h"

static int run_job(const struct cli *cli, struct session *session, const struct runner *runner,
		   const struct rootfs *rootfs, int *ret_code, struct err *err)
{
	struct strv command = { .items = cli->rest, .count = (size_t)cli->rest_count };
	struct job job = { 0 };
	int result;

	if (job_make(&job, &session->spec, rootfs, command.count ? &command : NULL, cli->tty,
		     err) < 0)
		return -1;
	job.no_stdin = cli->on && !strcmp(cli->on, "all");
	if (cli->explain) {
		_cleanup_free_ char *text = NULL;

		result = runner->explain(&session->store, rootfs, &job, &text, err);
		if (result == 0)
			log_text(text);
		*ret_code = 0;
	} else {
		result = runner->run(&session->store, rootfs, &job, ret_code, err);
		if (result == 0 && *ret_code == 124 && job.timeout_ms)
			log_note("the job's time-out of %llu ms is over",
				 (unsigned long long)job.timeout_ms);
	}
	job_done(&job);
	return result;
}

/* One after the other; the first code that is not 0 is the call's. */
static int run_all(const struct cli *cli, struct session *session, const struct chosen *chosen,
		   const struct rootfs *rootfs, int *ret_code, struct err *err)
{
	*ret_code = 0;
	for (size_t i = 0; i < chosen->count; i++) {
		int code;

		if (chosen->count > 1)
			log_note("on %s", chosen->runners[i]->name);
		/* the runner before has let go of it */
		if (i > 0 && store_lock_shared(&session->store, err) < 0)
			return -1;
		if (run_job(cli, session, chosen->runners[i], rootfs, &code, err) < 0)
			return chosen->count > 1 ? err_wrap(err, "on %s", chosen->runners[i]->name)
						 : -1;
		if (*ret_code == 0)
			*ret_code = code;
	}
	return 0;
}

/* Several runners cannot share one standard input: what is there would be lost to the second. */
static int check_stdin(struct err *err)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct stat st;
	char byte;

	if (fstat(STDIN_FILENO, &st) < 0 || isatty(STDIN_FILENO) || poll(&in, 1, 0) != 1 ||
	    !(in.revents & POLLIN) || read(STDIN_FILENO, &byte, 1) <= 0)
		return 0;
	err_set(err, ERR_USAGE, "run --on all: standard input is not empty");
	return err_mend(err, "end the line with </dev/null, or name one runner");
}

/* Said before anything is built. */
static int check_network(const struct chosen *chosen, const struct spec *spec, struct err *err)
{
	for (size_t i = 0; i < chosen->count; i++) {
		if (spec->target.network != NETWORK_NAT ||
		    chosen->runners[i]->forms & ROOTFS_TREES)
			continue;
		err_set(err, ERR_SPEC_VALUE, "target.network: nat: a VM has no network yet");
		err_mend(err, "run it with --on container, or say network: none");
		return err_place(err, spec->file, spec->target.network_place.line,
				 spec->target.network_place.column);
	}
	return 0;
}

static int check_line(const struct cli *cli, struct err *err)
{
	bool all = cli->on && !strcmp(cli->on, "all");

	if (cli->rest_count && !cli->has_separator) {
		err_set(err, ERR_USAGE, "run: unexpected word `%s`", cli->rest[0]);
		return err_mend(err, "a command stands behind `--`: duet run -- %s", cli->rest[0]);
	}
	if (cli->image && (cli->file || cli->locked))
		return err_set(err, ERR_USAGE, "run --image: there is no spec, so neither -f nor "
					       "--locked or --frozen");
	if (cli->tty && all)
		return err_set(err, ERR_USAGE, "run -t --on all: several jobs cannot share a terminal");
	if (cli->tty && !isatty(STDIN_FILENO))
		return err_set(err, ERR_USAGE, "run -t: standard input is not a terminal");
	return all && !cli->explain ? check_stdin(err) : 0;
}

/* What the spec describes, built where it is missing. */
static int build(struct session *session, const struct cli *cli, const struct chosen *chosen,
		 struct rootfs *rootfs, struct err *err)
{
	struct build build = session_build(session, cli, chosen->forms);

	if (builders_build(&build, rootfs, err) < 0)
		return -1;
	if (session_keep_lock(session, cli, chosen->forms, false, err) == 0)
		return 0;
	rootfs_done(rootfs);
	return -1;
}

/* With --image there is no file to look at, and nothing that could reach outside. */
static int open_session(struct session *session, const struct cli *cli, struct err *err)
{
	if (cli->image) {
		if (image_spec("duet run", "scratch", NULL, &session->spec, err) < 0)
			return -1;
		session->has_spec = true;
		return session_store(session, cli, err);
	}
	if (session_spec(session, cli, err) < 0)
		return -1;
	/* --explain starts no job: it is how one finds out; what a build needs is asked for there again */
	if (!cli->explain && allow_check(session, true, err) < 0)
		return -1;
	return session_open(session, cli, err);
}

int cmd_run(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct session session = { 0 };
	struct chosen chosen = { 0 };
	int result;

	if (check_line(cli, err) < 0)
		return -1;
	result = open_session(&session, cli, err);
	if (result == 0)
		result = chosen_find(cli, &session.spec, &chosen, err);
	if (result == 0)
		result = check_network(&chosen, &session.spec, err);
	if (result == 0)
		result = cli->image ? image_open(&session, cli, chosen.forms, rootfs, err)
				    : build(&session, cli, &chosen, rootfs, err);
	if (result == 0) {
		result = run_all(cli, &session, &chosen, rootfs, ret_code, err);
		rootfs_done(rootfs);
	}
	session_done(&session);
	return result;
}
