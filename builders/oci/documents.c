/* duet's side of OCI documents: see documents.h. */
#include "builders/oci/documents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/str.h"

static int run(struct worker_request *request, const int *fds, size_t count, const char *what,
	       struct worker_reply *ret, struct err *err)
{
	request->version = WORKER_VERSION;
	request->fd_count = (uint32_t)count;
	/* the id map is for trees; none is written here */
	return worker_run(NULL, request, fds, count, what, ret, err);
}

/* What does not fit is no media type, tag or platform that anybody could mean. */
static int set_text(char *field, size_t size, const char *text, struct err *err)
{
	if (text && strlen(text) >= size)
		return err_set(err, ERR_OCI, "read a document: a text of %zu bytes is too long",
			       strlen(text));
	snprintf(field, size, "%s", text ? text : "");
	return 0;
}

static int new_memory(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd >= 0 ? fd : err_sys(err, errno, "make a file in memory");
}

static void take_descriptor(const struct worker_reply *reply, struct oci_descriptor *ret)
{
	*ret = (struct oci_descriptor){ .digest = reply->blob, .bytes = reply->blob_bytes };
	snprintf(ret->media_type, sizeof(ret->media_type), "%s", reply->name);
}

int oci_pick(int document, const char *media_type, const char *platform,
	     enum oci_document *ret_kind, struct oci_descriptor *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_PICK };
	struct worker_reply reply;

	if (set_text(request.text, sizeof(request.text), media_type, err) < 0 ||
	    set_text(request.name, sizeof(request.name), platform, err) < 0 ||
	    run(&request, &document, 1, "read", &reply, err) < 0)
		return -1;
	if (reply.needs_lower != OCI_INDEX && reply.needs_lower != OCI_MANIFEST)
		return err_set(err, ERR_WORKER, "duet-worker spoke nonsense");
	*ret_kind = (enum oci_document)reply.needs_lower;
	take_descriptor(&reply, ret);
	return 0;
}

int oci_pick_layout(int index, const char *tag, struct oci_descriptor *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_PICK, .flags = WORKER_LAYOUT };
	struct worker_reply reply;

	if (set_text(request.text, sizeof(request.text), tag, err) < 0 ||
	    run(&request, &index, 1, "read", &reply, err) < 0)
		return -1;
	take_descriptor(&reply, ret);
	return 0;
}

int oci_check_platform(const struct oci_image *image, const char *platform, struct err *err)
{
	if (!platform || oci_platform_fits(platform, image->platform))
		return 0;
	err_set(err, ERR_OCI_PLATFORM, "the image is for %s, not for %s", image->platform, platform);
	return err_mend(err, "ask for the one that is there, by --platform or `platform:` of the spec");
}

static int read_record(int record, const char *platform, struct oci_image *ret, struct err *err)
{
	_cleanup_(oci_image_done) struct oci_image image = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (fs_read_fd(record, "an image's record", OCI_RECORD_MAX, &text, &size, err) < 0 ||
	    oci_image_read(&image, text, size, err) < 0 ||
	    oci_check_platform(&image, platform, err) < 0)
		return -1;
	*ret = image;
	image = (struct oci_image){ 0 };
	return 0;
}

int oci_make_image(int manifest, int config, const struct digest *expected, const char *platform,
		   struct oci_image *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_IMAGE };
	_cleanup_close_ int record = new_memory("duet-image", err);
	const int fds[] = { record, manifest, config };
	struct worker_reply reply;

	if (expected) {
		request.flags |= WORKER_HAS_EXPECTED;
		request.expected = *expected;
	}
	if (record < 0 || run(&request, fds, ARRAY_SIZE(fds), "read", &reply, err) < 0)
		return -1;
	return read_record(record, platform, ret, err);
}

int oci_copy(int in, uint64_t offset, uint64_t bytes, const struct digest *expected, int out,
	     const char *what, struct digest *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_COPY, .offset = offset, .bytes = bytes };
	const int fds[] = { out, in };
	struct worker_reply reply;

	if (expected) {
		request.flags |= WORKER_HAS_EXPECTED;
		request.expected = *expected;
	}
	if (run(&request, fds, ARRAY_SIZE(fds), what, &reply, err) < 0)
		return -1;
	if (ret)
		*ret = reply.blob;
	return 0;
}

/* ---- docker archives ------------------------------------------------------------------------- */

enum oci_compression oci_compression_of(int file)
{
	char magic[4] = "";

	if (fs_pread_all(file, magic, sizeof(magic), 0) != sizeof(magic))
		return OCI_PLAIN;
	return !memcmp(magic, "\x1f\x8b", 2)		 ? OCI_GZIP
	       : !memcmp(magic, "\x28\xb5\x2f\xfd", 4) ? OCI_ZSTD
							 : OCI_PLAIN;
}

bool oci_is_xz(int file)
{
	char magic[6] = "";

	return fs_pread_all(file, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, "\xfd" "7zXZ", sizeof(magic));
}

int oci_repack(int in, const struct digest *expected, int out, const char *what,
	       struct oci_layer *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_COPY, .expected = *expected,
					  .flags = WORKER_REPACK | WORKER_HAS_EXPECTED };
	const int fds[] = { out, in };
	struct worker_reply reply;

	if (lseek(in, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "read from the start");
	if (run(&request, fds, ARRAY_SIZE(fds), what, &reply, err) < 0)
		return -1;
	*ret = (struct oci_layer){ .blob = reply.blob, .bytes = reply.blob_bytes,
				   .compression = OCI_ZSTD, .diff_id = reply.diff_id };
	return 0;
}

int oci_inflate(int in, const struct digest *expected, int out, const char *what,
		struct digest *ret_plain, uint64_t *ret_bytes, struct err *err)
{
	struct worker_request request = { .op = WORKER_COPY, .flags = WORKER_INFLATE };
	const int fds[] = { out, in };
	struct worker_reply reply;

	if (expected) {
		request.flags |= WORKER_HAS_EXPECTED;
		request.expected = *expected;
	}
	if (lseek(in, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "read from the start");
	if (run(&request, fds, ARRAY_SIZE(fds), what, &reply, err) < 0)
		return -1;
	*ret_plain = reply.diff_id;
	*ret_bytes = reply.plain_bytes;
	return 0;
}

int oci_open_docker_archive(int file, int scratch, const char *tag, const char *platform,
			    struct oci_archive *ret, struct err *err)
{
	struct worker_request request = { .op = WORKER_DOCKER_ARCHIVE };
	_cleanup_close_ int record = new_memory("duet-image", err), plain = -1;
	_cleanup_close_ int config = new_memory("duet-config", err);
	bool compressed = oci_compression_of(file) != OCI_PLAIN;
	struct worker_reply reply;
	struct digest digest;
	uint64_t bytes;

	if (record < 0 || config < 0)
		return -1;
	if (compressed && oci_inflate(file, NULL, scratch, "inflate the archive", &digest, &bytes,
				      err) < 0)
		return -1;
	plain = fcntl(compressed ? scratch : file, F_DUPFD_CLOEXEC, 0);
	if (plain < 0)
		return err_sys(err, errno, "duplicate a descriptor");
	if (set_text(request.text, sizeof(request.text), tag, err) < 0 ||
	    run(&request, (const int[]){ record, config, plain }, 3, "read the archive", &reply,
		err) < 0)
		return -1;
	if (read_record(record, platform, &ret->image, err) < 0)
		return -1;
	ret->file = TAKE_FD(plain);
	ret->config = TAKE_FD(config);
	return 0;
}

void oci_archive_done(struct oci_archive *archive)
{
	oci_image_done(&archive->image);
	mem_closep(&archive->file);
	mem_closep(&archive->config);
	archive->file = archive->config = -1;
}
