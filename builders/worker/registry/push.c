/*
 * What goes to a registry (distribution-spec, "Pushing").
 *
 *	HEAD blob		it is there: done
 *	POST uploads/		with mount and from where another repository has it: 201, done
 *	PATCH Location		what is left in pieces, while it is more than PUT_MAX
 *	PUT Location&digest=	the rest
 *
 * The Location of the last answer is where the next request goes; on another host it is sent no
 * login (try.c). When a piece fails, the registry is asked how much it has (GET Location) and gets
 * what is behind; when it has forgotten the upload, another one is begun.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "builders/layer/hash.h"
#include "builders/oci/image.h"
#include "builders/worker/fetch.h"
#include "builders/worker/fetch/status.h"
#include "builders/worker/fetch/url.h"
#include "builders/worker/registry/call.h"
#include "builders/worker/registry/session.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/parse.h"
#include "core/ref.h"

#define PUT_MAX (64ull << 20)		/* bytes of one request */
#define PUSH_STALL_S 120		/* registries read a large blob once more before they answer */
#define BODY_MAX (64u * 1024)		/* bytes of an answer that nobody reads */

/* One blob on its way. */
struct push {
	struct visit *visit;
	char digest[DIGEST_TEXT_SIZE];
	char *location;		/* owned; where the next request goes; NULL: no upload is open */
	bool only_public;	/* of that place */
	uint64_t sent;		/* bytes that the registry has */
	uint64_t piece_max;	/* bytes of a PATCH */
	bool done;
};

static struct call call_to(const struct visit *visit, const char *method, const char *url)
{
	return (struct call){
		.method = method,
		.url = url,
		.authority = &visit->authority,
		.body_max = BODY_MAX,
		.stall_s = PUSH_STALL_S,
	};
}

static int is_there(struct push *push, struct err *err)
{
	const struct visit *visit = push->visit;
	_cleanup_free_ char *url = xasprintf("%s/blobs/%s", visit->session->base, push->digest);
	struct call call = call_to(visit, "HEAD", url);
	_cleanup_(call_result_done) struct call_result result = { 0 };

	if (call_run(push->visit, &call, &result, err) < 0)
		return -1;
	if (result.reply.status != 200 && result.reply.status != 404)
		return call_refused(&call, &result, err);
	push->done = result.reply.status == 200;
	return 0;
}

/* Where the next request goes. */
static int take_location(struct push *push, const struct call_result *result, struct err *err)
{
	const char *location = result->reply.fields[HTTP_LOCATION], *why = "did not say where to";
	char *target = location ? url_resolve(result->at, location, &why) : NULL;
	const char *base = push->visit->session->base;

	if (!target) {
		err_set(err, ERR_FETCH, "the registry wants the upload %s%s",
			location ? "at a place that " : "and ", why);
		return err_mend(err, "ask whoever runs the registry");
	}
	free(push->location);
	push->location = target;
	if (!url_is_same_origin(target, base))
		push->only_public = push->only_public || !result->from_local;
	return 0;
}

static void take_piece_min(struct push *push, const struct http_reply *reply)
{
	const char *value = reply->fields[HTTP_OCI_CHUNK_MIN_LENGTH];
	uint64_t least;

	push->piece_max = PUT_MAX;
	if (value && parse_u64(value, &least) && least > push->piece_max)
		push->piece_max = least;
}

/* Opens an upload, or has the blob mounted. */
static int begin(struct push *push, const char *mount_from, struct err *err)
{
	const struct visit *visit = push->visit;
	_cleanup_free_ char *url = mount_from
		? xasprintf("%s/blobs/uploads/?mount=%s&from=%s", visit->session->base, push->digest,
			    mount_from)
		: xasprintf("%s/blobs/uploads/", visit->session->base);
	struct call call = call_to(visit, "POST", url);
	_cleanup_(call_result_done) struct call_result result = { 0 };

	push->sent = 0;
	if (call_run(push->visit, &call, &result, err) < 0)
		return -1;
	push->done = mount_from && result.reply.status == 201;
	if (push->done)
		return 0;
	if (result.reply.status != 202)
		return call_refused(&call, &result, err);
	take_piece_min(push, &result.reply);
	return take_location(push, &result, err);
}

/*
 * "0-LAST", of bytes that are there. "0-0" is what registries say of nothing too: one byte more is
 * sent again then.
 */
static bool take_range(struct push *push, const char *value, uint64_t most)
{
	uint64_t last;

	if (!value)
		return false;
	if (!strncmp(value, "bytes=", 6))
		value += 6;
	if (strncmp(value, "0-", 2) || !parse_u64(value + 2, &last) || last >= most)
		return false;
	push->sent = last > 0 ? last + 1 : 0;
	return true;
}

/* After trouble: how much is there? Without an answer the next upload is another one. */
static void look_again(struct push *push)
{
	_cleanup_(err_done) struct err unseen = { 0 };
	_cleanup_(call_result_done) struct call_result result = { 0 };
	_cleanup_free_ char *url = xstrdup(push->location);
	struct call call = call_to(push->visit, "GET", url);

	call.only_public = push->only_public;
	call.tries_max = 1;
	if (call_run(push->visit, &call, &result, &unseen) == 0 && result.reply.status == 204 &&
	    take_range(push, result.reply.fields[HTTP_RANGE], push->visit->request->bytes)) {
		if (result.reply.fields[HTTP_LOCATION])
			(void)take_location(push, &result, &unseen);
		return;
	}
	free(push->location);
	push->location = NULL;
}

static int check_digest_said(const struct call_result *result, const struct digest *wanted,
			     struct err *err)
{
	const char *value = result->reply.fields[HTTP_DOCKER_CONTENT_DIGEST];
	char text[DIGEST_TEXT_SIZE];
	struct digest said;

	if (!value || !digest_parse(value, &said) || digest_equal(&said, wanted))
		return 0;
	digest_text(wanted, text);
	err_set(err, ERR_FETCH_DIGEST, "the registry took it for %s, but it is %s", value, text);
	return err_mend(err, "ask whoever runs the registry");
}

/* One PATCH, or the PUT that ends it. NEXT_RETRY: look what the registry has. */
static enum next send_piece(struct push *push, struct err *err)
{
	const struct worker_request *request = push->visit->request;
	uint64_t left = request->bytes - push->sent;
	bool last = left <= push->piece_max;
	struct upload upload = { push->visit->fds[0], push->sent, last ? left : push->piece_max };
	_cleanup_free_ char *url = NULL, *range = NULL;
	_cleanup_(call_result_done) struct call_result result = { 0 };
	struct call call;

	url = last ? xasprintf("%s%cdigest=%s", push->location, strchr(push->location, '?') ? '&' : '?',
			       push->digest)
		   : xstrdup(push->location);
	if (upload.bytes > 0 && (!last || push->sent > 0))
		range = xasprintf("%llu-%llu", (unsigned long long)push->sent,
				  (unsigned long long)(push->sent + upload.bytes - 1));
	call = call_to(push->visit, last ? "PUT" : "PATCH", url);
	call.content_type = "application/octet-stream";
	call.content_range = range;
	call.upload = &upload;
	call.only_public = push->only_public;
	call.tries_max = 1;
	if (call_run(push->visit, &call, &result, err) < 0)
		return err->code == ERR_AUTH ? NEXT_FAIL : NEXT_RETRY;
	if (result.reply.status == (last ? 201u : 202u)) {
		push->sent += upload.bytes;
		if (last)
			return check_digest_said(&result, &request->expected, err) < 0 ? NEXT_FAIL
											: NEXT_DONE;
		push->visit->progress(push->visit->data, push->sent, request->bytes);
		return take_location(push, &result, err) < 0 ? NEXT_FAIL : NEXT_UNDECIDED;
	}
	call_refused(&call, &result, err);
	/* 404: the upload is forgotten; 416: another part is wanted */
	return status_is_passing(result.reply.status) || result.reply.status == 404 ||
			       result.reply.status == 416
		       ? NEXT_RETRY : NEXT_FAIL;
}

/* Piece after piece; each that arrives gives back the tries. */
static int send_all(struct push *push, struct err *err)
{
	for (unsigned int tries = 1;;) {
		enum next next;

		if (!push->location && begin(push, NULL, err) < 0)
			return -1;
		next = send_piece(push, err);
		if (next == NEXT_DONE) {
			err_done(err);
			return 0;
		}
		if (next == NEXT_FAIL || tries == FETCH_TRIES_MAX)
			return -1;
		if (next == NEXT_UNDECIDED) {
			tries = 1;
			continue;
		}
		try_wait(tries++, 0, NULL);
		look_again(push);
	}
}

/* With rights to another repository too, which not everybody has: then without. */
static int mount(struct push *push, struct err *err)
{
	struct visit *visit = push->visit;
	_cleanup_free_ char *scope = visit->scope;
	int result;

	visit->scope = xasprintf("%s repository:%s:pull", scope, visit->request->text);
	visit->fresh = false;
	result = begin(push, visit->request->text, err);
	free(visit->scope);
	visit->scope = TAKE_PTR(scope);
	visit->fresh = false;
	visit->challenges = 0;
	if (result < 0 && err->code == ERR_AUTH) {
		err_done(err);
		return 0;
	}
	return result;
}

int push_blob(struct visit *visit, struct err *err)
{
	const struct worker_request *request = visit->request;
	struct push push = { .visit = visit };
	bool is_sent = false;
	struct stat st;
	int result;

	if ((*request->text && !ref_is_repository(request->text)) ||
	    fstat(visit->fds[0], &st) < 0 || (uint64_t)st.st_size != request->bytes)
		return err_set(err, ERR_WORKER, "malformed request");
	digest_text(&request->expected, push.digest);
	result = is_there(&push, err);
	if (result == 0 && !push.done && *request->text)
		result = mount(&push, err);
	if (result == 0 && !push.done) {
		result = send_all(&push, err);
		is_sent = true;
	}
	free(push.location);
	if (result < 0)
		return -1;
	visit->reply->blob = request->expected;
	visit->reply->blob_bytes = request->bytes;
	visit->reply->entries = is_sent;
	return 0;
}

static int hash_file(int fd, uint64_t bytes, struct digest *ret, struct err *err)
{
	_cleanup_free_ char *text = xmalloc(bytes);
	struct hash hash;

	if (fs_pread_all(fd, text, bytes, 0) != (ssize_t)bytes)
		return err_set(err, ERR_WORKER, "malformed request");
	hash_init(&hash);
	hash_add(&hash, text, bytes);
	hash_end(&hash, ret);
	hash_done(&hash);
	return 0;
}

static bool is_media_type(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789!#$&-^_.+/")];
}

int push_manifest(struct visit *visit, struct err *err)
{
	const struct worker_request *request = visit->request;
	_cleanup_free_ char *url = NULL;
	_cleanup_(call_result_done) struct call_result result = { 0 };
	struct upload upload = { .fd = visit->fds[0] };
	struct call call;
	struct digest digest;
	struct stat st;

	if ((!ref_is_tag(request->text) && !digest_parse(request->text, &digest)) ||
	    !is_media_type(request->name) || fstat(visit->fds[0], &st) < 0 ||
	    st.st_size > (off_t)OCI_MANIFEST_MAX)
		return err_set(err, ERR_WORKER, "malformed request");
	upload.bytes = (uint64_t)st.st_size;
	url = xasprintf("%s/manifests/%s", visit->session->base, request->text);
	if (hash_file(upload.fd, upload.bytes, &visit->reply->blob, err) < 0)
		return -1;
	visit->reply->blob_bytes = upload.bytes;
	call = call_to(visit, "PUT", url);
	call.content_type = request->name;
	call.upload = &upload;
	if (call_run(visit, &call, &result, err) < 0)
		return -1;
	if (result.reply.status != 201)
		return call_refused(&call, &result, err);
	return check_digest_said(&result, &visit->reply->blob, err);
}
