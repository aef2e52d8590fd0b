/* `copy` as a step and `directory` as a source: files of the host or of another image become a layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builders/builder.h"
#include "builders/sources.h"
#include "builders/worker/client.h"
#include "core/mem.h"

/* A request's descriptors: the selection's text, then its sources or trees. */
struct inputs {
	int fds[WORKER_LOWER_MAX];	/* the first is owned, the others are borrowed */
	size_t count;
};

static void inputs_done(struct inputs *inputs)
{
	if (inputs->count)
		close(inputs->fds[0]);
}

static int list_inputs(struct inputs *ret, const struct selection *selection, struct err *err)
{
	size_t count = selection->trees ? selection->tree_count : selection->count;
	int text;

	if (count + 1 > ARRAY_SIZE(ret->fds))
		return err_set(err, ERR_LAYER_LIMIT, "copy: from an image of more than %zu layers",
			       ARRAY_SIZE(ret->fds) - 1);
	text = sources_text(selection, err);
	if (text < 0)
		return -1;
	ret->fds[0] = text;
	for (size_t i = 0; i < count; i++)
		ret->fds[1 + i] = selection->trees ? selection->trees[i] : selection->sources[i].fd;
	ret->count = 1 + count;
	return 0;
}

static int ask_worker(const struct selection *selection, uint32_t flags, const char *what,
		      struct digest *ret, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_DIGEST_SOURCE,
					  .flags = flags | (selection->into ? WORKER_INTO : 0) };
	_cleanup_(inputs_done) struct inputs inputs = { 0 };
	struct worker_reply reply;

	if (list_inputs(&inputs, selection, err) < 0)
		return -1;
	request.fd_count = (uint32_t)inputs.count;
	if (worker_run(NULL, &request, inputs.fds, inputs.count, what, &reply, err) < 0)
		return -1;
	*ret = reply.blob;
	return 0;
}

/* `question` names what is selected; nothing is read while nothing has changed since the last answer. */
static int digest_selection(struct store *store, const struct selection *selection, uint32_t flags,
			    const char *question, struct digest *ret, struct err *err)
{
	_cleanup_(err_done) struct err ignored = { 0 };
	bool known_state, at_rest = false;
	struct digest state;
	int known;

	/* what cannot be walked through here a worker may still read, with the caller's rights over it */
	known_state = sources_state(selection, &state, &at_rest, &ignored) == 0;
	if (known_state) {
		known = store_sources_get(store, question, &state, ret, err);
		if (known != 0)
			return known < 0 ? -1 : 0;
	}
	if (ask_worker(selection, flags, selection->sources[0].name, ret, err) < 0)
		return -1;
	return known_state && at_rest ? store_sources_set(store, question, &state, ret, err) : 0;
}

/* Owned. */
static char *question_of_copy(const struct spec *spec, const struct step *step)
{
	struct str question = { 0 };

	str_addf(&question, "copy %d %s", str_has_suffix(step->to, "/"), spec->dir);
	for (size_t i = 0; i < step->patterns.count; i++)
		str_addf(&question, "\n%s", step->patterns.items[i]);
	return question.text;
}

static int digest_copy(struct store *store, const struct spec *spec, const struct step *step,
		       const struct selection *selection, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *question = question_of_copy(spec, step);

	return digest_selection(store, selection, 0, question, ret, err);
}

static int digest_folder(struct store *store, const struct source *source,
			 const struct selection *selection, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *question = xasprintf("directory %s", source->path);

	return digest_selection(store, selection, WORKER_KEEP, question, ret, err);
}

static int copy_resolve(struct resolve *resolve, const struct source *source,
			const struct step *step, struct digest *ret, struct plan_base *ret_base,
			struct err *err)
{
	_cleanup_(select_done) struct selection selection = { 0 };
	_cleanup_free_ char *question = NULL;

	(void)source;
	(void)ret_base;
	if (step->from_image)
		return 0;
	question = question_of_copy(resolve->spec, step);
	if (resolve->last_copied && !strcmp(resolve->last_copied, question)) {
		*ret = resolve->last_digest;
		return 0;
	}
	if (sources_of_host(&selection, resolve->spec, step, err) < 0)
		return -1;
	if (digest_selection(resolve->store, &selection, 0, question, ret, err) < 0)
		return err_wrap(err, "copy");
	free(resolve->last_copied);
	resolve->last_copied = TAKE_PTR(question);
	resolve->last_digest = *ret;
	return 0;
}

static int directory_resolve(struct resolve *resolve, const struct source *source,
			     const struct step *step, struct digest *ret,
			     struct plan_base *ret_base, struct err *err)
{
	_cleanup_(select_done) struct selection selection = { 0 };

	(void)step;
	(void)ret_base;
	if (sources_of_folder(&selection, resolve->spec, source->path, err) < 0)
		return -1;
	if (digest_folder(resolve->store, source, &selection, ret, err) < 0)
		return err_wrap(err, "read %s", source->path);
	return 0;
}

static int pack_selection(struct build *build, struct worker_request *request,
			  const struct selection *selection, const char *what,
			  struct build_blob *ret, struct err *err)
{
	_cleanup_(inputs_done) struct inputs inputs = { 0 };

	if (list_inputs(&inputs, selection, err) < 0)
		return -1;
	request->version = WORKER_VERSION;
	request->op = WORKER_PACK;
	request->flags |= selection->into ? WORKER_INTO : 0;
	return builder_pack_many(build->store, request, inputs.fds, inputs.count, what, ret, err);
}

/*
 * Steps below may have run for minutes since the plan was made. What is packed is kept under the digest that
 * the plan has: it must not be anything else, or it would be found for those files ever after.
 */
static int check_same(const struct plan_step *step, const struct digest *now, struct build_blob *blob,
		      struct err *err)
{
	if (digest_equal(now, &step->input))
		return 0;
	mem_closep(&blob->fd);
	blob->fd = -1;
	err_set(err, ERR_LAYER, "the files changed while the image was built");
	return err_mend(err, "build again");
}

static int from_image(struct build *build, const struct step *copy, int trees[ROOTFS_LAYERS_MAX],
		      struct selection *ret, struct err *err)
{
	struct rootfs *other;

	if (builders_stage(build, copy->image, &other, err) < 0)
		return -1;
	for (size_t i = 0; i < other->layer_count; i++)
		trees[i] = other->layers[i].tree;
	return sources_of_image(ret, copy, trees, other->layer_count, err);
}

static int copy_open(struct build *build, const struct plan_step *step, struct stack *below,
		     struct build_blob *ret, struct err *err)
{
	const struct step *copy = step->step;
	uint32_t image = WORKER_FROM_IMAGE | (copy->has_owner ? 0 : WORKER_KEEP_OWNERS);
	struct worker_request request = {
		.flags = (copy->has_mode ? WORKER_HAS_MODE : 0) | (copy->from_image ? image : 0),
		.mode = copy->mode, .owner_uid = copy->owner_uid, .owner_gid = copy->owner_gid,
	};
	_cleanup_(select_done) struct selection selection = { 0 };
	int trees[ROOTFS_LAYERS_MAX];
	struct digest now;

	(void)below;
	if ((copy->from_image ? from_image(build, copy, trees, &selection, err)
			      : sources_of_host(&selection, build->spec, copy, err)) < 0)
		return -1;
	snprintf(request.text, sizeof(request.text), "%s", copy->to);
	if (pack_selection(build, &request, &selection, step->summary, ret, err) < 0)
		return -1;
	if (copy->from_image)
		return 0;
	if (digest_copy(build->store, build->spec, copy, &selection, &now, err) < 0)
		return -1;
	return check_same(step, &now, ret, err);
}

static int directory_open(struct build *build, const struct plan_step *step, struct stack *below,
			  struct build_blob *ret, struct err *err)
{
	struct worker_request request = { .flags = WORKER_KEEP, .text = "/" };
	_cleanup_(select_done) struct selection selection = { 0 };
	struct digest now;

	(void)below;
	if (sources_of_folder(&selection, build->spec, step->source->path, err) < 0 ||
	    pack_selection(build, &request, &selection, step->summary, ret, err) < 0 ||
	    digest_folder(build->store, step->source, &selection, &now, err) < 0)
		return -1;
	return check_same(step, &now, ret, err);
}

const struct builder copy_builder = { "copy", copy_resolve, copy_open };
const struct builder directory_builder = { "directory", directory_resolve, directory_open };
