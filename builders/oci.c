/*
 * OCI images as a source: from a registry, a layout or a docker-archive. What such an image is, is found
 * out before there can be a plan; its layers are steps of the plan then, each under its diff-id.
 */
#include "builders/oci.h"

#include <string.h>

#include "builders/builder.h"
#include "builders/oci/documents.h"
#include "builders/oci/pull.h"
#include "builders/stack.h"
#include "core/lock.h"
#include "core/log.h"

static void fill_base(const struct oci_image *image, char *name, struct plan_base *ret)
{
	*ret = (struct plan_base){
		.id = digest_is_zero(&image->manifest) ? image->config : image->manifest,
		.config = image->config,
		.name = name,
		.layers = xcalloc(image->layer_count, sizeof(*ret->layers)),
		.layer_count = image->layer_count,
		.created_s = image->has_created ? (int64_t)image->created_s : 0,
	};
	for (size_t i = 0; i < image->layer_count; i++)
		ret->layers[i] = (struct plan_layer){
			.diff_id = image->layers[i].diff_id,
			.blob = image->layers[i].blob,
			.bytes = image->layers[i].bytes,
		};
	process_copy(&ret->process, &image->process);
}

/* What the lock says of the image: 1, 0, -1 where it has to say something and does not. */
static int ask_lock(struct resolve *resolve, const char *question, struct lock_image *ret,
		    struct err *err)
{
	int found = resolve->lock ? lock_image_get(resolve->lock, question, ret) : 0;

	if (found == 0 && resolve->locked)
		return lock_refuse_missing(resolve->lock, LOCK_IMAGE, question, err);
	return found;
}

static void tell_lock(struct resolve *resolve, const char *question, const struct oci_image *image,
		      const struct digest *index)
{
	struct lock_image entry = { .index = *index, .has_index = !digest_is_zero(index),
				    .manifest = image->manifest, .config = image->config,
				    .layer_count = image->layer_count };

	if (!resolve->lock)
		return;
	entry.layers = xcalloc(image->layer_count, sizeof(*entry.layers));
	for (size_t i = 0; i < image->layer_count; i++)
		entry.layers[i] = image->layers[i].blob;
	lock_image_set(resolve->lock, question, &entry);
	free(entry.layers);
}

/* Is a digest in the spec the one that the lock has? */
static bool is_digest_of(const struct ref *ref, const struct lock_image *entry)
{
	return !ref->has_digest || digest_equal(&ref->digest, &entry->manifest) ||
	       (entry->has_index && digest_equal(&ref->digest, &entry->index));
}

static int refuse_other_digest(const char *question, struct err *err)
{
	err_set(err, ERR_LOCK, "the spec names another digest of %s than duet.lock", question);
	return err_mend(err, "build once without --locked, and commit duet.lock");
}

/* What the store knows of a manifest, if that runs as `platform`: as oci_source_known. */
static int known_for(struct store *store, const struct digest *manifest, const char *platform,
		     struct oci_image *ret, struct err *err)
{
	int known = oci_source_known(store, manifest, ret, err);

	if (known != 1 || oci_check_platform(ret, platform, err) == 0)
		return known;
	oci_image_done(ret);
	return -1;
}

/* An image of a registry: as the lock says, else as the registry does, which the lock learns. */
static int resolve_reference(struct resolve *resolve, struct oci_source *source,
			     const char *platform, struct oci_image *ret, struct err *err)
{
	_cleanup_free_ char *name = oci_source_name(source->from);
	_cleanup_free_ char *question = xasprintf("%s %s", name, platform);
	struct lock_image entry = { 0 };
	struct digest index;
	int found = ask_lock(resolve, question, &entry, err);

	if (found < 0)
		return -1;
	if (found == 1 && !is_digest_of(&source->from->ref, &entry)) {
		if (resolve->locked)
			return refuse_other_digest(question, err);
		found = 0; /* the spec has been given another digest since */
	}
	if (found == 1) {
		int known = known_for(resolve->store, &entry.manifest, platform, ret, err);

		if (known == 0 && resolve->offline) {
			_cleanup_free_ char *what = xasprintf("image %s", question);

			return lock_refuse_offline(what, &entry.manifest,
						   source->from->ref.host, err);
		}
		if (known == 0)
			known = oci_source_find(source, platform, &entry.manifest, ret, &index, err);
		return known < 0 ? -1 : 0;
	}
	/* a digest in the spec says it all */
	if (source->from->ref.has_digest) {
		found = known_for(resolve->store, &source->from->ref.digest, platform, ret, err);
		if (found < 0)
			return -1;
	}
	if (found == 1) {
		index = (struct digest){ 0 };
	} else if (oci_source_find(source, platform, NULL, ret, &index, err) < 0) {
		return -1;
	}
	tell_lock(resolve, question, ret, &index);
	return 0;
}

static void tell_left_out(const char *name, const struct oci_image *image)
{
	for (size_t i = 0; i < image->left_out.count; i++)
		log_debug("%s: %s", name, image->left_out.items[i]);
}

static int oci_resolve(struct resolve *resolve, const struct source *from, const struct step *step,
		       struct digest *ret, struct plan_base *ret_base, struct err *err)
{
	const char *platform = resolve->image->platform ? resolve->image->platform : oci_platform();
	struct oci_source source;
	struct oci_image image;
	struct digest index;
	char *name;
	int result;

	(void)step;
	(void)ret;
	oci_source_init(&source, resolve->store, resolve->spec->host, from);
	source.offline = resolve->offline;
	result = from->kind == SOURCE_OCI
			 ? resolve_reference(resolve, &source, platform, &image, err)
			 : oci_source_find(&source, platform, NULL, &image, &index, err);
	oci_source_done(&source);
	if (result < 0)
		return -1;
	name = oci_source_name(from);
	tell_left_out(name, &image);
	fill_base(&image, name, ret_base);
	oci_image_done(&image);
	return 0;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* Which of the wanted forms the store lacks of a layer; those that need the layers below count not. */
static int find_missing(struct store *store, const struct plan_step *step,
			const struct digest *chain, unsigned int wanted, struct pull_layer *ret,
			struct err *err)
{
	_cleanup_close_ int tree = -1, tree_use = -1, image = -1, image_use = -1, blob = -1;
	const struct plan_layer *of = step->layer;
	struct store_layer layer;
	int found = store_step_get(store, &step->own_key, &layer, err);
	/* another blob of the same layer will do */
	bool other = found == 1 && layer.has_blob;
	uint64_t bytes;

	ret->forms = wanted;
	if (found < 0)
		return -1;
	if (found == 1 && layer.needs_lower && !ret->lowest)
		ret->forms = 0;
	if (found == 1 && ret->forms & ROOTFS_TREES) {
		found = store_tree_open(store, &layer.diff_id, chain, &tree, &tree_use, err);
		ret->forms &= found == 1 ? ~ROOTFS_TREES : ~0u;
	}
	if (found >= 0 && ret->forms & ROOTFS_DISKS) {
		found = store_erofs_open(store, &step->layer->diff_id, chain, false, &image,
					 &image_use, err);
		ret->forms &= found == 1 ? ~ROOTFS_DISKS : ~0u;
	}
	if (found < 0)
		return -1;
	if (ret->forms)
		return 1;
	found = store_blob_open(store, other ? &layer.blob : &of->blob, &blob, &bytes, err);
	return found < 0 ? -1 : !(found == 1 && bytes == (other ? layer.blob_bytes : of->bytes));
}

static bool is_listed(const struct pull_layer *layers, size_t count, const struct plan_layer *layer)
{
	for (size_t i = 0; i < count; i++)
		if (digest_equal(&layers[i].layer.diff_id, &layer->diff_id) ||
		    digest_equal(&layers[i].layer.blob, &layer->blob))
			return true;
	return false;
}

/* The layers of the plan's base that are not there yet, each once. */
static int list_missing(struct store *store, const struct plan *plan, unsigned int wanted,
			struct pull_layer *ret, size_t *ret_count, struct err *err)
{
	struct digest chain, below;

	*ret_count = 0;
	for (size_t i = 0; i < plan->step_count && plan->steps[i].layer; i++) {
		const struct plan_step *step = &plan->steps[i];
		struct pull_layer item = { .layer = *step->layer, .step_key = step->own_key,
					   .lowest = i == 0, .summary = step->summary };
		int missing;

		digest_chain(i ? &below : NULL, &step->layer->diff_id, &chain);
		below = chain;
		if (is_listed(ret, *ret_count, step->layer))
			continue;
		missing = find_missing(store, step, &chain, wanted, &item, err);
		if (missing < 0)
			return -1;
		if (missing)
			ret[(*ret_count)++] = item;
	}
	return 0;
}

/* Fetches what is missing of a plan's base, several layers at once. */
int oci_fetch_base(struct build *build, const struct plan *plan, unsigned int wanted,
		   struct err *err)
{
	_cleanup_free_ struct pull_layer *missing = xcalloc(plan->step_count, sizeof(*missing));
	_cleanup_free_ struct plan_layer *all = xcalloc(plan->step_count, sizeof(*all));
	struct oci_source source;
	size_t count, base = 0;
	int result;

	if (plan->step_count == 0 || !plan->steps[0].layer)
		return 0;
	if (list_missing(build->store, plan, wanted, missing, &count, err) < 0)
		return -1;
	if (count == 0)
		return 0;
	while (base < plan->step_count && plan->steps[base].layer) {
		all[base] = *plan->steps[base].layer;
		base++;
	}
	oci_source_init(&source, build->store, build->spec->host, plan->steps[0].source);
	source.offline = build->offline;
	result = oci_source_import(&source, all, base, err);
	if (result == 0)
		result = oci_pull(&source, missing, count, err);
	oci_source_done(&source);
	return result;
}

/* After oci_fetch_base every blob is in the store. */
static int oci_open(struct build *build, const struct plan_step *step, struct stack *below,
		    struct build_blob *ret, struct err *err)
{
	struct build_blob blob = { .fd = -1, .in_store = true, .has_expected = true,
				   .expected = step->layer->blob };
	int found = store_blob_open(build->store, &step->layer->blob, &blob.fd, &blob.bytes, err);

	(void)below;
	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_STORE, "open a blob just fetched");
	*ret = blob;
	return 0;
}

const struct builder oci_builder = { "oci", oci_resolve, oci_open };
