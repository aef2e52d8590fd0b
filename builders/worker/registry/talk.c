/*
 * The conversation: see talk.h. What is sent is checked here before any of it is used: an operation
 * of the conversation, an id that is not in use, the descriptors that it takes and their kinds.
 */
#include "builders/worker/registry/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builders/worker/registry/session.h"
#include "builders/worker/registry/tee.h"
#include "builders/worker/wire.h"
#include "core/clock.h"
#include "core/fs.h"
#include "core/mem.h"

#define PROGRESS_MS 100
#define STACK_BYTES (1024 * 1024)
#define FDS_MAX (1 + TEE_PIPES_MAX)

struct talk {
	int socket;			/* borrowed */
	struct session session;
	pthread_mutex_t lock;		/* of the socket's sending side and of what follows */
	uint32_t ids[WORKER_OPEN_MAX];	/* of the requests under way; 0: free */
};

/* One request under way; owned by its thread. */
struct turn {
	struct talk *talk;		/* borrowed */
	struct worker_request request;
	int fds[FDS_MAX];		/* owned */
	size_t fd_count;
	struct worker_reply reply, progress;
	int64_t told_ms;
};

static const struct turn_kind {
	size_t fds_max;		/* one at least */
	bool push;
	int (*run)(struct visit *visit, struct err *err);
} kinds[WORKER_OP_END] = {
	[WORKER_GET_MANIFEST] = { 1, false, pull_manifest },
	[WORKER_GET_BLOB] = { FDS_MAX, false, pull_blob },
	[WORKER_PUT_BLOB] = { 1, true, push_blob },
	[WORKER_PUT_MANIFEST] = { 1, true, push_manifest },
	[WORKER_TRY_LOGIN] = { 1, false, try_login },
};

/* About ten times a second, and never waiting: the next one says it too. */
static void tell_progress(void *data, uint64_t done, uint64_t total)
{
	struct turn *turn = data;
	int64_t now_ms = clock_ms();

	if (now_ms - turn->told_ms < PROGRESS_MS || pthread_mutex_trylock(&turn->talk->lock) != 0)
		return;
	turn->told_ms = now_ms;
	turn->progress = (struct worker_reply){ .version = WORKER_VERSION,
						.message = WORKER_PROGRESS,
						.id = turn->request.id,
						.done = done, .total = total };
	(void)wire_send(turn->talk->socket, &turn->progress, MSG_DONTWAIT);
	pthread_mutex_unlock(&turn->talk->lock);
}

static void turn_free(struct turn *turn)
{
	for (size_t i = 0; i < turn->fd_count; i++)
		if (turn->fds[i] >= 0)
			close(turn->fds[i]);
	free(turn);
}

/* The id is free before the answer is read: the other end may use it at once. */
static void answer(struct turn *turn, const struct err *err)
{
	struct talk *talk = turn->talk;

	wire_answer(&turn->reply, turn->request.id, err);
	pthread_mutex_lock(&talk->lock);
	for (size_t i = 0; i < WORKER_OPEN_MAX; i++)
		if (talk->ids[i] == turn->request.id)
			talk->ids[i] = 0;
	(void)wire_send(talk->socket, &turn->reply, 0);
	pthread_mutex_unlock(&talk->lock);
}

static void *take_turn(void *data)
{
	struct turn *turn = data;
	_cleanup_(err_done) struct err err = { 0 };
	struct visit visit = {
		.session = &turn->talk->session,
		.request = &turn->request,
		.reply = &turn->reply,
		.fds = turn->fds,
		.progress = tell_progress,
		.data = turn,
	};

	if (visit_begin(&visit, &err) == 0)
		(void)kinds[turn->request.op].run(&visit, &err);
	visit_end(&visit);
	/* whoever reads a pipe or a file's lock sees it closed before it hears the answer */
	for (size_t i = 0; i < turn->fd_count; i++)
		if (turn->fds[i] >= 0)
			close(TAKE_FD(turn->fds[i]));
	answer(turn, &err);
	turn_free(turn);
	return NULL;
}

static bool is_kind(int fd, mode_t kind)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* May it be begun? Takes its id when it may. */
static bool admit(struct talk *talk, const struct turn *turn)
{
	const struct turn_kind *kind = &kinds[turn->request.op];
	uint32_t *free_id = NULL;

	if (!kind->run || turn->fd_count < 1 || turn->fd_count > kind->fds_max ||
	    turn->request.id == 0 || (kind->push && !talk->session.push) ||
	    !is_kind(turn->fds[0], S_IFREG))
		return false;
	for (size_t i = 1; i < turn->fd_count; i++)
		if (!is_kind(turn->fds[i], S_IFIFO))
			return false;
	pthread_mutex_lock(&talk->lock);
	for (size_t i = 0; i < WORKER_OPEN_MAX; i++) {
		if (talk->ids[i] == turn->request.id) {
			free_id = NULL;
			break;
		}
		if (talk->ids[i] == 0)
			free_id = &talk->ids[i];
	}
	if (free_id)
		*free_id = turn->request.id;
	pthread_mutex_unlock(&talk->lock);
	return free_id != NULL;
}

static bool start(struct turn *turn)
{
	pthread_attr_t attr;
	pthread_t thread;
	int failed;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	failed = pthread_create(&thread, &attr, take_turn, turn);
	pthread_attr_destroy(&attr);
	if (failed) {
		_cleanup_(err_done) struct err err = { 0 };

		mem_blame(failed);
		err_sys_as(&err, ERR_HOST, failed, "start a thread");
		answer(turn, &err);
	}
	return !failed;
}

void talk_hurry(struct talk *talk, uint32_t stall_s)
{
	talk->session.stall_s = stall_s;
}

int talk_go(struct talk *talk)
{
	struct worker_reply ready = { .version = WORKER_VERSION, .message = WORKER_DONE };

	if (!wire_send(talk->socket, &ready, 0))
		return 1;
	for (;;) {
		struct turn *turn = xcalloc(1, sizeof(*turn));
		_cleanup_(err_done) struct err err = { 0 };
		int fds[WIRE_FDS_MAX], received;
		size_t count = 0;

		received = wire_receive(talk->socket, &turn->request, fds, &count, &err);
		turn->talk = talk;
		for (size_t i = 0; i < count; i++)
			if (i < FDS_MAX)
				turn->fds[i] = fds[i];
			else
				close(fds[i]);
		turn->fd_count = count < FDS_MAX ? count : FDS_MAX;
		if (received <= 0 || count > FDS_MAX || !admit(talk, turn)) {
			turn_free(turn);
			return received != 0;
		}
		if (!start(turn))
			turn_free(turn);
	}
}

static int read_login(int fd, struct worker_login *ret, struct err *err)
{
	ssize_t got = fs_pread_all(fd, ret, sizeof(*ret), 0);

	if (got != sizeof(*ret) || ret->version != WORKER_VERSION ||
	    !memchr(ret->user, '\0', sizeof(ret->user)) ||
	    !memchr(ret->secret, '\0', sizeof(ret->secret)) ||
	    !memchr(ret->identity_token, '\0', sizeof(ret->identity_token)) ||
	    !memchr(ret->user_agent, '\0', sizeof(ret->user_agent)))
		return err_set(err, ERR_WORKER, "malformed login");
	return 0;
}

struct talk *talk_new(int socket, const struct worker_request *first, int login_fd,
		      struct err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct talk *talk = xcalloc(1, sizeof(*talk));
	struct worker_login *login = xcalloc(1, sizeof(*login));
	int failed;

	/* pipes whose readers are gone, connections that the registry has closed */
	sigaction(SIGPIPE, &ignore, NULL);
	talk->socket = socket;
	pthread_mutex_init(&talk->lock, NULL);
	failed = read_login(login_fd, login, err) < 0 ||
		 session_init(&talk->session, first->text, first->flags & WORKER_PLAIN_HTTP,
			      first->flags & WORKER_PUSH, login, err) < 0;
	close(login_fd);
	explicit_bzero(login, sizeof(*login));
	free(login);
	if (!failed)
		return talk;
	free(talk);	/* the process ends */
	return NULL;
}
