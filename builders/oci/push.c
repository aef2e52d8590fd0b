/* Pushing: see push.h. Children before parents, as distribution-spec asks. */
#include "builders/oci/push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "builders/oci/export.h"
#include "builders/oci/registry.h"
#include "builders/oci/write.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/str.h"

struct push {
	struct store *store;
	const struct store_image *image;
	const struct ref *ref;
	struct registry registry;
	struct oci_layer *layers;	/* owned */
	struct strv repositories;	/* of the same registry, that may have a layer */
};

/* A text as a file that can be sent. */
static int text_file(const char *text, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("duet-push", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "make memfd");
	if (fs_write_all(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "write a document");
	return TAKE_FD(fd);
}

static void add_repository(struct push *push, const struct ref *ref)
{
	if (strcmp(ref->host, push->ref->host) || !strcmp(ref->repository, push->ref->repository))
		return;
	for (size_t i = 0; i < push->repositories.count; i++)
		if (!strcmp(push->repositories.items[i], ref->repository))
			return;
	strv_add(&push->repositories, ref->repository);
}

/* Where a layer may be mounted from: images of the store that bear this registry's name. */
static int find_repositories(struct push *push, const struct ref *known, size_t known_count,
			     struct err *err)
{
	struct store_image *images;
	size_t count;

	for (size_t i = 0; i < known_count; i++)
		add_repository(push, &known[i]);
	if (store_image_list(push->store, &images, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct err ignored = { 0 };
		struct ref ref;

		/* NAME/IMAGE is what a spec made */
		if (strchr(images[i].name, ':') && ref_parse(&ref, images[i].name, &ignored) == 0) {
			add_repository(push, &ref);
			ref_done(&ref);
		}
		err_done(&ignored);
		store_image_done(&images[i]);
	}
	free(images);
	return 0;
}

static int push_layer(struct push *push, size_t number, struct err *err)
{
	const struct oci_layer *layer = &push->layers[number];
	const char *from = push->repositories.count ? push->repositories.items[0] : NULL;
	_cleanup_free_ char *what = NULL;
	_cleanup_close_ int blob = -1;
	bool sent;
	char hex[DIGEST_HEX_SIZE];
	uint64_t bytes;
	int found = store_blob_open(push->store, &layer->blob, &blob, &bytes, err);

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(err, ERR_STORE, "open a layer's blob");
	digest_hex(&layer->diff_id, hex);
	what = xasprintf("push layer %zu of %zu %.12s", number + 1, push->image->layer_count, hex);
	if (registry_put_blob(&push->registry, &layer->blob, layer->bytes, blob, from, what, &sent,
			      err) < 0)
		return err_wrap(err, "layer %zu", number + 1);
	if (sent)
		log_progress_end(what);
	else
		log_debug("%s: the registry has it", what);
	return 0;
}

static int push_text(struct push *push, const char *text, const struct digest *digest,
		     struct err *err)
{
	_cleanup_close_ int file = text_file(text, err);

	if (file < 0)
		return -1;
	return registry_put_blob(&push->registry, digest, strlen(text), file, NULL, "push config",
				 NULL, err);
}

static int push_manifest(struct push *push, struct digest *ret, struct err *err)
{
	const struct store_image *image = push->image;
	const struct oci_written written = {
		.config = image->id, .config_bytes = strlen(image->config),
		.layers = push->layers, .layer_count = image->layer_count,
		.created_s = export_created(image->config),
	};
	_cleanup_free_ char *manifest = oci_write_manifest(&written);
	_cleanup_close_ int file = text_file(manifest, err);

	if (file < 0 ||
	    registry_put_manifest(&push->registry, push->ref->tag, OCI_TYPE_MANIFEST, file, err) < 0)
		return -1;
	digest_of(manifest, strlen(manifest), ret);
	return 0;
}

static int push_all(struct push *push, struct digest *ret, struct err *err)
{
	for (size_t i = 0; i < push->image->layer_count; i++)
		if (push_layer(push, i, err) < 0)
			return -1;
	if (push_text(push, push->image->config, &push->image->id, err) < 0)
		return err_wrap(err, "config");
	return push_manifest(push, ret, err);
}

static int open_registry(struct push *push, struct err *err)
{
	struct registry_access access = { 0 };
	int result = registry_access_find(push->ref->host, push->ref->repository, &access, err);

	if (result == 0)
		result = registry_open(&push->registry, ref_api_host(push->ref),
				       push->ref->repository, &access, true, err);
	registry_access_done(&access);
	return result;
}

int oci_push(struct store *store, const struct store_image *image, const struct ref *ref,
	     const struct ref *known, size_t known_count, struct digest *ret, struct err *err)
{
	struct push push = { .store = store, .image = image, .ref = ref };
	int result;

	push.layers = xcalloc(image->layer_count + 1, sizeof(*push.layers));
	result = export_layers(store, image, push.layers, NULL, err);
	if (result == 0)
		result = find_repositories(&push, known, known_count, err);
	if (result == 0)
		result = open_registry(&push, err);
	if (result == 0) {
		result = push_all(&push, ret, err);
		registry_close(&push.registry, result < 0);
	}
	strv_done(&push.repositories);
	free(push.layers);
	return result;
}
