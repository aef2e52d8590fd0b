/*
 * The filters as the kernel runs them. Every call is made by a child of its own with
 * arguments of all ones, which no call can do anything with, with the filter and (where
 * it lets the call pass) without: the answers must be the golden table's, or the same.
 */
#include <asm/ioctls.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/jail/filter.h"
#include "core/proc.h"
#include "tests/unit/core/filter_golden.h"

/* the sanitizers' own calls are not in the workers' lists */
#ifdef __SANITIZE_ADDRESS__
#define WORKERS_CAN_RUN 0
#else
#define WORKERS_CAN_RUN 1
#endif

#define NO_FILTER (-1)
#define DIED 1000		/* + the signal */
#define CANNOT_LOAD 250
#define X32_BIT 0x40000000l

enum abi { NATIVE, I386, X32 };

static long call(enum abi abi, long number)
{
#ifdef __x86_64__
	if (abi == I386) {
		long result;

		__asm__ volatile("int $0x80"
				 : "=a"(result)
				 : "a"(number), "b"(-1L), "c"(-1L), "d"(-1L), "S"(-1L),
				   "D"(-1L)
				 : "memory", "r8", "r9", "r10", "r11");
		errno = -(int)result;
		return (int)result;
	}
#endif
	return syscall(abi == X32 ? number | X32_BIT : number, -1L, -1L, -1L, -1L, -1L,
		       -1L);
}

/* Runs `code` in a child under a filter; its result, or DIED + signal. */
static int in_child(int kind, int (*code)(long data), long data)
{
	struct err err = { 0 };
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };

		setsid();
		setrlimit(RLIMIT_CORE, &none);
		/* what a filter brings along: some calls ask for it */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (kind != NO_FILTER && filter_load((enum filter_kind)kind, &err) < 0)
			_exit(CANNOT_LOAD);
		_exit(code(data));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? DIED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- every number ------------------------------------------------------------------- */

static int probe(long data)
{
	return call((enum abi)(data >> 16), data & 0xffff) < 0 ? errno : 0;
}

#ifdef __x86_64__
/* They do not come back, wait, touch the machine whatever they are given, or leave
 * something. */
static bool is_left_out(long number)
{
	static const long list[] = {
	    SYS_exit,  SYS_exit_group,	    SYS_rt_sigreturn, SYS_pause, SYS_fork,
	    SYS_vfork, SYS_restart_syscall, SYS_sync,	      SYS_kill,	 SYS_msgget};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == number)
			return true;
	return false;
}

/* The errno that a cell asks for; -1: the call passes. */
static int expected_errno(const char *text)
{
	if (strncmp(text, "EPERM", 5) == 0)
		return EPERM;
	if (strncmp(text, "ENOSYS", 6) == 0)
		return ENOSYS;
	return strncmp(text, "done", 4) == 0 ? 0 : -1;
}

static void probe_all(enum filter_kind kind, enum golden_column column, enum abi abi)
{
	static struct golden_row rows[GOLDEN_CALLS];

	ck_assert_int_eq(golden_read(rows), GOLDEN_CALLS);
	for (long number = 0; number < GOLDEN_CALLS; number++) {
		long data = (long)abi << 16 | number;
		int expected = expected_errno(rows[number].cells[column]);
		int is;

		if (expected < 0 && is_left_out(number))
			continue;
		if (expected < 0)
			expected = in_child(NO_FILTER, probe, data);
		is = in_child(kind, probe, data);
		ck_assert_msg(is == expected, "%ld %s: %d, expected %d", number,
			      rows[number].name, is, expected);
	}
}

START_TEST(test_probe_native)
{
	probe_all(FILTER_JOB, GOLDEN_JOB, NATIVE);
}
END_TEST

START_TEST(test_probe_single)
{
	probe_all(FILTER_JOB_SINGLE, GOLDEN_SINGLE, NATIVE);
}
END_TEST

START_TEST(test_probe_qemu)
{
	probe_all(FILTER_QEMU, GOLDEN_QEMU, NATIVE);
}
END_TEST

START_TEST(test_probe_i386)
{
	/* 20 is getpid; where the kernel has no 32-bit calls this is SIGSEGV */
	if (in_child(NO_FILTER, probe, (long)I386 << 16 | 20) != 0) {
		fprintf(stderr, "skipped i386: this kernel has no 32-bit calls\n");
		return;
	}
	probe_all(FILTER_JOB, GOLDEN_I386, I386);
}
END_TEST

START_TEST(test_probe_x32)
{
	probe_all(FILTER_JOB, GOLDEN_X32, X32);
}
END_TEST
#endif

/* --- single calls ------------------------------------------------------------------- */

static int errno_of(long result)
{
	return result < 0 ? errno : 0;
}

static int try_ioctl(long request)
{
	char key = 'x';

	return errno_of(syscall(SYS_ioctl, STDIN_FILENO, request, &key));
}

static int try_socket(long family)
{
	return errno_of(syscall(SYS_socket, family, SOCK_SEQPACKET, 0));
}

static int try_pair(long type)
{
	int pair[2];

	return errno_of(syscall(SYS_socketpair, AF_UNIX, type, 0, pair));
}

static int try_unshare(long flags)
{
	return errno_of(syscall(SYS_unshare, flags));
}

static int try_clone(long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return errno_of(pid);
}

static int try_personality(long value)
{
	return errno_of(syscall(SYS_personality, value));
}

static int try_number(long number)
{
	return errno_of(syscall(number, 0, 0, 0, 0, 0, 0));
}

static int try_execve(long data)
{
	char *const argv[] = { "true", NULL };

	(void)data;
	return errno_of(execve("/bin/true", argv, argv + 1));
}

START_TEST(test_job)
{
	const long high = 1l << 32;
	int null = open("/dev/null", O_RDWR);

	ck_assert_int_eq(dup2(null, STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(in_child(FILTER_JOB, try_ioctl, TIOCSTI), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_ioctl, TIOCSTI | high), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_ioctl, 0x541C), EPERM);
	/* the control: the kernel itself says something else */
	ck_assert_int_eq(in_child(NO_FILTER, try_ioctl, TIOCSTI | high), ENOTTY);
	ck_assert_int_eq(in_child(FILTER_JOB, try_ioctl, TIOCGWINSZ), ENOTTY);
	ck_assert_int_eq(in_child(FILTER_JOB, try_socket, AF_ALG), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_socket, AF_ALG | high), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_socket, AF_VSOCK), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_socket, AF_UNIX), 0);
	ck_assert_int_eq(in_child(FILTER_JOB, try_unshare, CLONE_NEWUSER), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_unshare, CLONE_NEWNS), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_unshare, CLONE_FILES), 0);
	ck_assert_int_eq(in_child(FILTER_JOB, try_clone, CLONE_NEWUSER), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_clone, CLONE_NEWUSER | CLONE_NEWNET),
			 EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_clone, 0), 0);
	ck_assert_int_eq(in_child(FILTER_JOB, try_personality, 0x0040000), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_personality, 0xffffffff), 0);
	ck_assert_int_eq(in_child(FILTER_JOB, try_number, SYS_clone3), ENOSYS);
	ck_assert_int_eq(in_child(FILTER_JOB, try_number, SYS_setns), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_number, SYS_mount), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_number, SYS_open_by_handle_at), EPERM);
	ck_assert_int_eq(in_child(FILTER_JOB, try_number, 9999), ENOSYS);
	/* a job is there to start programs */
	ck_assert_int_eq(in_child(FILTER_JOB, try_execve, 0), 0);
	close(null);
}
END_TEST

/* A file of the test's own; chown is answered and changes nothing. */
static int try_single(long data)
{
	char path[] = "/tmp/duet-test-XXXXXX";
	int fd = mkstemp(path), result = 0;
	struct stat before, after;

	(void)data;
	if (fd < 0 || fstat(fd, &before) < 0 || unlink(path) < 0)
		return 1;
	if (fchown(fd, before.st_uid + 1, before.st_gid + 1) != 0)
		result = 2;
	else if (fchownat(fd, "", 12, 34, AT_EMPTY_PATH) != 0 ||
		 chown("/none", 1, 2) != 0)
		result = 3;
	else if (fstat(fd, &after) < 0 || after.st_uid != before.st_uid ||
		 after.st_gid != before.st_gid)
		result = 4;
	else if (mknod("/tmp/duet-test-none", S_IFBLK | 0600, 1) != 0 ||
		 access("/tmp/duet-test-none", F_OK) == 0)
		result = 5;
	else if (syscall(SYS_setgroups, 0, NULL) != 0)
		result = 6;
	/* but a program that gives up its rights must have done so: here the kernel
	 * answers */
	else if (syscall(SYS_setresuid, 65534, 65534, 65534) == 0 && getuid() != 65534)
		result = 7;
	close(fd);
	return result;
}

START_TEST(test_single)
{
	ck_assert_int_eq(in_child(FILTER_JOB_SINGLE, try_single, 0), 0);
}
END_TEST

START_TEST(test_workers_die)
{
	static const int workers[] = { FILTER_UNPACK, FILTER_FETCH };

	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(in_child(workers[i], try_execve, 0), DIED + SIGSYS);
		ck_assert_int_eq(in_child(workers[i], try_number, SYS_ptrace),
				 DIED + SIGSYS);
		ck_assert_int_eq(in_child(workers[i], try_number, SYS_kill),
				 DIED + SIGSYS);
		ck_assert_int_eq(in_child(workers[i], try_clone, 0), EPERM);
		ck_assert_int_eq(in_child(workers[i], try_number, SYS_getpid), 0);
	}
	ck_assert_int_eq(in_child(FILTER_UNPACK, try_socket, AF_UNIX), DIED + SIGSYS);
	ck_assert_int_eq(in_child(FILTER_FETCH, try_socket, AF_UNIX), EAFNOSUPPORT);
	ck_assert_int_eq(in_child(FILTER_FETCH, try_socket, AF_NETLINK), EAFNOSUPPORT);
	ck_assert_int_eq(in_child(FILTER_FETCH, try_pair, SOCK_DGRAM), EAFNOSUPPORT);
	ck_assert_int_eq(in_child(FILTER_FETCH, try_pair, SOCK_SEQPACKET), EAFNOSUPPORT);
	ck_assert_int_eq(in_child(FILTER_FETCH, try_pair, SOCK_STREAM | SOCK_CLOEXEC), 0);
}
END_TEST

static int read_a_file(void)
{
	char byte;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), result = fd < 0 ? -1 : (int)read(fd, &byte, 1);

	close(fd);
	return result;
}

static void *thread(void *ret)
{
	*(int *)ret = read_a_file();
	return NULL;
}

/* Threads and files work, processes and the network do not. */
static int try_qemu(long data)
{
	int in_thread = -1;
	pthread_t id;

	(void)data;
	if (pthread_create(&id, NULL, thread, &in_thread) != 0 || pthread_join(id, NULL) != 0)
		return 1;
	if (in_thread != 0 || read_a_file() != 0)
		return 2;
	if (fork() >= 0 || errno != EPERM)
		return 3;
	if (prctl(PR_SET_PDEATHSIG, 0) == 0 || errno != EPERM)
		return 4;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 5;
	return fchmod(STDIN_FILENO, 0600) < 0 && errno == EPERM ? 0 : 6;
}

START_TEST(test_qemu)
{
	static const long never[] = { SYS_fork,	     SYS_ptrace,  SYS_mount,   SYS_setns,
				      SYS_setresuid, SYS_setuid,  SYS_capset,  SYS_chroot,
				      SYS_bpf,	     SYS_reboot, SYS_keyctl, SYS_mknodat };

	ck_assert_int_eq(in_child(FILTER_QEMU, try_qemu, 0), 0);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		ck_assert_int_eq(in_child(FILTER_QEMU, try_number, never[i]), EPERM);
	ck_assert_int_eq(in_child(FILTER_QEMU, try_clone, 0), EPERM);
	ck_assert_int_eq(in_child(FILTER_QEMU, try_unshare, CLONE_NEWUSER), EPERM);
	ck_assert_int_eq(in_child(FILTER_QEMU, try_socket, AF_INET), EPERM);
	ck_assert_int_eq(in_child(FILTER_QEMU, try_socket, AF_UNIX), 0);
	ck_assert_int_eq(in_child(FILTER_QEMU, try_number, SYS_clone3), ENOSYS);
#ifdef __x86_64__
	ck_assert_int_eq(in_child(FILTER_QEMU, try_number, SYS_getpid | X32_BIT), DIED + SIGSYS);
#endif
}
END_TEST

/* --- reading back ------------------------------------------------------------------- */

/* A kernel that says yes and does nothing, made of a filter: `number` answers 0. */
static void pretend(long number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { 4, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		_exit(99);
}

static int try_load_pretended(long number)
{
	struct err err = { 0 };

	pretend(number);
	if (filter_load(FILTER_JOB, &err) == 0)
		return 1;
	return err.code == -EPERM && strstr(err.msg, "read back") ? 0 : 2;
}

static int try_no_setid(long pretended)
{
	struct err err = { 0 };
	int fd = (int)syscall(SYS_memfd_create, "probe", 0);

	if (pretended)
		pretend(SYS_seccomp);
	if (filter_load_no_setid(&err) < 0)
		return err.code == -EPERM && strstr(err.msg, "when tried") ? 1 : 2;
	/* the mode of what is open, and other bits of it */
	if (fchmod(fd, 04755) == 0 || errno != EPERM || fchmod(fd, 01755) < 0)
		return 3;
	return 0;
}

static int try_load(long kind)
{
	struct err err = { 0 };

	if (filter_load((enum filter_kind)kind, &err) < 0)
		return 1;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP) == 2
		   ? 0
		   : 2;
}

START_TEST(test_load)
{
	for (int kind = 0; kind < (WORKERS_CAN_RUN ? FILTER_COUNT : FILTER_UNPACK);
	     kind++)
		ck_assert_int_eq(in_child(NO_FILTER, try_load, kind), 0);
	ck_assert_int_eq(in_child(NO_FILTER, try_load_pretended, SYS_prctl), 0);
	ck_assert_int_eq(in_child(NO_FILTER, try_no_setid, false), 0);
	ck_assert_int_eq(in_child(FILTER_JOB, try_no_setid, false), 0);
	ck_assert_int_eq(in_child(NO_FILTER, try_no_setid, true), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");
	TCase *tests = tcase_create("kernel");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 120);
#ifdef __x86_64__
	tcase_add_test(tests, test_probe_native);
	tcase_add_test(tests, test_probe_single);
	tcase_add_test(tests, test_probe_qemu);
	tcase_add_test(tests, test_probe_i386);
	tcase_add_test(tests, test_probe_x32);
#endif
	tcase_add_test(tests, test_job);
	tcase_add_test(tests, test_single);
	tcase_add_test(tests, test_qemu);
	if (WORKERS_CAN_RUN)
		tcase_add_test(tests, test_workers_die);
	tcase_add_test(tests, test_load);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
