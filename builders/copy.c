/* `copy` as a step and `directory` as a source: files of the host become a layer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/builder.h"
#include "builders/worker/client.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/path.h"

/* A file comes readable: the worker has no /proc to open it again with the caller's rights. */
static int open_source(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int readable;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return TAKE_FD(fd);
	readable = fs_reopen(fd, O_RDONLY | O_NOCTTY);
	if (readable < 0)
		return err_sys(err, errno, "open %s", path);
	return readable;
}

static int resolve_path(const char *path, uint32_t flags, struct digest *ret, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_DIGEST_SOURCE,
					  .fd_count = 1, .flags = flags };
	_cleanup_close_ int source = open_source(path, err);
	struct worker_reply reply;

	if (source < 0)
		return -1;
	snprintf(request.name, sizeof(request.name), "%s", path_base(path));
	if (worker_run(NULL, &request, &source, 1, path, &reply, err) < 0)
		return err_wrap(err, "read %s", path);
	*ret = reply.blob;
	return 0;
}

static int copy_resolve(struct resolve *resolve, const struct source *source,
			const struct step *step, struct digest *ret, struct plan_base *ret_base,
			struct err *err)
{
	(void)resolve;
	(void)source;
	(void)ret_base;
	return step->from_image ? 0 : resolve_path(step->patterns.items[0], 0, ret, err);
}

static int directory_resolve(struct resolve *resolve, const struct source *source,
			     const struct step *step, struct digest *ret,
			     struct plan_base *ret_base, struct err *err)
{
	(void)resolve;
	(void)step;
	(void)ret_base;
	return resolve_path(source->path, WORKER_KEEP, ret, err);
}

static int pack_path(struct build *build, struct worker_request *request, const char *path,
		     const char *what, struct build_blob *ret, struct err *err)
{
	_cleanup_close_ int source = open_source(path, err);

	if (source < 0)
		return -1;
	request->version = WORKER_VERSION;
	request->op = WORKER_PACK;
	request->fd_count = 2;
	snprintf(request->name, sizeof(request->name), "%s", path_base(path));
	return builder_pack(build->store, request, source, what, ret, err);
}

static int copy_open(struct build *build, const struct plan_step *step, struct stack *below,
		     struct build_blob *ret, struct err *err)
{
	const struct step *copy = step->step;
	struct worker_request request = { .flags = copy->has_mode ? WORKER_HAS_MODE : 0,
					  .mode = copy->mode, .owner_uid = copy->owner_uid,
					  .owner_gid = copy->owner_gid };

	(void)below;
	snprintf(request.text, sizeof(request.text), "%s", copy->to);
	return pack_path(build, &request, copy->patterns.items[0], step->summary, ret, err);
}

static int directory_open(struct build *build, const struct plan_step *step, struct stack *below,
			  struct build_blob *ret, struct err *err)
{
	struct worker_request request = { .flags = WORKER_KEEP, .text = "/" };

	(void)below;
	return pack_path(build, &request, step->source->path, step->summary, ret, err);
}

const struct builder copy_builder = { "copy", copy_resolve, copy_open };
const struct builder directory_builder = { "directory", directory_resolve, directory_open };
