/* Capabilities: names, masks, and limits that hold. */
#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/jail/caps.h"
#include "core/proc.h"
#include "core/mem.h"
#include "tests/unit/unit.h"

#define BIT(number) (UINT64_C(1) << (number))
#define NO_NAMESPACE 77

START_TEST(test_names)
{
	unsigned int last = 0;
	FILE *file = fopen("/proc/sys/kernel/cap_last_cap", "re");
	uint64_t bit;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%u", &last), 1);
	fclose(file);
	/* all that this kernel and these headers know */
	for (unsigned int i = 0; i <= (last < CAP_LAST_CAP ? last : CAP_LAST_CAP); i++) {
		ck_assert_ptr_nonnull(caps_name(i));
		ck_assert(caps_parse(caps_name(i), &bit));
		ck_assert_uint_eq(bit, BIT(i));
	}
	ck_assert_str_eq(caps_name(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
	ck_assert_str_eq(caps_name(0), "CAP_CHOWN");
	ck_assert_ptr_null(caps_name(CAP_LAST_CAP + 1));
	ck_assert_ptr_null(caps_name(4000000000u));
}
END_TEST

START_TEST(test_parse)
{
	static const char *const good[] = {"NET_RAW", "net_raw", "CAP_NET_RAW",
					   "cap_Net_Raw"};
	static const char *const bad[] = {
	    "", "CAP_", "NET", "NET_RAWX", " NET_RAW", "CAP_CAP_NET_RAW", "13", "ALL"};
	uint64_t bit;

	for (size_t i = 0; i < 4; i++) {
		bit = 0;
		ck_assert(caps_parse(good[i], &bit));
		ck_assert_uint_eq(bit, BIT(CAP_NET_RAW));
	}
	for (size_t i = 0; i < 8; i++) {
		bit = 42;
		ck_assert_msg(!caps_parse(bad[i], &bit), "%s", bad[i]);
		ck_assert_uint_eq(bit, 42);
	}
}
END_TEST

START_TEST(test_text)
{
	char *text = caps_text(caps_job_default());

	ck_assert_str_eq(
	    text, "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID "
		  "CAP_SETUID");
	free(text);
	text = caps_text(0);
	ck_assert_str_eq(text, "");
	free(text);
	text = caps_text(BIT(63) | BIT(CAP_BPF));
	ck_assert_str_eq(text, "CAP_BPF 63");
	free(text);
}
END_TEST

/* In a child with all capabilities of a user namespace of its own. */
static int in_namespace(int (*code)(void))
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? NO_NAMESPACE : code());
	return proc_wait(pid);
}

static uint64_t status_mask(const char *field)
{
	unsigned long long mask = UINT64_MAX;
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0)
			sscanf(line + strlen(field), " %llx", &mask);
	if (file)
		fclose(file);
	return mask;
}

static int holds(uint64_t mask)
{
	return status_mask("CapPrm:") == mask && status_mask("CapEff:") == mask &&
	       status_mask("CapBnd:") == mask && status_mask("CapInh:") == 0 &&
	       status_mask("CapAmb:") == 0;
}

static int limit_default(void)
{
	struct err err = { 0 };

	if (!caps_have(BIT(CAP_SYS_ADMIN)))
		return 1;
	if (caps_limit(caps_job_default(), &err) < 0)
		return 2;
	if (!holds(caps_job_default()))
		return 3;
	if (caps_have(BIT(CAP_SYS_ADMIN)) || !caps_have(BIT(CAP_CHOWN) | BIT(CAP_KILL)))
		return 4;
	/* what is limited already can be limited to the same again, without
	 * CAP_SETPCAP */
	if (caps_limit(caps_job_default(), &err) < 0)
		return 5;
	/* what is gone does not come back */
	if (caps_limit(caps_job_default() | BIT(CAP_NET_RAW), &err) == 0)
		return 6;
	return holds(caps_job_default()) ? 0 : 7;
}

static int limit_nothing(void)
{
	struct err err = { 0 };

	return caps_limit(0, &err) == 0 && holds(0) ? 0 : 1;
}

static int limit_unknown(void)
{
	struct err err = { 0 };

	if (caps_limit(BIT(63), &err) == 0 || err.code != -EINVAL)
		return 1;
	return status_mask("CapEff:") == 0 ? 2 : 0;	/* nothing was changed */
}

/* Inheritable and ambient capabilities that were there before are gone after. */
static int limit_ambient(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct err err = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return 1;
	data[0].inheritable = BIT(CAP_NET_RAW);
	if (syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) < 0)
		return 2;
	if (status_mask("CapAmb:") != BIT(CAP_NET_RAW))
		return 3;
	if (caps_limit(BIT(CAP_NET_RAW), &err) < 0)
		return 4;
	return holds(BIT(CAP_NET_RAW)) ? 0 : 5;
}

/* A kernel that says yes to capset and does nothing. */
static int limit_pretended(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_capset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { 4, code };
	struct err err = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return 1;
	if (caps_limit(BIT(CAP_CHOWN), &err) == 0)
		return 2;
	return strstr(err.msg, "read back") ? 0 : 3;
}

START_TEST(test_limit)
{
	static int (*const codes[])(void) = { limit_default, limit_nothing, limit_unknown,
					      limit_ambient, limit_pretended };
	int result = in_namespace(codes[_i]);

	if (result == NO_NAMESPACE)
		fprintf(stderr, "skipped: no user namespace can be made here\n");
	else
		ck_assert_int_eq(result, 0);
}
END_TEST

int main(void)
{
	const struct unit_case list[] = {
		{ test_names, 1 }, { test_parse, 1 }, { test_text, 1 }, { test_limit, 5 },
	};
	const struct unit unit = { "caps" };

	return unit_run(&unit, list, ARRAY_SIZE(list));
}
