/*
 * Where an OCI image comes from: see source.h. What a registry says is looked at by a worker without
 * a network (documents.h); here are the questions and their order:
 *
 *	tag -> index -> (its entry for the platform) -> manifest -> config
 *
 * Each document is asked for by the digest that the one before gave, becomes a blob of the store, and
 * is looked at only then.
 */
#include "builders/oci/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builders/oci/documents.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/path.h"
#include "core/str.h"

void oci_source_init(struct oci_source *source, struct store *store, const struct host_paths *paths,
		     const struct source *from)
{
	*source = (struct oci_source){ .store = store, .paths = paths, .from = from,
				       .registry = { .worker = { .socket = -1 } } };
}

void oci_source_done(struct oci_source *source)
{
	if (source->is_open)
		registry_close(&source->registry, true);
	registry_access_done(&source->access);
	strv_done(&source->hosts);
	*source = (struct oci_source){ .registry = { .worker = { .socket = -1 } } };
}

char *oci_source_name(const struct source *from)
{
	_cleanup_free_ char *path = NULL;
	struct ref ref;

	if (from->kind == SOURCE_OCI) {
		/* the digest stands beside it */
		ref = from->ref;
		ref.has_digest = from->ref.has_digest && !from->ref.tag;
		return ref_text(&ref);
	}
	path = str_escape(from->path, 200);
	return xasprintf("%s %s%s%s", from->kind == SOURCE_LAYOUT ? "layout" : "docker-archive",
			 path, from->tag ? ":" : "", from->tag ? from->tag : "");
}

/* ---- the registry ---------------------------------------------------------------------------- */

/* Who is asked, in order: mirrors, then the registry. */
static int find_hosts(struct oci_source *source, struct err *err)
{
	const struct ref *ref = &source->from->ref;

	if (registry_access_find(ref->host, ref->repository, &source->access, err) < 0)
		return -1;
	source->has_access = true;
	strv_copy(&source->hosts, &source->access.mirrors);
	strv_add(&source->hosts, ref_api_host(ref));
	return 0;
}

int oci_source_open(struct oci_source *source, struct err *err)
{
	const struct ref *ref = &source->from->ref;
	const struct registry_access *access = &source->access;
	struct registry_access mirror = { 0 };
	bool is_mirror;
	int result = 0;

	if (source->is_open)
		return 0;
	if (source->from->kind != SOURCE_OCI)
		return err_set(err, ERR_OCI, "%s: a layer is missing, or has another size than the image "
					     "says", source->from->path);
	if (source->offline) {
		_cleanup_free_ char *name = oci_source_name(source->from);

		err_set(err, ERR_LOCK, "%s is not all in the store, and --frozen asks no network", name);
		return err_mend(err, "build once without --frozen");
	}
	if (!source->has_access && find_hosts(source, err) < 0)
		return -1;
	is_mirror = source->host + 1 < source->hosts.count;
	/* a mirror gets its own login, never the registry's */
	if (is_mirror) {
		result = registry_access_find(source->hosts.items[source->host], ref->repository,
					      &mirror, err);
		access = &mirror;
	}
	if (result == 0)
		result = registry_open(&source->registry, source->hosts.items[source->host],
				       ref->repository, access, false, err);
	registry_access_done(&mirror);
	source->is_open = result == 0;
	return result;
}

bool oci_source_next_host(struct oci_source *source, struct err *err)
{
	/* what goes wrong here does not go better elsewhere */
	if (source->host + 1 >= source->hosts.count ||
	    (err->code != ERR_FETCH && err->code != ERR_FETCH_DIGEST))
		return false;
	log_warn("mirror %s: %s; asking the next", source->hosts.items[source->host], err->msg);
	err_done(err);
	if (source->is_open)
		registry_close(&source->registry, true);
	source->is_open = false;
	source->host++;
	return true;
}

/* Bytes of a file of the host become a blob of the store, once their digest is right. */
static int import_blob(struct store *store, int in, const struct oci_place *place,
		       const struct digest *digest, const char *what, int *ret_fd, struct err *err)
{
	_cleanup_close_ int out = -1;

	if (store_blob_new(store, &out, err) < 0 ||
	    oci_copy(in, place->offset, place->bytes, digest, out, what, NULL, err) < 0 ||
	    store_blob_publish(store, out, digest, err) < 0)
		return -1;
	if (ret_fd)
		*ret_fd = TAKE_FD(out);
	return 0;
}

static const struct oci_place all_of_it = { 0, 0 };

/* A file of a layout's blobs into the store, compared with its digest. */
static int copy_from_layout(struct oci_source *source, const struct digest *digest, int *ret_fd,
			    struct err *err)
{
	_cleanup_close_ int layout = host_path_open(source->paths, "layout", source->from->path,
						    O_PATH | O_DIRECTORY, err);
	char hex[DIGEST_HEX_SIZE], path[sizeof("blobs/sha256/") + DIGEST_HEX_SIZE];
	_cleanup_close_ int in = -1;

	digest_hex(digest, hex);
	snprintf(path, sizeof(path), "blobs/sha256/%s", hex);
	if (layout < 0)
		return -1;
	in = fs_open_no_links(layout, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (in < 0)
		return err_sys(err, errno, "open %s/%s", source->from->path, path);
	return import_blob(source->store, in, &all_of_it, digest, path, ret_fd, err);
}

/*
 * One document into the store, by digest or (expected NULL) by tag; open for reading in *ret_fd. Of a
 * layout media_type is what its descriptor said.
 */
static int get_manifest(struct oci_source *source, const char *reference,
			const struct digest *expected, struct digest *ret, char media_type[256],
			int *ret_fd, struct err *err)
{
	_cleanup_close_ int file = -1;
	uint64_t bytes;

	if (source->from->kind == SOURCE_LAYOUT) {
		*ret = *expected;
		return copy_from_layout(source, expected, ret_fd, err);
	}
	if (store_blob_new(source->store, &file, err) < 0 ||
	    registry_get_manifest(&source->registry, reference, expected, file, ret, &bytes,
				  media_type, err) < 0 ||
	    store_blob_publish(source->store, file, ret, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(file);
	return 0;
}

static int get_config(struct oci_source *source, const struct oci_descriptor *config, int *ret_fd,
		      struct err *err)
{
	_cleanup_close_ int file = -1;
	struct worker_reply reply;
	uint64_t bytes;
	uint32_t id;
	int taken;

	taken = store_blob_open(source->store, &config->digest, ret_fd, &bytes, err);
	if (taken < 0 || (taken == 1 && bytes == config->bytes))
		return taken < 0 ? -1 : 0;
	if (taken == 1)
		close(TAKE_FD(*ret_fd)); /* damaged: as good as absent */
	if (source->from->kind == SOURCE_LAYOUT)
		return copy_from_layout(source, &config->digest, ret_fd, err);
	if (config->bytes > OCI_CONFIG_MAX)
		return err_set(err, ERR_OCI, "config: more than %u bytes", OCI_CONFIG_MAX);
	if (store_blob_new(source->store, &file, err) < 0 ||
	    registry_get_blob(&source->registry, &config->digest, config->bytes, file, NULL, 0, &id,
			      err) < 0)
		return -1;
	while ((taken = worker_take(&source->registry.worker, &reply, err)) == 0)
		;
	if (taken < 0)
		return -1;
	if (reply.id != id || !digest_equal(&reply.blob, &config->digest))
		return err_set(err, ERR_WORKER, "an answer that nobody waits for");
	if (store_blob_publish(source->store, file, &config->digest, err) < 0)
		return -1;
	*ret_fd = TAKE_FD(file);
	return 0;
}

/* ---- down the documents ----------------------------------------------------------------------- */

/* Where a walk down the documents begins: a tag or digest, or what a layout's index names. */
struct start {
	const char *reference;
	const struct digest *expected;	/* NULL: whatever the tag leads to */
	char media_type[256];
};

/* From a manifest or index on, down to the image. */
static int walk_down(struct oci_source *source, const struct start *start, const char *platform,
		     struct oci_image *ret, struct digest *ret_index, struct err *err)
{
	const struct digest *expected = start->expected;
	const char *reference = start->reference;
	struct oci_descriptor next = { 0 };
	char by_digest[DIGEST_TEXT_SIZE];

	*ret_index = (struct digest){ 0 };
	snprintf(next.media_type, sizeof(next.media_type), "%s", start->media_type);
	for (unsigned int depth = 0; depth < OCI_INDEX_DEPTH_MAX; depth++) {
		_cleanup_close_ int document = -1, config = -1;
		enum oci_document kind;
		struct digest digest;
		int known;

		if (get_manifest(source, reference, expected, &digest, next.media_type, &document,
				 err) < 0)
			return -1;
		known = oci_source_known(source->store, &digest, ret, err);
		if (known == 1 && oci_check_platform(ret, platform, err) < 0) {
			oci_image_done(ret);
			return -1;
		}
		if (known != 0)
			return known < 0 ? -1 : 0;
		if (oci_pick(document, next.media_type, platform, &kind, &next, err) < 0)
			return -1;
		if (kind == OCI_MANIFEST) {
			if (get_config(source, &next, &config, err) < 0)
				return err_wrap(err, "config");
			if (oci_make_image(document, config, &digest, platform, ret, err) < 0)
				return -1;
			return oci_source_remember(source->store, &digest, ret, err);
		}
		if (depth == 0)
			*ret_index = digest;
		digest_text(&next.digest, by_digest);
		reference = by_digest;
		expected = &next.digest;
	}
	return err_set(err, ERR_OCI, "more than %d indexes in each other", OCI_INDEX_DEPTH_MAX);
}

static int find_in_registry(struct oci_source *source, const char *platform,
			    const struct digest *expected, struct oci_image *ret,
			    struct digest *ret_index, struct err *err)
{
	const struct ref *ref = &source->from->ref;
	struct start start = { .reference = ref->tag, .expected = expected };
	char by_digest[DIGEST_TEXT_SIZE];

	if (!expected && ref->has_digest)
		start.expected = &ref->digest;
	if (start.expected) {
		digest_text(start.expected, by_digest);
		start.reference = by_digest;
	}
	for (;;) {
		if (oci_source_open(source, err) == 0 &&
		    walk_down(source, &start, platform, ret, ret_index, err) == 0)
			return 0;
		if (!oci_source_next_host(source, err))
			return -1;
	}
}

/* ---- layouts and archives of the host --------------------------------------------------------- */

static int find_in_layout(struct oci_source *source, const char *platform, struct oci_image *ret,
			  struct digest *ret_index, struct err *err)
{
	_cleanup_free_ char *path = path_join(source->from->path, "index.json");
	_cleanup_close_ int layout = host_path_open(source->paths, "layout", source->from->path,
						    O_PATH | O_DIRECTORY, err);
	_cleanup_close_ int index = -1;
	struct oci_descriptor first;
	struct start start;

	if (layout < 0)
		return -1;
	index = fs_open_no_links(layout, "index.json", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (index < 0) {
		err_sys(err, errno, "open %s", path);
		return err_mend(err, "a layout is a folder with oci-layout, index.json and blobs/");
	}
	if (oci_pick_layout(index, source->from->tag, &first, err) < 0)
		return -1;
	start = (struct start){ .expected = &first.digest };
	snprintf(start.media_type, sizeof(start.media_type), "%s", first.media_type);
	return walk_down(source, &start, platform, ret, ret_index, err);
}

/* The archive, and room for its inflated form, should it be compressed. */
static int open_archive(struct oci_source *source, const char *platform, struct oci_archive *ret,
			struct err *err)
{
	const struct source *from = source->from;
	_cleanup_close_ int file = host_path_open_file(source->paths, "docker_archive", from->path, NULL,
						       err);
	_cleanup_close_ int scratch = -1;

	if (file < 0)
		return -1;
	if (store_blob_new(source->store, &scratch, err) < 0)
		return -1;
	return oci_open_docker_archive(file, scratch, from->tag, platform, ret, err);
}

static int find_in_archive(struct oci_source *source, const char *platform, struct oci_image *ret,
			   struct err *err)
{
	struct oci_archive archive;
	int result;

	if (open_archive(source, platform, &archive, err) < 0)
		return -1;
	result = import_blob(source->store, archive.config, &all_of_it, &archive.image.config,
			     "copy", NULL, err);
	if (result == 0)
		oci_image_copy(ret, &archive.image);
	oci_archive_done(&archive);
	return result;
}

static int import_from_archive(struct oci_source *source, const struct plan_layer *layers,
			       const bool *missing, size_t count, struct err *err)
{
	struct oci_archive archive;
	int result = 0;

	if (open_archive(source, NULL, &archive, err) < 0)
		return -1;
	for (size_t i = 0; result == 0 && i < count; i++) {
		if (!missing[i])
			continue;
		if (i >= archive.image.layer_count ||
		    !digest_equal(&archive.image.layers[i].blob, &layers[i].blob))
			result = err_set(err, ERR_OCI, "%s: another image than a moment ago",
					 source->from->path);
		else
			result = import_blob(source->store, archive.file, &archive.image.places[i],
					     &layers[i].blob, "copy a layer", NULL, err);
	}
	oci_archive_done(&archive);
	return result;
}

int oci_source_import(struct oci_source *source, const struct plan_layer *layers, size_t count,
		      struct err *err)
{
	_cleanup_free_ bool *missing = xcalloc(count, sizeof(*missing));
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		_cleanup_close_ int fd = -1;
		uint64_t bytes;
		int found = store_blob_open(source->store, &layers[i].blob, &fd, &bytes, err);

		if (found < 0)
			return -1;
		missing[i] = found == 0 || bytes != layers[i].bytes;
		any |= missing[i];
	}
	if (!any || source->from->kind == SOURCE_OCI)
		return 0;
	if (source->from->kind == SOURCE_DOCKER_ARCHIVE)
		return import_from_archive(source, layers, missing, count, err);
	for (size_t i = 0; i < count; i++) {
		_cleanup_close_ int fd = -1;

		if (missing[i] && copy_from_layout(source, &layers[i].blob, &fd, err) < 0)
			return -1;
	}
	return 0;
}

int oci_source_find(struct oci_source *source, const char *platform,
		    const struct digest *expected, struct oci_image *ret,
		    struct digest *ret_index, struct err *err)
{
	_cleanup_free_ char *name = oci_source_name(source->from);
	int result;

	*ret_index = (struct digest){ 0 };
	if (!platform)
		platform = oci_platform();
	if (source->from->kind == SOURCE_OCI)
		result = find_in_registry(source, platform, expected, ret, ret_index, err);
	else if (source->from->kind == SOURCE_LAYOUT)
		result = find_in_layout(source, platform, ret, ret_index, err);
	else
		result = find_in_archive(source, platform, ret, err);
	return result < 0 ? err_wrap(err, "%s", name) : 0;
}
