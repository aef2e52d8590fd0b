/*
 * Pulling layers: see pull.h. For each layer that is under way:
 *
 *	duet-worker registry -> partial blob in the store
 *	                    \-> pipe -> duet-worker unpack -> folder of tmp/	(for each form)
 *
 * and when both have ended well the blob is published, then the forms, then the step's record. The
 * registry's worker compares the blob's digest, the unpacking one computes the diff-id, which has to be
 * the one that the image's config names. An unpacking that fails is no failure yet: the layer may need
 * what lies below it, or the pipe could not go on, or it met its share of the memory (WORKER_SHARED);
 * the caller tries again from the blob, one layer after the other, and that is the error that is told.
 *
 * Everything happens on this thread, in one loop over the workers' sockets.
 */
#include "builders/oci/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "builders/stack.h"
#include "core/clock.h"
#include "core/flock.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/rootfs.h"

#define PIPE_BYTES (1 << 20)
#define WAIT_MS 20	/* between two looks at what another process fetches */
#define FORMS 2

static const struct form {
	unsigned int bit;
	enum worker_op op;
} forms[FORMS] = { { ROOTFS_TREES, WORKER_UNPACK }, { ROOTFS_DISKS, WORKER_EROFS } };

/* A layer becoming one form. */
struct unpacking {
	bool wanted;		/* it was begun, and not given up */
	bool done;		/* and has ended well */
	struct worker worker;
	struct store_tmp tmp;
	int out;		/* owned */
	struct worker_reply reply;
};

/* A layer under way. */
struct flight {
	const struct pull_layer *layer;	/* NULL: this place is free */
	int blob;		/* owned; the partial file */
	uint32_t id;		/* of the request; 0: the blob is in the store */
	int64_t waits_since_ms;	/* for another process that fetches it; 0: it does not */
	bool told;		/* and the user knows */
	uint64_t fetched;	/* bytes */
	struct unpacking unpacking[FORMS];
};

struct pull {
	struct oci_source *source;
	struct store *store;
	struct flight flights[PULL_LAYERS_MAX];
	uint64_t fetched, total;	/* bytes of blobs that are done; of all */
	char *what;			/* owned; the line of progress */
	struct err *err;
};

/* ---- one layer: begin ------------------------------------------------------------------------ */

static void chain_of_lowest(const struct pull_layer *layer, struct digest *ret)
{
	digest_chain(NULL, &layer->layer.diff_id, ret);
}

static void give_up(struct pull *pull, struct unpacking *unpacking)
{
	struct err ignored = { 0 };

	if (!unpacking->wanted)
		return;
	worker_end(&unpacking->worker, true);
	mem_closep(&unpacking->out);
	unpacking->out = -1;
	(void)store_tmp_drop(pull->store, &unpacking->tmp, &ignored);
	err_done(&ignored);
	*unpacking = (struct unpacking){ .out = -1, .worker = { .socket = -1 } };
}

static int start_unpacking(struct pull *pull, const struct pull_layer *layer, const struct form *form,
			   int blob, bool verified, struct unpacking *ret)
{
	struct store *store = pull->store;
	bool single = form->op == WORKER_UNPACK && store->map.kind == IDMAP_SINGLE;
	struct worker_request request = {
		.version = WORKER_VERSION,
		.op = form->op,
		.flags = WORKER_SHARED | (layer->lowest ? 0 : WORKER_ALONE) |
			 (single ? WORKER_SINGLE_UID : 0) |
			 (verified ? WORKER_VERIFIED : WORKER_HAS_EXPECTED),
		.fd_count = 2,
		.bytes = layer->layer.bytes,
		.expected = layer->layer.blob,
	};
	int fds[2] = { blob, -1 };

	*ret = (struct unpacking){ .out = -1, .worker = { .socket = -1 } };
	if (store_tmp_new(store, &ret->tmp, pull->err) < 0)
		return -1;
	ret->wanted = true;
	if (form->op == WORKER_UNPACK ? store_tree_new(store, &ret->tmp, &ret->out, pull->err) < 0
				      : (ret->out = stack_new_image(&ret->tmp, pull->err)) < 0)
		return -1;
	fds[1] = ret->out;
	return worker_start(&ret->worker, &store->map, &request, fds, 2, pull->err);
}

/* The pipes between the two workers, and the unpacking workers on their ends. */
static int start_forms(struct pull *pull, struct flight *flight, int pipes[FORMS], size_t *ret_count)
{
	const struct pull_layer *layer = flight->layer;

	for (size_t i = 0; i < FORMS; i++) {
		_cleanup_close_ int ours = -1;
		int ends[2];

		if (!(layer->forms & forms[i].bit))
			continue;
		if (flight->id == 0) {
			uint64_t bytes;
			/* a descriptor of its own: two readers have two offsets */
			int found = store_blob_open(pull->store, &layer->layer.blob, &ours, &bytes,
						    pull->err);

			if (found == 0)
				return err_set(pull->err, ERR_STORE,
					       "open a blob that was there a moment ago");
			if (found < 0 ||
			    start_unpacking(pull, layer, &forms[i], ours, false,
							&flight->unpacking[i]) < 0)
				return -1;
			continue;
		}
		if (pipe2(ends, O_CLOEXEC) < 0)
			return err_sys(pull->err, errno, "make pipe");
		ours = ends[0];
		pipes[(*ret_count)++] = ends[1];
		(void)fcntl(ours, F_SETPIPE_SZ, PIPE_BYTES); /* less will do */
		if (start_unpacking(pull, layer, &forms[i], ours, true, &flight->unpacking[i]) < 0)
			return -1;
	}
	return 0;
}

/* 0 too when another process is at its blob; then again, with what `flight` was. */
static int begin_layer(struct pull *pull, struct flight *flight, const struct pull_layer *layer)
{
	const struct plan_layer *of = &layer->layer;
	int pipes[FORMS] = { -1, -1 }, found, opened, result;
	int64_t since_ms = flight->waits_since_ms;
	size_t pipe_count = 0;
	uint64_t bytes;

	*flight = (struct flight){ .layer = layer, .blob = -1, .told = flight->told };
	for (size_t i = 0; i < FORMS; i++)
		flight->unpacking[i] = (struct unpacking){ .out = -1, .worker = { .socket = -1 } };
	found = store_blob_open(pull->store, &of->blob, &flight->blob, &bytes, pull->err);
	if (found < 0)
		return -1;
	if (found == 1 && bytes == of->bytes) {
		flight->fetched = bytes;
	} else {
		mem_closep(&flight->blob);
		flight->blob = -1;
		if (pull->source->offline && pull->source->from->kind == SOURCE_OCI) {
			_cleanup_free_ char *from = oci_source_name(pull->source->from);

			return lock_refuse_offline("the layer", &of->blob, from, pull->err);
		}
		if (oci_source_open(pull->source, pull->err) < 0)
			return -1;
		flight->id = UINT32_MAX;	/* known when it was asked for */
		opened = store_partial_open(pull->store, &of->blob, of->bytes, &flight->blob,
					    pull->err);
		if (opened == 0)
			flight->waits_since_ms = since_ms ? since_ms : clock_ms();
		if (opened <= 0)
			return opened;
	}
	result = start_forms(pull, flight, pipes, &pipe_count);
	if (result == 0 && flight->id)
		result = registry_get_blob(&pull->source->registry, &of->blob, of->bytes,
					   flight->blob, pipes, pipe_count, &flight->id, pull->err);
	for (size_t i = 0; i < FORMS; i++)
		mem_closep(&pipes[i]);
	return result;
}

/* ---- one layer: end -------------------------------------------------------------------------- */

static int publish_form(struct pull *pull, const struct flight *flight, const struct form *form,
			struct unpacking *unpacking, struct store_layer *ret)
{
	const struct worker_reply *reply = &unpacking->reply;
	struct digest chain;

	*ret = (struct store_layer){
		.diff_id = reply->diff_id, .blob = flight->layer->layer.blob,
		.blob_bytes = flight->layer->layer.bytes, .has_blob = true,
		.needs_lower = reply->needs_lower, .entries = reply->entries,
		.tree_bytes = reply->tree_bytes,
	};
	chain_of_lowest(flight->layer, &chain);
	if (form->op == WORKER_UNPACK)
		return store_tree_publish(pull->store, &unpacking->tmp, ret, &chain, pull->err);
	return store_erofs_publish(pull->store, &unpacking->tmp, ret, &chain, pull->err);
}

/* The blob is there and every unpacking has ended: what came of them is published. */
static int end_layer(struct pull *pull, struct flight *flight)
{
	struct store_layer layer;
	bool has_layer = false;
	int result = 0;

	for (size_t i = 0; result == 0 && i < FORMS; i++) {
		struct unpacking *unpacking = &flight->unpacking[i];

		if (!unpacking->done)
			continue;
		result = publish_form(pull, flight, &forms[i], unpacking, &layer);
		has_layer = true;
		if (result == 0)
			stack_tell_losses(&unpacking->reply);
		give_up(pull, unpacking);
	}
	if (result == 0 && has_layer)
		result = store_step_set(pull->store, &flight->layer->step_key, &layer, pull->err);
	if (result == 0)
		log_progress_end(flight->layer->summary);
	for (size_t i = 0; i < FORMS; i++)
		give_up(pull, &flight->unpacking[i]);
	pull->fetched += flight->layer->layer.bytes;
	mem_closep(&flight->blob);
	*flight = (struct flight){ .blob = -1 };
	return result;
}

/* Ends it when nothing of it is under way any more. */
static int settle(struct pull *pull, struct flight *flight)
{
	if (flight->id)
		return 0;
	for (size_t i = 0; i < FORMS; i++)
		if (flight->unpacking[i].wanted && !flight->unpacking[i].done)
			return 0;
	return end_layer(pull, flight);
}

static int take_unpacking(struct pull *pull, struct flight *flight, struct unpacking *unpacking)
{
	struct err failed = { 0 };
	int taken = worker_take(&unpacking->worker, &unpacking->reply, &failed);

	if (taken == 0)
		return 0;
	if (taken == 1 && digest_equal(&unpacking->reply.diff_id, &flight->layer->layer.diff_id)) {
		worker_end(&unpacking->worker, false);
		unpacking->done = true;
	} else {
		/* the caller does it again, from the blob: that is the error that counts */
		if (failed.code && failed.code != ERR_LAYER_LOWER)
			log_debug("%s: %s; once more from the blob", flight->layer->summary,
				  failed.msg);
		give_up(pull, unpacking);
	}
	err_done(&failed);
	return settle(pull, flight);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void tell_progress(struct pull *pull)
{
	uint64_t done = pull->fetched;

	for (size_t i = 0; i < PULL_LAYERS_MAX; i++)
		if (pull->flights[i].layer)
			done += pull->flights[i].fetched;
	log_progress(pull->what, done, pull->total);
}

static int take_registry(struct pull *pull)
{
	struct worker_reply reply = { 0 };
	int taken = worker_take(&pull->source->registry.worker, &reply, pull->err);
	struct flight *flight = pull->flights;

	while (flight < pull->flights + PULL_LAYERS_MAX &&
	       (!flight->layer || !flight->id || flight->id != reply.id))
		flight++;
	if (taken < 0)
		return flight < pull->flights + PULL_LAYERS_MAX
			       ? err_wrap(pull->err, "%s", flight->layer->summary)
			       : -1;
	if (flight == pull->flights + PULL_LAYERS_MAX)
		return taken == 0 ? 0 : err_set(pull->err, ERR_WORKER,
						"an answer that nobody waits for");
	if (taken == 0) {
		flight->fetched = reply.done;
		tell_progress(pull);
		return 0;
	}
	if (!digest_equal(&reply.blob, &flight->layer->layer.blob))
		return err_set(pull->err, ERR_WORKER, "another blob than was asked for");
	flight->fetched = flight->layer->layer.bytes;
	flight->id = 0;
	if (store_partial_publish(pull->store, flight->blob, &flight->layer->layer.blob,
				  pull->err) < 0)
		return -1;
	return settle(pull, flight);
}

/* Looks again at what other processes fetch: 1: one is waited for no more; 0; -1. */
static int look_at_others(struct pull *pull, bool *ret_waiting)
{
	*ret_waiting = false;
	for (size_t i = 0; i < PULL_LAYERS_MAX; i++) {
		struct flight *flight = &pull->flights[i];
		const struct pull_layer *layer = flight->layer;

		if (!layer || !flight->waits_since_ms)
			continue;
		if (begin_layer(pull, flight, layer) < 0)
			return -1;
		if (!flight->waits_since_ms)
			return settle(pull, flight) < 0 ? -1 : 1;
		*ret_waiting = true;
		if (!flight->told && clock_ms() - flight->waits_since_ms >= FLOCK_TELL_MS) {
			store_partial_tell(pull->store, &layer->layer.blob, layer->summary);
			flight->told = true;
		}
	}
	return 0;
}

/*
 * Waits for any of the workers, and takes what it says. What another process fetches is not waited for
 * in any other way: that process may wait for what is fetched here.
 */
static int wait_and_take(struct pull *pull)
{
	struct pollfd fds[1 + PULL_LAYERS_MAX * FORMS];
	struct { struct flight *flight; struct unpacking *unpacking; } owners[ARRAY_SIZE(fds)];
	size_t count = 1;
	bool waiting;
	int looked = look_at_others(pull, &waiting);

	if (looked != 0)
		return looked < 0 ? -1 : 0;
	fds[0] = (struct pollfd){ .fd = pull->source->registry.worker.socket, .events = POLLIN };
	for (size_t i = 0; i < PULL_LAYERS_MAX; i++) {
		struct flight *flight = &pull->flights[i];

		for (size_t j = 0; flight->layer && j < FORMS; j++) {
			struct unpacking *unpacking = &flight->unpacking[j];

			if (!unpacking->wanted || unpacking->done)
				continue;
			owners[count].flight = flight;
			owners[count].unpacking = unpacking;
			fds[count++] = (struct pollfd){ .fd = unpacking->worker.socket,
							.events = POLLIN };
		}
	}
	if (poll(fds, count, waiting ? WAIT_MS : -1) < 0)
		return errno == EINTR ? 0 : err_sys(pull->err, errno, "wait for workers");
	/* one message each round: what it changes is looked at anew */
	for (size_t i = 1; i < count; i++)
		if (fds[i].revents)
			return take_unpacking(pull, owners[i].flight, owners[i].unpacking);
	return fds[0].revents ? take_registry(pull) : 0;
}

static bool is_idle(const struct pull *pull)
{
	for (size_t i = 0; i < PULL_LAYERS_MAX; i++)
		if (pull->flights[i].layer)
			return false;
	return true;
}

static int run(struct pull *pull, const struct pull_layer *layers, size_t count)
{
	size_t next = 0;

	while (next < count || !is_idle(pull)) {
		struct flight *flight = pull->flights;

		while (flight < pull->flights + PULL_LAYERS_MAX && flight->layer)
			flight++;
		if (next < count && flight < pull->flights + PULL_LAYERS_MAX) {
			if (begin_layer(pull, flight, &layers[next++]) < 0 ||
			    settle(pull, flight) < 0)
				return -1;
			continue;
		}
		if (wait_and_take(pull) < 0)
			return -1;
	}
	return 0;
}

static void abandon(struct pull *pull)
{
	for (size_t i = 0; i < PULL_LAYERS_MAX; i++) {
		struct flight *flight = &pull->flights[i];

		if (!flight->layer)
			continue;
		for (size_t j = 0; j < FORMS; j++)
			give_up(pull, &flight->unpacking[j]);
		mem_closep(&flight->blob);
		*flight = (struct flight){ .blob = -1 };
	}
}

int oci_pull(struct oci_source *source, const struct pull_layer *layers, size_t count,
	     struct err *err)
{
	struct pull *pull = xcalloc(1, sizeof(*pull));
	_cleanup_free_ char *name = oci_source_name(source->from);
	int result = 0;

	*pull = (struct pull){ .source = source, .store = source->store, .err = err,
			       .what = xasprintf("pull %s", name) };
	for (size_t i = 0; i < count; i++)
		pull->total += layers[i].layer.bytes;
	for (;;) {
		result = run(pull, layers, count);
		if (result == 0)
			break;
		abandon(pull);
		if (!oci_source_next_host(source, err))
			break;
		pull->fetched = 0;
	}
	free(pull->what);
	free(pull);
	return result;
}
