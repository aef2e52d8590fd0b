/*
 * What comes from a registry (distribution-spec, "Pulling"): manifests and blobs, each as fetch.c
 * fetches a file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builders/oci/image.h"
#include "builders/worker/fetch.h"
#include "builders/worker/registry/session.h"
#include "builders/worker/registry/tee.h"
#include "core/mem.h"
#include "core/ref.h"
#include "core/str.h"

static const char manifest_types[] =
	"application/vnd.oci.image.index.v1+json, "
	"application/vnd.oci.image.manifest.v1+json, "
	"application/vnd.docker.distribution.manifest.list.v2+json, "
	"application/vnd.docker.distribution.manifest.v2+json";

/* What the head of the answer said, and who reads along. */
struct pull {
	struct visit *visit;
	char *media_type;	/* owned; or NULL */
	char *said_digest;	/* owned; Docker-Content-Digest, or NULL */
	struct tee *tee;	/* owned; or NULL */
};

static void pull_done(struct pull *pull)
{
	free(pull->media_type);
	free(pull->said_digest);
}

static void keep(char **to, const char *value)
{
	free(*to);
	*to = value ? xstrdup(value) : NULL;
}

static void take_head(void *data, const struct http_reply *reply)
{
	struct pull *pull = data;

	keep(&pull->media_type, reply->fields[HTTP_CONTENT_TYPE]);
	keep(&pull->said_digest, reply->fields[HTTP_DOCKER_CONTENT_DIGEST]);
}

static void tell_progress(void *data, uint64_t done, uint64_t total)
{
	struct pull *pull = data;

	pull->visit->progress(pull->visit->data, done, total);
}

static void tell_grown(void *data, uint64_t bytes)
{
	struct pull *pull = data;

	tee_grown(pull->tee, bytes);
}

/* What every fetch of a visit has in common. */
static struct fetch fetch_for(struct pull *pull, const char *url)
{
	const struct visit *visit = pull->visit;
	const struct session *session = visit->session;

	return (struct fetch){
		.url = url,
		.plain_http = session->plain_http,
		.ca_file = session->ca_file,
		.user_agent = session->user_agent,
		.stall_s = session->stall_s,
		.out = visit->fds[0],
		.authority = &visit->authority,
		.transport = visit->transport,
		.head = take_head,
		.data = pull,
	};
}

static int mend_digest(struct err *err)
{
	if (err->code == ERR_FETCH_DIGEST)
		err_mend(err, "the registry, or somebody on the way, gives other bytes than "
			      "were asked for: use another one, or find out who changed them");
	return -1;
}

/* A digest of another kind says nothing here. */
static int check_said_digest(const struct pull *pull, struct err *err)
{
	char got[DIGEST_TEXT_SIZE];
	struct digest said;

	if (!pull->said_digest || !digest_parse(pull->said_digest, &said) ||
	    digest_equal(&said, &pull->visit->reply->blob))
		return 0;
	digest_text(&pull->visit->reply->blob, got);
	err_set(err, ERR_FETCH_DIGEST, "the registry calls it %s, but it is %s", pull->said_digest,
		got);
	return mend_digest(err);
}

/* "TYPE; charset=utf-8" without what follows; escaped, since a registry may say anything. */
static void set_media_type(struct worker_reply *reply, const char *value)
{
	_cleanup_free_ char *type = NULL, *shown = NULL;
	size_t length;

	if (!value)
		return;
	length = strcspn(value, ";");
	while (length > 0 && strchr(" \t", value[length - 1]))
		length--;
	type = xstrndup(value, length);
	shown = str_escape(type, sizeof(reply->name) - 8);
	snprintf(reply->name, sizeof(reply->name), "%s", shown);
}

int pull_manifest(struct visit *visit, struct err *err)
{
	const struct worker_request *request = visit->request;
	_cleanup_free_ char *url = NULL;
	_cleanup_(pull_done) struct pull pull = { .visit = visit };
	struct fetch fetch;
	struct digest digest;
	bool by_digest = digest_parse(request->text, &digest);

	if ((!by_digest && !ref_is_tag(request->text)) || request->bytes > OCI_MANIFEST_MAX)
		return err_set(err, ERR_WORKER, "malformed request");
	url = xasprintf("%s/manifests/%s", visit->session->base, request->text);
	fetch = fetch_for(&pull, url);
	fetch.accept = manifest_types;
	fetch.bytes = request->bytes;
	fetch.bytes_max = OCI_MANIFEST_MAX;
	fetch.any_digest = !by_digest && !(request->flags & WORKER_HAS_EXPECTED);
	/* a digest in the reference and one expected are the same, or nothing can be right */
	fetch.expected = request->flags & WORKER_HAS_EXPECTED ? request->expected : digest;
	if (fetch_run(&fetch, &visit->reply->blob_bytes, &visit->reply->blob, err) < 0)
		return mend_digest(err);
	set_media_type(visit->reply, pull.media_type);
	return check_said_digest(&pull, err);
}

/* The right bytes, but whoever made the manifest said that there are more of them. */
static int check_size(const struct visit *visit, struct err *err)
{
	uint64_t bytes = visit->request->bytes, got = visit->reply->blob_bytes;

	if (bytes == 0 || bytes == got)
		return 0;
	if (ftruncate(visit->fds[0], 0) < 0)
		return err_sys(err, errno, "truncate the file");
	return err_set(err, ERR_FETCH_DIGEST, "%llu bytes were expected, but it has %llu",
		       (unsigned long long)bytes, (unsigned long long)got);
}

int pull_blob(struct visit *visit, struct err *err)
{
	const struct worker_request *request = visit->request;
	_cleanup_(pull_done) struct pull pull = { .visit = visit };
	_cleanup_free_ char *url = NULL;
	char digest[DIGEST_TEXT_SIZE];
	struct fetch fetch;
	int result;

	digest_text(&request->expected, digest);
	url = xasprintf("%s/blobs/%s", visit->session->base, digest);
	fetch = fetch_for(&pull, url);
	fetch.expected = request->expected;
	fetch.bytes = request->bytes;
	fetch.progress = tell_progress;
	if (request->fd_count > 1) {
		pull.tee = tee_new(visit->fds[0], visit->fds + 1, request->fd_count - 1);
		for (size_t i = 1; i < request->fd_count; i++)
			visit->fds[i] = -1;
		fetch.grown = tell_grown;
	}
	result = fetch_run(&fetch, &visit->reply->blob_bytes, &visit->reply->blob, err);
	if (result == 0)
		result = check_size(visit, err);
	tee_end(pull.tee, result == 0);
	return result < 0 ? mend_digest(err) : 0;
}
