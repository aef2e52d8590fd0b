/*
 * duet inspect --format oci-runtime: the config.json of a bundle (OCI runtime-spec) that holds both
 * models: a container on `rootfs`, and the `vm` object for runtimes that start a guest. What a job
 * gets here is what duet's own jobs get, as far as the format can say it: the filter is left out, and
 * the user namespace, whose ids belong to a host. What both models start from are files of the
 * bundle's folder: rootfs is what `duet export --format tar` gives, root.erofs what erofs gives.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "builders/stored.h"
#include "cmd/cmd.h"
#include "cmd/inspect.h"
#include "core/jail/caps.h"
#include "core/job_make.h"
#include "core/log.h"
#include "core/str.h"
#include "runners/mounts.h"

#define RUNTIME_VERSION "1.0.2"	/* the first with `vm` that runc and crun of Debian 12 both take */

/* ---- process --------------------------------------------------------------------------------- */

static void add_capabilities(struct json_out *out, const char *key, uint64_t mask)
{
	json_out_list(out, key);
	for (unsigned int i = 0; caps_name(i); i++)
		if (mask >> i & 1)
			json_out_text(out, NULL, caps_name(i));
	json_out_end(out);
}

static void add_user(struct json_out *out, const struct job *job)
{
	const struct identity *identity = &job->identity;

	json_out_map(out, "user");
	json_out_number(out, "uid", identity->uid);
	json_out_number(out, "gid", identity->gid);
	json_out_number(out, "umask", job->umask);
	if (identity->group_count > 0) {
		json_out_list(out, "additionalGids");
		for (uint32_t i = 0; i < identity->group_count; i++)
			json_out_number(out, NULL, identity->groups[i]);
		json_out_end(out);
	}
	json_out_end(out);
}

static void add_process(struct json_out *out, const struct job *job)
{
	/* as everywhere in duet: of users only root has any */
	uint64_t has = job->identity.uid == 0 ? job->capabilities : 0;

	json_out_map(out, "process");
	json_out_bool(out, "terminal", false);
	add_user(out, job);
	json_out_texts(out, "args", &job->argv);
	json_out_texts(out, "env", &job->environment);
	json_out_text(out, "cwd", job->workdir);
	json_out_map(out, "capabilities");
	add_capabilities(out, "bounding", job->capabilities);
	add_capabilities(out, "effective", has);
	add_capabilities(out, "permitted", has);
	json_out_end(out);
	json_out_bool(out, "noNewPrivileges", true);
	json_out_end(out);
}

/* ---- mounts ---------------------------------------------------------------------------------- */

static void add_flags(struct strv *options, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} names[] = { { MS_NOSUID, "nosuid" }, { MS_NODEV, "nodev" }, { MS_NOEXEC, "noexec" },
		      { MS_RDONLY, "ro" }, { MS_STRICTATIME, "strictatime" } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			strv_add(options, names[i].name);
}

/* "mode=0755,size=64k", one by one */
static void add_data(struct strv *options, const char *data)
{
	while (*data) {
		size_t length = strcspn(data, ",");

		strv_take(options, xstrndup(data, length));
		data += length + (data[length] == ',');
	}
}

static void add_mount(struct json_out *out, const struct mount_op *op)
{
	_cleanup_(strv_done) struct strv options = { 0 };

	add_flags(&options, op->flags);
	add_data(&options, op->options ? op->options : "");
	json_out_map(out, NULL);
	json_out_text(out, "destination", op->target);
	json_out_text(out, "type", op->source);
	json_out_text(out, "source", op->source);
	json_out_texts(out, "options", &options);
	json_out_end(out);
}

/* The devices and links of /dev are every runtime's own business: runtime-spec, "Default Devices". */
static void add_mounts(struct json_out *out, const struct mount_list *list)
{
	json_out_list(out, "mounts");
	for (size_t i = 0; i < list->count; i++)
		if (list->ops[i].kind == MOUNT_OP_FS)
			add_mount(out, &list->ops[i]);
	json_out_end(out);
}

static void add_paths(struct json_out *out, const char *key, const struct mount_list *list,
		      enum mount_op_kind kind)
{
	json_out_list(out, key);
	for (size_t i = 0; i < list->count; i++)
		if (list->ops[i].kind == kind)
			json_out_text(out, NULL, list->ops[i].target);
	json_out_end(out);
}

/* Runtimes take those of the namespaces that they make: "net.ipv4.NAME" for /proc/sys/net/ipv4/NAME. */
static void add_sysctls(struct json_out *out, const struct mount_list *list)
{
	static const char prefix[] = "/proc/sys/";

	json_out_map(out, "sysctl");
	for (size_t i = 0; i < list->count; i++) {
		const struct mount_op *op = &list->ops[i];
		_cleanup_free_ char *name = NULL;

		if (op->kind != MOUNT_OP_SYSCTL || !str_has_prefix(op->target, "/proc/sys/net/"))
			continue;
		name = xstrdup(op->target + strlen(prefix));
		for (char *at = strchr(name, '/'); at; at = strchr(at, '/'))
			*at = '.';
		json_out_text(out, name, op->source);
	}
	json_out_end(out);
}

static void add_linux(struct json_out *out, const struct mount_list *list)
{
	static const char *const namespaces[] = { "pid", "network", "ipc", "uts", "mount" };

	json_out_map(out, "linux");
	json_out_list(out, "namespaces");
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		json_out_map(out, NULL);
		json_out_text(out, "type", namespaces[i]);
		json_out_end(out);
	}
	json_out_end(out);
	add_sysctls(out, list);
	add_paths(out, "maskedPaths", list, MOUNT_OP_MASK);
	add_paths(out, "readonlyPaths", list, MOUNT_OP_READ_ONLY);
	json_out_end(out);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void add_vm(struct json_out *out)
{
	json_out_members(out,
			 "{\"vm\": {"
			 "\"hypervisor\": {\"path\": \"qemu-system-x86_64\", \"parameters\": "
			 "[\"-nodefaults\", \"-no-user-config\", \"-display\", \"none\"]},"
			 "\"kernel\": {\"path\": \"vmlinux\", \"initrd\": \"initrd.img\", \"parameters\": "
			 "[\"console=ttyS0\", \"quiet\", \"panic=-1\", \"reboot=t\"]},"
			 "\"image\": {\"path\": \"root.erofs\", \"format\": \"raw\"}}}");
}

/* image-spec, conversion.md; labels win over what is derived. */
static void add_annotations(struct json_out *out, const struct oci_image *said)
{
	static const char *const keys[] = { "org.opencontainers.image.os",
					    "org.opencontainers.image.architecture",
					    "org.opencontainers.image.variant" };
	_cleanup_(str_done) struct str ports = { 0 }, created = { 0 };
	const char *platform = said->platform;

	json_out_map(out, "annotations");
	for (size_t i = 0; i < ARRAY_SIZE(keys) && *platform; i++) {
		size_t length = strcspn(platform, "/");
		_cleanup_free_ char *part = xstrndup(platform, length);

		json_out_text(out, keys[i], part);
		platform += length + (platform[length] == '/');
	}
	if (said->has_created) {
		str_add_time(&created, (int64_t)said->created_s);
		json_out_text(out, "org.opencontainers.image.created", created.text);
	}
	if (said->process.stop_signal)
		json_out_text(out, "org.opencontainers.image.stopSignal",
			      said->process.stop_signal);
	for (size_t i = 0; i < said->process.exposed.count; i++)
		str_addf(&ports, "%s%s", i > 0 ? "," : "", said->process.exposed.items[i]);
	if (ports.length > 0)
		json_out_text(out, "org.opencontainers.image.exposedPorts", ports.text);
	inspect_add_labels(out, &said->process.labels);
	json_out_end(out);
}

static void print_config(const struct job *job, const struct oci_image *said)
{
	_cleanup_free_ char *text = NULL;
	struct mount_list list;
	struct json_out out;

	mounts_plan(job, false, &list);
	json_out_init(&out);
	json_out_text(&out, "ociVersion", RUNTIME_VERSION);
	add_process(&out, job);
	json_out_map(&out, "root");
	json_out_text(&out, "path", "rootfs");
	json_out_bool(&out, "readonly", job->read_only);
	json_out_end(&out);
	json_out_text(&out, "hostname", job->hostname);
	add_mounts(&out, &list);
	add_annotations(&out, said);
	add_linux(&out, &list);
	add_vm(&out);
	mounts_done(&list);
	text = json_out_finish(&out);
	fputs(text, stdout);
}

/* ---- the job --------------------------------------------------------------------------------- */

/* The image alone, without a spec: as a spec that says nothing would run it. */
static int make_job(const struct rootfs *rootfs, struct job *ret, struct err *err)
{
	char *shell[] = { "/bin/sh", NULL };
	const struct strv command = { .items = shell, .count = 1 };
	const struct process *process = &rootfs->process;
	bool has_command = process->entrypoint.count + process->command.count > 0;
	struct spec spec;
	int result;

	if (image_spec("duet inspect", "scratch", NULL, &spec, err) < 0)
		return -1;
	if (!has_command)
		log_note("the image does not say what to run: process.args is /bin/sh");
	result = job_make(ret, &spec, rootfs, has_command ? NULL : &command, false, err);
	spec_done(&spec);
	return result;
}

/* The user is looked up in the image: in the form that is there, else as for a container. */
static unsigned int form_to_open(const struct inspected *inspected)
{
	size_t count = inspected->image.layer_count, trees = 0, disks = 0;

	for (size_t i = 0; i < count; i++) {
		trees += inspected->forms[i][INSPECT_TREE];
		disks += inspected->forms[i][INSPECT_EROFS];
	}
	return disks == count && trees < count ? ROOTFS_DISKS : ROOTFS_TREES;
}

int inspect_runtime(struct store *store, const struct inspected *inspected, struct err *err)
{
	_cleanup_free_ struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct job job = { 0 };
	int result;

	if (stored_open(store, &inspected->image, form_to_open(inspected), rootfs, err) < 0)
		return -1;
	result = make_job(rootfs, &job, err);
	rootfs_done(rootfs);
	if (result < 0)
		return -1;
	print_config(&job, &inspected->said);
	job_done(&job);
	return 0;
}
