/* The filters as programs: run here, in a machine for BPF of our own, against the
 * golden table. */
#include <asm/ioctls.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/digest.h"
#include "core/jail/filter.h"
#include "tests/unit/core/filter_golden.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#define NATIVE 0
#endif
#define X32_BIT 0x40000000
#define ONES UINT64_MAX

/* One condition of a jump. */
static bool jumps(uint16_t op, uint32_t a, uint32_t k)
{
	switch (BPF_OP(op)) {
	case BPF_JEQ:
		return a == k;
	case BPF_JGT:
		return a > k;
	case BPF_JGE:
		return a >= k;
	case BPF_JSET:
		return a & k;
	default:
		ck_abort_msg("jump %#x", op);
	}
}

static uint32_t run(enum filter_kind kind, const struct seccomp_data *data)
{
	const struct filter *filter = filter_get(kind);
	uint32_t a = 0;

	for (unsigned int at = 0; at < filter->length; at++) {
		const struct sock_filter *code = &filter->code[at];

		if (code->code == (BPF_LD | BPF_W | BPF_ABS)) {
			ck_assert_uint_le(code->k, sizeof(*data) - 4);
			memcpy(&a, (const char *)data + code->k, 4);
		} else if (code->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= code->k;
		} else if (code->code == (BPF_RET | BPF_K)) {
			return code->k;
		} else if (code->code == (BPF_JMP | BPF_JA)) {
			at += code->k;
		} else if (BPF_CLASS(code->code) == BPF_JMP) {
			at += jumps(code->code, a, code->k) ? code->jt : code->jf;
		} else {
			ck_abort_msg("instruction %#x at %u", code->code, at);
		}
	}
	ck_abort_msg("ran off the end");
}

static uint32_t ask(enum filter_kind kind, uint32_t arch, long number, uint64_t filler)
{
	struct seccomp_data data = { .nr = (int)number, .arch = arch };

	for (int i = 0; i < 6; i++)
		data.args[i] = filler;
	return run(kind, &data);
}

/* A native call with one argument that matters, the others 0. */
static uint32_t with(enum filter_kind kind, long number, int argument, uint64_t value)
{
	struct seccomp_data data = { .nr = (int)number, .arch = NATIVE };

	data.args[argument] = value;
	return run(kind, &data);
}

static uint32_t pair(uint64_t family, uint64_t type)
{
	struct seccomp_data data = { .nr = SYS_socketpair, .arch = NATIVE, .args = { family, type } };

	return run(FILTER_FETCH, &data);
}

static uint32_t answer(int number)
{
	return SECCOMP_RET_ERRNO | (uint32_t)number;
}

static void word(uint32_t action, char ret[40])
{
	if (action == SECCOMP_RET_ALLOW)
		strcpy(ret, "allow");
	else if (action == SECCOMP_RET_KILL_PROCESS)
		strcpy(ret, "kill");
	else if (action == answer(0))
		strcpy(ret, "done");
	else if (action == answer(EPERM))
		strcpy(ret, "EPERM");
	else if (action == answer(ENOSYS))
		strcpy(ret, "ENOSYS");
	else if (action == answer(EAFNOSUPPORT))
		strcpy(ret, "EAFNOSUPPORT");
	else if (action == answer(ENOTTY))
		strcpy(ret, "ENOTTY");
	else if (action == answer(EROFS))
		strcpy(ret, "EROFS");
	else
		snprintf(ret, 40, "%#x", action & 0xffffff);
}

static void cell(enum filter_kind kind, uint32_t arch, long number, char ret[40])
{
	char zeroes[40];

	word(ask(kind, arch, number, ONES), ret);
	word(ask(kind, arch, number, 0), zeroes);
	if (strcmp(ret, zeroes) != 0) {
		strcat(ret, "|");
		strcat(ret, zeroes);
	}
}

START_TEST(test_golden)
{
	static const struct {
		enum filter_kind kind;
		uint32_t arch;
		int bits;
	} columns[GOLDEN_COLUMNS] = {
		[GOLDEN_JOB] = { FILTER_JOB, AUDIT_ARCH_X86_64, 0 },
		[GOLDEN_I386] = { FILTER_JOB, AUDIT_ARCH_I386, 0 },
		[GOLDEN_X32] = { FILTER_JOB, AUDIT_ARCH_X86_64, X32_BIT },
		[GOLDEN_SINGLE] = { FILTER_JOB_SINGLE, AUDIT_ARCH_X86_64, 0 },
		[GOLDEN_UNPACK] = { FILTER_UNPACK, AUDIT_ARCH_X86_64, 0 },
		[GOLDEN_FETCH] = { FILTER_FETCH, AUDIT_ARCH_X86_64, 0 },
		[GOLDEN_QEMU] = { FILTER_QEMU, AUDIT_ARCH_X86_64, 0 },
		[GOLDEN_NO_SETID] = { FILTER_NO_SETID, AUDIT_ARCH_X86_64, 0 },
	};
	static struct golden_row rows[GOLDEN_CALLS];
	bool print = getenv("DUET_GOLDEN_PRINT"); /* the table anew, to be reviewed */

	if (NATIVE != AUDIT_ARCH_X86_64)
		return;
	ck_assert_int_eq(golden_read(rows), GOLDEN_CALLS);
	for (int number = 0; number < GOLDEN_CALLS; number++) {
		if (print)
			printf("%d %s", number, rows[number].name);
		for (int column = 0; column < GOLDEN_COLUMNS; column++) {
			char is[40];

			cell(columns[column].kind, columns[column].arch,
			     number | columns[column].bits, is);
			if (print)
				printf(" %s", is);
			else
				ck_assert_msg(
				    strcmp(is, rows[number].cells[column]) == 0,
				    "%d %s column %d: %s, the golden table says %s",
				    number, rows[number].name, column, is,
				    rows[number].cells[column]);
		}
		if (print)
			printf("\n");
	}
}
END_TEST

/* No number of a foreign ABI, however large, gets anything but the foreign answer. */
START_TEST(test_foreign)
{
	static const long numbers[] = { 0, 1, 59, 511, 512, 547, 100000, INT32_MAX };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ck_assert_uint_eq(ask(FILTER_JOB, AUDIT_ARCH_PPC64LE, numbers[i], 0),
				  answer(ENOSYS));
		ck_assert_uint_eq(ask(FILTER_JOB_SINGLE, AUDIT_ARCH_I386, numbers[i], 0),
				  answer(ENOSYS));
		ck_assert_uint_eq(ask(FILTER_UNPACK, AUDIT_ARCH_I386, numbers[i], 0),
				  SECCOMP_RET_KILL_PROCESS);
		ck_assert_uint_eq(ask(FILTER_FETCH, AUDIT_ARCH_I386, numbers[i], 0),
				  SECCOMP_RET_KILL_PROCESS);
		ck_assert_uint_eq(ask(FILTER_QEMU, AUDIT_ARCH_I386, numbers[i], 0),
				  SECCOMP_RET_KILL_PROCESS);
		ck_assert_uint_eq(ask(FILTER_NO_SETID, AUDIT_ARCH_I386, numbers[i], 0),
				  answer(ENOSYS));
	}
	if (NATIVE != AUDIT_ARCH_X86_64)
		return;
	for (long number = 0; number < 600; number++) {
		ck_assert_uint_eq(ask(FILTER_UNPACK, NATIVE, number | X32_BIT, 0),
				  SECCOMP_RET_KILL_PROCESS);
		ck_assert_uint_eq(ask(FILTER_NO_SETID, NATIVE, number | X32_BIT, 0),
				  answer(ENOSYS));
	}
	ck_assert_uint_eq(ask(FILTER_JOB, NATIVE, -1, 0), answer(ENOSYS));
}
END_TEST

START_TEST(test_job_guards)
{
	static const uint64_t spaces[] = {CLONE_NEWNS,	CLONE_NEWCGROUP, CLONE_NEWUTS,
					  CLONE_NEWIPC, CLONE_NEWUSER,	 CLONE_NEWPID,
					  CLONE_NEWNET};
	static const uint64_t harmless[] = { 0, 8, 0x20000, 0x20008, 0xffffffff };
	const uint64_t high = UINT64_C(1) << 32;

	for (size_t i = 0; i < 7; i++) {
		ck_assert_uint_eq(with(FILTER_JOB, SYS_clone, 0, spaces[i] | SIGCHLD),
				  answer(EPERM));
		ck_assert_uint_eq(with(FILTER_JOB, SYS_clone, 0, spaces[i] | high),
				  answer(EPERM));
		ck_assert_uint_eq(with(FILTER_JOB, SYS_unshare, 0, spaces[i]),
				  answer(EPERM));
	}
	ck_assert_uint_eq(with(FILTER_JOB, SYS_clone, 0, SIGCHLD), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_JOB, SYS_clone, 0, CLONE_VM | CLONE_THREAD),
			  SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_JOB, SYS_unshare, 0, 0x80), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB, SYS_unshare, 0, CLONE_FS), SECCOMP_RET_ALLOW);
	for (uint64_t family = 0; family < 64; family++) {
		uint32_t expected =
		    family == 38 || family == 40 ? answer(EPERM) : SECCOMP_RET_ALLOW;

		ck_assert_uint_eq(with(FILTER_JOB, SYS_socket, 0, family), expected);
		ck_assert_uint_eq(with(FILTER_JOB, SYS_socket, 0, family | high),
				  expected);
	}
	ck_assert_uint_eq(with(FILTER_JOB, SYS_ioctl, 1, TIOCSTI), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB, SYS_ioctl, 1, TIOCSTI | high), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB, SYS_ioctl, 1, 0x541C | high << 31),
			  answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB, SYS_ioctl, 1, TIOCGWINSZ), SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < 5; i++)
		ck_assert_uint_eq(with(FILTER_JOB, SYS_personality, 0, harmless[i]),
				  SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_JOB, SYS_personality, 0, 0x40000), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB, SYS_personality, 0, 0x400000), answer(EPERM));
}
END_TEST

START_TEST(test_single_guards)
{
	static const uint32_t devices[] = { S_IFCHR, S_IFBLK };
	static const uint32_t others[] = { S_IFREG, S_IFIFO, S_IFSOCK, 0 };

	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(
		    with(FILTER_JOB_SINGLE, SYS_mknodat, 2, devices[i] | 0600),
		    answer(0));
		ck_assert_uint_eq(with(FILTER_JOB, SYS_mknodat, 2, devices[i] | 0600),
				  SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(
		    with(FILTER_JOB_SINGLE, SYS_mknodat, 2, others[i] | 0600),
		    SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(ask(FILTER_JOB_SINGLE, NATIVE, SYS_fchownat, 0), answer(0));
	ck_assert_uint_eq(ask(FILTER_JOB_SINGLE, NATIVE, SYS_setgroups, 0), answer(0));
	ck_assert_uint_eq(ask(FILTER_JOB_SINGLE, NATIVE, SYS_setresuid, 0),
			  SECCOMP_RET_ALLOW);
	/* and all the rest is the job's */
	ck_assert_uint_eq(with(FILTER_JOB_SINGLE, SYS_ioctl, 1, TIOCSTI), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_JOB_SINGLE, SYS_clone, 0, CLONE_NEWUSER),
			  answer(EPERM));
}
END_TEST

START_TEST(test_worker_guards)
{
	static const enum filter_kind workers[] = { FILTER_UNPACK, FILTER_FETCH };
	static const long never[] = {SYS_execve,       SYS_execveat,
				     SYS_ptrace,       SYS_kill,
				     SYS_mount,	       SYS_setns,
				     SYS_unshare,      SYS_bpf,
				     SYS_memfd_create, SYS_process_vm_readv,
				     SYS_setresuid,    SYS_io_uring_setup};

	for (size_t i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof(never) / sizeof(never[0]); j++)
			ck_assert_uint_eq(ask(workers[i], NATIVE, never[j], 0),
					  SECCOMP_RET_KILL_PROCESS);
		ck_assert_uint_eq(
		    with(workers[i], SYS_clone, 0, CLONE_THREAD | CLONE_VM | CLONE_FS),
		    SECCOMP_RET_ALLOW);
		ck_assert_uint_eq(with(workers[i], SYS_clone, 0, SIGCHLD), answer(EPERM));
		ck_assert_uint_eq(
		    with(workers[i], SYS_clone, 0, CLONE_VM | CLONE_VFORK | SIGCHLD),
		    answer(EPERM));
		ck_assert_uint_eq(with(workers[i], SYS_prctl, 0, PR_GET_SECCOMP),
				  SECCOMP_RET_ALLOW);
		ck_assert_uint_eq(with(workers[i], SYS_prctl, 0, PR_SET_DUMPABLE),
				  answer(EPERM));
		ck_assert_uint_eq(with(workers[i], SYS_mmap, 2, PROT_READ), SECCOMP_RET_ALLOW);
		ck_assert_uint_eq(with(workers[i], SYS_mmap, 2, PROT_READ | PROT_EXEC),
				  answer(EPERM));
	}
	ck_assert_uint_eq(ask(FILTER_UNPACK, NATIVE, SYS_socket, 0),
			  SECCOMP_RET_KILL_PROCESS);
	ck_assert_uint_eq(ask(FILTER_UNPACK, NATIVE, SYS_connect, 0),
			  SECCOMP_RET_KILL_PROCESS);
	for (uint64_t family = 0; family < 64; family++)
		ck_assert_uint_eq(with(FILTER_FETCH, SYS_socket, 0, family),
				  family == AF_INET || family == AF_INET6 ? SECCOMP_RET_ALLOW
									  : answer(EAFNOSUPPORT));
	/* both arguments of a pair are looked at */
	ck_assert_uint_eq(pair(AF_UNIX, SOCK_STREAM), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(pair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK),
			  SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(pair(AF_UNIX, SOCK_DGRAM), answer(EAFNOSUPPORT));
	ck_assert_uint_eq(pair(AF_TIPC, SOCK_STREAM), answer(EAFNOSUPPORT));
	ck_assert_uint_eq(with(FILTER_FETCH, SYS_openat, 2, 0), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_FETCH, SYS_openat, 2, 1), answer(EROFS));
	ck_assert_uint_eq(with(FILTER_FETCH, SYS_openat, 2, 0100), answer(EROFS));
}
END_TEST

/* QEMU: threads, descriptors, memory; no process, no network, no ids, no attributes of files. */
START_TEST(test_qemu_guards)
{
	static const long never[] = {
		SYS_fork,	 SYS_vfork,	     SYS_ptrace,	 SYS_process_vm_readv,
		SYS_mount,	 SYS_umount2,	     SYS_pivot_root,	 SYS_setns,
		SYS_chroot,	 SYS_mknodat,	     SYS_setresuid,	 SYS_setgroups,
		SYS_capset,	 SYS_bpf,	     SYS_io_uring_setup, SYS_perf_event_open,
		SYS_userfaultfd, SYS_open_by_handle_at, SYS_keyctl,	 SYS_pidfd_getfd,
		SYS_fchmod,	 SYS_fchown,	     SYS_fsetxattr,	 SYS_utimensat,
		SYS_flock,	 SYS_sethostname,    SYS_kexec_load,	 SYS_init_module };
	static const long always[] = { SYS_read,  SYS_pread64, SYS_pwritev, SYS_mmap, SYS_mprotect,
				       SYS_ppoll, SYS_futex,   SYS_openat,  SYS_accept4 };
	const uint64_t high = UINT64_C(1) << 32;
	const uint64_t thread = CLONE_THREAD | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		ck_assert_msg(ask(FILTER_QEMU, NATIVE, never[i], 0) == answer(EPERM) &&
			      ask(FILTER_QEMU, NATIVE, never[i], ONES) == answer(EPERM), "%ld",
			      never[i]);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		ck_assert_msg(ask(FILTER_QEMU, NATIVE, always[i], ONES) == SECCOMP_RET_ALLOW, "%ld",
			      always[i]);
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_clone, 0, thread), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_clone, 0, thread | high), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_clone, 0, thread | CLONE_NEWUSER), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_clone, 0, thread & ~(uint64_t)CLONE_THREAD),
			  answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_clone, 0, SIGCHLD), answer(EPERM));
	ck_assert_uint_eq(ask(FILTER_QEMU, NATIVE, SYS_clone3, 0), answer(ENOSYS));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_unshare, 0, CLONE_NEWNET), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_unshare, 0, 0x80), answer(EPERM));
	for (uint64_t family = 0; family < 64; family++)
		ck_assert_uint_eq(with(FILTER_QEMU, SYS_socket, 0, family | high),
				  family == AF_UNIX ? SECCOMP_RET_ALLOW : answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_fcntl, 1, F_SETLEASE), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_fcntl, 1, F_SETLEASE | high), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_fcntl, 1, F_SETFL), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_prctl, 0, PR_SET_PDEATHSIG), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_prctl, 0, PR_SET_NAME), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_ioctl, 1, TIOCSTI | high), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_QEMU, SYS_personality, 0, 0x40000), answer(EPERM));
}
END_TEST

/* A call that makes a file, or looks at one, by its flags. */
static uint32_t opens(long number, int argument, uint64_t flags, uint64_t mode)
{
	struct seccomp_data data = { .nr = (int)number, .arch = NATIVE };

	data.args[argument] = flags;
	data.args[argument + 1] = mode;
	return run(FILTER_NO_SETID, &data);
}

START_TEST(test_no_setid_guards)
{
	static const struct {
		long number;
		int mode;
	} calls[] = { { SYS_fchmod, 1 },   { SYS_fchmodat, 2 }, { 452, 2 }, { SYS_mknodat, 2 },
#ifdef SYS_chmod
		      { SYS_chmod, 1 },    { SYS_creat, 1 },	{ SYS_mknod, 1 },
#endif
	};
	const uint64_t high = UINT64_C(1) << 32, kind = S_IFREG;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (uint64_t mode = 0; mode <= 07777; mode++) {
			uint32_t expected = mode & 06000 ? answer(EPERM) : SECCOMP_RET_ALLOW;

			ck_assert_uint_eq(with(FILTER_NO_SETID, calls[i].number, calls[i].mode,
					       mode), expected);
			ck_assert_uint_eq(with(FILTER_NO_SETID, calls[i].number, calls[i].mode,
					       kind | high | mode), expected);
		}
	for (uint64_t mode = 0; mode <= 07777; mode++) {
		uint32_t expected = mode & 06000 ? answer(EPERM) : SECCOMP_RET_ALLOW;

		ck_assert_uint_eq(opens(SYS_openat, 2, O_CREAT, mode), expected);
		ck_assert_uint_eq(opens(SYS_openat, 2, O_TMPFILE | O_RDWR, high | mode), expected);
		/* without O_DIRECTORY the kernel refuses it, and may one day not */
		ck_assert_uint_eq(opens(SYS_openat, 2, O_TMPFILE & ~O_DIRECTORY, mode), expected);
		ck_assert_uint_eq(opens(SYS_openat, 2, high | O_CREAT | O_EXCL, mode), expected);
		/* there it is not a mode but whatever was in the register */
		ck_assert_uint_eq(opens(SYS_openat, 2, O_RDWR | O_TRUNC | O_DIRECTORY, mode),
				  SECCOMP_RET_ALLOW);
#ifdef SYS_open
		ck_assert_uint_eq(opens(SYS_open, 1, O_CREAT | O_WRONLY, mode), expected);
		ck_assert_uint_eq(opens(SYS_open, 1, O_RDONLY, mode), SECCOMP_RET_ALLOW);
#endif
	}
	ck_assert_uint_eq(ask(FILTER_NO_SETID, NATIVE, SYS_openat2, 0), answer(ENOSYS));
	ck_assert_uint_eq(ask(FILTER_NO_SETID, NATIVE, SYS_io_uring_setup, 0), answer(EPERM));
	ck_assert_uint_eq(ask(FILTER_NO_SETID, NATIVE, SYS_fsopen, 0), answer(EPERM));
	ck_assert_uint_eq(with(FILTER_NO_SETID, SYS_mount, 3, MS_NOSUID | MS_RDONLY | high),
			  answer(EPERM));
	ck_assert_uint_eq(with(FILTER_NO_SETID, SYS_mount, 3, MS_BIND | MS_REC), SECCOMP_RET_ALLOW);
	ck_assert_uint_eq(with(FILTER_NO_SETID, SYS_mkdirat, 2, 02755), SECCOMP_RET_ALLOW);
}
END_TEST

/* A worker's list is short: the calls that are let pass with some arguments. clone and
 * prctl pass with neither of these two, so they are not counted. */
START_TEST(test_worker_size)
{
	int unpack = 0, fetch = 0;

	for (long number = 0; number < 600; number++) {
		unpack += ask(FILTER_UNPACK, NATIVE, number, 0) == SECCOMP_RET_ALLOW ||
			  ask(FILTER_UNPACK, NATIVE, number, ONES) == SECCOMP_RET_ALLOW;
		fetch += ask(FILTER_FETCH, NATIVE, number, 0) == SECCOMP_RET_ALLOW ||
			 ask(FILTER_FETCH, NATIVE, number, ONES) == SECCOMP_RET_ALLOW;
	}
	ck_assert_int_gt(unpack, 30);
	ck_assert_int_le(unpack, 60);
	ck_assert_int_gt(fetch, 30);
	ck_assert_int_le(fetch, 80);
}
END_TEST

START_TEST(test_digest)
{
	char hex[FILTER_COUNT][65];

	for (int kind = 0; kind < FILTER_COUNT; kind++) {
		const struct filter *filter = filter_get((enum filter_kind)kind);
		struct digest digest;
		char expected[DIGEST_HEX_SIZE];

		filter_digest((enum filter_kind)kind, hex[kind]);
		digest_of(filter->code, filter->length * sizeof(struct sock_filter),
			  &digest);
		digest_hex(&digest, expected);
		ck_assert_str_eq(hex[kind], expected);
		for (int other = 0; other < kind; other++)
			ck_assert_str_ne(hex[kind], hex[other]);
	}
	ck_assert_str_eq(filter_get(FILTER_JOB_SINGLE)->name, "job-single");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");
	TCase *tests = tcase_create("rules");
	SRunner *runner = srunner_create(suite);
	int failed;

	if (NATIVE == 0)
		return 77;
	suite_add_tcase(suite, tests);
	tcase_add_test(tests, test_golden);
	tcase_add_test(tests, test_foreign);
	tcase_add_test(tests, test_job_guards);
	tcase_add_test(tests, test_single_guards);
	tcase_add_test(tests, test_worker_guards);
	tcase_add_test(tests, test_qemu_guards);
	tcase_add_test(tests, test_no_setid_guards);
	tcase_add_test(tests, test_worker_size);
	tcase_add_test(tests, test_digest);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
