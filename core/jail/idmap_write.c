/* Id maps, writing them, and the stranger's, which are only written: see idmap.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/fs.h"
#include "core/jail/idmap.h"
#include "core/mem.h"
#include "core/proc.h"
#include "core/str.h"

#define MAP_BYTES_MAX 4096u /* of a map of IDMAP_EXTENTS_MAX extents, 33 bytes each */
#define HELPER_TEXT_MAX 400u		/* bytes of newuidmap's own words in a message */

/* One write(2): the kernel takes a map in one piece or not at all. */
static int write_proc(pid_t pid, const char *file, const char *text, struct err *err)
{
	char path[64];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fs_write_all(fd, text, strlen(text)) < 0)
		return err_sys_as(err, ERR_HOST, errno, "map ids: write %s", path);
	return 0;
}

static int write_direct(const struct idmap *map, pid_t pid, struct err *err)
{
	_cleanup_free_ char *uids = idmap_text(map->uids, map->uid_extents);
	_cleanup_free_ char *gids = idmap_text(map->gids, map->gid_extents);

	/* without rights a gid can only be mapped when nobody inside can drop a group */
	if (map->kind == IDMAP_SINGLE && write_proc(pid, "setgroups", "deny", err) < 0)
		return -1;
	if (write_proc(pid, "uid_map", uids, err) < 0)
		return -1;
	return write_proc(pid, "gid_map", gids, err);
}

struct helper {
	const char *name;	/* borrowed, static */
	pid_t pid;		/* 0: not running */
	int output;		/* owned; a memfd with what it said, or -1 */
};

static void helper_done(struct helper *helper)
{
	if (helper->pid > 0)
		proc_wait(helper->pid);
	mem_closep(&helper->output);
}

static void __attribute__((noreturn))
helper_exec(const char *path, char *const *argv, int output, pid_t parent)
{
	static char *const no_environment[] = { NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	proc_set_apart(parent);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(126);
	execve(path, argv, no_environment);
	_exit(127);
}

static int helper_start(struct helper *helper, const char *name, pid_t pid,
			const struct idmap_extent *extents, uint32_t count,
			struct err *err)
{
	_cleanup_free_ char *path = proc_find_helper(name);
	_cleanup_(strv_done) struct strv argv = { 0 };
	pid_t parent = getpid();

	helper->name = name;
	if (!path)
		return err_set(err, ERR_HOST, "map ids: %s is not there any more", name);
	strv_add(&argv, name);
	strv_addf(&argv, "%d", (int)pid);
	for (uint32_t i = 0; i < count; i++) {
		strv_addf(&argv, "%u", extents[i].inside);
		strv_addf(&argv, "%u", extents[i].outside);
		strv_addf(&argv, "%u", extents[i].count);
	}
	helper->output = memfd_create(name, MFD_CLOEXEC);
	if (helper->output < 0)
		return err_sys_as(err, ERR_HOST, errno, "map ids: collect what %s says",
				  name);
	helper->pid = fork();
	if (helper->pid == 0)
		helper_exec(path, argv.items, helper->output, parent);
	if (helper->pid < 0)
		return err_sys_as(err, ERR_HOST, errno, "map ids: start %s", name);
	return 0;
}

static int helper_wait(struct helper *helper, struct err *err)
{
	char said[HELPER_TEXT_MAX + 1];
	_cleanup_free_ char *text = NULL;
	int code = proc_wait(helper->pid);
	ssize_t size;

	helper->pid = 0;
	if (code == 0)
		return 0;
	size = fs_pread_all(helper->output, said, HELPER_TEXT_MAX, 0);
	said[size > 0 ? size : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	text = str_escape(said, HELPER_TEXT_MAX);
	err_set(err, ERR_HOST, "map ids: %s ended with %d: %s", helper->name, code, text);
	return err_mend(err, "look at /etc/subuid and /etc/subgid, or see `duet doctor`");
}

/* Side by side: each takes over a millisecond, most of it in exec and in reading the
 * user base. */
static int write_by_helpers(const struct idmap *map, pid_t pid, struct err *err)
{
	_cleanup_(helper_done) struct helper uids = { .output = -1 };
	_cleanup_(helper_done) struct helper gids = { .output = -1 };

	if (helper_start(&uids, "newuidmap", pid, map->uids, map->uid_extents, err) < 0 ||
	    helper_start(&gids, "newgidmap", pid, map->gids, map->gid_extents, err) < 0)
		return -1;
	if (helper_wait(&uids, err) < 0)
		return -1;
	return helper_wait(&gids, err);
}

/* What the namespace really has: the helpers are programs of the host, and could do
 * anything. */
static int read_back(pid_t pid, const char *file, const struct idmap_extent *wanted,
		     uint32_t count, struct err *err)
{
	struct idmap_extent is[IDMAP_EXTENTS_MAX + 1];
	char path[64], text[MAP_BYTES_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : fs_pread_all(fd, text, sizeof(text) - 1, 0);
	if (size < 0)
		return err_sys_as(err, ERR_HOST, errno, "map ids: read %s back", path);
	text[size] = '\0';
	if (idmap_parse_map(text, is, ARRAY_SIZE(is)) != count ||
	    memcmp(is, wanted, count * sizeof(is[0])) != 0)
		return err_set(err, ERR_HOST,
			       "map ids: %s holds another map when read back", path);
	return 0;
}

int idmap_write(const struct idmap *map, pid_t pid, struct err *err)
{
	bool helped = map->kind == IDMAP_SUBIDS && geteuid() != 0;

	if ((helped ? write_by_helpers(map, pid, err) : write_direct(map, pid, err)) < 0)
		return -1;
	if (read_back(pid, "uid_map", map->uids, map->uid_extents, err) < 0)
		return -1;
	return read_back(pid, "gid_map", map->gids, map->gid_extents, err);
}

static uint32_t stranger_of(const struct idmap *map, const struct idmap_extent *extents,
			    uint32_t count)
{
	const struct idmap_extent *last = &extents[count - 1];

	return map->kind == IDMAP_RANGE ? IDMAP_STRANGER : last->outside + last->count - 1;
}

int idmap_find_stranger(struct idmap *ret, struct err *err)
{
	struct idmap all;
	const char *why;

	if (idmap_find(&all, false, &why, err) < 0)
		return -1;
	*ret = (struct idmap){ .kind = all.kind, .uid_extents = 1, .gid_extents = 1 };
	ret->uids[0] =
		(struct idmap_extent){ 0, stranger_of(&all, all.uids, all.uid_extents), 1 };
	ret->gids[0] =
		(struct idmap_extent){ 0, stranger_of(&all, all.gids, all.gid_extents), 1 };
	return 0;
}
