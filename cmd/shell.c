/*
 * duet shell: a shell in the target; with --failed in the container of the run step that failed last,
 * on what it had written.
 */
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "core/job_make.h"
#include "runners/step.h"

#define SHELL "/bin/sh"

/* The trees of a failed step's layers, each in use. */
static int open_layers(struct store *store, const struct store_failed *failed, struct rootfs *ret,
		       struct err *err)
{
	struct digest chain;

	rootfs_init(ret);
	for (size_t i = 0; i < failed->layer_count; i++) {
		const struct store_layer *layer = &failed->layers[i];
		struct rootfs_layer *to = &ret->layers[i];
		struct digest below = chain;
		int found;

		digest_chain(i ? &below : NULL, &layer->diff_id, &chain);
		found = store_tree_open(store, &layer->diff_id, &chain, &to->tree, &to->use, err);
		if (found < 0)
			return -1;
		if (found == 0) {
			err_set(err, ERR_STORE, "the layers that the step ran on are gone");
			return err_mend(err, "build again: duet build");
		}
		to->diff_id = layer->diff_id;
		ret->layer_count++;
	}
	ret->forms = ROOTFS_TREES;
	return 0;
}

static int run_failed(const struct cli *cli, struct session *session,
		      const struct store_failed *failed, int kept, int *ret_code, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	char *shell[] = { (char *)SHELL, NULL };
	struct strv argv = { shell, 1 };
	struct job job = { 0 };
	int result = open_layers(&session->store, failed, rootfs, err);

	if (cli->rest_count)
		argv = (struct strv){ cli->rest, (size_t)cli->rest_count };
	if (result == 0)
		result = job_make_step(&job, &argv, &failed->process, failed->network, rootfs, err);
	if (result == 0) {
		job.no_stdin = job.one_output = job.mute = false;
		job.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
		store_unlock(&session->store);
		result = container_run_kept(&session->store, rootfs, &job, kept, ret_code, err);
	}
	job_done(&job);
	rootfs_done(rootfs);
	return result;
}

static int shell_failed(const struct cli *cli, struct session *session, int *ret_code,
			struct err *err)
{
	struct store_failed failed = { 0 };
	int kept, use, found, result;

	if (session_spec(session, cli, err) < 0 || session_store(session, cli, err) < 0)
		return -1;
	found = store_failed_open(&session->store, session->spec.name, &failed, &kept, &use, err);
	if (found < 0)
		return -1;
	if (found == 0) {
		err_set(err, ERR_USAGE, "shell --failed: no step of %s has failed lately",
			session->spec.name);
		return err_mend(err, "what a failed step wrote is kept for %d hours",
				STORE_FAILED_HOURS);
	}
	result = run_failed(cli, session, &failed, kept, ret_code, err);
	close(kept);
	close(use);
	store_failed_done(&failed);
	return result;
}

int cmd_shell(const struct cli *cli, int *ret_code, struct err *err)
{
	char *shell[] = { (char *)SHELL, NULL };
	struct cli run = *cli;
	struct session session = { 0 };
	int result;

	if (cli->failed) {
		result = shell_failed(cli, &session, ret_code, err);
		session_done(&session);
		return result;
	}
	if (!run.rest_count) {
		run.rest = shell;
		run.rest_count = 1;
		run.has_separator = true;
	}
	run.tty = run.tty || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	return cmd_run(&run, ret_code, err);
}
