/* duet doctor: one row per need of this machine, with the command that mends it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "builders/builder.h"
#include "cmd/cmd.h"
#include "core/fs.h"
#include "core/jail/jail.h"
#include "core/json.h"
#include "core/log.h"
#include "core/proc.h"
#include "runners/vm/accel.h"
#include "runners/vm/launch.h"

#define FREE_BYTES_WANTED (2ull << 30)

enum verdict { OK, POOR, BAD };

struct row {
	const char *need;
	enum verdict verdict;
	char text[200];		/* what was seen */
	const char *mend;	/* static; a command, or what to do; NULL when all is well */
};

struct need {
	const char *name;
	void (*look)(struct row *row, const struct cli *cli);
};

static void say(struct row *row, enum verdict verdict, const char *mend, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(struct row *row, enum verdict verdict, const char *mend, const char *fmt, ...)
{
	va_list args;

	row->verdict = verdict;
	row->mend = mend;
	va_start(args, fmt);
	vsnprintf(row->text, sizeof(row->text), fmt, args);
	va_end(args);
}

static long long read_number(const char *path, long long absent)
{
	_cleanup_free_ char *text = NULL;
	struct err ignored = { 0 };
	long long value;

	if (fs_read_file(AT_FDCWD, path, 64, &text, NULL, &ignored) < 0 ||
	    sscanf(text, "%lld", &value) != 1)
		value = absent;
	err_done(&ignored);
	return value;
}

static void look_kernel(struct row *row, const struct cli *cli)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	(void)cli;
	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 12)))
		say(row, OK, NULL, "Linux %s", name.release);
	else
		say(row, BAD, "use Linux 5.12 or newer (Debian 12 has 6.1)", "Linux %s", name.release);
}

static int nothing(void *data)
{
	(void)data;
	return 0;
}

static const char *why_no_namespace(void)
{
	if (read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
		return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
	if (read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
		return "sudo sysctl -w kernel.unprivileged_userns_clone=1";
	if (read_number("/proc/sys/user/max_user_namespaces", 1) == 0)
		return "sudo sysctl -w user.max_user_namespaces=15000";
	return "a sandbox around this shell forbids it: run duet outside (docker: "
	       "--security-opt seccomp=unconfined)";
}

static void look_namespaces(struct row *row, const struct cli *cli)
{
	struct jail_entry entry = { .enter = nothing };
	struct err err = { 0 };
	const char *why;
	struct idmap map;
	struct jail jail;
	int code = -1;

	(void)cli;
	if (idmap_find(&map, true, &why, &err) == 0 &&
	    jail_start(&jail, &map, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET, &entry, &err) == 0)
		code = jail_wait(&jail);
	if (code == 0)
		say(row, OK, NULL, "can be made");
	else
		say(row, BAD, why_no_namespace(), "%s", err.msg ? err.msg : "the child failed");
	err_done(&err);
}

/* As the container runner mounts it, on a tmpfs. The errno is the exit code. */
static int mount_overlay(void *data)
{
	static const char *const folders[] = { "/tmp/lower", "/tmp/upper", "/tmp/work" };

	(void)data;
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
		return errno;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (mkdir(folders[i], 0755) < 0)
			return errno;
	if (mount("overlay", "/tmp", "overlay", 0, "userxattr,volatile,lowerdir=/tmp/lower,"
		  "upperdir=/tmp/upper,workdir=/tmp/work") < 0)
		return errno;
	return 0;
}

static void look_overlay(struct row *row, const struct cli *cli)
{
	struct jail_entry entry = { .enter = mount_overlay };
	struct err err = { 0 };
	const char *why;
	struct idmap map;
	struct jail jail;
	int code = EPERM;

	(void)cli;
	if (idmap_find(&map, true, &why, &err) == 0 &&
	    jail_start(&jail, &map, CLONE_NEWNS, &entry, &err) == 0)
		code = jail_wait(&jail);
	if (code == 0)
		say(row, OK, NULL, "mounts in a user namespace");
	else
		say(row, BAD, "sudo modprobe overlay; Linux 5.12 or newer", "%s", strerror(code));
	err_done(&err);
}

static void look_ids(struct row *row, const struct cli *cli)
{
	struct err err = { 0 };
	const char *why = NULL;
	struct idmap map;

	(void)cli;
	if (idmap_find(&map, false, &why, &err) < 0)
		say(row, BAD, NULL, "%s", err.msg);
	else if (map.kind == IDMAP_SINGLE)
		say(row, POOR, "sudo apt-get install uidmap && sudo usermod --add-subuids "
			       "100000-165535 --add-subgids 100000-165535 $USER",
		    "single-uid mode: %s", why ? why : "one id only");
	else
		say(row, OK, NULL, map.kind == IDMAP_RANGE ? "root: ids %u and up"
							   : "subuids from %u",
		    map.kind == IDMAP_RANGE ? IDMAP_ROOT_BASE : map.uids[1].outside);
	err_done(&err);
}

static void look_seccomp(struct row *row, const struct cli *cli)
{
	(void)cli;
	if (prctl(PR_GET_SECCOMP) >= 0)
		say(row, OK, NULL, "filters can be set");
	else
		say(row, BAD, "use a kernel with CONFIG_SECCOMP_FILTER", "%s", strerror(errno));
}

static void look_store(struct row *row, const struct cli *cli)
{
	struct session session = { 0 };
	struct err err = { 0 };
	struct statvfs room;
	unsigned long long bytes;

	if (session_store(&session, cli, &err) < 0) {
		say(row, BAD, "name another folder with --store DIR or $DUET_STORE", "%s", err.msg);
	} else if (statvfs(session.store.path, &room) < 0) {
		say(row, BAD, NULL, "%s: %s", session.store.path, strerror(errno));
	} else {
		bytes = (unsigned long long)room.f_bavail * room.f_frsize;
		say(row, bytes < FREE_BYTES_WANTED ? POOR : OK,
		    bytes < FREE_BYTES_WANTED ? "duet gc, or another folder with --store DIR" : NULL,
		    "%s, %.1f GB free", session.store.path, (double)bytes / 1e9);
	}
	session_done(&session);
	err_done(&err);
}

static void look_own(struct row *row, const struct cli *cli)
{
	static const char *const names[] = { "duet-worker", "duet-init" };
	struct err err = { 0 };

	(void)cli;
	say(row, OK, NULL, "duet-worker, duet-init");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_close_ int fd = proc_open_own(names[i], &err);

		if (fd < 0)
			say(row, BAD, "make install", "%s", err.msg);
	}
	err_done(&err);
}

static void look_qemu(struct row *row, const struct cli *cli)
{
	static const char mend[] =
		"sudo apt-get install --no-install-recommends qemu-system-x86";
	struct err err = { 0 };
	int fd;

	(void)cli;
	if (launch_find(&fd, &err) == 0)
		say(row, OK, NULL, "can be started");
	else
		say(row, POOR, mend, "no VMs: %s", err.msg);
	if (!err.code)
		close(fd);
	err_done(&err);
}

static void look_kvm(struct row *row, const struct cli *cli)
{
	const char *mend, *why = accel_why_not(&mend);

	(void)cli;
	if (!why)
		say(row, OK, NULL, "may be used; the first VM proves it");
	else
		say(row, POOR, mend, "%s: guests are emulated (TCG), several times slower", why);
}

static void look_vm_kernel(struct row *row, const struct cli *cli)
{
	struct session session = { 0 };
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	const char *mend;

	if (session_store(&session, cli, &err) < 0)
		say(row, POOR, NULL, "%s", err.msg);
	else if (builder_kernel_look(&session.store, &text, &mend))
		say(row, OK, NULL, "%s", text);
	else
		say(row, POOR, mend, "%s", text);
	session_done(&session);
	err_done(&err);
}

static void look_scratch(struct row *row, const struct cli *cli)
{
	_cleanup_free_ char *program = proc_find_helper("mke2fs");

	(void)cli;
	say(row, program ? OK : POOR, program ? NULL : "sudo apt-get install e2fsprogs",
	    program ? "mke2fs makes disks for target.vm.root_size"
		    : "no disks for target.vm.root_size: mke2fs is not installed");
}

static const struct need needs[] = {
	{ "kernel", look_kernel },	{ "programs", look_own },
	{ "namespaces", look_namespaces }, { "overlay", look_overlay },
	{ "ids", look_ids },
	{ "filter", look_seccomp },
	{ "store", look_store },
	{ "qemu", look_qemu },
	{ "kvm", look_kvm },
	{ "vm-kernel", look_vm_kernel },
	{ "vm-disk", look_scratch },
};

static void print_row(const struct row *row, struct json_out *out)
{
	static const char *const words[] = { [OK] = "ok", [POOR] = "poor", [BAD] = "bad" };

	if (!out) {
		_cleanup_free_ char *line = xasprintf("%-5s %-11s %s\n", words[row->verdict], row->need,
						      row->text);

		log_text(line);
		if (row->mend)
			printf("%17s mend: %s\n", "", row->mend);
		return;
	}
	json_out_map(out, NULL);
	json_out_text(out, "need", row->need);
	json_out_text(out, "verdict", words[row->verdict]);
	json_out_text(out, "text", row->text);
	if (row->mend)
		json_out_text(out, "mend", row->mend);
	json_out_end(out);
}

int cmd_doctor(const struct cli *cli, int *ret_code, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct json_out out;
	bool bad = false;

	(void)err;
	json_out_init(&out);
	json_out_list(&out, "needs");
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		struct row row = { .need = needs[i].name };

		needs[i].look(&row, cli);
		print_row(&row, cli->json ? &out : NULL);
		bad |= row.verdict == BAD;
	}
	json_out_end(&out);
	text = json_out_finish(&out);
	if (cli->json)
		fputs(text, stdout);
	*ret_code = bad;
	return 0;
}
