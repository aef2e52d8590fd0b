/* What commands open: spec, store, lock, plan. */
#include <stdlib.h>
#include <string.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/proc.h"
#include "core/str.h"
#include "runners/step.h"

#define INIT_BYTES_MAX (64u << 20)

static const char *from_environment(const char *name)
{
	return getenv(name);
}

int session_spec(struct session *session, const struct cli *cli, struct err *err)
{
	if (spec_load(&session->spec, cli->file, from_environment, err) < 0)
		return -1;
	session->has_spec = true;
	if (allow_find(cli, &session->spec, &session->allowed, err) < 0)
		return -1;
	session->spec.host->allowed = &session->allowed;
	return spec_read_env_files(&session->spec, err);
}

int session_store(struct session *session, const struct cli *cli, struct err *err)
{
	const char *why;
	struct idmap map;

	if (idmap_find(&map, false, &why, err) < 0)
		return -1;
	if (why)
		log_debug("ids: %s", why);
	if (getenv(SESSION_OTHER_IDS))
		(void)idmap_vary(&map);
	if (store_open(&session->store, cli->store, &map, err) < 0)
		return -1;
	session->has_store = true;
	return 0;
}

/* ---- the lock -------------------------------------------------------------------------------- */

/* This duet, as a lock has it. */
static int find_maker(struct lock_maker *ret, struct err *err)
{
	_cleanup_close_ int fd = proc_open_own("duet-init", err);
	_cleanup_free_ char *bytes = NULL;
	struct digest init;
	size_t size;

	if (fd < 0 || fs_read_fd(fd, "duet-init", INIT_BYTES_MAX, &bytes, &size, err) < 0)
		return -1;
	digest_of(bytes, size, &init);
	*ret = (struct lock_maker){ init, xstrdup(PLAN_FORMAT), xstrdup(LOCK_LAYER_FORMAT),
				    xstrdup(LOCK_EROFS_FORMAT) };
	return 0;
}

/*
 * Another plan or layer format makes other layers of the same inputs; another EROFS format or
 * duet-init changes neither layers nor config.
 */
static int check_maker(struct session *session, bool locked, struct err *err)
{
	const struct lock *lock = &session->lock;
	const struct lock_maker *maker = &lock->maker;
	_cleanup_free_ char *plan = NULL, *layer = NULL;

	if (!strcmp(maker->plan, PLAN_FORMAT) && !strcmp(maker->layer, LOCK_LAYER_FORMAT))
		return 0;
	session->lock_is_others = true;
	plan = str_escape(maker->plan, 40);
	layer = str_escape(maker->layer, 40);
	if (!locked) {
		log_note("%s was written by a duet of other formats (%s, %s): images may differ",
			 lock->file, plan, layer);
		return 0;
	}
	err_set(err, ERR_LOCK, "%s was written by a duet of other formats: %s, %s, here %s, %s",
		lock->file, plan, layer, PLAN_FORMAT, LOCK_LAYER_FORMAT);
	return err_mend(err, "take that duet, or run `duet lock` with this one and commit duet.lock");
}

int session_lock(struct session *session, const struct cli *cli, struct err *err)
{
	_cleanup_free_ char *file = lock_path(session->spec.file);

	if (lock_read(&session->lock, file, err) < 0)
		return -1;
	session->has_lock = true;
	return session->lock.exists ? check_maker(session, cli->locked, err) : 0;
}

int session_keep_lock(struct session *session, const struct cli *cli, unsigned int forms, bool wanted,
		      struct err *err)
{
	_cleanup_(lock_maker_done) struct lock_maker maker = { 0 };
	struct lock *lock = &session->lock;
	unsigned int kinds = 1u << LOCK_IMAGE | 1u << LOCK_ARCHIVE | 1u << LOCK_DEBIAN;

	/* only a build for VMs asks for a kernel */
	lock_drop_unused(lock, kinds | (forms & ROOTFS_DISKS ? 1u << LOCK_KERNEL : 0));
	if (!lock->change)
		return 0;
	if (cli->locked) {
		err_set(err, ERR_LOCK, "%s would change: %s", lock->file, lock->change);
		return err_mend(err, "run `duet build` or `duet lock`, and commit duet.lock");
	}
	if (find_maker(&maker, err) < 0)
		return -1;
	if (lock_write(lock, &maker, err) < 0) {
		if (wanted)
			return -1;
		log_warn("the lock is not kept: %s", err->msg);
		err_done(err);
	}
	return 0;
}

/* ---- together -------------------------------------------------------------------------------- */

struct resolve session_resolve(struct session *session, const struct cli *cli)
{
	return (struct resolve){ .store = &session->store, .spec = &session->spec,
				 .lock = &session->lock, .locked = cli->locked,
				 .offline = cli->frozen, .looks_only = session->looks_only };
}

int session_open(struct session *session, const struct cli *cli, struct err *err)
{
	struct resolve resolve = session_resolve(session, cli);

	if ((!session->has_spec && session_spec(session, cli, err) < 0) ||
	    session_store(session, cli, err) < 0 ||
	    (!session->has_lock && session_lock(session, cli, err) < 0) ||
	    builders_plan(&resolve, &session->plans, err) < 0)
		return -1;
	session->has_plan = true;
	return 0;
}

struct build session_build(struct session *session, const struct cli *cli, unsigned int forms)
{
	return (struct build){ .no_cache = cli->no_cache, .explain_cache = cli->explain_cache,
			       .run_step = container_run_step, .store = &session->store,
			       .spec = &session->spec, .plans = &session->plans, .forms = forms,
			       .lock = &session->lock, .locked = cli->locked,
			       .offline = cli->frozen };
}

void session_done(struct session *session)
{
	if (session->has_plan)
		plans_done(&session->plans);
	if (session->has_lock)
		lock_done(&session->lock);
	if (session->has_store)
		store_done(&session->store);
	if (session->has_spec)
		spec_done(&session->spec);
	allowed_done(&session->allowed);
	*session = (struct session){ 0 };
}
