/* A file's readers: see tee.h. */
#include "builders/worker/registry/tee.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "core/mem.h"

#define CHUNK (64 * 1024)
#define LOOK_MS 100	/* so often a reader that takes nothing is asked whether it is over */

struct branch {
	struct tee *tee;
	pthread_t thread;
	int pipe;		/* owned */
	bool started;
	bool lost;		/* what it got is not what the file begins with */
	uint64_t fed;		/* bytes read for it */
};

struct tee {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int file;		/* borrowed */
	uint64_t have;
	bool complete, stopped;
	struct branch branches[TEE_PIPES_MAX];
	size_t count;
};

/*
 * The next bytes for a pipe; 0: there will be none. They are read under the lock: the file is not
 * emptied meanwhile.
 */
static size_t next_bytes(struct branch *branch, char *room)
{
	struct tee *tee = branch->tee;
	ssize_t got = 0;

	pthread_mutex_lock(&tee->lock);
	while (!tee->stopped && !branch->lost && branch->fed == tee->have && !tee->complete)
		pthread_cond_wait(&tee->changed, &tee->lock);
	if (!tee->stopped && !branch->lost && branch->fed < tee->have) {
		uint64_t left = tee->have - branch->fed;

		do
			got = pread(tee->file, room, left < CHUNK ? (size_t)left : CHUNK,
				    (off_t)branch->fed);
		while (got < 0 && errno == EINTR);
		if (got > 0)
			branch->fed += (uint64_t)got;
	}
	pthread_mutex_unlock(&tee->lock);
	return got > 0 ? (size_t)got : 0;
}

static bool is_over(struct branch *branch)
{
	bool over;

	pthread_mutex_lock(&branch->tee->lock);
	over = branch->tee->stopped || branch->lost;
	pthread_mutex_unlock(&branch->tee->lock);
	return over;
}

static bool feed(struct branch *branch, const char *bytes, size_t size)
{
	struct pollfd room = { .fd = branch->pipe, .events = POLLOUT };

	while (size > 0) {
		ssize_t put = write(branch->pipe, bytes, size);

		if (put > 0) {
			bytes += put;
			size -= (size_t)put;
		} else if (put < 0 && errno == EAGAIN) {
			(void)poll(&room, 1, LOOK_MS);
		} else if (put == 0 || errno != EINTR) {
			return false; /* EPIPE: its reader is gone */
		}
		if (size > 0 && is_over(branch))
			return false;
	}
	return true;
}

static void *run_branch(void *data)
{
	_cleanup_free_ char *room = xmalloc(CHUNK);
	struct branch *branch = data;
	size_t size;

	while ((size = next_bytes(branch, room)) > 0 && feed(branch, room, size))
		;
	close(TAKE_FD(branch->pipe));
	return NULL;
}

struct tee *tee_new(int file, const int *pipes, size_t count)
{
	struct tee *tee = xcalloc(1, sizeof(*tee));

	pthread_mutex_init(&tee->lock, NULL);
	pthread_cond_init(&tee->changed, NULL);
	tee->file = file;
	tee->count = count;
	for (size_t i = 0; i < count; i++) {
		struct branch *branch = &tee->branches[i];

		branch->tee = tee;
		branch->pipe = pipes[i];
		(void)fcntl(branch->pipe, F_SETFL, O_NONBLOCK);
		branch->started = pthread_create(&branch->thread, NULL, run_branch, branch) == 0;
		if (!branch->started)
			close(TAKE_FD(branch->pipe));
	}
	return tee;
}

void tee_grown(struct tee *tee, uint64_t bytes)
{
	pthread_mutex_lock(&tee->lock);
	tee->have = bytes;
	for (size_t i = 0; i < tee->count; i++)
		if (bytes < tee->branches[i].fed)
			tee->branches[i].lost = true;
	pthread_cond_broadcast(&tee->changed);
	pthread_mutex_unlock(&tee->lock);
}

void tee_end(struct tee *tee, bool complete)
{
	if (!tee)
		return;
	pthread_mutex_lock(&tee->lock);
	tee->complete = complete;
	tee->stopped = !complete;
	pthread_cond_broadcast(&tee->changed);
	pthread_mutex_unlock(&tee->lock);
	for (size_t i = 0; i < tee->count; i++)
		if (tee->branches[i].started)
			pthread_join(tee->branches[i].thread, NULL);
	pthread_cond_destroy(&tee->changed);
	pthread_mutex_destroy(&tee->lock);
	free(tee);
}
