/*
 * The mounts of an instance: see mounts.h. The file systems and devices are those of the OCI
 * runtime-spec (config-linux.md, "Default Filesystems"); what is masked and read-only is the union
 * of what docker, podman and runc hide.
 */
#include "runners/mounts.h"

#include <stdlib.h>
#include <sys/mount.h>

#include "core/mem.h"
#include "core/str.h"

#define PLAIN (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct mount_op fixed_before[] = {
	{ MOUNT_OP_FS, "/proc", "proc", NULL, PLAIN },
	{ MOUNT_OP_FS, "/sys", "sysfs", NULL, PLAIN | MS_RDONLY },
	{ MOUNT_OP_FS, "/dev", "tmpfs", "mode=0755,size=64k", MS_NOSUID | MS_STRICTATIME },
	{ MOUNT_OP_DEVICE, "/dev/null", "/dev/null" },
	{ MOUNT_OP_DEVICE, "/dev/zero", "/dev/zero" },
	{ MOUNT_OP_DEVICE, "/dev/full", "/dev/full" },
	{ MOUNT_OP_DEVICE, "/dev/random", "/dev/random" },
	{ MOUNT_OP_DEVICE, "/dev/urandom", "/dev/urandom" },
	{ MOUNT_OP_DEVICE, "/dev/tty", "/dev/tty" },
	{ MOUNT_OP_LINK, "/dev/fd", "/proc/self/fd" },
	{ MOUNT_OP_LINK, "/dev/stdin", "/proc/self/fd/0" },
	{ MOUNT_OP_LINK, "/dev/stdout", "/proc/self/fd/1" },
	{ MOUNT_OP_LINK, "/dev/stderr", "/proc/self/fd/2" },
	{ MOUNT_OP_LINK, "/dev/ptmx", "pts/ptmx" },
	{ MOUNT_OP_FS, "/dev/shm", "tmpfs", "mode=1777,size=64m", PLAIN },
	{ MOUNT_OP_FS, "/dev/mqueue", "mqueue", NULL, PLAIN },
};

static const struct mount_op fixed_after[] = {
	/* a job may listen on low ports; nobody inside makes user namespaces */
	{ MOUNT_OP_SYSCTL, "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0" },
	{ MOUNT_OP_SYSCTL, "/proc/sys/user/max_user_namespaces", "0" },
	{ MOUNT_OP_MASK, "/proc/acpi" },
	{ MOUNT_OP_MASK, "/proc/asound" },
	{ MOUNT_OP_MASK, "/proc/interrupts" },
	{ MOUNT_OP_MASK, "/proc/kallsyms" },
	{ MOUNT_OP_MASK, "/proc/kcore" },
	{ MOUNT_OP_MASK, "/proc/keys" },
	{ MOUNT_OP_MASK, "/proc/kmsg" },
	{ MOUNT_OP_MASK, "/proc/latency_stats" },
	{ MOUNT_OP_MASK, "/proc/sched_debug" },
	{ MOUNT_OP_MASK, "/proc/scsi" },
	{ MOUNT_OP_MASK, "/proc/sysrq-trigger" },
	{ MOUNT_OP_MASK, "/proc/timer_list" },
	{ MOUNT_OP_MASK, "/proc/timer_stats" },
	{ MOUNT_OP_MASK, "/sys/devices/virtual/powercap" },
	{ MOUNT_OP_MASK, "/sys/firmware" },
	{ MOUNT_OP_MASK, "/sys/fs/selinux" },
	{ MOUNT_OP_READ_ONLY, "/proc/bus", NULL, NULL, PLAIN },
	{ MOUNT_OP_READ_ONLY, "/proc/fs", NULL, NULL, PLAIN },
	{ MOUNT_OP_READ_ONLY, "/proc/irq", NULL, NULL, PLAIN },
	{ MOUNT_OP_READ_ONLY, "/proc/sys", NULL, NULL, PLAIN },
};

static char *copy_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static struct mount_op *add(struct mount_list *list, const struct mount_op *op)
{
	struct mount_op *new;

	list->ops = xreallocarray(list->ops, list->count + 1, sizeof(*list->ops));
	new = &list->ops[list->count++];
	*new = *op;
	new->target = xstrdup(op->target);
	new->source = copy_or_null(op->source);
	new->options = copy_or_null(op->options);
	return new;
}

static void add_fixed(struct mount_list *list, const struct mount_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(list, &ops[i])->fixed = true;
}

static void add_job_mount(struct mount_list *list, const struct mount *mount, size_t number)
{
	_cleanup_free_ char *options = NULL;
	struct mount_op op = { .target = mount->target, .bind = number };

	op.flags = MS_NOSUID | MS_NODEV | (mount->read_only ? MS_RDONLY : 0);
	if (mount->kind != MOUNT_TMPFS) {
		op.kind = MOUNT_OP_BIND;
		op.source = mount->source;
	} else {
		op.kind = MOUNT_OP_FS;
		op.source = "tmpfs";
		options = mount->size_bytes
			? xasprintf("mode=%04o,size=%llu", mount->mode,
				    (unsigned long long)mount->size_bytes)
			: xasprintf("mode=%04o", mount->mode);
		op.options = options;
	}
	add(list, &op);
}

void mounts_plan(const struct job *job, bool single_uid, struct mount_list *ret)
{
	_cleanup_free_ char *hosts = xasprintf("127.0.0.1 localhost\n"
					       "::1 localhost ip6-localhost ip6-loopback\n"
					       "127.0.1.1 %s\n", job->hostname);
	const struct mount_op pts = {
		MOUNT_OP_FS, "/dev/pts", "devpts",
		single_uid ? "newinstance,ptmxmode=0666,mode=0620"
			   : "newinstance,ptmxmode=0666,mode=0620,gid=5",
		MS_NOSUID | MS_NOEXEC,
	};
	_cleanup_free_ char *id = xasprintf("%s\n", job->machine_id);
	const struct mount_op hosts_file = { MOUNT_OP_FILE, "/etc/hosts", hosts };
	const struct mount_op id_file = { MOUNT_OP_FILE, "/etc/machine-id", id };
	/* apt fetches as a user of its own, of whom there is none in single-uid mode */
	const struct mount_op apt_file = { MOUNT_OP_FILE, "/etc/apt/apt.conf.d/99duet",
					   "APT::Sandbox::User \"root\";\n" };
	const struct mount_op secrets = { MOUNT_OP_FS, "/run/secrets", "tmpfs", "mode=0755,size=64m",
					  PLAIN };
	struct mount_list list = { 0 };

	add_fixed(&list, fixed_before, ARRAY_SIZE(fixed_before));
	add_fixed(&list, &pts, 1);
	/* before anything of the job's can hide them */
	add_fixed(&list, fixed_after, ARRAY_SIZE(fixed_after));
	add(&list, &hosts_file);
	if (*job->machine_id)
		add(&list, &id_file);
	if (job->step && single_uid)
		add(&list, &apt_file);
	for (size_t i = 0; i < job->mount_count; i++)
		add_job_mount(&list, &job->mounts[i], i);
	if (job->secret_count > 0)
		add(&list, &secrets);
	if (job->read_only) {
		const struct mount_op root = { MOUNT_OP_READ_ONLY, "/" };

		add(&list, &root);
	}
	*ret = list;
}

static void add_flags(struct str *out, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} names[] = { { MS_RDONLY, "ro" },	     { MS_NOSUID, "nosuid" },
		      { MS_NODEV, "nodev" },	     { MS_NOEXEC, "noexec" },
		      { MS_STRICTATIME, "strictatime" } };
	const char *before = " ";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(flags & names[i].flag))
			continue;
		str_addf(out, "%s%s", before, names[i].name);
		before = ",";
	}
}

char *mounts_text(const struct mount_list *list)
{
	static const char *const kinds[] = {
		[MOUNT_OP_FS] = "mount",      [MOUNT_OP_DEVICE] = "device",
		[MOUNT_OP_LINK] = "link",     [MOUNT_OP_BIND] = "bind",
		[MOUNT_OP_FILE] = "file",     [MOUNT_OP_SYSCTL] = "sysctl",
		[MOUNT_OP_MASK] = "mask",     [MOUNT_OP_READ_ONLY] = "read-only",
	};
	struct str out = { 0 };

	str_add(&out, "");
	for (size_t i = 0; i < list->count; i++) {
		const struct mount_op *op = &list->ops[i];

		str_addf(&out, "%-9s %s", kinds[op->kind], op->target);
		if (op->source && op->kind == MOUNT_OP_FILE)
			str_add(&out, " (when the image has none)");
		else if (op->source) {
			_cleanup_free_ char *source = str_escape(op->source, 4096);

			str_addf(&out, " %s %s", op->kind == MOUNT_OP_SYSCTL ? "=" : "<-", source);
		}
		add_flags(&out, op->flags);
		if (op->options)
			str_addf(&out, " %s", op->options);
		str_add(&out, "\n");
	}
	return out.text;
}

void mounts_done(struct mount_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->ops[i].target);
		free(list->ops[i].source);
		free(list->ops[i].options);
	}
	free(list->ops);
	*list = (struct mount_list){ 0 };
}
