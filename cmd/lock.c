/*
 * duet lock: writes the lock without building, where that can be done; with --update entries are asked
 * for anew, with --check the sources are asked and nothing is written.
 */
#include <stdio.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/str.h"

static bool wants_kernel(const struct spec *spec)
{
	enum kernel_kind kind = spec->target.vm.kernel;

	if (kind != KERNEL_AUTO && kind != KERNEL_DEBIAN)
		return false;
	for (size_t i = 0; i < spec->on_count; i++)
		if (spec->on[i] == SPEC_RUNNER_VM)
			return true;
	return false;
}

static int check(const struct cli *cli, struct session *session, int *ret_code, struct err *err)
{
	struct resolve resolve = session_resolve(session, cli);
	_cleanup_(strv_done) struct strv drifts = { 0 };
	struct lock_kernel kernel;

	if (builders_check(&resolve, &drifts, err) < 0)
		return -1;
	if ((wants_kernel(&session->spec) ||
	     lock_kernel_get(&session->lock, LOCK_KERNEL_KEY, &kernel)) &&
	    builder_kernel_check(&resolve, &drifts, err) < 0)
		return -1;
	for (size_t i = 0; i < drifts.count; i++) {
		_cleanup_free_ char *line = str_visible(drifts.items[i], 0);

		printf("%s\n", line);
	}
	*ret_code = drifts.count > 0;
	return 0;
}

static int drop(const struct cli *cli, struct lock *lock, struct err *err)
{
	if (cli->rest_count == 0)
		return lock_drop(lock, NULL, err);
	for (int i = 0; i < cli->rest_count; i++)
		if (lock_drop(lock, cli->rest[i], err) < 0)
			return -1;
	return 0;
}

/* What is not in the lock any more, or not yet. */
static int fill(const struct cli *cli, struct session *session, struct err *err)
{
	struct resolve resolve = session_resolve(session, cli);
	struct build build;

	resolve.refresh = cli->update;
	if (builders_plan(&resolve, &session->plans, err) < 0)
		return -1;
	session->has_plan = true;
	build = session_build(session, cli, ROOTFS_TREES);
	build.refresh = cli->update;
	if (builders_lock(&build, err) < 0)
		return -1;
	return wants_kernel(&session->spec) ? builder_kernel_lock(&build, err) : 0;
}

static int check_line(const struct cli *cli, struct err *err)
{
	if (cli->rest_count && !cli->update) {
		err_set(err, ERR_USAGE, "lock: unexpected word `%s`", cli->rest[0]);
		return err_mend(err, "duet lock --update %s", cli->rest[0]);
	}
	if (cli->check && cli->update)
		return err_set(err, ERR_USAGE, "lock: --check and --update exclude each other");
	if (cli->locked && (cli->check || cli->update))
		return err_set(err, ERR_USAGE, "lock: --locked has nothing to do with --%s",
			       cli->check ? "check" : "update");
	return 0;
}

int cmd_lock(const struct cli *cli, int *ret_code, struct err *err)
{
	struct session session = { 0 };
	int result;

	if (check_line(cli, err) < 0)
		return -1;
	result = session_spec(&session, cli, err);
	if (result == 0)
		result = allow_check(&session, NULL, false, err);
	if (result == 0)
		result = session_store(&session, cli, err);
	if (result == 0)
		result = session_lock(&session, cli, err);
	if (result == 0 && cli->check) {
		result = check(cli, &session, ret_code, err);
		session_done(&session);
		return result;
	}
	if (result == 0 && cli->update)
		result = drop(cli, &session.lock, err);
	if (result == 0)
		result = fill(cli, &session, err);
	/* it is this duet's from now on */
	if (result == 0 && session.lock_is_others && !session.lock.change)
		session.lock.change = xstrdup("formats of another duet");
	if (result == 0)
		result = session_keep_lock(&session, cli,
					   wants_kernel(&session.spec) ? ROOTFS_DISKS : 0, true,
					   err);
	*ret_code = 0;
	session_done(&session);
	return result;
}
