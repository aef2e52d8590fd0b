/*
 * The rules of every filter of enum filter_kind, in one place. Only filter_make.c
 * includes this; it turns the rules into BPF when duet is built.
 *
 * A profile is a list of groups, asked in order: the first group that names a call
 * decides it. What no group names gets the profile's answer for all other calls. A name
 * that this machine's architecture does not have is passed over (`open` on arm64); a name
 * that libseccomp has never heard of stops the build, unless it carries its number,
 * "mseal=462": such calls are newer than the libseccomp of Debian 12 (2.5.4). Calls above
 * 423 have one number on all architectures.
 *
 * Guards look at one argument of a call that the groups let pass; several of one call stand
 * together, and all must let it pass. They compare its low 32
 * bits, as the kernel does for int arguments: a comparison of all 64 could be walked
 * around by setting a bit that the kernel then throws away (CVE-2019-10063). A guard may
 * have a condition on another argument: a mode means something only beside O_CREAT.
 */
#ifndef DUET_CORE_JAIL_FILTER_TABLE_H
#define DUET_CORE_JAIL_FILTER_TABLE_H

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <asm/ioctls.h>

/* Answers beside errno values; 0 is an errno here: success without effect. */
#define ALLOW (-1)
#define KILL (-2)	/* the process, with SIGSYS */

struct filter_calls {
	int answer;
	const char *names;	/* parted by blanks */
};

enum guard_test {
	GUARD_DENY,	/* the answer when the masked argument is one of the values */
	GUARD_ONLY	/* the answer when it is none of them */
};

struct filter_guard {
	const char *call;
	unsigned int argument;	/* 0..5 */
	enum guard_test test;
	int answer;		/* an errno, or 0 */
	uint32_t mask;
	uint32_t count;
	uint32_t values[12];
	/* it looks only when argument `when` has one of these bits; 0: always */
	unsigned int when;
	uint32_t when_bits;
};

struct filter_profile {
	const char *name;	/* of the array in filter_code.h */
	int otherwise;		/* answer for calls that no group names */
	int foreign;		/* answer for other architectures' calls */
	const struct filter_calls *groups[3];	/* each list ended by NULL names */
	const struct filter_guard *guards[3];	/* each list ended by a NULL call */
};

#define ALL_BITS UINT32_MAX
#define FLAGS_NEW_NAMESPACE \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)
/* s390 has clone(stack, flags); nobody else */
#ifdef __s390__
#define CLONE_FLAGS_ARGUMENT 1
#else
#define CLONE_FLAGS_ARGUMENT 0
#endif

/*
 * Jobs. What ordinary programs use is allowed, what could hurt the host is EPERM, and the
 * rest is ENOSYS, so that a libc that tries a newer call falls back to an older one.
 *
 * Left out on purpose, so ENOSYS: mbind, set_mempolicy, get_mempolicy,
 * set_mempolicy_home_node, migrate_pages, move_pages (libnuma takes ENOSYS for "one
 * node"); modify_ldt (16- and 32-bit segments, of no use without the i386 calls); sysfs,
 * ustat, _sysctl, nfsservctl (dead); lsm_get_self_attr, lsm_list_modules, listns,
 * file_getattr, file_setattr (nothing needs them yet).
 */
static const struct filter_calls job_calls[] = {
	/* processes and threads; clone and unshare are guarded below, duet-init needs
	 * execveat */
	{ ALLOW, "arch_prctl clone execve execveat exit exit_group fork "
		 "get_robust_list get_thread_area getcpu getpgid getpgrp getpid "
		 "getppid getpriority getrlimit getrusage getsid gettid membarrier "
		 "personality pidfd_open pidfd_send_signal prctl prlimit64 "
		 "process_mrelease restart_syscall rseq set_robust_list "
		 "set_thread_area set_tid_address setpgid setpriority setrlimit "
		 "setsid unshare vfork wait4 waitid" },
	{ ALLOW, "ioprio_get ioprio_set sched_get_priority_max sched_get_priority_min "
		 "sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
		 "sched_rr_get_interval sched_setaffinity sched_setattr "
		 "sched_setparam sched_setscheduler sched_yield" },
	/* the flags lie in memory, where no filter can see them: glibc and musl fall
	 * back to clone */
	{ ENOSYS, "clone3" },
	/* debuggers; since Linux 4.8 ptrace cannot be used to get around a filter */
	{ ALLOW, "process_vm_readv process_vm_writev ptrace" },
	/* ids and rights: the kernel asks for the capability in the job's own user
	 * namespace */
	{ ALLOW, "capget capset chroot getegid geteuid getgid getgroups getresgid "
		 "getresuid getuid setfsgid setfsuid setgid setgroups setregid "
		 "setresgid setresuid setreuid setuid" },
	/* more walls of a program's own making are welcome */
	{ ALLOW, "landlock_add_rule landlock_create_ruleset landlock_restrict_self "
		 "seccomp" },
	{ ALLOW, "kill pause rt_sigaction rt_sigpending rt_sigprocmask "
		 "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
		 "rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill" },
	/* memory */
	{ ALLOW, "brk madvise map_shadow_stack=453 memfd_create memfd_secret mincore "
		 "mlock mlock2 mlockall mmap mprotect mremap mseal=462 msync munlock "
		 "munlockall munmap pkey_alloc pkey_free pkey_mprotect "
		 "remap_file_pages" },
	/* time; adjtimex and clock_adjtime to read, the kernel lets no job set the
	 * host's clock */
	{ ALLOW, "adjtimex alarm clock_adjtime clock_getres clock_gettime "
		 "clock_nanosleep getitimer gettimeofday nanosleep setitimer time "
		 "timer_create timer_delete timer_getoverrun timer_gettime "
		 "timer_settime timerfd_create timerfd_gettime timerfd_settime times" },
	/* waiting */
	{ ALLOW, "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
		 "epoll_wait eventfd eventfd2 futex futex_requeue=456 futex_wait=455 "
		 "futex_waitv=449 futex_wake=454 inotify_add_watch inotify_init "
		 "inotify_init1 inotify_rm_watch poll ppoll pselect6 select" },
	/* descriptors, their data */
	{ ALLOW, "close close_range copy_file_range creat dup dup2 dup3 fadvise64 "
		 "fallocate fcntl fdatasync flock fsync ftruncate getdents getdents64 "
		 "ioctl lseek open openat openat2 pipe pipe2 pread64 preadv preadv2 "
		 "pwrite64 pwritev pwritev2 read readahead readv sendfile splice sync "
		 "sync_file_range syncfs tee truncate vmsplice write writev" },
	{ ALLOW, "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit" },
	/* names and what hangs on them; name_to_handle_at alone opens nothing */
	{ ALLOW, "access cachestat=451 chdir chmod chown faccessat faccessat2 fchdir "
		 "fchmod fchmodat fchmodat2=452 fchown fchownat fstat fstatfs "
		 "futimesat getcwd lchown link linkat listmount=458 lstat mkdir "
		 "mkdirat mknod mknodat name_to_handle_at newfstatat readlink "
		 "readlinkat rename renameat renameat2 rmdir stat statfs "
		 "statmount=457 statx symlink symlinkat umask unlink unlinkat utime "
		 "utimensat utimes" },
	{ ALLOW, "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat=464 "
		 "lgetxattr listxattr listxattrat=465 llistxattr lremovexattr "
		 "lsetxattr removexattr removexattrat=466 setxattr setxattrat=463" },
	/* sockets; socket is guarded below */
	{ ALLOW, "accept accept4 bind connect getpeername getsockname getsockopt "
		 "listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt "
		 "shutdown socket socketpair" },
	/* System V and POSIX message queues, semaphores, shared memory */
	{ ALLOW, "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend "
		 "mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop "
		 "semtimedop shmat shmctl shmdt shmget" },
	{ ALLOW, "getrandom sysinfo uname" },
#ifdef __x86_64__
	/* the kernel's own trampolines: a probed program dies where they are refused */
	{ ALLOW, "uprobe=336 uretprobe=335" },
#endif

	/* mounts and namespaces: the way to most of the kernel's past holes
	 * (CVE-2022-0185) */
	{ EPERM, "fsconfig fsmount fsopen fspick mount mount_setattr move_mount "
		 "open_tree open_tree_attr=467 pivot_root setns umount2" },
	/* opens files by number, past every mount that hides them */
	{ EPERM, "open_by_handle_at" },
	/* keyrings are not in any namespace */
	{ EPERM, "add_key keyctl request_key" },
	/* large, young and often broken, or a help in breaking the rest */
	{ EPERM, "bpf io_uring_enter io_uring_register io_uring_setup perf_event_open "
		 "userfaultfd" },
	{ EPERM, "kcmp pidfd_getfd process_madvise" },
	/* the machine itself: kernel code, ports, power, clock, swap, quotas,
	 * accounting, its log */
	{ EPERM, "create_module delete_module finit_module get_kernel_syms "
		 "init_module kexec_file_load kexec_load query_module" },
	{ EPERM, "acct clock_settime ioperm iopl quotactl quotactl_fd reboot "
		 "setdomainname sethostname settimeofday stime swapoff swapon syslog "
		 "vhangup" },
	{ EPERM, "fanotify_init fanotify_mark lookup_dcookie lsm_set_self_attr=460 "
		 "uselib vm86 vm86old" },
	{ 0, NULL },
};

static const struct filter_guard job_guards[] = {
	{ "clone", CLONE_FLAGS_ARGUMENT, GUARD_ONLY, EPERM, FLAGS_NEW_NAMESPACE, 1,
	  { 0 } },
	/* in clone's flags CLONE_NEWTIME would be part of the signal; here it has its
	 * meaning */
	{ "unshare", 0, GUARD_ONLY, EPERM, FLAGS_NEW_NAMESPACE | 0x80, 1, { 0 } },
	/* AF_ALG (CVE-2026-31431) and AF_VSOCK, which reaches the host past every
	 * namespace */
	{ "socket", 0, GUARD_DENY, EPERM, ALL_BITS, 2, { AF_ALG, AF_VSOCK } },
	/* both push input into a terminal as if it had been typed; TIOCLINUX is not in
	 * all headers */
	{ "ioctl", 1, GUARD_DENY, EPERM, ALL_BITS, 2, { TIOCSTI, 0x541C } },
	/* PER_LINUX, PER_LINUX32, both with UNAME26, and the question */
	{ "personality", 0, GUARD_ONLY, EPERM, ALL_BITS, 5,
	  { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff } },
	{ NULL },
};

/*
 * Single-uid mode: the map holds one id, so the kernel can only refuse what package
 * managers and archivers ask for. They are told that it was done. Never so for the setuid
 * family: a program that believes to have given up its rights must have done it.
 */
static const struct filter_calls single_calls[] = {
	{ 0, "chown fchown fchownat lchown setgroups" },
	{ 0, NULL },
};

static const struct filter_guard single_guards[] = {
	/* device nodes only: fifos, sockets and empty files can be made */
	{ "mknod", 1, GUARD_DENY, 0, S_IFMT, 2, { S_IFCHR, S_IFBLK } },
	{ "mknodat", 2, GUARD_DENY, 0, S_IFMT, 2, { S_IFCHR, S_IFBLK } },
	{ NULL },
};

/*
 * The workers, found by watching what libarchive, zstd, ISA-L, OpenSSL and curl do. All
 * that is not named kills. Threads are made with clone, since clone3's flags cannot be
 * seen; nothing that is not a thread of the same process can be started. prctl serves to
 * read the settings back.
 */
static const struct filter_calls worker_calls[] = {
	{ ENOSYS, "clone3" },
	/* malloc asks for the CPUs; restart_syscall comes after a stop and a continue;
	 * tgkill, getpid and gettid are abort(3), so that a failed assertion can be
	 * told from a forbidden call */
	{ ALLOW, "clone exit exit_group futex getegid geteuid getpid gettid prctl restart_syscall "
		 "rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity "
		 "set_robust_list tgkill" },
	{ ALLOW, "brk madvise mmap mprotect mremap munmap" },
	/* sysinfo: glibc's qsort asks how much memory there is */
	{ ALLOW, "clock_gettime getrandom sysinfo" },
	{ ALLOW, "close fcntl fstat fsync ftruncate getdents64 lseek newfstatat "
		 "openat ppoll pread64 pwrite64 read recvmsg sendmsg write" },
	{ 0, NULL },
};

static const struct filter_guard worker_guards[] = {
	{ "clone", CLONE_FLAGS_ARGUMENT, GUARD_ONLY, EPERM,
	  FLAGS_NEW_NAMESPACE | CLONE_THREAD | CLONE_VM, 1, { CLONE_THREAD | CLONE_VM } },
	{ "prctl", 0, GUARD_ONLY, EPERM, ALL_BITS, 6,
	  { PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_PDEATHSIG, PR_SET_NAME,
	    PR_GET_NAME, PR_SET_VMA } },
	/* no code but what was linked in: nothing is loaded once a layer or an answer is being
	 * read */
	{ "mmap", 2, GUARD_ONLY, EPERM, PROT_EXEC, 1, { 0 } },
	{ "mprotect", 2, GUARD_ONLY, EPERM, PROT_EXEC, 1, { 0 } },
	{ NULL },
};

/* Files through descriptors, and nothing that could name a host, a program or a
 * process. */
static const struct filter_calls unpack_calls[] = {
	{ ALLOW, "fstatfs openat2 readlinkat syncfs" },
	/* fchmodat2: what a newer glibc makes of fchmodat */
	{ ALLOW, "fchmod fchmodat fchmodat2=452 fchown fchownat linkat mkdirat "
		 "mknodat renameat renameat2 symlinkat unlinkat utimensat" },
	{ ALLOW, "fgetxattr flistxattr fsetxattr" },
	{ 0, NULL },
};

/* The network, the resolver's and TLS's files to read (builders/worker/root.c), and one descriptor
 * to write. */
static const struct filter_calls fetch_calls[] = {
	{ ALLOW, "bind connect getpeername getsockname getsockopt ioctl recvfrom "
		 "recvmmsg sendmmsg sendto setsockopt shutdown socket socketpair" },
	{ ALLOW, "clock_nanosleep epoll_create1 epoll_ctl epoll_wait eventfd2 "
		 "gettimeofday pipe2 poll" },
	{ ALLOW, "access fallocate fdatasync getegid geteuid getgid getuid open "
		 "prlimit64 readlink readv sched_yield stat statx uname writev" },
	{ 0, NULL },
};

static const struct filter_guard fetch_guards[] = {
	/* not AF_UNIX, which reaches the host's daemons; without AF_NETLINK, getaddrinfo takes both
	 * families for there */
	{ "socket", 0, GUARD_ONLY, EAFNOSUPPORT, ALL_BITS, 2, { AF_INET, AF_INET6 } },
	/* libcurl wakes itself by one; of datagrams, it could be connected to another socket */
	{ "socketpair", 0, GUARD_ONLY, EAFNOSUPPORT, ALL_BITS, 1, { AF_UNIX } },
	{ "socketpair", 1, GUARD_ONLY, EAFNOSUPPORT, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), 1,
	  { SOCK_STREAM } },
	{ "ioctl", 1, GUARD_ONLY, ENOTTY, ALL_BITS, 2, { FIONREAD, FIONBIO } },
	{ "open", 1, GUARD_ONLY, EROFS, O_ACCMODE | O_CREAT | O_TRUNC, 1, { O_RDONLY } },
	{ "openat", 2, GUARD_ONLY, EROFS, O_ACCMODE | O_CREAT | O_TRUNC, 1,
	  { O_RDONLY } },
	{ NULL },
};

/*
 * QEMU, on top of its own -sandbox: it is assumed lost to its guest. It has threads and files that it
 * was given; it starts nothing, opens no network, looks at no other process. execve stays, since the
 * filter is there before QEMU is: what could be started in its jail has no more rights than QEMU.
 */
static const struct filter_calls qemu_calls[] = {
	{ EPERM, "fork vfork ptrace process_vm_readv process_vm_writev" },
	{ EPERM, "chroot capset setfsgid setfsuid setgid setgroups setregid setresgid "
		 "setresuid setreuid setuid mknod mknodat" },
	/* the store's files may be the same user's: a descriptor that reads is enough for these */
	{ EPERM, "chmod chown fchmod fchmodat fchmodat2=452 fchown fchownat flock fremovexattr "
		 "fsetxattr futimesat lchown lremovexattr lsetxattr removexattr "
		 "removexattrat=466 setxattr setxattrat=463 utime utimensat utimes" },
	{ 0, NULL },
};

static const struct filter_guard qemu_guards[] = {
	{ "clone", CLONE_FLAGS_ARGUMENT, GUARD_ONLY, EPERM,
	  FLAGS_NEW_NAMESPACE | CLONE_THREAD | CLONE_VM, 1, { CLONE_THREAD | CLONE_VM } },
	{ "unshare", 0, GUARD_ONLY, EPERM, FLAGS_NEW_NAMESPACE | 0x80, 1, { 0 } },
	{ "socket", 0, GUARD_ONLY, EPERM, ALL_BITS, 1, { AF_UNIX } },
	{ "fcntl", 1, GUARD_DENY, EPERM, ALL_BITS, 1, { F_SETLEASE } },
	/* it ends with duet, whatever it wants */
	{ "prctl", 0, GUARD_DENY, EPERM, ALL_BITS, 1, { PR_SET_PDEATHSIG } },
	{ "ioctl", 1, GUARD_DENY, EPERM, ALL_BITS, 2, { TIOCSTI, 0x541C } },
	{ "personality", 0, GUARD_ONLY, EPERM, ALL_BITS, 5,
	  { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff } },
	{ NULL },
};

/*
 * On top of another filter where the job can write to folders of the host: mode bits that
 * grant rights to whoever starts a file do not leave the instance. A filter sees no path,
 * so they are refused everywhere inside, and of folders too, where S_ISGID grants nothing.
 * mkdir is not here: the kernel takes these bits out of its mode.
 *
 * openat2 has its mode in memory, io_uring makes calls that no filter sees. A job with
 * SYS_ADMIN and no other filter could mount an overlay whose upper is such a folder, and
 * have the kernel copy set-id programs of the image into it: no new file system is mounted.
 * Foreign ABIs have these calls too.
 */
#define SETID_BITS (S_ISUID | S_ISGID)
#define MAKES_FILE (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))

static const struct filter_calls no_setid_calls[] = {
	{ ENOSYS, "openat2" },
	{ EPERM, "fsopen io_uring_setup" },
	{ 0, NULL },
};

static const struct filter_guard no_setid_guards[] = {
	{ "chmod", 1, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "fchmod", 1, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "fchmodat", 2, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "fchmodat2=452", 2, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "creat", 1, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "open", 2, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 }, 1, MAKES_FILE },
	{ "openat", 3, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 }, 2, MAKES_FILE },
	{ "mknod", 1, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	{ "mknodat", 2, GUARD_ONLY, EPERM, SETID_BITS, 1, { 0 } },
	/* without one of these bits it mounts what was not mounted before */
	{ "mount", 3, GUARD_DENY, EPERM,
	  MS_REMOUNT | MS_BIND | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE | MS_MOVE, 1,
	  { 0 } },
	{ NULL },
};

static const struct filter_profile profiles[] = {
	{ "job", ENOSYS, ENOSYS, { job_calls }, { job_guards } },
	{ "job_single", ENOSYS, ENOSYS,
	  { single_calls, job_calls }, { single_guards, job_guards } },
	{ "unpack", KILL, KILL,
	  { worker_calls, unpack_calls }, { worker_guards } },
	{ "fetch", KILL, KILL,
	  { worker_calls, fetch_calls }, { worker_guards, fetch_guards } },
	{ "owners", ALLOW, ALLOW, { single_calls }, { single_guards } },
	{ "no_setid", ALLOW, ENOSYS, { no_setid_calls }, { no_setid_guards } },
	{ "qemu", ENOSYS, KILL, { qemu_calls, job_calls }, { qemu_guards } },
};

#endif
