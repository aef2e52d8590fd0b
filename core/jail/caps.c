/* Capabilities: see caps.h. */
#include "core/jail/caps.h"

#include <errno.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "core/mem.h"
#include "core/str.h"

#define BIT(number) (UINT64_C(1) << (number))
#define BITS_MAX 64u

/* By number, as in linux/capability.h. The text is static, so a table and not
 * cap_to_name(). */
static const char *const names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

static void free_caps(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

uint64_t caps_job_default(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) |
	       BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID);
}

uint64_t caps_step_default(void)
{
	return caps_job_default() | BIT(CAP_SETFCAP) | BIT(CAP_SYS_CHROOT);
}

bool caps_parse(const char *name, uint64_t *ret_bit)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(name, names[i] + 4) != 0)
			continue;
		*ret_bit = BIT(i);
		return true;
	}
	return false;
}

const char *caps_name(unsigned int number)
{
	return number < ARRAY_SIZE(names) ? names[number] : NULL;
}

char *caps_text(uint64_t mask)
{
	struct str text = { 0 };

	str_add(&text, "");
	for (unsigned int i = 0; i < BITS_MAX; i++) {
		if (!(mask & BIT(i)))
			continue;
		if (text.length)
			str_add(&text, " ");
		if (caps_name(i))
			str_add(&text, caps_name(i));
		else
			str_addf(&text, "%u", i);
	}
	return text.text;
}

static uint64_t bounding_set(void)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < BITS_MAX; i++) {
		int there = prctl(PR_CAPBSET_READ, i, 0, 0, 0);

		if (there < 0)
			break; /* past the kernel's last */
		if (there)
			mask |= BIT(i);
	}
	return mask;
}

static uint64_t set_of(cap_t caps, cap_flag_t which)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < BITS_MAX; i++) {
		cap_flag_value_t value = CAP_CLEAR;

		if (cap_get_flag(caps, (cap_value_t)i, which, &value) == 0 &&
		    value == CAP_SET)
			mask |= BIT(i);
	}
	return mask;
}

bool caps_have(uint64_t mask)
{
	_cleanup_(free_caps) cap_t caps = cap_get_proc();

	if (!caps)
		mem_blame(errno);
	return caps && (set_of(caps, CAP_EFFECTIVE) & mask) == mask;
}

static int limit_bounding(uint64_t mask, struct err *err)
{
	if (mask && prctl(PR_CAPBSET_READ, BITS_MAX - 1 - __builtin_clzll(mask), 0, 0, 0) < 0)
		return err_set(err, -EINVAL,
			       "limit capabilities: this kernel does not have all of %#llx",
			       (unsigned long long)mask);
	for (unsigned int i = 0; i < BITS_MAX; i++) {
		if ((mask & BIT(i)) || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* past the kernel's last */
		/* a caller without CAP_SETPCAP has nothing to drop when it has no more than this */
		if (errno == EPERM && prctl(PR_CAPBSET_READ, i, 0, 0, 0) <= 0)
			continue;
		return err_sys(err, errno, "drop capability %u from the bounding set", i);
	}
	return 0;
}

static int limit_own(uint64_t mask, struct err *err)
{
	_cleanup_(free_caps) cap_t caps = cap_init();
	cap_value_t values[BITS_MAX];
	int count = 0;

	for (unsigned int i = 0; i < BITS_MAX; i++)
		if (mask & BIT(i))
			values[count++] = (cap_value_t)i;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, errno, "clear the ambient capabilities");
	if (!caps || (count > 0 &&
		      (cap_set_flag(caps, CAP_PERMITTED, count, values, CAP_SET) < 0 ||
		       cap_set_flag(caps, CAP_EFFECTIVE, count, values, CAP_SET) < 0)))
		return err_sys(err, errno, "collect capabilities");
	if (cap_set_proc(caps) < 0)
		return err_sys(err, errno, "set capabilities");
	return 0;
}

static int differs(const char *set, uint64_t is, uint64_t wanted, struct err *err)
{
	return err_set(err, -EPERM,
		       "limit capabilities: %s is %#llx when read back, not %#llx", set,
		       (unsigned long long)is, (unsigned long long)wanted);
}

static int verify(uint64_t mask, struct err *err)
{
	_cleanup_(free_caps) cap_t caps = cap_get_proc();
	uint64_t bounding;
	const struct {
		const char *name;
		cap_flag_t which;
		uint64_t wanted;
	} sets[] = {
		{ "permitted", CAP_PERMITTED, mask },
		{ "effective", CAP_EFFECTIVE, mask },
		{ "inheritable", CAP_INHERITABLE, 0 },
	};

	if (!caps)
		return err_sys(err, errno, "read capabilities back");
	bounding = bounding_set();
	if (bounding != mask)
		return differs("bounding", bounding, mask, err);
	/* the ambient set is never more than the inheritable one: empty when that reads as empty */
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		uint64_t is = set_of(caps, sets[i].which);

		if (is != sets[i].wanted)
			return differs(sets[i].name, is, sets[i].wanted, err);
	}
	return 0;
}

int caps_limit(uint64_t mask, struct err *err)
{
	if (limit_bounding(mask, err) < 0 || limit_own(mask, err) < 0)
		return -1;
	return verify(mask, err);
}
