/* duet's side of duet-worker: see client.h. */
#include "builders/worker/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builders/worker/root.h"
#include "core/jail/jail.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/sys.h"

#define ALL_IDS 4294967295u

/* What the child needs between clone and exec. */
struct start {
	int program;	/* duet-worker, readable */
	int socket;	/* its end */
	const int *files;	/* ROOT_FILES for its root, or NULL */
	const char *mode;
};

static const char *const modes[WORKER_OP_END] = {
	[WORKER_FETCH] = "fetch",	[WORKER_UNPACK] = "unpack",
	[WORKER_EROFS] = "erofs",	[WORKER_MERGE] = "merge",
	[WORKER_PACK] = "pack",		[WORKER_HASH] = "hash",
	[WORKER_DIGEST_SOURCE] = "digest", [WORKER_INDEX] = "index",
	[WORKER_KERNEL] = "kernel",	[WORKER_PICK] = "pick",
	[WORKER_IMAGE] = "image",	[WORKER_COPY] = "copy",
	[WORKER_DOCKER_ARCHIVE] = "docker-archive", [WORKER_REGISTRY] = "registry",
	[WORKER_PACK_UPPER] = "pack-upper",
};

static int enter(void *data)
{
	const struct start *start = data;
	char *const argv[] = { "duet-worker", (char *)start->mode, NULL };
	/* proxies are the user's word on how to reach the network; nothing else comes along */
	static const char *const passed[] = { "https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
					      "ALL_PROXY", "no_proxy", "NO_PROXY",
					      "SSL_CERT_FILE", NULL };
	struct strv env = { 0 };
	int program = fcntl(start->program, F_DUPFD_CLOEXEC, 10), used = WORKER_FD + 1;
	int files[ROOT_FILES];

	strv_add(&env, "LC_ALL=C.UTF-8");
	for (size_t i = 0; passed[i]; i++)
		if (getenv(passed[i]))
			strv_setenv(&env, passed[i], getenv(passed[i]));
	/* out of the way of their new numbers first */
	for (size_t i = 0; start->files && i < ROOT_FILES; i++)
		files[i] = fcntl(start->files[i], F_DUPFD_CLOEXEC, 10);
	if (program < 0 || dup2(start->socket, WORKER_FD) < 0)
		return 125;
	for (size_t i = 0; start->files && i < ROOT_FILES; i++)
		if (dup2(files[i], used++) < 0)
			return 125;
	syscall(SYS_close_range, used, program - 1, 0);
	syscall(SYS_close_range, program + 1, ~0u, 0);
	syscall(SYS_execveat, program, "", argv, env.items, AT_EMPTY_PATH);
	return 125;
}

int worker_ask(struct worker *worker, const struct worker_request *request, const int *fds,
	       size_t fd_count, struct err *err)
{
	if (sys_send_fds(worker->socket, request, sizeof(*request), fds, fd_count) < 0)
		return err_sys(err, errno, "send a request to duet-worker");
	return 0;
}

/* The worker is gone: what its end says. */
static int gone(struct worker *worker, struct err *err)
{
	int code = jail_wait(&worker->jail);

	close(TAKE_FD(worker->socket));
	if (code == JAIL_EXIT_MEMORY)
		return err_sys(err, ENOMEM, "start duet-worker %s", modes[worker->op]);
	if (code == WORKER_EXIT_MEMORY) {
		err_set(err, ERR_WORKER_MEMORY, "duet-worker %s met the limit of its memory",
			modes[worker->op]);
		return err_mend(err, "what it read is damaged or made to exhaust memory: check where "
				     "it comes from");
	}
	err_set(err, ERR_WORKER, "duet-worker ended without an answer");
	if (code > 0)
		err_wrap(err, "duet-worker %s %s %d", modes[worker->op],
			 code > 128 ? "was killed by signal" : "exited with",
			 code > 128 ? code - 128 : code);
	return -1;
}

int worker_take(struct worker *worker, struct worker_reply *ret, struct err *err)
{
	ssize_t got;

	do
		got = recv(worker->socket, ret, sizeof(*ret), 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return gone(worker, err);
	if (got != sizeof(*ret) || ret->version != WORKER_VERSION)
		return err_set(err, ERR_WORKER, "duet-worker spoke nonsense");
	ret->msg[sizeof(ret->msg) - 1] = '\0';
	ret->mend[sizeof(ret->mend) - 1] = '\0';
	ret->name[sizeof(ret->name) - 1] = '\0';
	switch (ret->message) {
	case WORKER_PROGRESS:
		return 0;
	case WORKER_DONE:
		return 1;
	case WORKER_FAILED:
		err_set(err, ret->code ? ret->code : ERR_WORKER, "%s", ret->msg);
		return ret->mend[0] ? err_mend(err, "%s", ret->mend) : -1;
	}
	return err_set(err, ERR_WORKER, "duet-worker spoke nonsense");
}

void worker_own_map(struct idmap *ret)
{
	bool root = geteuid() == 0;

	*ret = (struct idmap){ .kind = root ? IDMAP_RANGE : IDMAP_SINGLE, .uid_extents = 1,
			       .gid_extents = 1 };
	ret->uids[0] = (struct idmap_extent){ 0, root ? 0 : geteuid(), root ? ALL_IDS : 1 };
	ret->gids[0] = (struct idmap_extent){ 0, root ? 0 : getegid(), root ? ALL_IDS : 1 };
}

/* The ids of one that reads trees are those of the store's map; one with a network is nobody. */
static int choose_map(const struct worker_request *request, const struct idmap *map, bool network,
		      struct idmap *ret, struct err *err)
{
	bool trees = request->op == WORKER_UNPACK || request->op == WORKER_PACK_UPPER ||
		     request->flags & WORKER_FROM_IMAGE;

	if (network)
		return idmap_find_stranger(ret, err);
	if (trees)
		*ret = *map;
	else
		worker_own_map(ret);
	return 0;
}

/* The worker starts its program as the ids that it will have. */
static int check_program(int program, const struct idmap *map, struct err *err)
{
	uint32_t inside;
	struct stat st;

	if (fstat(program, &st) < 0)
		return err_sys(err, errno, "look at duet-worker");
	if (idmap_uid_inside(map, st.st_uid, &inside) || (st.st_mode & S_IXOTH))
		return 0;
	err_set(err, ERR_HOST, "start duet-worker as uid %u: not everybody may execute it",
		map->uids[0].outside);
	return err_mend(err, "chmod 755 the program duet-worker");
}

static int start_jail(struct worker *worker, const struct worker_request *request,
		      const struct idmap *map, struct start *start, struct err *err)
{
	struct jail_entry entry = { .enter = enter, .data = start };
	/* the mounts come later: see root.c */
	uint64_t flags = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID;
	bool network = request->op == WORKER_FETCH || request->op == WORKER_REGISTRY;
	int files[ROOT_FILES], started;
	struct idmap chosen;

	if (choose_map(request, map, network, &chosen, err) < 0 ||
	    check_program(start->program, &chosen, err) < 0)
		return -1;
	if (!network)
		return jail_start(&worker->jail, &chosen, flags | CLONE_NEWNET, &entry, err);
	if (root_open_files(files, err) < 0)
		return -1;
	start->files = files;
	started = jail_start(&worker->jail, &chosen, flags, &entry, err);
	root_close_files(files);
	return started;
}

int worker_start(struct worker *ret, const struct idmap *map, const struct worker_request *request,
		 const int *fds, size_t fd_count, struct err *err)
{
	_cleanup_close_ int program = proc_open_own("duet-worker", err), ours = -1, theirs = -1;
	struct start start = { .program = program, .mode = modes[request->op] };
	struct worker worker = { .op = request->op, .socket = -1 };
	int pair[2];

	if (program < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "make socketpair");
	ours = pair[0];
	theirs = pair[1];
	start.socket = theirs;
	if (start_jail(&worker, request, map, &start, err) < 0)
		return -1;
	worker.socket = ours;
	if (worker_ask(&worker, request, fds, fd_count, err) < 0) {
		jail_kill(&worker.jail);
		return -1;
	}
	ours = -1;
	*ret = worker;
	return 0;
}

void worker_end(struct worker *worker, bool kill)
{
	if (worker->socket < 0)
		return;
	close(TAKE_FD(worker->socket));
	if (kill)
		jail_kill(&worker->jail);
	else
		jail_wait(&worker->jail);
}

int worker_run(const struct idmap *map, const struct worker_request *request, const int *fds,
	       size_t fd_count, const char *what, struct worker_reply *ret, struct err *err)
{
	struct worker worker;
	int taken;

	if (worker_start(&worker, map, request, fds, fd_count, err) < 0)
		return -1;
	while ((taken = worker_take(&worker, ret, err)) == 0)
		log_progress(what, ret->done, ret->total);
	log_progress_clear();
	worker_end(&worker, false);
	return taken < 0 ? -1 : 0;
}

int worker_hash(int fd, struct digest *ret, struct err *err)
{
	struct worker_request request = { .version = WORKER_VERSION, .op = WORKER_HASH,
					  .fd_count = 1 };
	struct worker_reply reply;

	if (worker_run(NULL, &request, &fd, 1, "hash", &reply, err) < 0)
		return -1;
	*ret = reply.blob;
	return 0;
}
