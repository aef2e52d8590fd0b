/* duet's side of a registry: see registry.h. */
#include "builders/oci/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/fs.h"
#include "core/log.h"

static int fill(char *to, size_t size, const char *text, const char *what, struct err *err)
{
	if (!text)
		return 0;
	if (strlen(text) >= size)
		return err_set(err, ERR_AUTH, "the %s is too long", what);
	snprintf(to, size, "%s", text);
	return 0;
}

/* A file of its own for what nobody else is to see; it is gone with its last descriptor. */
static int make_login(const struct registry_access *access, struct err *err)
{
	struct worker_login *login = xcalloc(1, sizeof(*login));
	int fd = memfd_create("login", MFD_CLOEXEC), result = -1;

	login->version = WORKER_VERSION;
	if (fd < 0 || fchmod(fd, 0600) < 0)
		err_sys(err, errno, "make a file for the login");
	else if (fill(login->user, sizeof(login->user), access->user, "user's name", err) == 0 &&
		 fill(login->secret, sizeof(login->secret), access->secret, "password", err) == 0 &&
		 fill(login->identity_token, sizeof(login->identity_token), access->identity_token,
		      "identity token", err) == 0)
		result = fs_pwrite_all(fd, login, sizeof(*login), 0) == 0
				 ? 0 : err_sys(err, errno, "write the login");
	explicit_bzero(login, sizeof(*login));
	free(login);
	if (result == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int registry_open(struct registry *ret, const char *host, const char *repository,
		  const struct registry_access *access, bool push, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_REGISTRY,
					  .fd_count = 1 };
	struct registry registry = { 0 };
	struct worker_reply reply;
	_cleanup_close_ int login = -1;
	int length;

	length = snprintf(request.text, sizeof(request.text), "%s/%s", host, repository);
	if (length < 0 || (size_t)length >= sizeof(request.text))
		return err_set(err, ERR_USAGE, "the name of the repository is too long");
	request.flags = (access->plain_http ? WORKER_PLAIN_HTTP : 0) | (push ? WORKER_PUSH : 0);
	login = make_login(access, err);
	if (login < 0 || worker_start(&registry.worker, NULL, &request, &login, 1, err) < 0)
		return err_wrap(err, "open registry %s", host);
	if (worker_take(&registry.worker, &reply, err) != 1 || reply.id != 0) {
		if (!err->code)
			err_set(err, ERR_WORKER, "duet-worker spoke nonsense");
		worker_end(&registry.worker, true);
		return err_wrap(err, "open registry %s", host);
	}
	*ret = registry;
	return 0;
}

void registry_close(struct registry *registry, bool kill)
{
	worker_end(&registry->worker, kill);
}

/* Sends a request under a new id, which 0 never is. */
static int ask(struct registry *registry, struct worker_request *request, const int *fds,
	       size_t fd_count, uint32_t *ret_id, struct err *err)
{
	if (++registry->last_id == 0)
		registry->last_id = 1;
	request->version = WORKER_VERSION;
	request->id = registry->last_id;
	request->fd_count = (uint32_t)fd_count;
	if (registry->worker.socket < 0)
		return err_set(err, ERR_WORKER, "the conversation with the registry is over");
	if (worker_ask(&registry->worker, request, fds, fd_count, err) < 0)
		return -1;
	*ret_id = request->id;
	return 0;
}

/* Sends it and waits; `what`: the line of progress, or NULL. */
static int ask_and_wait(struct registry *registry, struct worker_request *request, int fd,
			const char *what, struct worker_reply *ret, struct err *err)
{
	uint32_t id = 0;
	int taken;

	if (ask(registry, request, &fd, 1, &id, err) < 0)
		return -1;
	for (;;) {
		taken = worker_take(&registry->worker, ret, err);
		if (taken < 0 && registry->worker.socket < 0)
			return -1;
		if (taken == 0) {
			if (what)
				log_progress(what, ret->done, ret->total);
			continue;
		}
		if (ret->id == id)
			return taken < 0 ? -1 : 0;
		return err_set(err, ERR_WORKER, "an answer that nobody waits for");
	}
}

int registry_get_manifest(struct registry *registry, const char *reference,
			  const struct digest *expected, int out, struct digest *ret_digest,
			  uint64_t *ret_bytes, char *ret_media_type, struct err *err)
{
	struct worker_request request = { .op = WORKER_GET_MANIFEST };
	struct worker_reply reply;

	if (expected) {
		request.flags = WORKER_HAS_EXPECTED;
		request.expected = *expected;
	}
	snprintf(request.text, sizeof(request.text), "%s", reference);
	if (ask_and_wait(registry, &request, out, NULL, &reply, err) < 0)
		return -1;
	*ret_digest = reply.blob;
	*ret_bytes = reply.blob_bytes;
	snprintf(ret_media_type, sizeof(reply.name), "%s", reply.name);
	return 0;
}

int registry_get_blob(struct registry *registry, const struct digest *digest, uint64_t bytes,
		      int out, const int *pipes, size_t pipe_count, uint32_t *ret_id,
		      struct err *err)
{
	struct worker_request request = { .op = WORKER_GET_BLOB, .expected = *digest,
					  .flags = WORKER_HAS_EXPECTED, .bytes = bytes };
	int fds[3] = { out, -1, -1 };

	for (size_t i = 0; i < pipe_count && i < 2; i++)
		fds[1 + i] = pipes[i];
	return ask(registry, &request, fds, 1 + pipe_count, ret_id, err);
}

int registry_put_blob(struct registry *registry, const struct digest *digest, uint64_t bytes,
		      int file, const char *mount_from, const char *what, bool *ret_sent,
		      struct err *err)
{
	struct worker_request request = { .op = WORKER_PUT_BLOB, .expected = *digest,
					  .flags = WORKER_HAS_EXPECTED, .bytes = bytes };
	struct worker_reply reply;

	snprintf(request.text, sizeof(request.text), "%s", mount_from ? mount_from : "");
	if (ask_and_wait(registry, &request, file, what, &reply, err) < 0)
		return -1;
	if (ret_sent)
		*ret_sent = reply.entries != 0;
	return 0;
}

int registry_put_manifest(struct registry *registry, const char *reference,
			  const char *media_type, int file, struct err *err)
{
	struct worker_request request = { .op = WORKER_PUT_MANIFEST };
	struct worker_reply reply;

	snprintf(request.text, sizeof(request.text), "%s", reference);
	snprintf(request.name, sizeof(request.name), "%s", media_type);
	return ask_and_wait(registry, &request, file, NULL, &reply, err);
}

int registry_try_login(const char *host, const struct registry_access *access, bool *ret_asked,
		       struct err *err)
{
	struct worker_request request = { .op = WORKER_TRY_LOGIN };
	_cleanup_close_ int none = memfd_create("none", MFD_CLOEXEC);
	struct registry registry;
	struct worker_reply reply;
	int result;

	if (none < 0)
		return err_sys(err, errno, "make a file in memory");
	/* any repository: none is asked for */
	if (registry_open(&registry, host, "login", access, false, err) < 0)
		return -1;
	result = ask_and_wait(&registry, &request, none, NULL, &reply, err);
	registry_close(&registry, result < 0);
	if (result == 0)
		*ret_asked = reply.entries > 0;
	return result;
}
