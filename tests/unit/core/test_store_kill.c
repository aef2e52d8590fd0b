/*
 * Every kill point: a child that works on the store is stopped at its Nth system call and killed
 * there, before the call is done, for N = 1, 2, ... until it runs to its end. After each, the store
 * opens, tmp/ is empty, a check finds nothing, and the same work gives the same result.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"
#include "store_fixture.h"

#define POINTS_MIN 60	/* fewer would mean that the sweep saw nothing */
#define POINTS_MAX 5000

static struct fixture fx;

static void fail(const char *sweep, int point, const char *what, const char *why)
{
	fprintf(stderr, "%s, killed at call %d: %s: %s\n", sweep, point, what, why ? why : "");
	exit(1);
}

static int open_store(struct store *ret, struct err *err)
{
	return store_open(ret, fx.top, &fx.map, err);
}

static int work_publish(void)
{
	struct store store;
	struct err err = { 0 };

	return open_store(&store, &err) < 0 || put_all(&store, "seed", &err) < 0;
}

static int work_gc(void)
{
	struct store store;
	struct err err = { 0 };
	struct store_gc gc;

	return open_store(&store, &err) < 0 || store_gc(&store, false, &gc, &err) < 0;
}

static int work_check(void)
{
	struct store store;
	struct err err = { 0 };
	struct store_damage *items;
	size_t count;

	return open_store(&store, &err) < 0 ||
	       store_check(&store, hash_fd, &items, &count, &err) < 0;
}

/* 1: killed at the point; 0: it ran to its end before; 77: tracing is not allowed here. */
static int run_until(int (*work)(void), int point)
{
	pid_t pid = fork();
	int status, calls = 0;
	bool entering = true;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(77);
		raise(SIGSTOP);
		_exit(work());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return WIFEXITED(status) ? WEXITSTATUS(status) : 77;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, 0) < 0 || waitpid(pid, &status, 0) != pid)
			return 77;
		if (WIFEXITED(status))
			return WEXITSTATUS(status) == 0 ? 0 : 99;
		if (WIFSIGNALED(status))
			return 99;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (entering && ++calls == point)
			break;
		entering = !entering;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return 1;
}

static void look_after(const char *sweep, int point, bool publish)
{
	const char *first;
	struct err err = { 0 };

	if (store_open(&fx.store, fx.top, &fx.map, &err) < 0)
		fail(sweep, point, "open", err.msg);
	if (count_entries(fixture_path(&fx, "tmp")) != 0)
		fail(sweep, point, "tmp/ is not empty", NULL);
	if (check_store(&fx.store, &first) != 0)
		fail(sweep, point, "check", first);
	if (publish && put_all(&fx.store, "seed", &err) < 0)
		fail(sweep, point, "publish", err.msg);
	if (has_all(&fx.store, "seed", &err) != 1)
		fail(sweep, point, "what was published is not there", err.msg);
	if (check_store(&fx.store, &first) != 0)
		fail(sweep, point, "check after publishing", first);
}

/* Before each kill point: what the work finds. */
static void prepare_gc(void)
{
	struct store_layer layer;
	struct digest digest;
	struct err err = { 0 };

	if (put_all(&fx.store, "old", &err) < 0 || put_all(&fx.store, "seed", &err) < 0 ||
	    put_tree(&fx.store, "loose", &layer, &err) < 0 ||
	    put_blob(&fx.store, "loose", &digest, &err) < 0)
		fail("gc", 0, "prepare", err.msg);
}

static void prepare_check(void)
{
	struct err err = { 0 };

	if (put_all(&fx.store, "seed", &err) < 0)
		fail("check", 0, "prepare", err.msg);
}

static const struct {
	const char *name;
	int (*work)(void);
	void (*prepare)(void);	/* NULL: the store is not even there */
} sweeps[] = {
	{ "publish", work_publish, NULL },
	{ "gc", work_gc, prepare_gc },
	{ "check", work_check, prepare_check },
};

static int sweep(size_t which)
{
	int points = 0;

	for (int point = 1; point < POINTS_MAX; point++) {
		int killed;

		fixture_begin(&fx);
		if (sweeps[which].prepare)
			sweeps[which].prepare();
		store_done(&fx.store);
		if (!sweeps[which].prepare)
			shell("rm -rf %s/v1", fx.top);
		killed = run_until(sweeps[which].work, point);
		if (killed == 77) {
			fixture_end(&fx);
			puts("skipped: ptrace is not allowed here");
			return 77;
		}
		if (killed > 1)
			fail(sweeps[which].name, point, "the work itself", NULL);
		look_after(sweeps[which].name, point, sweeps[which].work == work_publish);
		fixture_end(&fx);
		if (!killed)
			break;
		points = point;
	}
	printf("%s: %d kill points\n", sweeps[which].name, points);
	return points >= POINTS_MIN ? 0 : 1;
}

int main(void)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(sweeps); i++)
		result = sweep(i);
	return result;
}
