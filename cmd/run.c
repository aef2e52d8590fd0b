/* duet run: build what is missing, then the target as a job on one of the runners. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/job_make.h"
#include "core/log.h"
#include "runners/runner.h"

static const char *const words[SPEC_RUNNER_COUNT] = {
	[SPEC_RUNNER_CONTAINER] = "container",
	[SPEC_RUNNER_VM] = "vm",
};

static int choose(const struct cli *cli, const struct spec *spec, const struct runner **ret,
		  struct err *err)
{
	const char *name = cli->on ? cli->on : words[spec->on[0]];

	*ret = runner_find(name);
	if (*ret)
		return 0;
	err_set(err, ERR_USAGE, "run on %s: this duet has no such runner", name);
	return err_mend(err, "--on container");
}

static int run_job(const struct cli *cli, struct session *session, const struct runner *runner,
		   const struct rootfs *rootfs, int *ret_code, struct err *err)
{
	struct strv command = { .items = cli->rest, .count = (size_t)cli->rest_count };
	struct job job = { 0 };
	int result;

	if (job_make(&job, &session->spec, rootfs, command.count ? &command : NULL, cli->tty,
		     err) < 0)
		return -1;
	if (cli->explain) {
		_cleanup_free_ char *text = NULL;

		result = runner->explain(&session->store, rootfs, &job, &text, err);
		if (result == 0)
			fputs(text, stdout);
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

int cmd_run(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	const struct runner *runner = NULL;
	struct session session = { 0 };
	int result;

	if (cli->rest_count && !cli->has_separator) {
		err_set(err, ERR_USAGE, "run: unexpected word `%s`", cli->rest[0]);
		return err_mend(err, "a command stands behind `--`: duet run -- %s", cli->rest[0]);
	}
	if (cli->tty && !isatty(STDIN_FILENO))
		return err_set(err, ERR_USAGE, "run -t: standard input is not a terminal");
	result = session_open(&session, cli, err);
	if (result == 0)
		result = choose(cli, &session.spec, &runner, err);
	if (result == 0) {
		struct build build = { &session.store, &session.spec, &session.plan, ROOTFS_TREES };

		result = builders_build(&build, rootfs, err);
	}
	if (result == 0) {
		result = run_job(cli, &session, runner, rootfs, ret_code, err);
		rootfs_done(rootfs);
	}
	session_done(&session);
	return result;
}
