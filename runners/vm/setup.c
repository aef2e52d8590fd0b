/* SETUP: what a guest is told of its root (runners/init/proto.h). */
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/mem.h"
#include "runners/mounts.h"
#include "runners/vm/vm.h"

/* "major:minor" of the devices that the mount list names. */
static const char *device_numbers(const char *path)
{
	static const struct {
		const char *path, *numbers;
	} devices[] = {
		{ "/dev/null", "1:3" },	  { "/dev/zero", "1:5" },    { "/dev/full", "1:7" },
		{ "/dev/random", "1:8" }, { "/dev/urandom", "1:9" }, { "/dev/tty", "5:0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (!strcmp(devices[i].path, path))
			return devices[i].numbers;
	return "";
}

static void add_string(struct str *out, const char *text)
{
	str_addn(out, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_op(const struct mount_op *op, struct str *ops, struct str *strings)
{
	static const enum proto_mount kinds[] = {
		[MOUNT_OP_FS] = PROTO_MOUNT_FS,		[MOUNT_OP_DEVICE] = PROTO_MOUNT_DEVICE,
		[MOUNT_OP_LINK] = PROTO_MOUNT_LINK,	[MOUNT_OP_FILE] = PROTO_MOUNT_FILE,
		[MOUNT_OP_SYSCTL] = PROTO_MOUNT_SYSCTL, [MOUNT_OP_MASK] = PROTO_MOUNT_MASK,
		[MOUNT_OP_READ_ONLY] = PROTO_MOUNT_READ_ONLY,
	};
	const struct proto_mount_op out = { .kind = kinds[op->kind], .flags = (uint32_t)op->flags };

	str_addn(ops, (const char *)&out, sizeof(out));
	add_string(strings, op->target);
	add_string(strings, op->kind == MOUNT_OP_DEVICE ? device_numbers(op->source) : op->source);
	add_string(strings, op->options);
}

/* The operations that are fixed, or those that are not, behind a head. */
static void add_ops(const struct job *job, bool fixed, struct proto_setup *head, struct str *out)
{
	_cleanup_(str_done) struct str ops = { 0 }, strings = { 0 };
	struct mount_list mounts;

	mounts_plan(job, false, &mounts);
	add_string(&strings, job->hostname);
	for (size_t i = 0; i < mounts.count; i++) {
		if (mounts.ops[i].kind == MOUNT_OP_BIND || mounts.ops[i].fixed != fixed)
			continue; /* binds are refused before */
		add_op(&mounts.ops[i], &ops, &strings);
		head->op_count++;
	}
	mounts_done(&mounts);
	head->strings_length = (uint32_t)strings.length;
	str_addn(out, (const char *)head, sizeof(*head));
	str_addn(out, ops.text, ops.length);
	str_addn(out, strings.text, strings.length);
}

void vm_fixed_mounts(struct str *out)
{
	const struct job nobody = { .hostname = "" };
	struct proto_setup head = { 0 };

	add_ops(&nobody, true, &head, out);
}

void vm_setup(void *data, struct str *out)
{
	const struct vm *vm = data;
	struct proto_setup head = { .disks = (uint32_t)vm->rootfs->disk_count };
	struct timespec now;

	if (vm->job->vm.root_bytes)
		head.flags |= PROTO_SETUP_SCRATCH;
	if (getrandom(head.seed, sizeof(head.seed), 0) != sizeof(head.seed))
		memset(head.seed, 0, sizeof(head.seed)); /* the guest has sources of its own */
	clock_gettime(CLOCK_REALTIME, &now);
	head.realtime_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	add_ops(vm->job, false, &head, out);
}
