/*
 * What a guest is told of its root, taken apart as duet-init does it: the fixed part and the job's part
 * have every operation of the mount list exactly once, in its order, with all that it says.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"
#include "runners/init/proto.h"
#include "runners/mounts.h"
#include "runners/vm/vm.h"
#include "tests/unit/unit.h"

#define OPS_MAX 256		/* of runners/init/root.c */
#define FIXED_ROOM 16384	/* likewise */

struct parts {
	struct proto_setup head;
	struct proto_mount_op ops[OPS_MAX];
	const char *hostname, *target[OPS_MAX], *source[OPS_MAX], *options[OPS_MAX];
};

static const char *take_string(const char **at, const char *end)
{
	const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));

	ck_assert_ptr_nonnull(nul);
	*at = nul + 1;
	return text;
}

static void take_apart(const struct str *payload, struct parts *ret)
{
	const char *at = payload->text, *end = payload->text + payload->length;

	ck_assert_uint_ge(payload->length, sizeof(ret->head));
	ck_assert_uint_le(payload->length, PROTO_PAYLOAD_MAX);
	memcpy(&ret->head, at, sizeof(ret->head));
	at += sizeof(ret->head);
	ck_assert_uint_le(ret->head.op_count, OPS_MAX);
	ck_assert_uint_eq(payload->length, sizeof(ret->head) + ret->head.strings_length +
						   ret->head.op_count * sizeof(ret->ops[0]));
	memcpy(ret->ops, at, ret->head.op_count * sizeof(ret->ops[0]));
	at += ret->head.op_count * sizeof(ret->ops[0]);
	ret->hostname = take_string(&at, end);
	for (uint32_t i = 0; i < ret->head.op_count; i++) {
		ret->target[i] = take_string(&at, end);
		ret->source[i] = take_string(&at, end);
		ret->options[i] = take_string(&at, end);
		ck_assert_int_eq(ret->target[i][0], '/');
		ck_assert_uint_lt(ret->ops[i].kind, PROTO_MOUNT_END);
	}
	ck_assert_ptr_eq(at, end);
}

static bool has_kind(enum mount_op_kind planned, uint32_t told)
{
	static const struct {
		enum mount_op_kind planned;
		enum proto_mount told;
	} kinds[] = {
		{ MOUNT_OP_FS, PROTO_MOUNT_FS },	 { MOUNT_OP_DEVICE, PROTO_MOUNT_DEVICE },
		{ MOUNT_OP_LINK, PROTO_MOUNT_LINK },	 { MOUNT_OP_FILE, PROTO_MOUNT_FILE },
		{ MOUNT_OP_SYSCTL, PROTO_MOUNT_SYSCTL }, { MOUNT_OP_MASK, PROTO_MOUNT_MASK },
		{ MOUNT_OP_READ_ONLY, PROTO_MOUNT_READ_ONLY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].planned == planned)
			return kinds[i].told == told;
	return false;
}

/* Is the operation the next one of `parts`? */
static void check_next(const struct mount_op *op, const struct parts *parts, uint32_t *at)
{
	uint32_t i = *at;

	ck_assert_uint_lt(i, parts->head.op_count);
	ck_assert_str_eq(parts->target[i], op->target);
	ck_assert(has_kind(op->kind, parts->ops[i].kind));
	ck_assert_uint_eq(parts->ops[i].flags, op->flags);
	ck_assert_str_eq(parts->options[i], op->options ? op->options : "");
	if (op->kind == MOUNT_OP_DEVICE) {
		unsigned int major_number, minor_number;

		ck_assert_int_eq(sscanf(parts->source[i], "%u:%u", &major_number, &minor_number), 2);
	} else {
		ck_assert_str_eq(parts->source[i], op->source ? op->source : "");
	}
	(*at)++;
}

static void check_job(const struct job *job, size_t disks, struct parts *ret)
{
	struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
	struct vm vm = { .rootfs = rootfs, .job = job };
	static struct parts fixed;
	struct str fixed_payload = { 0 }, payload = { 0 };
	uint32_t fixed_at = 0, at = 0;
	struct mount_list list;

	rootfs->disk_count = disks;
	vm_fixed_mounts(&fixed_payload);
	vm_setup(&vm, &payload);
	ck_assert_uint_le(fixed_payload.length, FIXED_ROOM);
	take_apart(&fixed_payload, &fixed);
	take_apart(&payload, ret);
	mounts_plan(job, false, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.ops[i].kind == MOUNT_OP_BIND)
			continue;
		if (list.ops[i].fixed)
			check_next(&list.ops[i], &fixed, &fixed_at);
		else
			check_next(&list.ops[i], ret, &at);
	}
	ck_assert_uint_eq(fixed_at, fixed.head.op_count);
	ck_assert_uint_eq(at, ret->head.op_count);
	ck_assert_str_eq(ret->hostname, job->hostname);
	/* duet-init makes these below folders of its own: nothing may lie elsewhere */
	for (uint32_t i = 0; i < fixed.head.op_count; i++)
		ck_assert(str_has_prefix(fixed.target[i], "/proc") ||
			  str_has_prefix(fixed.target[i], "/sys") ||
			  str_has_prefix(fixed.target[i], "/dev"));
	mounts_done(&list);
	str_done(&fixed_payload);
	free(rootfs);
	/* the strings of *ret lie in it */
	ck_assert_ptr_nonnull(payload.text);
}

static struct parts parts;

START_TEST(test_default)
{
	struct job job = { .hostname = "box" };

	check_job(&job, 1, &parts);
	ck_assert_uint_eq(parts.head.disks, 1);
	ck_assert_uint_eq(parts.head.flags, 0);
	ck_assert_uint_eq(parts.head.op_count, 1);
	ck_assert_str_eq(parts.target[0], "/etc/hosts");
	ck_assert_ptr_nonnull(strstr(parts.source[0], "127.0.1.1 box\n"));
}
END_TEST

START_TEST(test_everything)
{
	struct mount mounts[] = {
		{ .kind = MOUNT_TMPFS, .target = "/tmp", .size_bytes = 1 << 20, .mode = 01777 },
		{ .kind = MOUNT_TMPFS, .target = "/run", .mode = 0755 },
		{ .kind = MOUNT_TMPFS, .target = "/o\033k,mode=0", .mode = 0700, .read_only = true },
	};
	struct job job = { .hostname = "x init=/bin/sh", .mounts = mounts, .read_only = true,
			   .mount_count = ARRAY_SIZE(mounts), .vm = { .root_bytes = 64 << 20 } };

	check_job(&job, PROTO_DISKS_MAX, &parts);
	ck_assert_uint_eq(parts.head.disks, PROTO_DISKS_MAX);
	ck_assert_uint_eq(parts.head.flags, PROTO_SETUP_SCRATCH);
	ck_assert_uint_eq(parts.head.op_count, 5);
	ck_assert_str_eq(parts.options[3], "mode=0700");
	ck_assert_str_eq(parts.target[4], "/");
}
END_TEST

/* As many mounts as a job can have: within what duet-init takes. */
START_TEST(test_many)
{
	struct mount mounts[JOB_MOUNTS_MAX] = { 0 };
	struct job job = { .hostname = "box", .mounts = mounts, .mount_count = JOB_MOUNTS_MAX };

	for (size_t i = 0; i < JOB_MOUNTS_MAX; i++)
		mounts[i] = (struct mount){ .kind = MOUNT_TMPFS, .target = "/a", .mode = 0755 };
	check_job(&job, 8, &parts);
	ck_assert_uint_eq(parts.head.op_count, JOB_MOUNTS_MAX + 1);
}
END_TEST

/* The fixed part is a part of a saved state's key: it is the same whenever it is made, and says nothing
 * of a host. */
START_TEST(test_fixed)
{
	struct str one = { 0 }, two = { 0 };

	vm_fixed_mounts(&one);
	vm_fixed_mounts(&two);
	ck_assert_uint_eq(one.length, two.length);
	ck_assert_int_eq(memcmp(one.text, two.text, one.length), 0);
	take_apart(&one, &parts);
	ck_assert_str_eq(parts.hostname, "");
	ck_assert_uint_eq(parts.head.realtime_ns + parts.head.flags + parts.head.disks, 0);
	for (size_t i = 0; i < sizeof(parts.head.seed); i++)
		ck_assert_uint_eq(parts.head.seed[i], 0);
	str_done(&one);
	str_done(&two);
}
END_TEST

/* After a saved state: another seed each time, and the time as it is. */
START_TEST(test_fresh)
{
	struct job job = { .hostname = "box" };
	static struct parts again;
	int64_t now = time(NULL);

	check_job(&job, 1, &parts);
	check_job(&job, 1, &again);
	ck_assert_int_ne(memcmp(parts.head.seed, again.head.seed, sizeof(again.head.seed)), 0);
	ck_assert_int_ge((int64_t)(parts.head.realtime_ns / 1000000000), now);
	ck_assert_int_le((int64_t)(parts.head.realtime_ns / 1000000000), now + 60);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_default, 1 }, { test_everything, 1 }, { test_many, 1 },
		{ test_fixed, 1 }, { test_fresh, 1 },
	};
	const struct unit unit = { "setup" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
