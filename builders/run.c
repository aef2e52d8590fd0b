/*
 * `run` as a step: a command in a container on the layers below; what it changes is the layer.
 *
 *	1  the layers below as trees, whatever the build wants
 *	2  the job, its mounts and secrets
 *	3  build->run_step: the command; when that returns nothing of it lives any more
 *	4  a worker packs the upper into a deterministic blob; from here on it is a layer like any other
 */
#include "builders/builder.h"

#include <fcntl.h>
#include <string.h>

#include "builders/layer/layer.h"
#include "builders/run_inputs.h"
#include "builders/stack.h"
#include "builders/worker/client.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/job_make.h"
#include "core/mem.h"
#include "core/str.h"

/* Raised when a step sees something else than before for the same spec: its environment, its mounts. */
#define RULES_VERSION 1
#define COMMAND_SHOWN 400	/* bytes of a command in an error */

char *builder_run_rules(struct store *store)
{
	bool single = store->map.kind == IDMAP_SINGLE;
	char filter[65];

	filter_digest(single ? FILTER_JOB_SINGLE : FILTER_JOB, filter);
	return xasprintf("%d %s %s %llx gain", RULES_VERSION, single ? "one id" : "ids", filter,
			 (unsigned long long)caps_step_default());
}

const struct plan *builder_plan_of(const struct build *build, const struct plan_step *step)
{
	for (size_t i = 0; i < build->plans->stage_count; i++) {
		const struct plan *stage = &build->plans->stages[i];

		if (step >= stage->steps && step < stage->steps + stage->step_count)
			return stage;
	}
	return &build->plans->image;
}

int64_t builder_run_time(const struct plan *plan, const struct store_layer *below, size_t count)
{
	int64_t time_s = LAYER_TIME;

	if (plan->created_s > time_s)
		time_s = plan->created_s;
	for (size_t i = 0; i < count; i++)
		if (below[i].time_s > time_s)
			time_s = below[i].time_s;
	return time_s;
}

/* The layers below as a rootfs; everything in it is borrowed from the stack. */
static int view_below(struct stack *below, struct rootfs *ret, struct err *err)
{
	if (below->count == 0) {
		err_set(err, ERR_RUN, "the image has nothing in it yet that could be run");
		return err_mend(err, "begin with another image, an archive or `debian` instead of scratch, "
				"or put a `copy` or `archive` step before it");
	}
	if (stack_need_trees(below, err) < 0)
		return -1;
	rootfs_init(ret);
	for (size_t i = 0; i < below->count; i++)
		ret->layers[i] = (struct rootfs_layer){ below->layers[i].diff_id,
							below->forms[i].tree,
							below->forms[i].tree_use };
	ret->layer_count = below->count;
	ret->forms = ROOTFS_TREES;
	return 0;
}

static int fail(const struct step *run, int code, const char *tail, struct err *err)
{
	_cleanup_free_ char *command = step_command(run), *shown = NULL;

	command[strcspn(command, "\n")] = '\0';
	shown = str_escape(command, COMMAND_SHOWN);
	err_set(err, ERR_RUN, "ended with code %d%s%s", code, *tail ? "; its last lines:\n" : "",
		tail);
	/* the step's summary is in front of it, its first line, and that cut short */
	return strlen(shown) > PLAN_SUMMARY_MAX ? err_wrap(err, "`%s`", shown) : -1;
}

static int pack(struct build *build, const struct plan_step *step, const struct stack *below,
		struct store_tmp *tmp, struct build_blob *ret, struct err *err)
{
	struct worker_request request = {
		.version = WORKER_VERSION, .op = WORKER_PACK_UPPER, .fd_count = 2, .text = "/",
		.flags = build->store->map.kind == IDMAP_SINGLE ? WORKER_SINGLE_UID : 0,
		.time_s = builder_run_time(builder_plan_of(build, step), below->layers,
					   below->count),
	};
	_cleanup_close_ int upper = openat(tmp->dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW |
					   O_CLOEXEC);

	if (upper < 0)
		return err_set(err, ERR_STORE, "open what the command wrote");
	if (builder_pack(build->store, &request, upper, step->summary, ret, err) < 0)
		return -1;
	ret->time_s = request.time_s;
	return 0;
}

/* For `duet shell --failed`; that it cannot be kept must not hide why the step failed. */
static bool keep(struct build *build, const struct plan_step *step, const struct stack *below,
		 struct store_tmp *tmp)
{
	struct store_failed failed = {
		.name = build->spec->name,
		.layers = (struct store_layer *)below->layers,
		.layer_count = below->count,
		.process = step->process,
		.network = step->step->network,
	};
	struct err ignored = { 0 };
	int kept = store_failed_keep(build->store, tmp, &failed, &ignored);

	err_done(&ignored);
	return kept == 1;
}

static int run_and_pack(struct build *build, const struct plan_step *step, struct stack *below,
			const struct rootfs *rootfs, const struct job *job, struct store_tmp *tmp,
			struct build_blob *ret, struct err *err)
{
	_cleanup_free_ char *tail = NULL;
	int code;

	if (build->run_step(build->store, rootfs, job, tmp, &tail, &code, err) < 0) {
		/* its exit code would be that of a job of the caller's */
		if (err->code == ERR_JOB_NOT_FOUND || err->code == ERR_JOB_NOT_EXEC)
			err->code = ERR_RUN;
		return -1;
	}
	if (code == 0)
		return pack(build, step, below, tmp, ret, err);
	fail(step->step, code, tail, err);
	return keep(build, step, below, tmp)
		       ? err_mend(err, "`duet shell --failed` opens a shell on what it had written")
		       : -1;
}

static int make_job(struct build *build, const struct plan_step *step, const struct rootfs *rootfs,
		    struct run_inputs *inputs, struct job *ret, struct err *err)
{
	if (run_inputs_check(build, step, err) < 0 ||
	    job_make_step(ret, &step->step->argv, &step->process, step->step->network, rootfs,
			  err) < 0)
		return -1;
	return run_inputs_open(build, step->step, inputs, ret, err);
}

static int run_open(struct build *build, const struct plan_step *step, struct stack *below,
		    struct build_blob *ret, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct store_tmp tmp = { .dir = -1, .lock = -1 };
	struct run_inputs inputs = { 0 };
	struct err ignored = { 0 };
	struct job job = { 0 };
	int result;

	if (view_below(below, rootfs, err) < 0)
		return -1;
	result = make_job(build, step, rootfs, &inputs, &job, err);
	if (result == 0)
		result = store_tmp_new(build->store, &tmp, err);
	if (result == 0)
		result = run_and_pack(build, step, below, rootfs, &job, &tmp, ret, err);
	job_done(&job);
	run_inputs_done(&inputs);
	(void)store_tmp_drop(build->store, &tmp, &ignored);
	err_done(&ignored);
	return result;
}

const struct builder run_builder = { "run", NULL, run_open };
