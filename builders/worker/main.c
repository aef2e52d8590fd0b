/*
 * duet-worker: reads what others made. Started by duet (client.c) in namespaces of its own with one
 * socket; takes one request, jails itself further, answers, ends. A registry's conversation goes on.
 *
 *	1  the request and its descriptors arrive; they are checked; its memory is limited (memory.h)
 *	2  root (root.c): an empty tmpfs (with a network: copies of the resolver's files and certificates);
 *	   the caller's terminal is given up
 *	3  capabilities: those that writing a tree takes (unpack), reading (pack), none (fetch, hash)
 *	4  the filter of the operation; from here on there is no exec and, but for fetch, no network
 *	5  the work; threads are started inside
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/kernel/take.h"
#include "builders/layer/hash.h"
#include "builders/layer/layer.h"
#include "builders/oci/archive.h"
#include "builders/oci/copy.h"
#include "builders/oci/document.h"
#include "builders/worker/fetch.h"
#include "builders/worker/fetch/curl.h"
#include "builders/worker/memory.h"
#include "builders/worker/message.h"
#include "builders/worker/registry/talk.h"
#include "builders/worker/root.h"
#include "builders/worker/wire.h"
#include "core/clock.h"
#include "core/fs.h"
#include "core/jail/caps.h"
#include "core/jail/filter.h"
#include "core/mem.h"
#include "core/select.h"

#define FDS_MAX WIRE_FDS_MAX
#define PROGRESS_MS 100
#define HASH_CHUNK (1024 * 1024)

#define CAP(number) (1ull << (number))
#define CAPS_WRITE_TREE (CAP(0) /* CHOWN */ | CAP(1) /* DAC_OVERRIDE */ | CAP(3) /* FOWNER */ | \
			 CAP(4) /* FSETID */ | CAP(31) /* SETFCAP */)
#define CAPS_READ (CAP(1) | CAP(2) /* DAC_READ_SEARCH */)

struct work {
	struct worker_request request;
	int fds[FDS_MAX];
	size_t fd_count;
	struct worker_reply reply;
	uint64_t told_ms;
};

static const struct operation {
	enum filter_kind filter;
	uint64_t capabilities;
	uint64_t memory;	/* bytes: memory.h */
	size_t fds_min, fds_max;
	bool network;
	int (*run)(struct work *work, struct err *err);
} operations[WORKER_OP_END];

static void progress(void *data, uint64_t done, uint64_t total)
{
	struct work *work = data;
	uint64_t now_ms = (uint64_t)clock_ms();

	if (now_ms - work->told_ms < PROGRESS_MS)
		return;
	work->told_ms = now_ms;
	work->reply.message = WORKER_PROGRESS;
	work->reply.done = done;
	work->reply.total = total;
	(void)wire_send(WORKER_FD, &work->reply, MSG_DONTWAIT);
}

/* ---- the operations -------------------------------------------------------------------------- */

static void fill(struct worker_reply *reply, const struct layer_result *result)
{
	reply->blob = result->blob;
	reply->diff_id = result->diff_id;
	reply->blob_bytes = result->blob_bytes;
	reply->plain_bytes = result->plain_bytes;
	reply->entries = result->entries;
	reply->tree_bytes = result->tree_bytes;
	reply->needs_lower = result->needs_lower;
	reply->owners_lost = result->owners_lost;
	reply->devices = result->devices;
}

static int run_fetch(struct work *work, struct err *err)
{
	bool any = work->request.flags & WORKER_ANY_DIGEST;
	struct fetch fetch = {
		.url = work->request.text,
		.plain_http = work->request.flags & WORKER_PLAIN_HTTP,
		.any_digest = any,
		.ca_file = getenv("SSL_CERT_FILE"),
		.expected = work->request.expected,
		.bytes = any ? 0 : work->request.bytes,
		.bytes_max = any ? work->request.bytes : 0,
		.out = work->fds[0],
		.progress = progress,
		.data = work,
	};

	return fetch_run(&fetch, &work->reply.blob_bytes, &work->reply.blob, err);
}

static int run_unpack(struct work *work, struct err *err)
{
	const struct worker_request *request = &work->request;
	struct layer_unpack args = {
		.blob = work->fds[0],
		.blob_bytes = request->bytes,
		.has_expected = request->flags & WORKER_HAS_EXPECTED,
		.expected = request->expected,
		.form = request->op == WORKER_EROFS ? LAYER_EROFS : LAYER_TREE,
		.out = work->fds[1],
		.lower = work->fds + 2,
		.lower_count = work->fd_count - 2,
		.allow_xz = request->flags & WORKER_ALLOW_XZ,
		.single_uid = request->flags & WORKER_SINGLE_UID,
		.alone = request->flags & WORKER_ALONE,
		.verified = request->flags & WORKER_VERIFIED,
		.progress = progress,
		.progress_data = work,
	};
	struct layer_result result;

	if (layer_unpack(&args, &result, err) < 0)
		return -1;
	fill(&work->reply, &result);
	return 0;
}

static int run_merge(struct work *work, struct err *err)
{
	struct layer_result result = { 0 };

	if (layer_merge(work->fds + 1, work->fd_count - 1, work->fds[0], &result, err) < 0)
		return -1;
	fill(&work->reply, &result);
	return 0;
}

/* The selection whose text is the descriptor `at`, with what follows it. */
static int take_selection(const struct work *work, size_t at, struct selection *ret,
			  struct err *err)
{
	bool is_image = work->request.flags & WORKER_FROM_IMAGE;
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (fs_read_fd(work->fds[at], "the sources", SELECT_TEXT_MAX, &text, &size, err) < 0 ||
	    select_read(ret, text, size, work->fds + at + 1, work->fd_count - at - 1, is_image,
			err) < 0)
		return -1;
	ret->into = work->request.flags & WORKER_INTO;
	ret->ignores &= !(work->request.flags & WORKER_KEEP);
	return 0;
}

static int run_pack(struct work *work, struct err *err)
{
	const struct worker_request *request = &work->request;
	bool archive = request->flags & WORKER_FROM_ARCHIVE;
	bool image = request->flags & WORKER_FROM_IMAGE;
	bool upper = request->op == WORKER_PACK_UPPER;
	struct select_source root = { .fd = work->fds[1], .name = "/" };
	const struct selection whole = { .sources = &root, .count = 1 };
	_cleanup_(select_done) struct selection selection = { 0 };
	struct layer_pack args = {
		.blob = work->fds[0],
		.to = request->text,
		.archive = archive ? work->fds[1] : -1,
		.has_expected = request->flags & WORKER_HAS_EXPECTED,
		.expected = request->expected,
		.strip = request->strip,
		.selection = archive ? NULL : upper ? &whole : &selection,
		.upper = upper,
		.time_s = request->time_s,
		.keep = request->flags & WORKER_KEEP,
		.keep_owners = request->flags & WORKER_KEEP_OWNERS,
		.keep_modes = image,
		.owner_uid = request->owner_uid,
		.owner_gid = request->owner_gid,
		.has_mode = request->flags & WORKER_HAS_MODE,
		.mode = request->mode,
		.progress = progress,
		.progress_data = work,
	};
	struct layer_result result;

	if (!archive && !upper && take_selection(work, 1, &selection, err) < 0)
		return -1;
	if (layer_pack(&args, &result, err) < 0)
		return -1;
	fill(&work->reply, &result);
	return 0;
}

static int run_hash(struct work *work, struct err *err)
{
	_cleanup_free_ char *chunk = xmalloc(HASH_CHUNK);
	struct hash hash;
	uint64_t at = 0;
	ssize_t got;

	hash_init(&hash);
	while ((got = pread(work->fds[0], chunk, HASH_CHUNK, (off_t)at)) > 0) {
		hash_add(&hash, chunk, (size_t)got);
		at += (uint64_t)got;
		progress(work, at, work->request.bytes);
	}
	hash_end(&hash, &work->reply.blob);
	hash_done(&hash);
	work->reply.blob_bytes = at;
	return got < 0 ? err_sys(err, errno, "read") : 0;
}

static int run_digest(struct work *work, struct err *err)
{
	_cleanup_(select_done) struct selection selection = { 0 };

	if (take_selection(work, 0, &selection, err) < 0)
		return -1;
	return layer_digest_source(&selection, work->request.flags & WORKER_KEEP,
				   &work->reply.blob, err);
}

static int run_index(struct work *work, struct err *err)
{
	return kernel_index(work->fds[1], work->request.bytes, work->request.text,
			    work->request.name, work->fds[0], progress, work, err);
}

static int run_kernel(struct work *work, struct err *err)
{
	bool package = work->request.flags & WORKER_FROM_ARCHIVE;
	bool disks = work->request.flags & WORKER_FROM_DISKS;
	struct kernel_take args = {
		.vmlinux = work->fds[0],
		.archive = work->fds[1],
		.package = package ? work->fds[2] : -1,
		.disks = disks ? work->fds + 2 : NULL,
		.disk_count = work->fd_count - 2,
		.image = work->fds[2],
		.modules = work->fd_count > 3 ? work->fds[3] : -1,
		.release = work->request.name,
		.progress = progress,
		.progress_data = work,
	};
	struct kernel_taken taken;

	if (kernel_take(&args, &taken, err) < 0)
		return -1;
	work->reply.blob = taken.vmlinux;
	work->reply.diff_id = taken.archive;
	snprintf(work->reply.name, sizeof(work->reply.name), "%s", taken.release);
	return 0;
}

/* Too large is the document's fault, not the host's. */
static int read_document(int fd, const char *name, size_t max, char **ret, size_t *ret_size,
			 struct err *err)
{
	if (fs_read_fd(fd, name, max, ret, ret_size, err) == 0)
		return 0;
	if (err->code == -EFBIG)
		err->code = ERR_OCI;
	return -1;
}

static int run_pick(struct work *work, struct err *err)
{
	const struct worker_request *request = &work->request;
	enum oci_document kind = OCI_INDEX;
	struct oci_descriptor found;
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (read_document(work->fds[0], "a document", OCI_MANIFEST_MAX, &text, &size, err) < 0)
		return -1;
	if (request->flags & WORKER_LAYOUT
		    ? oci_layout_look(text, size, request->text, &found, err)
		    : oci_document_look(text, size, request->text, request->name, &kind, &found,
					err))
		return -1;
	work->reply.needs_lower = kind;
	work->reply.blob = found.digest;
	work->reply.blob_bytes = found.bytes;
	memcpy(work->reply.name, found.media_type, sizeof(found.media_type));
	return 0;
}

static int write_record(int out, const struct oci_image *image, struct err *err)
{
	_cleanup_(str_done) struct str record = { 0 };

	oci_image_write(image, &record);
	if (record.length > OCI_RECORD_MAX)
		return err_set(err, ERR_OCI, "the image's config says too much");
	return fs_pwrite_all(out, record.text, record.length, 0) < 0
		       ? err_sys(err, errno, "write an image's record") : 0;
}

static int run_image(struct work *work, struct err *err)
{
	const struct worker_request *request = &work->request;
	const struct digest *expected = request->flags & WORKER_HAS_EXPECTED ? &request->expected
									     : NULL;
	_cleanup_free_ char *manifest = NULL, *config = NULL;
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	size_t manifest_size, config_size;

	if (read_document(work->fds[1], "a manifest", OCI_MANIFEST_MAX, &manifest, &manifest_size,
			  err) < 0 ||
	    read_document(work->fds[2], "an image's config", OCI_CONFIG_MAX, &config, &config_size,
			  err) < 0 ||
	    oci_image_verified(manifest, manifest_size, expected, config, config_size, &image,
			       err) < 0)
		return -1;
	return write_record(work->fds[0], &image, err);
}

static int run_copy(struct work *work, struct err *err)
{
	const struct worker_request *request = &work->request;
	struct layer_result result = { 0 };
	struct oci_copy args = {
		.in = work->fds[1],
		.out = work->fds[0],
		.inflate = request->flags & WORKER_INFLATE,
		.pack = request->flags & WORKER_REPACK,
		.offset = request->offset,
		.bytes = request->bytes,
		.has_expected = request->flags & WORKER_HAS_EXPECTED,
		.expected = request->expected,
		.progress = progress,
		.progress_data = work,
	};

	if (oci_copy_run(&args, &result, err) < 0)
		return -1;
	fill(&work->reply, &result);
	return 0;
}

static int run_docker_archive(struct work *work, struct err *err)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };

	if (oci_archive_read(work->fds[2], work->request.text, work->fds[1], progress, work, &image,
			     err) < 0)
		return -1;
	return write_record(work->fds[0], &image, err);
}

/* A conversation: it answers for itself, and ends the process while its threads are anywhere. */
static int run_registry(struct work *work, struct err *err)
{
	struct talk *talk = talk_new(WORKER_FD, &work->request, work->fds[0], err);

	if (!talk)
		return -1;
	_exit(talk_go(talk));
}

static const struct operation operations[WORKER_OP_END] = {
	[WORKER_FETCH] = { FILTER_FETCH, 0, MEMORY_BYTES, 1, 1, true, run_fetch },
	[WORKER_UNPACK] = { FILTER_UNPACK, CAPS_WRITE_TREE, MEMORY_LAYER, 2, FDS_MAX, false,
		run_unpack },
	[WORKER_EROFS] = { FILTER_UNPACK, 0, MEMORY_LAYER, 2, FDS_MAX, false, run_unpack },
	[WORKER_MERGE] = { FILTER_UNPACK, 0, MEMORY_LAYER, 2, FDS_MAX, false, run_merge },
	[WORKER_PACK] = { FILTER_UNPACK, CAPS_READ, MEMORY_LAYER, 2, FDS_MAX, false, run_pack },
	[WORKER_PACK_UPPER] = { FILTER_UNPACK, CAPS_READ, MEMORY_LAYER, 2, 2, false, run_pack },
	[WORKER_HASH] = { FILTER_UNPACK, 0, MEMORY_BYTES, 1, 1, false, run_hash },
	[WORKER_DIGEST_SOURCE] = { FILTER_UNPACK, CAPS_READ, MEMORY_LAYER, 2, FDS_MAX, false,
		run_digest },
	[WORKER_INDEX] = { FILTER_UNPACK, 0, MEMORY_KERNEL, 2, 2, false, run_index },
	[WORKER_KERNEL] = { FILTER_UNPACK, 0, MEMORY_KERNEL, 3, 2 + WORKER_DISKS_MAX, false,
		run_kernel },
	[WORKER_PICK] = { FILTER_UNPACK, 0, MEMORY_DOCUMENT, 1, 1, false, run_pick },
	[WORKER_IMAGE] = { FILTER_UNPACK, 0, MEMORY_DOCUMENT, 3, 3, false, run_image },
	[WORKER_COPY] = { FILTER_UNPACK, 0, MEMORY_LAYER, 2, 2, false, run_copy },
	[WORKER_DOCKER_ARCHIVE] = { FILTER_UNPACK, 0, MEMORY_LAYER, 3, 3, false,
		run_docker_archive },
	[WORKER_REGISTRY] = { FILTER_FETCH, 0, MEMORY_BYTES, 1, 1, true, run_registry },
};

/* ---- the frame around them ------------------------------------------------------------------- */

static int receive(struct work *work, struct err *err)
{
	const struct operation *operation;
	int received = wire_receive(WORKER_FD, &work->request, work->fds, &work->fd_count, err);

	if (received <= 0)
		return received < 0 ? -1 : err_set(err, ERR_WORKER, "no request");
	operation = &operations[work->request.op];
	if (!operation->run || work->fd_count < operation->fds_min ||
	    work->fd_count > operation->fds_max)
		return err_set(err, ERR_WORKER, "malformed request");
	return 0;
}

static int enter_jail(const struct operation *operation, bool shared, struct err *err)
{
	struct digest unused;
	struct hash hash;

	umask(0);
	prctl(PR_SET_PDEATHSIG, 9);
	/* what libcrypto and libcurl load on first use is loaded while there still are files */
	hash_init(&hash);
	hash_end(&hash, &unused);
	hash_done(&hash);
	if (memory_limit(shared ? MEMORY_LAYER_SHARED : operation->memory, err) < 0)
		return -1;
	if (operation->network && !transport_load())
		return err_set(err, ERR_HOST, "start libcurl");
	if ((operation->network ? root_enter_network : root_enter_empty)(err) < 0 ||
	    caps_limit(operation->capabilities, err) < 0)
		return -1;
	return filter_load(operation->filter, err);
}

int main(void)
{
	_cleanup_free_ struct work *work = NULL;
	struct err err = { 0 };

	memory_begin();
	hash_begin();
	work = xcalloc(1, sizeof(*work));
	setlocale(LC_ALL, "C.UTF-8");
	work->reply.version = WORKER_VERSION;
	if (receive(work, &err) == 0) {
		const struct operation *operation = &operations[work->request.op];

		if (enter_jail(operation, work->request.flags & WORKER_SHARED, &err) == 0)
			(void)operation->run(work, &err);
	}
	wire_answer(&work->reply, work->request.id, &err);
	memory_end();
	return !wire_send(WORKER_FD, &work->reply, 0) || err.code != 0;
}
