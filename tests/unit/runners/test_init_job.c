/* duet-init's start of a job: its working folder has a path from the root, or is refused. */
/* its functions are its own: the source itself, before Check, which takes the name `fail` */
#include "runners/init/job.c"

#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "core/mem.h"
#include "tests/unit/unit.h"

void channel_queue(struct init *init, enum proto_type type, unsigned int session, unsigned int stream,
		   const void *payload, size_t length)
{
	(void)init, (void)type, (void)session, (void)stream, (void)payload, (void)length;
}

_Noreturn void init_end(int code)
{
	_exit(code);
}

/*
 * In a root of its own that is a folder below `base`, with /proc, while a descriptor of `base` is left
 * open as number 9. 77 where no such root can be had.
 */
static void with_root(const char *base)
{
	_cleanup_free_ char *root = xasprintf("%s/root", base);
	_cleanup_free_ char *proc = xasprintf("%s/proc", root), *work = xasprintf("%s/work", root);
	int fd = open(base, O_RDONLY | O_DIRECTORY);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(root, 0755) < 0 || mkdir(proc, 0755) < 0 || mkdir(work, 0755) < 0 ||
	    mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) < 0 || dup2(fd, 9) < 0 ||
	    chroot(root) < 0 || chdir("/") < 0)
		_exit(77);
}

static int try_workdir(const char *path, const char *base)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		with_root(base);
		if (enter_workdir(path) < 0)
			_exit(errno == ELOOP ? 2 : 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

START_TEST(test_workdir)
{
	static const struct {
		const char *path;
		int wanted;
	} cases[] = {
		{ "/", 0 }, { "/work", 0 }, { "/work/new/deep", 0 }, { "/work/../work/x", 0 },
		{ "work", 1 }, { "", 1 },
		/* a folder outside of the root, by a descriptor that was left open */
		{ "/proc/self/fd/9", 2 }, { "/proc/self/fd/9/root/..", 2 },
		{ "/work/../proc/self/fd/9", 2 },
		/* and one of it that is inside is as good as its name */
		{ "/proc/self/fd/9/root/work", 0 },
	};
	char base[] = "/tmp/duet-workdir.XXXXXX", command[64];
	int got;

	ck_assert_ptr_nonnull(mkdtemp(base));
	got = try_workdir(cases[_i].path, base);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
	if (got != 77)
		ck_assert_msg(got == cases[_i].wanted, "%s: %d", cases[_i].path, got);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = { { test_workdir, 10 } };
	const struct unit unit = { "init_job", .takes_root = true };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
