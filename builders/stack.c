/* Layers on their way to a rootfs: see stack.h. */
#include "builders/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "builders/worker/client.h"
#include "core/log.h"
#include "core/mem.h"

static const struct stack_forms no_forms = { -1, -1, { -1, -1 } };

void stack_init(struct stack *stack, struct store *store, unsigned int wanted)
{
	stack->store = store;
	stack->wanted = wanted;
	stack->count = 0;
}

void stack_forms_done(struct stack_forms *forms)
{
	mem_closep(&forms->tree);
	mem_closep(&forms->tree_use);
	mem_closep(&forms->disk.image);
	mem_closep(&forms->disk.use);
	*forms = no_forms;
}

void stack_done(struct stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		stack_forms_done(&stack->forms[i]);
	stack->count = 0;
}

static void next_chain(const struct stack *stack, const struct digest *diff_id,
		       struct digest *ret)
{
	digest_chain(stack->count ? &stack->chains[stack->count - 1] : NULL, diff_id, ret);
}

bool stack_is_whole(const struct stack *stack, const struct stack_forms *forms)
{
	unsigned int wanted = stack->wanted;

	return (!(wanted & ROOTFS_TREES) || forms->tree >= 0) &&
	       (!(wanted & ROOTFS_DISKS) || forms->disk.image >= 0);
}

int stack_has_blob(const struct stack *stack, const struct store_layer *layer, struct err *err)
{
	_cleanup_close_ int fd = -1;

	return layer->has_blob ? store_layer_blob_open(stack->store, layer, &fd, err) : 1;
}

int stack_open(struct stack *stack, const struct store_layer *layer, struct stack_forms *ret,
	       struct err *err)
{
	struct store *store = stack->store;
	unsigned int wanted = stack->wanted;
	struct digest chain;

	next_chain(stack, &layer->diff_id, &chain);
	if (wanted & ROOTFS_TREES && ret->tree < 0 &&
	    store_tree_open(store, &layer->diff_id, &chain, &ret->tree, &ret->tree_use, err) < 0)
		return -1;
	if (wanted & ROOTFS_DISKS && ret->disk.image < 0 &&
	    store_erofs_open(store, &layer->diff_id, &chain, false, &ret->disk.image,
			     &ret->disk.use, err) < 0)
		return -1;
	return 0;
}

void stack_push(struct stack *stack, const struct store_layer *layer, struct stack_forms *forms)
{
	next_chain(stack, &layer->diff_id, &stack->chains[stack->count]);
	stack->layers[stack->count] = *layer;
	stack->forms[stack->count++] = *forms;
	*forms = no_forms;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int run_worker(struct stack *stack, const struct build_blob *blob, enum worker_op op,
		      int out, const char *what, struct worker_reply *ret, struct err *err)
{
	struct store *store = stack->store;
	bool single = op == WORKER_UNPACK && store->map.kind == IDMAP_SINGLE;
	struct worker_request request = {
		.version = WORKER_VERSION,
		.op = op,
		.flags = (blob->has_expected ? WORKER_HAS_EXPECTED : 0) |
			 (blob->allow_xz ? WORKER_ALLOW_XZ : 0) | (single ? WORKER_SINGLE_UID : 0),
		.fd_count = (uint32_t)(2 + stack->count),
		.bytes = blob->bytes,
		.expected = blob->expected,
	};
	int fds[WORKER_LOWER_MAX + 2] = { blob->fd, out };

	if (stack->count > WORKER_LOWER_MAX)
		return err_set(err, ERR_LAYER_LIMIT, "unpack: more than %d layers",
			       WORKER_LOWER_MAX);
	for (size_t i = 0; i < stack->count; i++)
		fds[2 + i] = op == WORKER_UNPACK ? stack->forms[i].tree
						 : stack->forms[i].disk.image;
	/* another form may have been made from the same descriptor */
	if (lseek(blob->fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		return err_sys(err, errno, "read the blob");
	if (worker_run(&store->map, &request, fds, request.fd_count, what, ret, err) == 0)
		return 0;
	if (err->code == ERR_FETCH_DIGEST && blob->in_store)
		err_mend(err, "the store's copy is damaged: `duet store check` takes it away, and the "
			      "next build makes it again");
	return -1;
}

void stack_tell_losses(const struct worker_reply *reply)
{
	if (reply->owners_lost)
		log_note("%llu entries belong to other users than root; in single-uid mode they "
			 "belong to root", (unsigned long long)reply->owners_lost);
	if (reply->devices)
		log_debug("%llu device nodes of the layer were left out (an instance has its own "
			 "/dev)", (unsigned long long)reply->devices);
}

static void take_reply(const struct worker_reply *reply, const struct build_blob *blob,
		       struct store_layer *ret)
{
	*ret = (struct store_layer){
		.diff_id = reply->diff_id, .blob = reply->blob, .blob_bytes = reply->blob_bytes,
		.has_blob = blob->in_store, .needs_lower = reply->needs_lower,
		.entries = reply->entries, .tree_bytes = reply->tree_bytes,
	};
	stack_tell_losses(reply);
}

static int make_tree(struct stack *stack, struct store_tmp *tmp, const struct build_blob *blob,
		     const char *what, struct store_layer *ret, struct err *err)
{
	struct store *store = stack->store;
	_cleanup_close_ int tree = -1;
	struct worker_reply reply;
	struct digest chain;

	if (store_tree_new(store, tmp, &tree, err) < 0 ||
	    run_worker(stack, blob, WORKER_UNPACK, tree, what, &reply, err) < 0)
		return -1;
	take_reply(&reply, blob, ret);
	next_chain(stack, &ret->diff_id, &chain);
	return store_tree_publish(store, tmp, ret, &chain, err);
}

/* The one file of an EROFS item. */
int stack_new_image(struct store_tmp *tmp, struct err *err)
{
	int fd = openat(tmp->dir, store_item_files(STORE_EROFS)[0],
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : err_sys_as(err, ERR_STORE, errno, "make an EROFS file in the store");
}

static int make_disk(struct stack *stack, struct store_tmp *tmp, const struct build_blob *blob,
		     const char *what, struct store_layer *ret, struct err *err)
{
	_cleanup_close_ int image = stack_new_image(tmp, err);
	struct worker_reply reply;
	struct digest chain;

	if (image < 0 || run_worker(stack, blob, WORKER_EROFS, image, what, &reply, err) < 0)
		return -1;
	take_reply(&reply, blob, ret);
	next_chain(stack, &ret->diff_id, &chain);
	return store_erofs_publish(stack->store, tmp, ret, &chain, err);
}

/* One form, in a temporary folder of its own. */
static int make_form(struct stack *stack, struct build_blob *blob, const char *what,
		     int (*make)(struct stack *, struct store_tmp *, const struct build_blob *,
				 const char *, struct store_layer *, struct err *),
		     struct store_layer *layer, struct err *err)
{
	struct store *store = stack->store;
	struct err ignored = { 0 };
	struct store_tmp tmp;
	int result;

	if (store_tmp_new(store, &tmp, err) < 0)
		return -1;
	result = make(stack, &tmp, blob, what, layer, err);
	/* a failed removal must not hide why the build failed; the next store_open tries again */
	(void)store_tmp_drop(store, &tmp, &ignored);
	err_done(&ignored);
	return result;
}

int stack_make(struct stack *stack, struct build_blob *blob, const char *what,
	       struct store_layer *layer, struct stack_forms *forms, struct err *err)
{
	unsigned int wanted = stack->wanted;

	if (wanted & ROOTFS_TREES && forms->tree < 0 &&
	    (make_form(stack, blob, what, make_tree, layer, err) < 0 ||
	     stack_open(stack, layer, forms, err) < 0))
		return -1;
	if (wanted & ROOTFS_DISKS && forms->disk.image < 0 &&
	    (make_form(stack, blob, what, make_disk, layer, err) < 0 ||
	     stack_open(stack, layer, forms, err) < 0))
		return -1;
	return stack_is_whole(stack, forms) ? 0 : err_set(err, ERR_STORE,
							  "open a layer just unpacked");
}

static int need_tree(struct stack *stack, size_t number, struct err *err)
{
	struct store_layer layer = stack->layers[number];
	struct build_blob blob = { .fd = -1 };
	int result;

	if (stack_open(stack, &layer, &stack->forms[number], err) < 0)
		return -1;
	if (stack->forms[number].tree >= 0)
		return 0;
	if (stack->reopen(stack->reopen_data, number, &blob, err) < 0)
		return -1;
	result = stack_make(stack, &blob, "layer", &layer, &stack->forms[number], err);
	close(blob.fd);
	if (result == 0 && !digest_equal(&layer.diff_id, &stack->layers[number].diff_id))
		return err_set(err, ERR_STORE, "make a layer again: it came out differently");
	return result;
}

int stack_need_trees(struct stack *stack, struct err *err)
{
	size_t count = stack->count;
	unsigned int wanted = stack->wanted;
	int result = 0;

	stack->wanted = ROOTFS_TREES;
	for (size_t i = 0; result == 0 && i < count; i++) {
		stack->count = i;
		if (stack->forms[i].tree < 0)
			result = need_tree(stack, i, err);
	}
	stack->count = count;
	stack->wanted = wanted;
	return result;
}

/* ---- the rootfs ------------------------------------------------------------------------------ */

static int merge_into(struct stack *stack, struct store_tmp *tmp, size_t count, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_MERGE,
					  .fd_count = (uint32_t)(1 + count) };
	_cleanup_close_ int image = stack_new_image(tmp, err);
	int fds[WORKER_LOWER_MAX + 1] = { image };
	struct worker_reply reply;

	if (image < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		fds[1 + i] = stack->forms[i].disk.image;
	if (worker_run(&stack->store->map, &request, fds, 1 + count, "merge layers", &reply,
		       err) < 0)
		return -1;
	return store_erofs_publish(stack->store, tmp, NULL, &stack->chains[count - 1], err);
}

static int open_merged(struct stack *stack, size_t count, struct rootfs_disk *ret, struct err *err)
{
	return store_erofs_open(stack->store, NULL, &stack->chains[count - 1], true,
				&ret->image, &ret->use, err);
}

/* The lowest `count` layers as one file. */
static int find_merged(struct stack *stack, size_t count, struct rootfs_disk *ret, struct err *err)
{
	struct store *store = stack->store;
	int found = open_merged(stack, count, ret, err), result;
	struct err ignored = { 0 };
	struct store_tmp tmp;

	if (found != 0)
		return found < 0 ? -1 : 0;
	if (store_tmp_new(store, &tmp, err) < 0)
		return -1;
	result = merge_into(stack, &tmp, count, err);
	(void)store_tmp_drop(store, &tmp, &ignored);
	err_done(&ignored);
	if (result < 0)
		return err_wrap(err, "merge %zu layers", count);
	log_progress_end("merge layers");
	found = open_merged(stack, count, ret, err);
	return found == 0 ? err_set(err, ERR_STORE, "open a layer just merged") : found < 0 ? -1 : 0;
}

static int hand_disks(struct stack *stack, struct rootfs *rootfs, struct err *err)
{
	size_t merged = stack->count > ROOTFS_DISKS_MAX ? stack->count - ROOTFS_DISKS_MAX + 1 : 0;

	if (merged) {
		if (find_merged(stack, merged, &rootfs->disks[0], err) < 0)
			return -1;
		rootfs->disk_count = 1;
	}
	for (size_t i = merged; i < stack->count; i++) {
		struct rootfs_disk *disk = &stack->forms[i].disk;

		rootfs->disks[rootfs->disk_count++] = *disk;
		*disk = no_forms.disk;
	}
	return 0;
}

int stack_finish(struct stack *stack, struct rootfs *rootfs, struct err *err)
{
	if (stack->wanted & ROOTFS_DISKS && hand_disks(stack, rootfs, err) < 0)
		return -1;
	for (size_t i = 0; i < stack->count; i++) {
		struct stack_forms *forms = &stack->forms[i];

		rootfs->layers[i] = (struct rootfs_layer){ stack->layers[i].diff_id, -1, -1 };
		/* some may be there for a run step alone */
		if (!(stack->wanted & ROOTFS_TREES))
			continue;
		rootfs->layers[i].tree = TAKE_FD(forms->tree);
		rootfs->layers[i].use = TAKE_FD(forms->tree_use);
	}
	rootfs->layer_count = stack->count;
	rootfs->forms = stack->wanted;
	return 0;
}
