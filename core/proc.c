/* Processes: see proc.h. */
#include "core/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"

#ifndef DUET_LIBEXECDIR
#define DUET_LIBEXECDIR "/usr/local/libexec/duet"
#endif

void proc_die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (parent != 0 && getppid() != parent)
		_exit(137);
}

void proc_set_apart(pid_t parent)
{
	setsid();
	proc_die_with(parent);
}

int proc_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int proc_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return proc_exit_code(status);
}

char *proc_find_helper(const char *name)
{
	static const char *const folders[] = { "/usr/bin", "/usr/sbin", "/bin", "/sbin",
					       "/usr/local/bin", "/usr/local/sbin" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folders[i], name);

		if (access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

/* The folder of the running binary, owned, or NULL. */
static char *own_folder(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (length <= 0)
		return NULL;
	path[length] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return xstrdup(path);
}

int proc_open_own(const char *name, struct err *err)
{
	const char *override = getenv("DUET_LIBEXEC");
	_cleanup_free_ char *beside = override ? NULL : own_folder();
	const char *const folders[] = { override ? override : beside,
					override ? NULL : DUET_LIBEXECDIR };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = NULL;
		int fd;

		if (!folders[i])
			continue;
		path = xasprintf("%s/%s", folders[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	err_set(err, ERR_HOST, "find %s: neither beside duet nor in %s", name,
		override ? override : DUET_LIBEXECDIR);
	return err_mend(err, "install duet with `make install`, or set DUET_LIBEXEC");
}
